//! Values, lists and maps as JSON.

use std::ops::Range;

use half::f16;

use crate::model::{ClassKey, ClassMap, ClassMaps};
use crate::number::write_f64;
use crate::wire::text::{json_string_len, write_json_string};

/// What separates the items of a list, or ends it.
const SEPARATOR: usize = b", ".len();
/// The longest double: `-1.7976931348623157e+308`.
const F64_BYTES: usize = 24;
/// The longest integer: `-9223372036854775808`.
const I64_BYTES: usize = 20;

/// A value that JSON can show.
pub(super) trait Print: Sized {
    fn print(&self, body: &mut Vec<u8>);

    /// Most bytes of the values, with what separates them.
    fn bytes_max(values: &[Self]) -> usize;
}

macro_rules! print_as {
    ($($ty:ty, $bytes_max:expr, |$value:ident, $body:ident| $print:expr;)*) => {
        $(impl Print for $ty {
            #[inline]
            fn print(&self, $body: &mut Vec<u8>) {
                let $value = self;
                $print;
            }

            fn bytes_max(values: &[Self]) -> usize {
                values.len().saturating_mul($bytes_max + SEPARATOR)
            }
        })*
    };
}

print_as! {
    bool, 5, |value, body| body.extend_from_slice(if *value { b"true" } else { b"false" });
    i8, 4, |value, body| write_integer(i64::from(*value), body);
    i16, 6, |value, body| write_integer(i64::from(*value), body);
    i32, 11, |value, body| write_integer(i64::from(*value), body);
    i64, I64_BYTES, |value, body| write_integer(*value, body);
    u8, 3, |value, body| write_integer(*value, body);
    u16, 5, |value, body| write_integer(*value, body);
    u32, 10, |value, body| write_integer(*value, body);
    u64, I64_BYTES, |value, body| write_integer(*value, body);
    f16, F64_BYTES, |value, body| write_f64(body, f64::from(*value));
    f32, F64_BYTES, |value, body| write_f64(body, f64::from(*value));
    f64, F64_BYTES, |value, body| write_f64(body, *value);
}

impl Print for String {
    fn print(&self, body: &mut Vec<u8>) {
        write_json_string(body, self);
    }

    fn bytes_max(values: &[Self]) -> usize {
        values.iter().map(|text| json_string_len(text) + SEPARATOR).sum()
    }
}

fn write_integer(value: impl itoa::Integer, body: &mut Vec<u8>) {
    body.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A list of `size` items of the shape `inner`.
pub(super) fn write_nested<T: Print>(
    size: usize,
    inner: &[usize],
    values: &[T],
    body: &mut Vec<u8>,
) {
    let Some((&inner_size, innermost)) = inner.split_first() else {
        return write_list(values, body, Print::print);
    };
    let step: usize = inner.iter().product();
    body.push(b'[');
    for i in 0..size {
        if i > 0 {
            body.extend_from_slice(b", ");
        }
        write_nested(inner_size, innermost, &values[i * step..(i + 1) * step], body);
    }
    body.push(b']');
}

/// Bytes of the brackets of nested lists, with what separates them.
pub(super) fn lists_bytes(size: usize, inner: &[usize]) -> usize {
    let mut lists = 1_usize;
    let mut all = 1_usize;
    for &size in std::iter::once(&size).chain(inner).take(inner.len()) {
        lists = lists.saturating_mul(size);
        all = all.saturating_add(lists);
    }
    all.saturating_mul(b"[]".len() + SEPARATOR)
}

pub(super) fn write_list<I: IntoIterator>(
    items: I,
    body: &mut Vec<u8>,
    write: impl Fn(I::Item, &mut Vec<u8>),
) {
    body.push(b'[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            body.extend_from_slice(b", ");
        }
        write(item, body);
    }
    body.push(b']');
}

pub(super) fn write_map(map: ClassMap<'_>, body: &mut Vec<u8>) {
    body.push(b'{');
    for (i, (key, value)) in map.keys.iter().zip(map.values).enumerate() {
        if i > 0 {
            body.extend_from_slice(b", ");
        }
        match key {
            ClassKey::Int(key) => {
                body.push(b'"');
                write_integer(*key, body);
                body.push(b'"');
            }
            ClassKey::Str(key) => write_json_string(body, key),
        }
        body.extend_from_slice(b": ");
        write_f64(body, *value);
    }
    body.push(b'}');
}

/// Most bytes of some rows of maps, with what separates them.
pub(super) fn maps_bytes_max(maps: &ClassMaps, rows: Range<usize>) -> usize {
    let row = |keys: &[ClassKey]| -> usize {
        let members = keys.iter().map(|key| {
            let key = match key {
                ClassKey::Int(_) => b"\"\"".len() + I64_BYTES,
                ClassKey::Str(key) => json_string_len(key),
            };
            key + b": ".len() + F64_BYTES + SEPARATOR
        });
        b"{}".len() + SEPARATOR + members.sum::<usize>()
    };
    let lists = b"[]".len() + SEPARATOR;
    lists
        + match maps.shared_keys() {
            Some(keys) => row(keys).saturating_mul(rows.len()),
            None => maps.rows(rows).map(|map| row(map.keys)).sum(),
        }
}
