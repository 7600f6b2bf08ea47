//! JSON in blocks: one value a line, or the items of one list. A request body of the protocol is
//! no sequence of rows, so it stays whole.

use memchr::memchr;

use super::block::{Block, BlockLimits, JSON, Place, Rows, Source, TextForm, TextRows};
use super::error::PredictError;
use super::input::{Input, RECORD_BYTES_MAX};
use crate::model::Schema;
use crate::wire::invocations::dataframe::from_records;
use crate::wire::invocations::frame::Frame;
use crate::wire::invocations::json;

/// How much of the text decides the types of columns that nothing declares.
const SAMPLE_BYTES: usize = 1 << 20;

/// The largest request body.
const DOCUMENT_BYTES_MAX: usize = 64 << 20;

/// JSON values one after the other, or a document.
pub(super) struct JsonSource {
    input: Input,
    limits: BlockLimits,
    kind: Kind,
    inputs: Inputs,
    form: Option<TextForm>,
    next_line: u64,
    next_row: u64,
}

/// Which member of a request body holds the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inputs {
    /// Records of named columns, or rows of columns without names.
    Columns,
    /// Arrays, and records of the only tensor's values side by side.
    Tensor,
    /// Records of named tensors.
    NamedTensors,
    /// Whatever they are.
    Undeclared,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Lines,
    /// One document, not looked at yet.
    Document,
    List(At),
    Done,
}

/// How far a list has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Behind the bracket, where the list may end.
    Start,
    /// Behind a comma, where an item must follow.
    Item,
}

/// What the start of the rest holds.
#[derive(Debug, PartialEq, Eq)]
enum Scan {
    More,
    End,
    Record(Record),
    Fault(&'static str),
}

/// One value within a text.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    start: usize,
    end: usize,
    /// Where the next one may start.
    next: usize,
    lines_before: u64,
    lines: u64,
    /// Whether it is the last of its list.
    is_last: bool,
}

impl Inputs {
    /// What a signature asks for.
    pub(super) fn of(schema: Option<&Schema>) -> Self {
        match schema {
            None => Self::Undeclared,
            Some(Schema::Columns(_)) => Self::Columns,
            Some(schema @ Schema::Tensors(_)) if schema.is_named() => Self::NamedTensors,
            Some(Schema::Tensors(_)) => Self::Tensor,
        }
    }

    /// The body around rows that begin with this byte.
    fn form(self, first: u8) -> TextForm {
        let (head, tail): (&[u8], &[u8]) = match (self, first) {
            (Self::NamedTensors, b'{') => (b"{\"instances\": [", b"]}"),
            (_, b'{') => (b"{\"dataframe_records\": [", b"]}"),
            (Self::Columns, _) => (b"{\"dataframe_split\": {\"data\": [", b"]}}"),
            (_, _) => (b"{\"instances\": [", b"]}"),
        };
        TextForm { content_type: JSON, head: head.to_vec(), separator: b", ", tail }
    }
}

impl JsonSource {
    /// One value a line.
    pub(super) fn lines(input: Input, limits: BlockLimits, inputs: Inputs) -> Self {
        Self::new(input, limits, inputs, Kind::Lines)
    }

    /// A list of records, or a request body.
    pub(super) fn document(input: Input, limits: BlockLimits, inputs: Inputs) -> Self {
        Self::new(input, limits, inputs, Kind::Document)
    }

    fn new(input: Input, limits: BlockLimits, inputs: Inputs, kind: Kind) -> Self {
        Self { input, limits, kind, inputs, form: None, next_line: 1, next_row: 1 }
    }

    /// Looks at the first byte that means something.
    fn open(&mut self) -> Result<(), PredictError> {
        if self.form.is_some() || self.kind == Kind::Done {
            return Ok(());
        }
        self.input.skip_mark()?;
        self.skip_blanks()?;
        if self.kind == Kind::Document && self.input.rest().first() == Some(&b'[') {
            self.input.consume(1);
            self.skip_blanks()?;
            self.kind = Kind::List(At::Start);
        }
        match self.input.rest().first() {
            Some(first) => self.form = Some(self.inputs.form(*first)),
            None if self.kind == Kind::Lines => self.kind = Kind::Done,
            None => return Err(self.input.fault("the JSON document has no end")),
        }
        Ok(())
    }

