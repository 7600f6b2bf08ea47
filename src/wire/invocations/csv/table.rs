//! A CSV text as rows of fields, by the rules of pandas' C tokenizer.

use std::ops::Range;

use super::super::WireError;

/// The rows of a CSV text, the header being row 0. Memory: the text once more, and a word for each
/// field and row.
#[derive(Debug)]
pub(super) struct Table {
    /// All fields, unquoted, one after the other.
    text: String,
    /// Where each field ends in `text`; it starts where the one before ends.
    ends: Vec<usize>,
    /// The first field of each row, and one entry more.
    rows: Vec<usize>,
}

impl Table {
    /// Splits `text` into rows and fields.
    ///
    /// # Errors
    /// An unfinished quote, or a row with more fields than the rows above it allow.
    pub(super) fn read(text: &str) -> Result<Self, WireError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut tokenizer = Tokenizer {
            bytes: text.as_bytes(),
            at: 0,
            line: 0,
            stream: Vec::with_capacity(text.len()),
            ends: Vec::new(),
            rows: vec![0],
        };
        while tokenizer.skip_blank_lines() {
            tokenizer.record()?;
        }
        Ok(Self {
            text: String::from_utf8(tokenizer.stream)
                .expect("fields are cut from a str at ASCII bytes"),
            ends: tokenizer.ends,
            rows: tokenizer.rows,
        })
    }

    /// Number of rows, the header among them.
    pub(super) fn rows(&self) -> usize {
        self.rows.len() - 1
    }

    /// Number of fields that a row has.
    pub(super) fn width(&self, row: usize) -> usize {
        self.rows[row + 1] - self.rows[row]
    }

    /// A field; what a short row lacks is empty.
    pub(super) fn field(&self, row: usize, column: usize) -> &str {
        let index = self.rows[row] + column;
        if index >= self.rows[row + 1] {
            return "";
        }
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    /// A column's fields in the given rows.
    pub(super) fn column(
        &self,
        column: usize,
        rows: Range<usize>,
    ) -> impl ExactSizeIterator<Item = &str> + Clone {
        rows.map(move |row| self.field(row, column))
    }
}

struct Tokenizer<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Lines read, as pandas counts them: newlines within quotes do not count.
    line: usize,
    stream: Vec<u8>,
    ends: Vec<usize>,
    rows: Vec<usize>,
}

impl Tokenizer<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Moves to the next line that is more than blanks; `false` at the end of the text.
    fn skip_blank_lines(&mut self) -> bool {
        loop {
            let blanks = self.bytes[self.at..].iter().take_while(|byte| is_blank(**byte)).count();
            match self.bytes.get(self.at + blanks) {
                None => return false,
                Some(b'\n') => self.at += blanks + 1,
                Some(b'\r') => {
                    self.at += blanks + 1;
                    // A comma is eaten here as well: a quirk of pandas that its users see.
                    if matches!(self.peek(), Some(b'\n' | b',')) {
                        self.at += 1;
                    }
                }
                Some(_) => return true,
            }
            self.line += 1;
        }
    }

    /// Reads one row with its line end.
    fn record(&mut self) -> Result<(), WireError> {
        loop {
            if self.peek() == Some(b'"') {
                self.at += 1;
                self.quoted()?;
            }
            self.unquoted();
            self.end_field();
            let ended_by = self.peek();
            self.at += 1;
            match ended_by {
                Some(b',') => {}
                Some(b'\r') if self.peek() == Some(b'\n') => {
                    self.at += 1;
                    break;
                }
                Some(_) => break,
                None => {
                    self.at = self.bytes.len();
                    break;
                }
            }
        }
        self.end_row()
    }

    /// Takes what follows an opening quote, up to and with the closing one.
    fn quoted(&mut self) -> Result<(), WireError> {
        loop {
            let rest = &self.bytes[self.at..];
            let Some(length) = rest.iter().position(|byte| *byte == b'"') else {
                return Err(WireError::bad_request(format!(
                    "Invalid CSV: a quoted field that starts in line {} has no closing quote.",
                    self.line + 1
                )));
            };
            self.stream.extend_from_slice(&rest[..length]);
            self.at += length + 1;
            if self.peek() != Some(b'"') {
                return Ok(());
            }
            self.stream.push(b'"');
            self.at += 1;
        }
    }

    /// Takes everything up to the end of the field; quotes mean nothing here.
    fn unquoted(&mut self) {
        let rest = &self.bytes[self.at..];
        let length =
            rest.iter().position(|byte| matches!(byte, b',' | b'\n' | b'\r')).unwrap_or(rest.len());
        self.stream.extend_from_slice(&rest[..length]);
        self.at += length;
    }

    fn end_field(&mut self) {
        let start = self.ends.last().copied().unwrap_or(0);
        if let Some(nul) = self.stream[start..].iter().position(|byte| *byte == 0) {
            self.stream.truncate(start + nul);
        }
        self.ends.push(self.stream.len());
    }

    /// The header and the first row may have any width; they set it for the rows below.
    fn end_row(&mut self) -> Result<(), WireError> {
        self.line += 1;
        let done = self.rows.len() - 1;
        let fields = self.ends.len() - self.rows[done];
        if done >= 2 {
            let expected = (self.rows[1] - self.rows[0]).max(self.rows[2] - self.rows[1]);
            if fields > expected {
                return Err(WireError::bad_request(format!(
                    "Invalid CSV: expected {expected} fields in line {}, got {fields}.",
                    self.line
                )));
            }
        }
        self.rows.push(self.ends.len());
        Ok(())
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}
