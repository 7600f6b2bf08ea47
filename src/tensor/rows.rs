//! Tensors as lists of rows: laying them end to end, and cutting rows out.

use std::ops::Range;

use ndarray::{ArrayD, Axis, Slice};

use super::{Element, Tensor};
use crate::with_array;

impl Tensor {
    /// Items along axis 0; `None` for a scalar.
    #[must_use]
    pub fn rows(&self) -> Option<usize> {
        self.shape().first().copied()
    }

    /// Memory that the elements take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Str(texts) => texts.iter().map(|text| size_of::<String>() + text.len()).sum(),
            numbers => with_array!(numbers, array => bytes_of(array)),
        }
    }

    /// Whether rows of both can stand in one tensor: same element type, same shape of a row.
    #[must_use]
    pub fn stacks_with(&self, other: &Self) -> bool {
        match (self.shape(), other.shape()) {
            ([_, own @ ..], [_, others @ ..]) => self.dtype() == other.dtype() && own == others,
            _ => false,
        }
    }

    /// The rows of all `parts`, in order; `None` if there is no part, or not all stack with the
    /// first.
    #[must_use]
    pub fn concat(parts: &[&Self]) -> Option<Self> {
        let first = parts.first()?;
        with_array!(first, array => concat_like(array, parts))
    }

    /// A copy of some rows; `None` for a scalar or where there are not as many.
    #[must_use]
    pub fn slice_rows(&self, rows: Range<usize>) -> Option<Self> {
        with_array!(self, array => slice_rows(array, rows))
    }

    /// A copy of every so manieth row, the first among them; of all where `step` is 1.
    #[must_use]
    pub fn every(&self, step: usize) -> Self {
        with_array!(self, array => Element::wrap(every(array, step)))
    }
}

fn every<T: Element>(array: &ArrayD<T>, step: usize) -> ArrayD<T> {
    if step <= 1 || array.ndim() == 0 {
        return array.clone();
    }
    let step = isize::try_from(step).unwrap_or(isize::MAX);
    array.slice_axis(Axis(0), Slice::new(0, None, step)).to_owned()
}

fn bytes_of<T>(array: &ArrayD<T>) -> usize {
    array.len() * size_of::<T>()
}

fn concat_like<T: Element>(first: &ArrayD<T>, parts: &[&Tensor]) -> Option<Tensor> {
    let row = first.shape().get(1..)?;
    let mut arrays = Vec::with_capacity(parts.len());
    let mut rows = 0;
    for part in parts {
        let array = T::unwrap_ref(part)?;
        let (own, rest) = array.shape().split_first()?;
        if rest != row {
            return None;
        }
        rows += own;
        arrays.push(array);
    }
    let mut values = Vec::with_capacity(rows * row.iter().product::<usize>());
    for array in arrays {
        values.extend_from_slice(array.as_slice()?);
    }
    Tensor::from_vec(&shape_of(rows, row), values)
}

fn slice_rows<T: Element>(array: &ArrayD<T>, rows: Range<usize>) -> Option<Tensor> {
    let (&own, row) = array.shape().split_first()?;
    if rows.start > rows.end || rows.end > own {
        return None;
    }
    let size: usize = row.iter().product();
    let values = array.as_slice()?.get(rows.start * size..rows.end * size)?;
    Tensor::from_vec(&shape_of(rows.len(), row), values.to_vec())
}

fn shape_of(rows: usize, row: &[usize]) -> Vec<usize> {
    let mut shape = Vec::with_capacity(1 + row.len());
    shape.push(rows);
    shape.extend_from_slice(row);
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    fn i64s(shape: &[usize]) -> Tensor {
        Tensor::from_vec(shape, (0..shape.iter().product::<usize>() as i64).collect()).unwrap()
    }

    #[test]
    fn rows_laid_end_to_end_can_be_cut_out_again() {
        let (a, b) = (i64s(&[2, 3]), i64s(&[1, 3]));
        let both = Tensor::concat(&[&a, &b]).unwrap();
        assert_eq!(both.shape(), [3, 3]);
        assert_eq!(both.slice_rows(0..2), Some(a));
        assert_eq!(both.slice_rows(2..3), Some(b));
        assert_eq!(both.slice_rows(1..1), Tensor::from_vec::<i64>(&[0, 3], Vec::new()));
        assert_eq!(both.slice_rows(2..4), None);
    }

    #[test]
    fn every_second_row_is_taken_from_the_first() {
        let all = i64s(&[5, 2]);
        let kept = Tensor::from_vec(&[3, 2], vec![0_i64, 1, 4, 5, 8, 9]);
        assert_eq!(Some(all.every(2)), kept);
        assert_eq!(all.every(1), all);
        assert_eq!(Some(all.every(9)), all.slice_rows(0..1));
        assert_eq!(i64s(&[]).every(2), i64s(&[]));
    }

    #[test]
    fn texts_and_empty_tensors_are_rows_too() {
        let texts = |items: &[&str]| {
            let items: Vec<String> = items.iter().map(|&item| item.into()).collect();
            Tensor::from_vec(&[items.len()], items).unwrap()
        };
        let both = Tensor::concat(&[&texts(&["a"]), &texts(&[]), &texts(&["b"])]);
        assert_eq!(both, Some(texts(&["a", "b"])));
    }

    #[test]
    fn only_rows_of_one_kind_stack() {
        let (a, wide, deep) = (i64s(&[2, 3]), i64s(&[2, 4]), i64s(&[2, 3, 1]));
        let scalar = i64s(&[]);
        let floats = Tensor::from_vec(&[2, 3], vec![0.0_f32; 6]).unwrap();
        for other in [&wide, &deep, &scalar, &floats] {
            assert!(!a.stacks_with(other), "{other:?}");
            assert_eq!(Tensor::concat(&[&a, other]), None);
        }
        assert!(a.stacks_with(&i64s(&[7, 3])));
        assert_eq!(scalar.slice_rows(0..0), None);
        assert_eq!(Tensor::concat(&[]), None);
    }
}