    fn skip_blanks(&mut self) -> Result<(), PredictError> {
        loop {
            let rest = self.input.rest();
            let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
            let is_all = blanks == rest.len();
            self.next_line += count_lines(&rest[..blanks]);
            self.input.consume(blanks);
            if !is_all || self.input.ended() {
                return Ok(());
            }
            self.input.fill()?;
        }
    }

    fn next_record(&mut self) -> Result<Option<(Record, u64)>, PredictError> {
        loop {
            match scan(self.kind, self.input.rest(), self.input.ended()) {
                Scan::End => return Ok(None),
                Scan::Record(record) => {
                    let line = self.next_line + record.lines_before;
                    return Ok(Some((record, line)));
                }
                Scan::Fault(reason) => return Err(self.fault(reason)),
                Scan::More if self.input.rest().len() >= RECORD_BYTES_MAX => {
                    let reason = format!("longer than {} MiB", RECORD_BYTES_MAX >> 20);
                    return Err(self.fault(reason));
                }
                Scan::More => self.input.fill()?,
            }
        }
    }

    /// A fault of the row that comes next.
    fn fault(&self, reason: impl Into<String>) -> PredictError {
        let blanks = self.input.rest().iter().take_while(|byte| is_blank(**byte)).count();
        let line = self.next_line + count_lines(&self.input.rest()[..blanks]);
        let place = Place { row: self.next_row, line: Some(line) };
        let input = self.input.name().to_owned();
        PredictError::Row { input, place, reason: reason.into() }
    }

    /// Behind the last item nothing may follow.
    fn finish(&mut self) -> Result<(), PredictError> {
        self.kind = Kind::Done;
        self.skip_blanks()?;
        if self.input.rest().is_empty() {
            return Ok(());
        }
        let line = self.next_line;
        Err(self.input.fault(format!("something follows the JSON list (line {line})")))
    }

    /// The whole text.
    fn read_document(&mut self) -> Result<Block, PredictError> {
        self.kind = Kind::Done;
        self.input.fill_to(DOCUMENT_BYTES_MAX + 1)?;
        let body = self.input.rest().to_vec();
        if body.len() > DOCUMENT_BYTES_MAX {
            return Err(self.input.fault(format!(
                "a request body is read whole and may have {} MiB; a list of records and JSON \
                 lines (-t jsonl) may have any size",
                DOCUMENT_BYTES_MAX >> 20
            )));
        }
        self.input.consume(body.len());
        Ok(Block { first_row: 1, rows: Rows::Document(body) })
    }
}

impl Source for JsonSource {
    fn next_block(&mut self) -> Result<Option<Block>, PredictError> {
        self.open()?;
        if self.kind == Kind::Document {
            return self.read_document().map(Some);
        }
        let Some(form) = self.form.clone().filter(|_| self.kind != Kind::Done) else {
            return Ok(None);
        };
        let mut rows = TextRows::new(form);
        let first_row = self.next_row;
        while !rows.is_full(self.limits) && self.kind != Kind::Done {
            let Some((record, line)) = self.next_record()? else {
                if self.kind != Kind::Lines {
                    // The list ends without a further item.
                    self.input.consume(1);
                }
                self.finish()?;
                break;
            };
            rows.push(&[&self.input.rest()[record.start..record.end]], line);
            self.input.consume(record.next);
            self.next_line += record.lines_before + record.lines;
            self.next_row += 1;
            if let Kind::List(_) = self.kind {
                self.kind = Kind::List(At::Item);
            }
            if record.is_last {
                self.finish()?;
            }
        }
        Ok((!rows.is_empty()).then(|| Block { first_row, rows: Rows::Text(rows) }))
    }

