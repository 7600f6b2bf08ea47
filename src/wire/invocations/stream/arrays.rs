//! Nested lists of numbers, booleans or strings into one tensor.

use super::cursor::{Cell, Cursor};
use crate::tensor::{DType, Dim, Dims, Element, Tensor};
use crate::wire::invocations::scoring::{Decoded, Layout};

/// The tensor that an array becomes.
#[derive(Clone, Debug)]
pub(super) struct ArrayTarget {
    /// The declared name, if inputs are named.
    pub(super) name: Option<String>,
    /// The type that values are converted to first.
    pub(super) read: DType,
    /// The graph's type: the same, or float32 for float64.
    pub(super) feed: DType,
    pub(super) dims: Dims,
    /// The answer's layout for a data frame.
    pub(super) frame_layout: Layout,
    pub(super) ints: IntRule,
}

/// What an integer literal may become where floats are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IntRule {
    /// A declared type: numpy rounds.
    Declared,
    /// No declared type: only integers that the graph's type holds exactly.
    Exact,
}

/// Largest integers up to which every integer is a float32, or a float64.
const F32_INT_MAX: u64 = 1 << 24;
const F64_INT_MAX: u64 = 1 << 53;

impl ArrayTarget {
    fn int_max(&self) -> u64 {
        if self.feed == DType::F32 { F32_INT_MAX } else { F64_INT_MAX }
    }

    /// Declared values of one row; what is not declared counts as one.
    fn row_size(&self) -> usize {
        let sizes = self.dims.0.iter().skip(1).map(|dim| match dim {
            Dim::Fixed(size) => *size,
            Dim::Any => 1,
        });
        sizes.fold(1, usize::saturating_mul)
    }
}

/// A bare array for the only input.
pub(super) fn single(target: &ArrayTarget, cursor: &mut Cursor<'_>) -> Option<Decoded> {
    let tensor = array(target, cursor)?;
    let rows = tensor.shape().first().copied()?;
    Some(Decoded { feeds: vec![tensor], rows, layout: Layout::Tensors })
}

/// An object of named arrays, each input exactly once.
pub(super) fn named(targets: &[ArrayTarget], cursor: &mut Cursor<'_>) -> Option<Decoded> {
    let mut feeds: Vec<Option<Tensor>> = targets.iter().map(|_| None).collect();
    cursor.expect(b'{')?;
    loop {
        let name = cursor.name()?;
        let position = targets.iter().position(|t| t.name.as_deref() == Some(name))?;
        if feeds[position].is_some() {
            return None;
        }
        cursor.skip_blanks();
        feeds[position] = Some(array(&targets[position], cursor)?);
        if !cursor.more(b'}')? {
            break;
        }
    }
    let feeds = feeds.into_iter().collect::<Option<Vec<_>>>()?;
    let rows = feeds.first()?.shape().first().copied()?;
    // `instances` refuses lengths that differ; the exact path tells.
    if feeds.iter().any(|feed| feed.shape().first() != Some(&rows)) {
        return None;
    }
    Some(Decoded { feeds, rows, layout: Layout::Tensors })
}

/// A data frame of numbers for the only input: its columns side by side.
pub(super) fn split(target: &ArrayTarget, cursor: &mut Cursor<'_>) -> Option<Decoded> {
    if target.name.is_some() || !matches!(target.read, DType::F32 | DType::F64) {
        return None;
    }
    cursor.expect(b'{')?;
    let (mut columns, mut index, mut data) = (None, None, None);
    loop {
        if columns.is_none() && cursor.take_name("columns") {
            columns = Some(cursor.count_cells()?);
        } else if index.is_none() && cursor.take_name("index") {
            index = Some(cursor.count_cells()?);
        } else if data.is_none() && cursor.take_name("data") {
            let frame_target = ArrayTarget {
                dims: Dims(vec![Dim::Any, Dim::Any]),
                // A column of integers is rounded once, a mixed one twice.
                ints: IntRule::Exact,
                ..target.clone()
            };
            cursor.skip_blanks();
            data = Some(array(&frame_target, cursor)?);
        } else {
            return None;
        }
        if !cursor.more(b'}')? {
            break;
        }
    }
    let tensor = data?;
    let &[rows, width] = tensor.shape() else { return None };
    // Without a signature any width reaches the graph; with one it is the declared one.
    let fits = target.frame_layout == Layout::Records
        || target.dims.0.as_slice() == [Dim::Any, Dim::Fixed(width)];
    let labelled = columns.is_none_or(|columns| columns == width);
    let indexed = index.is_none_or(|index| index == rows);
    (fits && labelled && indexed).then(|| Decoded {
        feeds: vec![tensor],
        rows,
        layout: target.frame_layout,
    })
}

