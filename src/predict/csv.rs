//! A CSV text in blocks. Each block is a CSV of its own, with the header and whole rows, that
//! means what its rows mean in the whole text.
//!
//! Where rows begin and end follows `wire::invocations::csv`, whose rules are pandas': lines of
//! blanks are skipped, a quote opens a field only at its start, rows may be shorter than the
//! header. What one long row means depends on the first row, so its width is kept.

use memchr::{memchr, memchr_iter, memchr3};

use super::block::{Block, BlockLimits, CSV, Place, Rows, Source, TextForm, TextRows};
use super::error::PredictError;
use super::input::{Input, RECORD_BYTES_MAX};
use crate::wire::invocations::csv::{CsvOptions, CsvTypes, Datetimes, UnevenRows, read_csv};
use crate::wire::invocations::frame::Frame;

/// How much of the text decides the types of columns that nothing declares.
const SAMPLE_BYTES: usize = 1 << 20;

/// A CSV text.
pub(super) struct CsvSource {
    input: Input,
    limits: BlockLimits,
    header: Option<Header>,
    next_line: u64,
    next_row: u64,
}

struct Header {
    form: TextForm,
    /// Number of names.
    names: usize,
    /// Most values that a row may have; `None` before the first row.
    width: Option<usize>,
}

/// What the start of a text holds.
#[derive(Debug, PartialEq, Eq)]
enum Scan {
    /// The text must go on before that can be said.
    More,
    /// Nothing but blank lines.
    End,
    Record(Record),
}

/// One row within a text.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    /// Where it starts, after blank lines, and ends, line end included.
    start: usize,
    end: usize,
    /// Bytes of its line end.
    line_end: usize,
    /// Number of fields.
    fields: usize,
    /// Lines before it, and its own.
    lines_before: u64,
    lines: u64,
    /// Whether the text ends within quotes.
    is_open: bool,
}

impl CsvSource {
    pub(super) fn new(input: Input, limits: BlockLimits) -> Self {
        Self { input, limits, header: None, next_line: 1, next_row: 1 }
    }

    /// The next record, still in the input, and the line in which it starts.
    fn next_record(&mut self) -> Result<Option<(Record, u64)>, PredictError> {
        loop {
            match scan(self.input.rest(), self.input.ended()) {
                Scan::End => return Ok(None),
                Scan::Record(record) => {
                    let line = self.next_line + record.lines_before;
                    if record.is_open {
                        return Err(self.fault(line, "a quoted field has no closing quote"));
                    }
                    return Ok(Some((record, line)));
                }
                Scan::More if self.input.rest().len() >= RECORD_BYTES_MAX => {
                    let reason = format!(
                        "longer than {} MiB: is a quote left open?",
                        RECORD_BYTES_MAX >> 20
                    );
                    return Err(self.fault(self.next_line, reason));
                }
                Scan::More => self.input.fill()?,
            }
        }
    }

    /// A fault of the row that comes next, or of the header.
    fn fault(&self, line: u64, reason: impl Into<String>) -> PredictError {
        let reason = reason.into();
        if self.header.is_none() {
            return self.input.fault(format!("the header (line {line}): {reason}"));
        }
        let place = Place { row: self.next_row, line: Some(line) };
        PredictError::Row { input: self.input.name().to_owned(), place, reason }
    }

    fn consume(&mut self, record: &Record) {
        self.input.consume(record.end);
        self.next_line += record.lines_before + record.lines;
    }

    fn read_header(&mut self) -> Result<(), PredictError> {
        if self.header.is_some() {
            return Ok(());
        }
        self.input.skip_mark()?;
        let Some((record, _)) = self.next_record()? else {
            return Err(self.input.fault("there is no header line"));
        };
        let mut head = self.input.rest()[record.start..record.end].to_vec();
        if record.line_end == 0 {
            head.push(b'\n');
        }
        let form = TextForm { content_type: CSV, head, separator: b"", tail: b"" };
        self.consume(&record);
        self.header = Some(Header { form, names: record.fields, width: None });
        Ok(())
    }
}

impl Source for CsvSource {
    fn next_block(&mut self) -> Result<Option<Block>, PredictError> {
        self.read_header()?;
        let header = self.header.as_ref().expect("it was just read");
        let (names, mut width) = (header.names, header.width);
        let mut rows = TextRows::new(header.form.clone());
        let first_row = self.next_row;
        while !rows.is_full(self.limits) {
            let Some((record, line)) = self.next_record()? else { break };
            let width = *width.get_or_insert(record.fields.max(names));
            if record.fields > width {
                let reason = format!("expected {width} values, got {}", record.fields);
                return Err(self.fault(line, reason));
            }
            let end = record.end - record.line_end;
            let [values, line_end] = [record.start..end, end..record.end]
                .map(|range| self.input.rest().get(range).unwrap_or_default());
            // Rows longer than the header begin with an index. The first row of a text shows that
            // there is one, so the first row of a block must be as long as that of the text.
            let lacking = if rows.is_empty() && width > names { width - record.fields } else { 0 };
            rows.push(&[values, &vec![b','; lacking], line_end], line);
            self.consume(&record);
            self.next_row += 1;
        }
        if let Some(header) = &mut self.header {
            header.width = width;
        }
        Ok((!rows.is_empty()).then(|| Block { first_row, rows: Rows::Text(rows) }))
    }

