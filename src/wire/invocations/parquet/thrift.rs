//! Just enough of Thrift's compact protocol to walk Parquet's headers: every method gives `None`
//! where the bytes end or make no sense, and nothing is allocated.

/// Structures within structures that are followed. Parquet's own have fewer than ten.
const DEPTH_MAX: usize = 32;

/// A place in encoded bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compact<'a> {
    rest: &'a [u8],
}

/// Types of values, as encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A boolean field, whose value is its type.
    Bool,
    Byte,
    /// Integers of 16 to 64 bits.
    Int,
    Double,
    Binary,
    List,
    Map,
    Struct,
    Uuid,
}

/// What stands where a field may begin.
enum Next {
    Field(Kind),
    End,
}

/// A list's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct List {
    pub(super) kind: Kind,
    pub(super) len: usize,
}

impl Kind {
    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 | 2 => Self::Bool,
            3 => Self::Byte,
            4..=6 => Self::Int,
            7 => Self::Double,
            8 => Self::Binary,
            9 | 10 => Self::List,
            11 => Self::Map,
            12 => Self::Struct,
            13 => Self::Uuid,
            _ => return None,
        })
    }
}

impl<'a> Compact<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not read yet.
    pub(super) const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Reads a structure, calling `field` with each field's number and type. `field` reads the
    /// value, or gives `Some(false)` to have it skipped.
    pub(super) fn structure(
        &mut self,
        mut field: impl FnMut(&mut Self, i64, Kind) -> Option<bool>,
    ) -> Option<()> {
        let mut id = 0;
        while let Next::Field(kind) = self.field(&mut id)? {
            if !field(self, id, kind)? {
                self.skip(kind, DEPTH_MAX)?;
            }
        }
        Some(())
    }

    /// The next field's header, or the end of the structure.
    fn field(&mut self, id: &mut i64) -> Option<Next> {
        let header = self.byte()?;
        if header == 0 {
            return Some(Next::End);
        }
        *id = match header >> 4 {
            0 => self.int()?,
            delta => id.checked_add(i64::from(delta))?,
        };
        Kind::from_code(header & 0x0f).map(Next::Field)
    }

    /// A list's header. Each of its elements takes a byte or more, and so can be trusted to follow.
    pub(super) fn list(&mut self) -> Option<List> {
        let header = self.byte()?;
        let len = match header >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            len => usize::from(len),
        };
        let kind = Kind::from_code(header & 0x0f)?;
        (len <= self.rest.len()).then_some(List { kind, len })
    }

    pub(super) fn int(&mut self) -> Option<i64> {
        let value = self.varint()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn skip_bytes(&mut self, count: usize) -> Option<()> {
        self.rest = self.rest.get(count..)?;
        Some(())
    }

    fn skip(&mut self, kind: Kind, depth: usize) -> Option<()> {
        let deeper = depth.checked_sub(1)?;
        match kind {
            Kind::Bool => Some(()),
            Kind::Byte => self.skip_bytes(1),
            Kind::Int => self.varint().map(drop),
            Kind::Double => self.skip_bytes(8),
            Kind::Uuid => self.skip_bytes(16),
            Kind::Binary => {
                let length = usize::try_from(self.varint()?).ok()?;
                self.skip_bytes(length)
            }
            Kind::List => {
                let list = self.list()?;
                for _ in 0..list.len {
                    self.skip_element(list.kind, deeper)?;
                }
                Some(())
            }
            Kind::Map => {
                let len = self.varint()?;
                if len == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                let (key, value) = (Kind::from_code(kinds >> 4)?, Kind::from_code(kinds & 0x0f)?);
                for _ in 0..len {
                    self.skip_element(key, deeper)?;
                    self.skip_element(value, deeper)?;
                }
                Some(())
            }
            Kind::Struct => {
                let mut id = 0;
                while let Next::Field(kind) = self.field(&mut id)? {
                    self.skip(kind, deeper)?;
                }
                Some(())
            }
        }
    }

    /// Unlike a field, a boolean in a list or a map has a byte of its own.
    fn skip_element(&mut self, kind: Kind, depth: usize) -> Option<()> {
        if kind == Kind::Bool { self.skip_bytes(1) } else { self.skip(kind, depth) }
    }
}
