//! What a `ZipMap` makes of a classifier's scores: a map a row, from class to number.

use std::ops::Range;

/// A class label.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassKey {
    Int(i64),
    Str(String),
}

/// Maps from class to number, one a row. A row whose classes are those of the row before shares
/// them, as all do that `ZipMap` makes: then a row takes 8 bytes a class and nothing else.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassMaps {
    runs: Vec<Run>,
    /// The numbers of all rows, one row after the other.
    values: Vec<f64>,
    rows: usize,
}

/// Rows on end with the same classes, in the same order.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    keys: Vec<ClassKey>,
    first_row: usize,
    first_value: usize,
}

/// One row: classes in the runtime's order, and as many numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassMap<'a> {
    pub keys: &'a [ClassKey],
    pub values: &'a [f64],
}

impl ClassMaps {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Memory that the rows take, in bytes, but for the names of their classes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of_val(self.values.as_slice()) + size_of_val(self.runs.as_slice())
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Appends a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = (ClassKey, f64)>) {
        let first_value = self.values.len();
        let shared = self.runs.last().map_or(&[][..], |run| run.keys.as_slice());
        // The row's own classes, from the first that differs from the row before.
        let mut own: Option<Vec<ClassKey>> = None;
        let mut alike = 0;
        for (key, value) in row {
            self.values.push(value);
            match &mut own {
                None if shared.get(alike) == Some(&key) => alike += 1,
                None => own = Some([&shared[..alike], &[key]].concat()),
                Some(own) => own.push(key),
            }
        }
        if own.is_none() && (alike < shared.len() || self.runs.is_empty()) {
            own = Some(shared[..alike].to_vec());
        }
        if let Some(keys) = own {
            self.runs.push(Run { keys, first_row: self.rows, first_value });
        }
        self.rows += 1;
    }

    /// Appends all rows of `others`.
    pub fn append(&mut self, others: &Self) {
        for row in others.rows(0..others.len()) {
            self.push(row.keys.iter().cloned().zip(row.values.iter().copied()));
        }
    }

    /// One row.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn row(&self, row: usize) -> ClassMap<'_> {
        assert!(row < self.rows, "row {row} of {} rows", self.rows);
        let run = self.runs.partition_point(|run| run.first_row <= row);
        let Run { keys, first_row, first_value } = &self.runs[run - 1];
        let from = first_value + (row - first_row) * keys.len();
        ClassMap { keys, values: &self.values[from..from + keys.len()] }
    }

    /// A range of rows.
    ///
    /// # Panics
    /// When a row of the range does not exist.
    pub fn rows(&self, range: Range<usize>) -> impl Iterator<Item = ClassMap<'_>> {
        range.map(|row| self.row(row))
    }

    /// The classes of every row, where they are the same for all.
    #[must_use]
    pub fn shared_keys(&self) -> Option<&[ClassKey]> {
        match self.runs.as_slice() {
            [run] => Some(&run.keys),
            _ => None,
        }
    }
}

impl<R: IntoIterator<Item = (ClassKey, f64)>> FromIterator<R> for ClassMaps {
    fn from_iter<I: IntoIterator<Item = R>>(rows: I) -> Self {
        let mut maps = Self::default();
        rows.into_iter().for_each(|row| maps.push(row));
        maps
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = ClassKey> {
        prop_oneof![(0..3_i64).prop_map(ClassKey::Int), "[ab]".prop_map(ClassKey::Str),]
    }

    proptest! {
        #[test]
        fn rows_come_out_as_they_went_in(
            rows in prop::collection::vec(prop::collection::vec((key(), 0.0..1.0), 0..4), 0..8),
        ) {
            let maps: ClassMaps = rows.iter().cloned().collect();
            prop_assert_eq!(maps.len(), rows.len());
            let (front, back) = rows.split_at(rows.len() / 2);
            let mut both: ClassMaps = front.iter().cloned().collect();
            both.append(&back.iter().cloned().collect());
            prop_assert_eq!(&both, &maps);
            for (map, row) in maps.rows(0..rows.len()).zip(&rows) {
                let (keys, values): (Vec<_>, Vec<_>) = row.iter().cloned().unzip();
                prop_assert_eq!(map, ClassMap { keys: &keys, values: &values });
            }
        }
    }

    #[test]
    fn equal_classes_are_held_once() {
        let row =
            |score: f64| [(ClassKey::Str("a".into()), score), (ClassKey::Int(1), 1.0 - score)];
        let mut maps: ClassMaps = [row(0.25), row(0.5), row(0.75)].into_iter().collect();
        assert_eq!(maps.runs.len(), 1);
        assert_eq!(maps.shared_keys().map(<[_]>::len), Some(2));
        maps.push([(ClassKey::Str("a".into()), 0.0)]);
        assert_eq!((maps.runs.len(), maps.shared_keys()), (2, None));
    }

    #[test]
    fn rows_without_classes_are_rows() {
        let maps: ClassMaps = [[], []].into_iter().collect();
        assert_eq!((maps.len(), maps.is_empty()), (2, false));
        assert_eq!(maps.row(1), ClassMap { keys: &[], values: &[] });
    }
}
