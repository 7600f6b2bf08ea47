//! Dates and times as the scoring server reads them: columns as `pandas.to_datetime` (2.3), and
//! parameters as `numpy.datetime64`.

mod column;
mod datetime64;
mod format;
#[cfg(test)]
mod tests;

pub use column::{DatetimeError, to_datetime};
pub use datetime64::{is_datetime64, is_datetime64_array_element};
