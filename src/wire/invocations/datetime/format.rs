//! The format of a date or time: guessed from one text, required of the others.
//!
//! Guessed are ISO 8601 and its relatives (`2024/02/29 12:34`), numeric dates with the year last
//! (`02/29/2024`, month first unless that cannot be), and English month names (`29 Feb 2024`,
//! `Feb 29, 2024`). pandas also reads what the `dateutil` package makes of any other text; that is
//! guesswork, and refused here.

use std::fmt;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

/// One part of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Year,
    Month,
    MonthName(Name),
    Day,
    /// `YYYYMMDD`.
    CompactDate,
    Hour,
    Hour12,
    Minute,
    Second,
    /// `HHMMSS`.
    CompactTime,
    Fraction,
    Meridiem,
    Offset,
    /// The letters `UTC`.
    Utc,
    Literal(u8),
}

/// How a month is named. May has the same name in both, which reads as the full one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Full,
    Short,
}

/// The parts of a date or time, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format(Vec<Item>);

/// A point in time. With an offset, `local` is the clock's time there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    local: NaiveDateTime,
    /// Minutes east of Greenwich.
    pub(super) offset: Option<i32>,
}

impl Moment {
    /// Nanoseconds since the epoch, in UTC where an offset is known. `None` if an `i64` does not
    /// hold them, or does not hold the clock's time there.
    pub(super) fn nanoseconds(self) -> Option<i64> {
        let local = self.local.and_utc().timestamp_nanos_opt()?;
        let offset = i64::from(self.offset.unwrap_or(0)) * 60_000_000_000;
        local.checked_sub(offset)
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Letters of a short month name.
const SHORT: usize = 3;

impl Format {
    /// The format that the text is written in.
    pub(super) fn guess(text: &str) -> Option<Self> {
        let mut cursor = Cursor::new(text);
        let mut items = guess_date(&mut cursor)?;
        guess_time(&mut cursor, &mut items)?;
        let format = Self(items);
        // The text must fit its own format: this rejects months beyond 12 and the like.
        format.read(text)?;
        Some(format)
    }

    /// The text as a point in time, if it has this format throughout.
    pub(super) fn read(&self, text: &str) -> Option<Moment> {
        let mut cursor = Cursor::new(text);
        let mut parts = Parts::default();
        for item in &self.0 {
            parts.read(*item, &mut cursor)?;
        }
        if !cursor.is_at_end() {
            return None;
        }
        let date =
            NaiveDate::from_ymd_opt(i32::try_from(parts.year).ok()?, parts.month, parts.day)?;
        let hour = match (parts.hour12, parts.afternoon) {
            (Some(hour), Some(afternoon)) => hour % 12 + if afternoon { 12 } else { 0 },
            _ => parts.hour,
        };
        let time =
            NaiveTime::from_hms_nano_opt(hour, parts.minute, parts.second, parts.nanosecond)?;
        Some(Moment { local: date.and_time(time), offset: parts.offset })
    }
}

fn guess_date(cursor: &mut Cursor<'_>) -> Option<Vec<Item>> {
    let (first, digits) = cursor.peek_number();
    match digits {
        0 => guess_month_first(cursor),
        4 => {
            cursor.at += digits;
            guess_after_year(cursor)
        }
        8 => {
            cursor.at += digits;
            Some(vec![Item::CompactDate])
        }
        1 | 2 => {
            cursor.at += digits;
            let separator = cursor.one_of(b"-/. ")?;
            if let Some(name) = cursor.month_name() {
                cursor.expect(separator)?;
                cursor.number(4, 4)?;
                let literal = Item::Literal(separator);
                return Some(vec![Item::Day, literal, Item::MonthName(name), literal, Item::Year]);
            }
            cursor.number(1, 2)?;
            cursor.expect(separator)?;
            cursor.number(4, 4)?;
            let (one, two) =
                if first <= 12 { (Item::Month, Item::Day) } else { (Item::Day, Item::Month) };
            let literal = Item::Literal(separator);
            Some(vec![one, literal, two, literal, Item::Year])
        }
        _ => None,
    }
}

/// What follows a year: nothing, a month, or a month and a day.
fn guess_after_year(cursor: &mut Cursor<'_>) -> Option<Vec<Item>> {
    let mut items = vec![Item::Year];
    if cursor.is_at_end() {
        return Some(items);
    }
    let separator = cursor.one_of(b"-/. ")?;
    cursor.number(1, 2)?;
    items.extend([Item::Literal(separator), Item::Month]);
    if cursor.is_at_end() {
        return (separator == b'-').then_some(items);
    }
    cursor.expect(separator)?;
    cursor.number(1, 2)?;
    items.extend([Item::Literal(separator), Item::Day]);
    Some(items)
}

/// `Feb 29 2024`, `February 29, 2024`.
fn guess_month_first(cursor: &mut Cursor<'_>) -> Option<Vec<Item>> {
    let name = cursor.month_name()?;
    cursor.expect(b' ')?;
    cursor.number(1, 2)?;
    let mut items = vec![Item::MonthName(name), Item::Literal(b' '), Item::Day];
    if cursor.skip(b',') {
        items.push(Item::Literal(b','));
    }
    cursor.expect(b' ')?;
    cursor.number(4, 4)?;
    items.extend([Item::Literal(b' '), Item::Year]);
    Some(items)
}

/// What follows a date: nothing, or a time with or without an offset.
fn guess_time(cursor: &mut Cursor<'_>, items: &mut Vec<Item>) -> Option<()> {
    if cursor.is_at_end() {
        return Some(());
    }
    items.push(Item::Literal(cursor.one_of(b"T ")?));
    match cursor.peek_number() {
        (_, 6) => {
            cursor.at += 6;
            items.push(Item::CompactTime);
        }
        (_, digits @ (1 | 2)) => {
            cursor.at += digits;
            let hour = items.len();
            items.push(Item::Hour);
            for item in [Item::Minute, Item::Second] {
                if !cursor.skip(b':') {
                    break;
                }
                cursor.number(1, 2)?;
                items.extend([Item::Literal(b':'), item]);
            }
            if items.last() == Some(&Item::Second) && cursor.skip(b'.') {
                (cursor.digits() > 0).then_some(())?;
                items.extend([Item::Literal(b'.'), Item::Fraction]);
            }
            if cursor.rest().starts_with(b" AM") || cursor.rest().starts_with(b" PM") {
                cursor.at += 3;
                items[hour] = Item::Hour12;
                items.extend([Item::Literal(b' '), Item::Meridiem]);
            }
        }
        _ => return None,
    }
    if cursor.is_at_end() {
        return Some(());
    }
    if cursor.rest() == b" UTC" {
        items.extend([Item::Literal(b' '), Item::Utc]);
        return Some(());
    }
    if cursor.skip(b' ') {
        items.push(Item::Literal(b' '));
    }
    cursor.offset()?;
    items.push(Item::Offset);
    cursor.is_at_end().then_some(())
}

/// What a text has said so far.
struct Parts {
    year: u32,
    month: u32,
    day: u32,
    hour: u32,
    hour12: Option<u32>,
    afternoon: Option<bool>,
    minute: u32,
    second: u32,
    nanosecond: u32,
    offset: Option<i32>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            year: 1,
            month: 1,
            day: 1,
            hour: 0,
            hour12: None,
            afternoon: None,
            minute: 0,
            second: 0,
            nanosecond: 0,
            offset: None,
        }
    }
}

