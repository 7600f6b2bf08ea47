//! How much memory values hold: what is repeated is bounded by weight, since one cell may be a
//! long text or a list.

use super::frame::Series;
use super::value::Value;

impl Value {
    /// Memory of the value and of all that it holds, in values: 1 for a number, more for a long
    /// text or a list.
    #[must_use]
    pub fn weight(&self) -> usize {
        let texts = |bytes: usize| bytes.div_ceil(size_of::<Self>());
        let inner: usize = match self {
            Self::BigInt(value) => texts((value.bits() / 8) as usize),
            Self::Str(text) | Self::Surrogates(text) => texts(text.len()),
            Self::Bytes(bytes) => texts(bytes.len()),
            Self::List(items) | Self::Array(items) => items.iter().map(Self::weight).sum(),
            Self::Dict(members) => {
                members.iter().map(|(key, value)| 1 + texts(key.len()) + value.weight()).sum()
            }
            _ => 0,
        };
        1 + inner
    }
}

impl Series {
    /// Memory of the cells, in cells; see [`Value::weight`].
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Object(values) | Self::Category(values) => {
                values.iter().map(Value::weight).sum::<usize>()
            }
            others => others.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_lists_weigh_what_they_hold() {
        assert_eq!(Value::Int(1).weight(), 1);
        assert_eq!(Value::Str("x".repeat(10 * size_of::<Value>())).weight(), 11);
        let list = Value::List(vec![Value::None; 5]);
        assert_eq!(list.weight(), 6);
        assert_eq!(Series::F64(vec![0.0; 3]).weight(), 3);
        assert_eq!(Series::Object(vec![list; 2]).weight(), 12);
    }
}
