//! Outputs as lists of rows.

use super::Output;
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

    /// The rows of all parts, in order; `None` if there is none, or they do not stack.
    #[must_use]
    pub fn concat(parts: Vec<Self>) -> Option<Self> {
        if let Some(Self::Maps(_)) = parts.first() {
            let maps = parts.into_iter().map(|part| match part {
                Self::Maps(maps) => Some(maps),
                Self::Tensor(_) => None,
            });
            let maps: Vec<_> = maps.collect::<Option<_>>()?;
            return Some(Self::Maps(maps.into_iter().flatten().collect()));
        }
        let tensors: Vec<&Tensor> = parts
            .iter()
            .map(|part| match part {
                Self::Tensor(tensor) => Some(tensor),
                Self::Maps(_) => None,
            })
            .collect::<Option<_>>()?;
        Tensor::concat(&tensors).map(Self::Tensor)
    }
}