    fn sample(&mut self) -> Result<Option<Frame>, PredictError> {
        self.open()?;
        self.input.fill_to(SAMPLE_BYTES)?;
        let (rest, mut at, mut kind) = (self.input.rest(), 0, self.kind);
        let mut records = b"[".to_vec();
        while at < SAMPLE_BYTES && kind != Kind::Document && kind != Kind::Done {
            let Scan::Record(record) = scan(kind, &rest[at..], self.input.ended()) else { break };
            let text = &rest[at + record.start..at + record.end];
            if text.first() != Some(&b'{') {
                return Ok(None);
            }
            if records.len() > 1 {
                records.push(b',');
            }
            records.extend_from_slice(text);
            at += record.next;
            kind = match kind {
                _ if record.is_last => Kind::Done,
                Kind::List(_) => Kind::List(At::Item),
                other => other,
            };
        }
        if records.len() == 1 {
            return Ok(None);
        }
        records.push(b']');
        // Records that cannot be read have no types; their blocks will tell why.
        Ok(json::parse(&records).ok().and_then(|records| from_records(records).ok()))
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn count_lines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

fn scan(kind: Kind, text: &[u8], ended: bool) -> Scan {
    match kind {
        Kind::Lines => line(text, ended),
        Kind::List(at) => item(text, at, ended),
        Kind::Document | Kind::Done => Scan::End,
    }
}

/// The first line that is not blank.
fn line(text: &[u8], ended: bool) -> Scan {
    let start = text.iter().take_while(|byte| is_blank(**byte)).count();
    if start == text.len() {
        return if ended { Scan::End } else { Scan::More };
    }
    let (end, next) = match memchr(b'\n', &text[start..]) {
        Some(length) => (start + length, start + length + 1),
        None if ended => (text.len(), text.len()),
        None => return Scan::More,
    };
    match value_end(&text[start..end]) {
        Ok(length) if length == end - start => {}
        _ => return Scan::Fault("expected one JSON value in the line"),
    }
    let lines_before = count_lines(&text[..start]);
    Scan::Record(Record { start, end, next, lines_before, lines: 1, is_last: false })
}

/// The next item of a list.
fn item(text: &[u8], at: At, ended: bool) -> Scan {
    let unfinished = if ended { Scan::Fault("the JSON list has no end") } else { Scan::More };
    let start = text.iter().take_while(|byte| is_blank(**byte)).count();
    match (text.get(start), at) {
        (None, _) => return unfinished,
        (Some(b']'), At::Start) => return if start == 0 { Scan::End } else { unfinished },
        (Some(b']' | b','), _) => return Scan::Fault("expected a JSON value"),
        (Some(_), _) => {}
    }
    let end = match value_end(&text[start..]) {
        Ok(length) => start + length,
        Err(NotOne) => return Scan::Fault("brackets of the JSON list do not match"),
    };
    let is_last = match text.get(end) {
        Some(b',') => false,
        Some(_) => true,
        None => return unfinished,
    };
    let lines_before = count_lines(&text[..start]);
    let lines = count_lines(&text[start..end]);
    Scan::Record(Record { start, end, next: end + 1, lines_before, lines, is_last })
}

/// A bracket that closes none.
struct NotOne;

/// Where a value ends, with the blanks behind it: at the comma or the square bracket that is not
/// its own, or with the text. Whether it is a value is the decoder's business; this keeps one row
/// from being read as another number of them.
fn value_end(text: &[u8]) -> Result<usize, NotOne> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at += string_length(&text[at..]) - 1,
            b'[' | b'{' => depth += 1,
            b']' | b',' if depth == 0 => return Ok(at),
            b'}' if depth == 0 => return Err(NotOne),
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    Ok(at)
}

/// Length of the string that starts here, quotes included.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(length) = memchr::memchr2(b'"', b'\\', text.get(at..).unwrap_or_default()) {
        at += length;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}
