//! Declared shapes: what a signature or a graph says about a tensor's dimensions.

use std::fmt;

/// One declared dimension: any size, or a fixed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dim {
    Any,
    Fixed(usize),
}

/// Declared dimensions, outermost first. Prints as numpy does: `(-1, 11)`, `(-1,)`, `()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dims(pub Vec<Dim>);

impl Dims {
    /// Number of dimensions.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Whether a tensor of `shape` satisfies the declaration: same rank, fixed sizes equal.
    #[must_use]
    pub fn accepts(&self, shape: &[usize]) -> bool {
        self.0.len() == shape.len()
            && self.0.iter().zip(shape).all(|(dim, &size)| match dim {
                Dim::Any => true,
                Dim::Fixed(want) => *want == size,
            })
    }
}

impl FromIterator<Dim> for Dims {
    fn from_iter<I: IntoIterator<Item = Dim>>(dims: I) -> Self {
        Self(dims.into_iter().collect())
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("-1"),
            Self::Fixed(size) => write!(f, "{size}"),
        }
    }
}

impl fmt::Display for Dims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, dim) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{dim}")?;
        }
        f.write_str(if self.0.len() == 1 { ",)" } else { ")" })
    }
}
