//! Tensors and maps as rows of cells of one kind.

use std::iter;

use ndarray::ArrayD;

use crate::drift::Part;
use crate::model::Output;
use crate::tensor::Tensor;

/// The rows of one tensor.
pub(in crate::drift) struct Rows<'a> {
    pub(in crate::drift) len: usize,
    /// Cells of a row.
    pub(in crate::drift) width: usize,
    pub(in crate::drift) cells: Cells<'a>,
}

/// All cells, one row after the other.
pub(in crate::drift) enum Cells<'a> {
    Floats(Vec<f64>),
    /// Whole numbers whose digits matter.
    Whole(Vec<i128>),
    Flags(Vec<bool>),
    Texts(Vec<&'a str>),
}

/// What the cells are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::drift) enum Kind {
    Float,
    Whole,
    Flag,
    Text,
}

/// Whether whole numbers may be names of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::drift) enum Wholes {
    AreNumbers,
    MayBeClasses,
}

/// Why a tensor has no rows to look at.
const NO_ROWS: &str = "it is a single value, not one for each row";
const MIXED_CLASSES: &str = "its rows have different classes";

impl<'a> Rows<'a> {
    pub(in crate::drift) fn of_tensor(
        tensor: &'a Tensor,
        wholes: Wholes,
    ) -> Result<Self, &'static str> {
        let [len, row @ ..] = tensor.shape() else { return Err(NO_ROWS) };
        let (len, width) = (*len, row.iter().product());
        let mut cells = match tensor {
            Tensor::Bool(array) => Cells::Flags(array.iter().copied().collect()),
            Tensor::I8(array) => whole(array),
            Tensor::I16(array) => whole(array),
            Tensor::I32(array) => whole(array),
            Tensor::I64(array) => whole(array),
            Tensor::U8(array) => whole(array),
            Tensor::U16(array) => whole(array),
            Tensor::U32(array) => whole(array),
            Tensor::U64(array) => whole(array),
            Tensor::F16(array) => Cells::Floats(array.iter().map(|x| x.to_f64()).collect()),
            Tensor::F32(array) => Cells::Floats(array.iter().copied().map(f64::from).collect()),
            Tensor::F64(array) => Cells::Floats(array.iter().copied().collect()),
            Tensor::Str(array) => Cells::Texts(array.iter().map(String::as_str).collect()),
        };
        if let (Cells::Whole(numbers), Wholes::AreNumbers) = (&cells, wholes) {
            cells = Cells::Floats(numbers.iter().map(|number| *number as f64).collect());
        }
        Ok(Self { len, width, cells })
    }

    pub(in crate::drift) fn of_output(output: &'a Output) -> Result<Self, &'static str> {
        let maps = match output {
            Output::Tensor(tensor) => return Self::of_tensor(tensor, Wholes::MayBeClasses),
            Output::Maps(maps) => maps,
        };
        let len = maps.len();
        let width = if len == 0 { 0 } else { maps.row(0).keys.len() };
        if len > 0 && maps.shared_keys().is_none() {
            return Err(MIXED_CLASSES);
        }
        let cells = maps.rows(0..len).flat_map(|row| row.values.iter().copied()).collect();
        Ok(Self { len, width, cells: Cells::Floats(cells) })
    }

    pub(in crate::drift) fn kind(&self) -> Kind {
        match &self.cells {
            Cells::Floats(_) => Kind::Float,
            Cells::Whole(_) => Kind::Whole,
            Cells::Flags(_) => Kind::Flag,
            Cells::Texts(_) => Kind::Text,
        }
    }

    /// One number of every row; none where cells are no numbers.
    pub(in crate::drift) fn numbers(&self, part: Part) -> Box<dyn Iterator<Item = f64> + '_> {
        match (&self.cells, part) {
            (Cells::Floats(cells), Part::Element(index)) => Box::new(self.column(cells, index)),
            (Cells::Whole(cells), Part::Element(index)) => {
                Box::new(self.column(cells, index).map(|number| number as f64))
            }
            (Cells::Floats(cells), part) => {
                Box::new(cells.chunks_exact(self.width).map(move |row| summary(row, part)))
            }
            (Cells::Whole(cells), part) => {
                let number = |number: &i128| *number as f64;
                Box::new(
                    cells
                        .chunks_exact(self.width)
                        .map(move |row| summary(&row.iter().map(number).collect::<Vec<_>>(), part)),
                )
            }
            (Cells::Flags(_) | Cells::Texts(_), _) => Box::new(iter::empty()),
        }
    }

    /// The cells at one place of every row.
    pub(in crate::drift) fn column<T: Copy>(
        &self,
        cells: &[T],
        index: usize,
    ) -> impl Iterator<Item = T> {
        cells.iter().skip(index).step_by(self.width.max(1)).copied()
    }
}

fn whole<T: Copy + Into<i128>>(array: &ArrayD<T>) -> Cells<'static> {
    Cells::Whole(array.iter().map(|number| (*number).into()).collect())
}

/// One number for a row. Sums go from the first to the last, so that they can be repeated.
fn summary(row: &[f64], part: Part) -> f64 {
    let len = row.len() as f64;
    let mean = row.iter().sum::<f64>() / len;
    if part == Part::Mean {
        return mean;
    }
    let squares = row.iter().map(|cell| (cell - mean) * (cell - mean));
    (squares.sum::<f64>() / len).sqrt()
}