impl Parts {
    fn read(&mut self, item: Item, cursor: &mut Cursor<'_>) -> Option<()> {
        match item {
            Item::Year => self.year = cursor.number(4, 4)?,
            Item::Month => self.month = cursor.number(1, 2)?,
            Item::MonthName(name) => self.month = cursor.month(name)?,
            Item::Day => self.day = cursor.number(1, 2)?,
            Item::CompactDate => {
                self.year = cursor.exactly(4)?;
                self.month = cursor.exactly(2)?;
                self.day = cursor.exactly(2)?;
            }
            Item::Hour => self.hour = cursor.number(1, 2)?,
            Item::Hour12 => {
                self.hour12 = Some(cursor.number(1, 2).filter(|hour| (1..=12).contains(hour))?);
            }
            Item::Minute => self.minute = cursor.number(1, 2)?,
            Item::Second => self.second = cursor.number(1, 2)?,
            Item::CompactTime => {
                self.hour = cursor.exactly(2)?;
                self.minute = cursor.exactly(2)?;
                self.second = cursor.exactly(2)?;
            }
            Item::Fraction => self.nanosecond = cursor.fraction()?,
            Item::Meridiem => self.afternoon = Some(cursor.meridiem()?),
            Item::Offset => self.offset = Some(cursor.offset()?),
            Item::Utc => {
                for letter in *b"UTC" {
                    cursor.expect(letter)?;
                }
                self.offset = Some(0);
            }
            Item::Literal(byte) => cursor.expect(byte)?,
        }
        Some(())
    }
}

