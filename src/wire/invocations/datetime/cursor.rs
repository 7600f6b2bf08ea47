//! The words of a date or time, read one after the other.

/// How a month is named. May has the same name in both, which reads as the full one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MonthName {
    Full,
    Short,
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
    pub(super) fn peek_number(&self) -> (u32, usize) {
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
    pub(super) fn fraction(&mut self) -> Option<u32> {
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

    pub(super) fn skip_text(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text.as_bytes());
        self.at += if found { text.len() } else { 0 };
        found
    }

    pub(super) fn skip_blanks(&mut self) {
        self.at += self.rest().iter().take_while(|byte| matches!(byte, b' ' | 9..=13)).count();
    }

    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        self.skip(byte).then_some(())
    }

    pub(super) fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let byte = *self.rest().first().filter(|byte| bytes.contains(byte))?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn meridiem(&mut self) -> Option<bool> {
        let letters = self.rest().get(..2)?;
        let afternoon = letters.eq_ignore_ascii_case(b"PM");
        if !afternoon && !letters.eq_ignore_ascii_case(b"AM") {
            return None;
        }
        self.at += 2;
        Some(afternoon)
    }

    /// The name of a month as it is usually written.
    pub(super) fn month_name(&mut self) -> Option<MonthName> {
        let letters = self.rest().iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let name = &self.rest()[..letters];
        let name = if MONTHS.iter().any(|month| month.as_bytes() == name) {
            MonthName::Full
        } else if MONTHS.iter().any(|month| &month.as_bytes()[..SHORT] == name) {
            MonthName::Short
        } else {
            return None;
        };
        self.at += letters;
        Some(name)
    }

    /// A month by name, in any case; gives 1 to 12.
    pub(super) fn month(&mut self, name: MonthName) -> Option<u32> {
        let rest = self.rest();
        let spelled = |month: &&str| match name {
            MonthName::Full => month.len(),
            MonthName::Short => SHORT,
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
    pub(super) fn offset(&mut self) -> Option<i32> {
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