/// Reads nested lists of the target's type.
fn array(target: &ArrayTarget, cursor: &mut Cursor<'_>) -> Option<Tensor> {
    fn of<T: Element>(
        target: &ArrayTarget,
        cursor: &mut Cursor<'_>,
        convert: impl Fn(Cell<'_>) -> Option<T>,
    ) -> Option<Tensor> {
        let mut shape = Vec::with_capacity(target.dims.rank());
        let mut values = Vec::with_capacity(target.row_size().min(cursor.remaining() / 2));
        nested(cursor, 0, target.dims.rank(), &mut shape, &mut values, &convert)?;
        if !target.dims.accepts(&shape) || shape.contains(&0) {
            return None;
        }
        Tensor::from_vec(&shape, values)
    }
    let float = |cell: Cell<'_>| match cell {
        Cell::Float(value) => Some(value),
        Cell::Int(value) => {
            let exact = value.unsigned_abs() <= target.int_max();
            (exact || target.ints == IntRule::Declared).then_some(value as f64)
        }
        _ => None,
    };
    let int = |cell: Cell<'_>| match cell {
        Cell::Int(value) => Some(value),
        _ => None,
    };
    match (target.read, target.feed) {
        (DType::F32 | DType::F64, DType::F32) => of(target, cursor, |c| float(c).map(|v| v as f32)),
        (DType::F64, DType::F64) => of(target, cursor, float),
        (DType::F16, _) => of(target, cursor, |c| float(c).map(half::f16::from_f64)),
        (DType::I8, _) => of(target, cursor, |c| i8::try_from(int(c)?).ok()),
        (DType::I16, _) => of(target, cursor, |c| i16::try_from(int(c)?).ok()),
        (DType::I32, _) => of(target, cursor, |c| i32::try_from(int(c)?).ok()),
        (DType::I64, _) => of(target, cursor, int),
        (DType::U8, _) => of(target, cursor, |c| u8::try_from(int(c)?).ok()),
        (DType::U16, _) => of(target, cursor, |c| u16::try_from(int(c)?).ok()),
        (DType::U32, _) => of(target, cursor, |c| u32::try_from(int(c)?).ok()),
        (DType::U64, _) => of(target, cursor, |c| u64::try_from(int(c)?).ok()),
        (DType::Bool, _) => of(target, cursor, |c| match c {
            Cell::Bool(value) => Some(value),
            _ => None,
        }),
        (DType::Str, _) => of(target, cursor, |c| match c {
            Cell::Text(text) if !text.contains('\0') => Some(text.to_owned()),
            _ => None,
        }),
        (DType::F32 | DType::F64, _) => None,
    }
}

/// Reads one level of lists; every list of a level has the length of its first.
fn nested<T>(
    cursor: &mut Cursor<'_>,
    depth: usize,
    rank: usize,
    shape: &mut Vec<usize>,
    values: &mut Vec<T>,
    convert: &impl Fn(Cell<'_>) -> Option<T>,
) -> Option<()> {
    let known = rank - 1 - depth;
    let is_first = shape.len() == known;
    let count = if known == 0 {
        let before = cursor.remaining();
        let count = flat(cursor, values, convert)?;
        if is_first {
            values.reserve(more_like_it(count, before - cursor.remaining(), cursor.remaining()));
        }
        count
    } else {
        cursor.expect(b'[')?;
        let mut count = 0;
        loop {
            nested(cursor, depth + 1, rank, shape, values, convert)?;
            count += 1;
            if !cursor.more(b']')? {
                break count;
            }
        }
    };
    // Inner levels are finished first, so a level's length is put in front of theirs.
    if shape.len() == known {
        shape.insert(0, count);
        return Some(());
    }
    (shape[shape.len() - 1 - known] == count).then_some(())
}

/// Reads a list of values and counts them.
fn flat<T>(
    cursor: &mut Cursor<'_>,
    values: &mut Vec<T>,
    convert: &impl Fn(Cell<'_>) -> Option<T>,
) -> Option<usize> {
    let before = values.len();
    cursor.expect(b'[')?;
    loop {
        values.push(convert(cursor.cell()?)?);
        if !cursor.more(b']')? {
            return Some(values.len() - before);
        }
    }
}

/// How many values the rest of a body holds, if they are as long as those that were read: `count`
/// in `bytes_read`. At most one in two bytes.
pub(super) fn more_like_it(count: usize, bytes_read: usize, bytes_left: usize) -> usize {
    let expected = bytes_left as f64 * (count as f64 / bytes_read.max(1) as f64);
    // A little more than that, as growing would move all that is there.
    ((expected * 1.1) as usize).min(bytes_left / 2)
}
