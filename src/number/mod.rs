//! Numbers: decimal digits into doubles, and doubles as Python prints them.

mod decimal;
mod python_repr;

pub use decimal::{take_digits, to_f64};
pub use python_repr::{write_f64, write_f64_str};