    fn sample(&mut self) -> Result<Option<Frame>, PredictError> {
        self.read_header()?;
        self.input.fill_to(SAMPLE_BYTES)?;
        let rest = self.input.rest();
        let mut end = 0;
        while end < SAMPLE_BYTES {
            match scan(&rest[end..], self.input.ended()) {
                // A row that is not whole is a fault, which will be told where it stands.
                Scan::Record(Record { is_open: true, .. }) | Scan::More | Scan::End => break,
                Scan::Record(record) => end += record.end,
            }
        }
        let header = self.header.as_ref().expect("it was just read");
        let text = [header.form.head.as_slice(), &rest[..end]].concat();
        let options = CsvOptions {
            types: CsvTypes::Inferred,
            datetimes: Datetimes::Parse,
            uneven_rows: UnevenRows::Fit,
        };
        // A text that cannot be read has no types; its blocks will tell why.
        Ok(std::str::from_utf8(&text).ok().and_then(|text| read_csv(text, &options).ok()))
    }
}

/// Looks for a row at the start of a text, of which more may follow unless it has `ended`.
fn scan(text: &[u8], ended: bool) -> Scan {
    let (mut at, mut lines_before) = (0, 0);
    loop {
        let blanks = text[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        match text.get(at + blanks) {
            None if ended => return Scan::End,
            None => return Scan::More,
            Some(b'\n') => at += blanks + 1,
            Some(b'\r') => {
                at += blanks + 1;
                match text.get(at) {
                    None if !ended => return Scan::More,
                    // The decoder eats a comma here as well.
                    Some(b'\n' | b',') => at += 1,
                    _ => {}
                }
            }
            Some(_) => break,
        }
        lines_before += 1;
    }
    record(text, at, ended)
        .map_or(Scan::More, |record| Scan::Record(Record { lines_before, ..record }))
}

/// The row that starts at `start`; `None` where its end is still to come.
fn record(text: &[u8], start: usize, ended: bool) -> Option<Record> {
    let whole = Record {
        start,
        end: text.len(),
        line_end: 0,
        fields: 0,
        lines_before: 0,
        lines: 1,
        is_open: false,
    };
    let (mut at, mut fields, mut lines) = (start, 0, 1);
    loop {
        if text.get(at) == Some(&b'"') {
            let opened = at + 1;
            let closed = match closing_quote(text, opened) {
                Quote::Closes(at) if ended || at + 1 < text.len() => at,
                Quote::Open if ended => {
                    return Some(Record { is_open: true, fields, lines, ..whole });
                }
                // A quote at the end of what there is may be the first of two.
                Quote::Closes(_) | Quote::Open => return None,
            };
            lines += memchr_iter(b'\n', &text[opened..closed]).count() as u64;
            at = closed + 1;
        }
        fields += 1;
        let Some(length) = field_end(&text[at..]) else {
            return ended.then_some(Record { fields, lines, ..whole });
        };
        at += length;
        let line_end = match text[at] {
            b',' => {
                at += 1;
                continue;
            }
            b'\r' => match text.get(at + 1) {
                None if !ended => return None,
                Some(b'\n') => 2,
                _ => 1,
            },
            _ => 1,
        };
        return Some(Record { end: at + line_end, line_end, fields, lines, ..whole });
    }
}

/// Where an unquoted field ends. Most are shorter than a search is worth.
fn field_end(text: &[u8]) -> Option<usize> {
    const NEAR: usize = 32;
    let near = &text[..text.len().min(NEAR)];
    near.iter()
        .position(|byte| matches!(byte, b',' | b'\n' | b'\r'))
        .or_else(|| Some(near.len() + memchr3(b',', b'\n', b'\r', &text[near.len()..])?))
}

/// How a quoted field goes on.
enum Quote {
    Closes(usize),
    /// Not within the text.
    Open,
}

/// Where the quote closes that was opened before `at`. Two quotes are one that does not close.
fn closing_quote(text: &[u8], mut at: usize) -> Quote {
    while let Some(length) = memchr(b'"', text.get(at..).unwrap_or_default()) {
        at += length;
        if text.get(at + 1) != Some(&b'"') {
            return Quote::Closes(at);
        }
        at += 2;
    }
    Quote::Open
}
