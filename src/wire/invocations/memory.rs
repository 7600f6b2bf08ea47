//! How much memory a body may take while it is decoded, judged before it is: what a server may
//! admit depends on it. Tensors that come out are included, the body itself is not.
//!
//! The factors are bounds on what was measured for the bodies that take most, see `tests/memory`.

use super::content_type::{self, BodyFormat};
use super::parquet::parquet_bytes_max;

/// Bytes for each byte of a body that is streamed into numbers: a digit and a comma become a
/// double, in a vector that is being moved to one of twice its size.
const STREAM_NUMBERS: usize = 12;
/// The same for texts, which are objects of their own: `"",` becomes a value.
const STREAM_TEXTS: usize = 40;
/// Bytes for each byte of JSON on the exact path. Objects of one member cost most: `{"":1},`.
const JSON_EXACTLY: usize = 128;
/// Bytes for each byte of CSV. Columns without a name or a cell cost most.
const CSV: usize = 160;
/// Cells that short rows and missing members may bring on top of those that a body spells out.
const PADDING_CELLS_MAX: usize = 1 << 20;
/// What such a cell takes in JSON and in CSV: in a vector that may have grown too large, and with
/// its place in the text.
const JSON_CELL: usize = 48;
const CSV_CELL: usize = 80;
/// Padding grows with the square of a body's length, which goes to short rows of two bytes and to
/// columns of one byte in equal parts.
const PADDED: usize = 2 * 2 * 2;
/// What any request takes, however short.
const LEAST: usize = 16 << 10;

/// What the streaming decoder takes for `body_len` bytes.
pub(super) fn stream(has_texts: bool, body_len: usize) -> usize {
    let factor = if has_texts { STREAM_TEXTS } else { STREAM_NUMBERS };
    body_len.saturating_mul(factor).saturating_add(LEAST)
}

/// What the exact path takes for a body.
pub(super) fn exact(content_type: Option<&str>, body: &[u8], decoded_bytes_max: usize) -> usize {
    let (factor, cell) = match content_type::parse(content_type) {
        // It is refused.
        Err(_) => return LEAST,
        Ok(BodyFormat::Json) => (JSON_EXACTLY, JSON_CELL),
        Ok(BodyFormat::Csv) => (CSV, CSV_CELL),
        Ok(BodyFormat::Parquet) => return parquet_bytes_max(body, decoded_bytes_max) + LEAST,
    };
    let padding = body.len().saturating_mul(body.len()) / PADDED;
    body.len()
        .saturating_mul(factor)
        .saturating_add(padding.min(PADDING_CELLS_MAX) * cell)
        .saturating_add(LEAST)
}
