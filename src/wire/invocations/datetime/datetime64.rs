//! `numpy.datetime64(text)`, as far as MLflow's parameters need it.

use chrono::{Days, NaiveDate};

use super::format::Cursor;

/// Whether MLflow takes the text as a datetime parameter: `numpy.datetime64` must read it, and it
/// must fit Python's `datetime`, hence have years 1 to 9999 and no more than microseconds.
///
/// The empty text and `NaT` are missing values, which are fine, as are `now` and `today`.
pub fn is_datetime64(text: &str) -> bool {
    ["", "nat", "now", "today"].iter().any(|word| text.eq_ignore_ascii_case(word))
        || read(text, Range::Python).is_some()
}

/// Whether numpy takes the text as an element of a `datetime64[ns]` array: any year (numpy wraps
/// what nanoseconds cannot count), and digits down to attoseconds.
pub fn is_datetime64_array_element(text: &str) -> bool {
    ["", "nat", "now", "today"].iter().any(|word| text.eq_ignore_ascii_case(word))
        || read(text, Range::Numpy).is_some()
}

/// How far years and fractions of a second may go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Range {
    Python,
    Numpy,
}

/// The ISO 8601 grammar of numpy: every part has its full width, and may be the last one.
fn read(text: &str, range: Range) -> Option<()> {
    let mut cursor = Cursor::new(text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']));
    let negative = !cursor.skip(b'+') && range == Range::Numpy && cursor.skip(b'-');
    let year = match range {
        Range::Python => cursor.number(1, usize::MAX).filter(|year| (1..=9999).contains(year))?,
        Range::Numpy => any_year(&mut cursor, negative)?,
    };
    if cursor.is_at_end() {
        return Some(());
    }
    let month = cursor.expect(b'-').and_then(|()| cursor.number(2, 2))?;
    let day = if cursor.is_at_end() {
        1
    } else {
        cursor.expect(b'-').and_then(|()| cursor.number(2, 2))?
    };
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    if cursor.is_at_end() {
        return Some(());
    }
    if !cursor.skip(b'T') && !cursor.skip(b' ') {
        return None;
    }
    let minutes = time(&mut cursor, range)?;
    let offset = zone(&mut cursor)?;
    cursor.skip_blanks();
    // The offset may lead out of the years that Python knows.
    let utc = minutes - offset;
    let (day_before, day_after) = (utc < 0, utc >= 24 * 60);
    let out_of_years = day_before && date == NaiveDate::from_ymd_opt(1, 1, 1)?
        || day_after
            && date.checked_add_days(Days::new(1)) == NaiveDate::from_ymd_opt(10_000, 1, 1);
    (cursor.is_at_end() && (!out_of_years || range == Range::Numpy)).then_some(())
}

/// A year of any length, as one of the same calendar that chrono knows.
fn any_year(cursor: &mut Cursor<'_>, negative: bool) -> Option<u32> {
    let mut cycle = 0;
    let mut digits = 0;
    while cursor.is_at_digit() {
        // The calendar repeats every 400 years.
        cycle = (cycle * 10 + cursor.exactly(1)?) % 400;
        digits += 1;
    }
    let year = if negative { (400 - cycle) % 400 } else { cycle };
    (digits > 0).then_some(2000 + year)
}

/// Hours, or more; gives minutes since midnight.
fn time(cursor: &mut Cursor<'_>, range: Range) -> Option<i32> {
    let below = |limit: u32| move |value: &u32| *value < limit;
    let hour = cursor.number(2, 2).filter(below(24))?;
    let mut minute = 0;
    if cursor.skip(b':') {
        minute = cursor.number(2, 2).filter(below(60))?;
        if cursor.skip(b':') {
            cursor.number(2, 2).filter(below(60))?;
            let digits_max = if range == Range::Python { 6 } else { 18 };
            if cursor.skip(b'.') && cursor.digits() > digits_max {
                return None;
            }
        }
    }
    i32::try_from(hour * 60 + minute).ok()
}

/// `Z`, `+01`, `+0100`, `+01:00` or nothing; gives minutes east.
fn zone(cursor: &mut Cursor<'_>) -> Option<i32> {
    let sign = if cursor.skip(b'+') {
        1
    } else if cursor.skip(b'-') {
        -1
    } else {
        cursor.skip(b'Z');
        return Some(0);
    };
    let hours = cursor.exactly(2).filter(|hours| *hours < 24)?;
    let minutes = if cursor.skip(b':') || cursor.is_at_digit() {
        cursor.number(2, 2).filter(|minutes| *minutes < 60)?
    } else {
        0
    };
    Some(sign * i32::try_from(hours * 60 + minutes).ok()?)
}
