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

/// What stands around the values of a graph's outputs in `{"predictions": ...}`.
#[derive(Clone, Debug)]
pub struct Encoder {
    /// What stands before the value of each output in an object: `{"first": `, `, "second": `.
    openings: Vec<Vec<u8>>,
    /// What stands between the records of a list: `}, {"first": `.
    next_record: Vec<u8>,
    record_shape: RecordShape,
}

/// An answer whose form is known.
pub struct Draft<'a> {
    encoder: &'a Encoder,
    parts: Vec<Part<'a>>,
    /// How many records it has, and what they hold; `None` where it is no list of records.
    records: Option<(usize, Cells)>,
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

    /// Finds the form of an answer.
    ///
    /// # Errors
    /// `BAD_REQUEST` when the outputs of a data frame cannot be told apart by row.
    pub fn draft<'a>(
        &'a self,
        outputs: &OutputRows<'a>,
        layout: Layout,
    ) -> Result<Draft<'a>, WireError> {
        let parts = Part::all(outputs);
        let records = self.records(&parts, layout)?;
        Ok(Draft { encoder: self, parts, records })
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
}

impl Draft<'_> {
    /// Most bytes that [`write`](Self::write) appends. Close for numbers: 26 bytes a double.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        // An object's end and what separates it from the next; the first name is counted with it.
        let names: usize = 4 + self.encoder.openings.iter().map(Vec::len).sum::<usize>();
        let objects = self.records.map_or(1, |(records, _)| records);
        let sizes = self.parts.iter().map(Part::bytes_max);
        let values = sizes.fold(0_usize, usize::saturating_add);
        objects.saturating_mul(names).saturating_add(values).saturating_add(OPENING.len() + 4)
    }

    /// Appends the answer.
    ///
    /// # Panics
    /// When a range of rows is asked for that an output does not have.
    pub fn write(&self, body: &mut Vec<u8>) {
        body.extend_from_slice(OPENING);
        match self.records {
            None => self.write_object(body),
            Some((records, cells)) => self.write_records(records, cells, body),
        }
        body.push(b'}');
    }

    /// An object with every output as nested lists.
    fn write_object(&self, body: &mut Vec<u8>) {
        if self.parts.is_empty() {
            body.push(b'{');
        }
        for (opening, part) in self.encoder.openings.iter().zip(&self.parts) {
            body.extend_from_slice(opening);
            part.write(body);
        }
        body.push(b'}');
    }

    fn write_records(&self, records: usize, cells: Cells, body: &mut Vec<u8>) {
        let Encoder { openings, next_record, .. } = self.encoder;
        body.push(b'[');
        for at in 0..records {
            let first = if at == 0 { openings.first() } else { Some(next_record) };
            let openings = first.into_iter().chain(openings.iter().skip(1));
            for (opening, part) in openings.zip(&self.parts) {
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