/// A place in a text. Methods that find what they look for move behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(super) fn is_at_digit(&self) -> bool {
        self.rest().first().is_some_and(u8::is_ascii_digit)
    }

    /// The digits here as a number, and how many they are. Saturates.
    fn peek_number(&self) -> (u32, usize) {
        let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold((0, 0), |(number, count), digit| {
            (number.saturating_mul(10).saturating_add(u32::from(digit - b'0')), count + 1)
        })
    }

    /// All digits here, if they are as many.
    pub(super) fn number(&mut self, min: usize, max: usize) -> Option<u32> {
        let (number, digits) = self.peek_number();
        if !(min..=max).contains(&digits) {
            return None;
        }
        self.at += digits;
        Some(number)
    }

    /// The next digits, whatever follows them.
    pub(super) fn exactly(&mut self, digits: usize) -> Option<u32> {
        let text = self.rest().get(..digits).filter(|text| text.iter().all(u8::is_ascii_digit))?;
        self.at += digits;
        Some(text.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    }

    /// Moves behind all digits here and counts them.
    pub(super) fn digits(&mut self) -> usize {
        let (_, digits) = self.peek_number();
        self.at += digits;
        digits
    }

    /// The digits of a fraction as nanoseconds; more than nine are cut off.
    fn fraction(&mut self) -> Option<u32> {
        let start = self.at;
        let digits = self.digits();
        let text = &self.bytes[start..start + digits];
        (digits > 0).then(|| {
            let known = text.iter().map(|digit| u32::from(digit - b'0'));
            known.chain(std::iter::repeat(0)).take(9).fold(0, |number, digit| number * 10 + digit)
        })
    }

    pub(super) fn skip(&mut self, byte: u8) -> bool {
        let found = self.rest().first() == Some(&byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn skip_blanks(&mut self) {
        self.at += self.rest().iter().take_while(|byte| matches!(byte, b' ' | 9..=13)).count();
    }

    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        self.skip(byte).then_some(())
    }

    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let byte = *self.rest().first().filter(|byte| bytes.contains(byte))?;
        self.at += 1;
        Some(byte)
    }

    fn meridiem(&mut self) -> Option<bool> {
        let letters = self.rest().get(..2)?;
        let afternoon = letters.eq_ignore_ascii_case(b"PM");
        if !afternoon && !letters.eq_ignore_ascii_case(b"AM") {
            return None;
        }
        self.at += 2;
        Some(afternoon)
    }

    /// The name of a month as it is usually written.
    fn month_name(&mut self) -> Option<Name> {
        let letters = self.rest().iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let name = &self.rest()[..letters];
        let name = if MONTHS.iter().any(|month| month.as_bytes() == name) {
            Name::Full
        } else if MONTHS.iter().any(|month| &month.as_bytes()[..SHORT] == name) {
            Name::Short
        } else {
            return None;
        };
        self.at += letters;
        Some(name)
    }

    /// A month by name, in any case; gives 1 to 12.
    fn month(&mut self, name: Name) -> Option<u32> {
        let rest = self.rest();
        let spelled = |month: &&str| match name {
            Name::Full => month.len(),
            Name::Short => SHORT,
        };
        let (index, month) = (0..).zip(MONTHS).find(|(_, month)| {
            let length = spelled(month);
            rest.get(..length)
                .is_some_and(|text| text.eq_ignore_ascii_case(&month.as_bytes()[..length]))
        })?;
        self.at += spelled(&month);
        Some(index + 1)
    }

    /// `Z`, `+01`, `+1:00`, `+0100` or `+01:00`, in minutes east.
    fn offset(&mut self) -> Option<i32> {
        if self.skip(b'Z') {
            return Some(0);
        }
        let sign = if self.one_of(b"+-")? == b'+' { 1 } else { -1 };
        let (number, digits) = self.peek_number();
        self.at += digits;
        let (hours, minutes) = match digits {
            4 => (number / 100, number % 100),
            1 | 2 if self.skip(b':') => (number, self.number(1, 2)?),
            2 => (number, 0),
            _ => return None,
        };
        (hours < 24 && minutes < 60).then_some(sign * i32::try_from(hours * 60 + minutes).ok()?)
    }
}

/// The format in the language of `strptime`.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in &self.0 {
            f.write_str(match item {
                Item::Year => "%Y",
                Item::Month => "%m",
                Item::MonthName(Name::Full) => "%B",
                Item::MonthName(Name::Short) => "%b",
                Item::Day => "%d",
                Item::CompactDate => "%Y%m%d",
                Item::Hour => "%H",
                Item::Hour12 => "%I",
                Item::Minute => "%M",
                Item::Second => "%S",
                Item::CompactTime => "%H%M%S",
                Item::Fraction => "%f",
                Item::Meridiem => "%p",
                Item::Offset => "%z",
                Item::Utc => "UTC",
                Item::Literal(byte) => {
                    write!(f, "{}", char::from(*byte))?;
                    continue;
                }
            })?;
        }
        Ok(())
    }
}
