//! Outputs as lists of rows.

use super::{ClassMaps, Output};
use crate::tensor::Tensor;

impl Output {
    /// Items along axis 0; `None` for a scalar.
    #[must_use]
    pub fn rows(&self) -> Option<usize> {
        match self {
            Self::Tensor(tensor) => tensor.rows(),
            Self::Maps(maps) => Some(maps.len()),
        }
    }

    /// Memory that the items take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Tensor(tensor) => tensor.bytes(),
            Self::Maps(maps) => maps.bytes(),
        }
    }

    /// A copy of every so manieth row, the first among them.
    #[must_use]
    pub fn every(&self, step: usize) -> Self {
        match self {
            Self::Tensor(tensor) => Self::Tensor(tensor.every(step)),
            Self::Maps(maps) if step <= 1 => Self::Maps(maps.clone()),
            Self::Maps(maps) => {
                let rows = maps.rows(0..maps.len()).step_by(step);
                let pairs = |row: super::ClassMap<'_>| -> Vec<_> {
                    row.keys.iter().cloned().zip(row.values.iter().copied()).collect()
                };
                Self::Maps(rows.map(pairs).collect())
            }
        }
    }

    /// The rows of all parts, in order; `None` if there is none, or they do not stack.
    #[must_use]
    pub fn concat(parts: &[Self]) -> Option<Self> {
        if let Some(Self::Maps(_)) = parts.first() {
            let mut all = ClassMaps::default();
            for part in parts {
                let Self::Maps(maps) = part else { return None };
                all.append(maps);
            }
            return Some(Self::Maps(all));
        }
        let tensors = parts.iter().map(|part| match part {
            Self::Tensor(tensor) => Some(tensor),
            Self::Maps(_) => None,
        });
        Tensor::concat(&tensors.collect::<Option<Vec<_>>>()?).map(Self::Tensor)
    }
}
