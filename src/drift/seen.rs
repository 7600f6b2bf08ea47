//! What was seen of one feature: counts in the cells of its reference. Two counts add up to the
//! count of both.

use super::reference::{Feature, Numeric, Values};

/// What was seen of one feature in some rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Of numbers: one count per cell of the reference. Of texts: one per category, then one of all
    /// other texts.
    pub cells: Vec<u64>,
    /// Numbers less than the reference's first edge.
    pub below: u64,
    /// Numbers greater than its last edge.
    pub above: u64,
    /// Values that were NaN or infinite; they are in no other number.
    pub nulls: u64,
    /// Sum of (value - the reference's mean).
    pub sum: f64,
    /// Sum of (first edge - value) of the numbers below it.
    pub below_excess: f64,
    /// Sum of (value - last edge) of the numbers above it.
    pub above_excess: f64,
}

/// Where a number lies in a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Below,
    Cell(usize),
    Above,
}

impl Numeric {
    /// The cell of a number that is not null: `edges[i] <= value < edges[i + 1]`; the last cell
    /// holds its end, too. A reference without cells has everything below it.
    pub fn place(&self, value: f64) -> Place {
        let past = self.edges.partition_point(|edge| *edge <= value);
        match past {
            0 => Place::Below,
            _ if past < self.edges.len() => Place::Cell(past - 1),
            _ if self.edges.last() == Some(&value) && past > 1 => Place::Cell(past - 2),
            _ => Place::Above,
        }
    }
}

impl Seen {
    /// Nothing seen yet of this feature.
    pub fn nothing(feature: &Feature) -> Self {
        Self { cells: vec![0; cells(feature)], ..Self::default() }
    }

    /// One more number.
    pub fn add_number(&mut self, reference: &Numeric, value: f64) {
        if !value.is_finite() {
            self.nulls += 1;
            return;
        }
        self.sum += reference.mean.map_or(0.0, |mean| value - mean);
        match reference.place(value) {
            Place::Cell(cell) => self.cells[cell] += 1,
            Place::Below => {
                self.below += 1;
                self.below_excess += reference.edges.first().map_or(0.0, |edge| edge - value);
            }
            Place::Above => {
                self.above += 1;
                self.above_excess += reference.edges.last().map_or(0.0, |edge| value - edge);
            }
        }
    }

    /// One more text: the category at this place of the reference, or none of them.
    pub fn add_category(&mut self, category: Option<usize>) {
        let other = self.cells.len().saturating_sub(1);
        if let Some(cell) = self.cells.get_mut(category.unwrap_or(other)) {
            *cell += 1;
        }
    }

    /// Adds what was seen in other rows of the same feature.
    pub fn merge(&mut self, more: &Self) {
        debug_assert_eq!(self.cells.len(), more.cells.len(), "both are of one feature");
        for (cell, more) in self.cells.iter_mut().zip(&more.cells) {
            *cell += more;
        }
        self.below += more.below;
        self.above += more.above;
        self.nulls += more.nulls;
        self.sum += more.sum;
        self.below_excess += more.below_excess;
        self.above_excess += more.above_excess;
    }

    /// Values that were not null.
    pub fn values(&self) -> u64 {
        self.cells.iter().sum::<u64>() + self.below + self.above
    }

    /// All values, one a row.
    pub fn rows(&self) -> u64 {
        self.values() + self.nulls
    }
}

/// How many cells are counted of a feature.
pub(super) fn cells(feature: &Feature) -> usize {
    match &feature.values {
        Values::Numeric(numeric) => numeric.counts.len(),
        Values::Categorical(categorical) => categorical.categories.len() + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(edges: &[f64]) -> Numeric {
        let cells = edges.len().saturating_sub(1);
        Numeric {
            mean: Some(1.0),
            std: Some(1.0),
            edges: edges.to_vec(),
            counts: vec![1; cells],
            bins: vec![0, cells],
        }
    }

    #[test]
    fn a_cell_holds_its_start_and_the_last_one_its_end() {
        let numeric = numeric(&[0.0, 1.0, 2.0]);
        let places = [-0.1, 0.0, 0.9, 1.0, 2.0, 2.1].map(|value| numeric.place(value));
        let [first, second] = [Place::Cell(0), Place::Cell(1)];
        assert_eq!(places, [Place::Below, first, first, second, second, Place::Above]);
    }

    #[test]
    fn the_greatest_value_may_have_a_cell_of_its_own() {
        let numeric = numeric(&[0.0, 1.0, 1.0]);
        let places = [0.5, 1.0, 1.1].map(|value| numeric.place(value));
        assert_eq!(places, [Place::Cell(0), Place::Cell(1), Place::Above]);
        let constant = self::numeric(&[5.0, 5.0]);
        let places = [4.0, 5.0, 6.0].map(|value| constant.place(value));
        assert_eq!(places, [Place::Below, Place::Cell(0), Place::Above]);
    }

    #[test]
    fn without_cells_values_are_counted_all_the_same() {
        let numeric = Numeric { mean: None, std: None, ..numeric(&[]) };
        let mut seen = Seen::default();
        seen.add_number(&numeric, 3.0);
        seen.add_number(&numeric, f64::NAN);
        assert_eq!((seen.values(), seen.nulls, seen.rows()), (1, 1, 2));
        assert_eq!((seen.sum, seen.below_excess), (0.0, 0.0));
    }

    #[test]
    fn excesses_and_the_sum_are_distances_to_the_reference() {
        let numeric = numeric(&[0.0, 1.0, 2.0]);
        let mut seen = Seen { cells: vec![0; 2], ..Seen::default() };
        for value in [-2.0, -1.0, 1.0, 5.0, f64::INFINITY] {
            seen.add_number(&numeric, value);
        }
        let wanted = Seen {
            cells: vec![0, 1],
            below: 2,
            above: 1,
            nulls: 1,
            sum: -1.0,
            below_excess: 3.0,
            above_excess: 3.0,
        };
        assert_eq!(seen, wanted);
    }
}
