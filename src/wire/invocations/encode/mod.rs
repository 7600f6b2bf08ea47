//! Answers: `predictions_to_json`, byte for byte but for the last digits of computed floats.

mod part;
mod print;
#[cfg(test)]
mod tests;

use self::part::Part;
use super::WireError;
use super::scoring::{Layout, RecordShape};
use crate::model::{GraphIo, OutputRows};
use crate::wire::text::write_json_string;

const OPENING: &[u8] = b"{\"predictions\": ";

/// Writes `{"predictions": ...}` for the outputs of a graph.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// What stands before the value of each output in an object: `{"first": `, `, "second": `.
    openings: Vec<Vec<u8>>,
    /// What stands between the records of a list: `}, {"first": `.
    next_record: Vec<u8>,
    record_shape: RecordShape,
}

/// What a record holds of each output.
#[derive(Clone, Copy)]
enum Cells {
    /// One row, which may be a list.
    Rows,
    /// One value of the flattened output.
    Values,
}

impl Encoder {
    /// Prepares the output names.
    #[must_use]
    pub fn new(io: &GraphIo, record_shape: RecordShape) -> Self {
        let opening = |(i, name): (usize, &str)| {
            let mut opening = if i == 0 { b"{".to_vec() } else { b", ".to_vec() };
            write_json_string(&mut opening, name);
            opening.extend_from_slice(b": ");
            opening
        };
        let names = io.outputs.iter().map(|output| output.name.as_str());
        let openings: Vec<Vec<u8>> = names.enumerate().map(opening).collect();
        let first = openings.first().map_or(&b"{"[..], Vec::as_slice);
        Self { next_record: [b"}, ", first].concat(), openings, record_shape }
    }

    /// Appends the answer.
    ///
    /// # Errors
    /// `BAD_REQUEST` when the outputs of a data frame cannot be told apart by row.
    ///
    /// # Panics
    /// When a range of rows is asked for that an output does not have.
    pub fn encode(
        &self,
        outputs: &OutputRows<'_>,
        layout: Layout,
        body: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let parts = Part::all(outputs);
        let records = self.records(&parts, layout)?;
        body.reserve(self.bytes_max(&parts, records));
        body.extend_from_slice(OPENING);
        match records {
            None => self.write_object(&parts, body),
            Some((records, cells)) => self.write_records(&parts, records, cells, body),
        }
        body.push(b'}');
        Ok(())
    }

    /// Most bytes that [`encode`](Self::encode) appends.
    #[must_use]
    pub fn answer_bytes_max(&self, outputs: &OutputRows<'_>, layout: Layout) -> usize {
        let parts = Part::all(outputs);
        // What cannot be encoded takes nothing.
        self.records(&parts, layout).map_or(0, |records| self.bytes_max(&parts, records))
    }

    /// How many records an answer has, and what they hold; `None` where it is no list of records.
    ///
    /// MLflow flattens every output and lays them side by side. Where their flattened lengths
    /// differ it fails; then, and where the model asks for it, a record holds one row and a cell
    /// may be a list (parity policy, P3.1).
    fn records(
        &self,
        parts: &[Part<'_>],
        layout: Layout,
    ) -> Result<Option<(usize, Cells)>, WireError> {
        if layout == Layout::Tensors {
            return Ok(None);
        }
        let values = parts.first().map_or(0, Part::values);
        let agree = parts.iter().all(|part| part.values() == values);
        let shared = parts.first().and_then(|part| part.rows);
        let shared = shared.filter(|_| parts.iter().all(|part| part.rows == shared));
        let by_row = !agree || self.record_shape == RecordShape::Rows;
        match shared.filter(|_| by_row) {
            Some(rows) => Ok(Some((rows, Cells::Rows))),
            None if agree => Ok(Some((values, Cells::Values))),
            None => Err(WireError::bad_request(
                "the model's outputs hold different numbers of values and are not all one per \
                 row, so they cannot be answered as records; send the request as 'inputs'",
            )),
        }
    }

    fn bytes_max(&self, parts: &[Part<'_>], records: Option<(usize, Cells)>) -> usize {
        // An object's end and what separates it from the next; the first name is counted with it.
        let names: usize = 4 + self.openings.iter().map(Vec::len).sum::<usize>();
        let objects = records.map_or(1, |(records, _)| records);
        let values = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.bytes_max()));
        objects.saturating_mul(names).saturating_add(values).saturating_add(OPENING.len() + 4)
    }

    /// An object with every output as nested lists.
    fn write_object(&self, parts: &[Part<'_>], body: &mut Vec<u8>) {
        if parts.is_empty() {
            body.push(b'{');
        }
        for (opening, part) in self.openings.iter().zip(parts) {
            body.extend_from_slice(opening);
            part.write(body);
        }
        body.push(b'}');
    }

    fn write_records(&self, parts: &[Part<'_>], records: usize, cells: Cells, body: &mut Vec<u8>) {
        body.push(b'[');
        for at in 0..records {
            let first = if at == 0 { self.openings.first() } else { Some(&self.next_record) };
            let openings = first.into_iter().chain(self.openings.iter().skip(1));
            for (opening, part) in openings.zip(parts) {
                body.extend_from_slice(opening);
                match cells {
                    Cells::Rows => part.write_row(at, body),
                    Cells::Values => part.write_value(at, body),
                }
            }
        }
        if records > 0 {
            body.push(b'}');
        }
        body.push(b']');
    }
}
