//! Arrow arrays as pandas columns.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, ArrowTemporalType, Date32Type, Date64Type, Decimal32Type, Decimal64Type,
    Decimal128Type, Decimal256Type, DecimalType, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, PrimitiveArray, StructArray, make_array};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, TimeUnit};
use num_bigint::BigInt;
use num_traits::ToPrimitive;

use super::super::WireError;
use super::super::frame::{NAT, Series};
use super::super::value::Value;
use super::check::invalid;
use super::pandas::Missing;

/// Bytes of text that cells may still take. A page's texts are shared until they become cells, so
/// that a short file can hold many long ones.
#[derive(Debug)]
pub(super) struct Budget {
    bytes_max: usize,
    rest: usize,
}

impl Budget {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, rest: bytes_max }
    }

    fn take(&mut self, bytes: usize) -> Result<(), WireError> {
        self.rest = self.rest.checked_sub(bytes).ok_or_else(|| {
            invalid(&format!("its cells take more than {} bytes of text", self.bytes_max))
        })?;
        Ok(())
    }
}

/// The column as pandas would hold it.
pub(super) fn convert(
    array: &ArrayRef,
    is_category: bool,
    missing: Missing,
    budget: &mut Budget,
) -> Result<Series, WireError> {
    let none = match missing {
        _ if is_category => Value::Float(f64::NAN),
        Missing::Plain => Value::None,
        Missing::Na => Value::Other("NAType"),
        Missing::NaText => Value::Str("<NA>".to_owned()),
    };
    Ok(match array.data_type() {
        DataType::Boolean => booleans(array, &none),
        DataType::Int8 => integers::<Int8Type>(array, missing, Series::I8),
        DataType::Int16 => integers::<Int16Type>(array, missing, Series::I16),
        DataType::Int32 => integers::<Int32Type>(array, missing, Series::I32),
        DataType::Int64 => integers::<Int64Type>(array, missing, Series::I64),
        DataType::UInt8 => integers::<UInt8Type>(array, missing, Series::U8),
        DataType::UInt16 => integers::<UInt16Type>(array, missing, Series::U16),
        DataType::UInt32 => integers::<UInt32Type>(array, missing, Series::U32),
        DataType::UInt64 => integers::<UInt64Type>(array, missing, Series::U64),
        DataType::Float16 => Series::F16(floats::<Float16Type>(array, half::f16::NAN)),
        DataType::Float32 => Series::F32(floats::<Float32Type>(array, f32::NAN)),
        DataType::Float64 => Series::F64(floats::<Float64Type>(array, f64::NAN)),
        DataType::Timestamp(unit, zone) => timestamps(array, *unit, zone.is_some()),
        _ => Series::Object(objects(array, &none, budget)?),
    })
}

fn booleans(array: &dyn Array, none: &Value) -> Series {
    let values = array.as_boolean();
    if values.null_count() == 0 {
        return Series::Bool(values.values().iter().collect());
    }
    Series::Object(values.iter().map(|cell| cell.map_or(none.clone(), Value::Bool)).collect())
}

fn integers<T: ArrowPrimitiveType<Native: ToPrimitive>>(
    array: &dyn Array,
    missing: Missing,
    wrap: fn(Vec<T::Native>) -> Series,
) -> Series {
    let values = array.as_primitive::<T>();
    if values.null_count() == 0 {
        wrap(values.values().to_vec())
    } else if missing == Missing::Na {
        let cell = |value: T::Native| integer(value.to_i128().unwrap_or_default());
        Series::Object(
            values.iter().map(|value| value.map_or(Value::Other("NAType"), cell)).collect(),
        )
    } else {
        let cell = |value: Option<T::Native>| value.and_then(|value| value.to_f64());
        Series::F64(values.iter().map(|value| cell(value).unwrap_or(f64::NAN)).collect())
    }
}

fn floats<T: ArrowPrimitiveType>(array: &dyn Array, nan: T::Native) -> Vec<T::Native> {
    let values = array.as_primitive::<T>();
    if values.null_count() == 0 {
        return values.values().to_vec();
    }
    values.iter().map(|value| value.unwrap_or(nan)).collect()
}

/// Timestamps in nanoseconds, or objects where one of them is out of their range: pandas keeps the
/// coarser unit then, which no model takes.
fn timestamps(array: &dyn Array, unit: TimeUnit, is_aware: bool) -> Series {
    let (values, factor) = match unit {
        TimeUnit::Second => (optional::<TimestampSecondType>(array), 1_000_000_000),
        TimeUnit::Millisecond => (optional::<TimestampMillisecondType>(array), 1_000_000),
        TimeUnit::Microsecond => (optional::<TimestampMicrosecondType>(array), 1_000),
        TimeUnit::Nanosecond => (optional::<TimestampNanosecondType>(array), 1),
    };
    let nanoseconds: Option<Vec<i64>> = values
        .iter()
        .map(|value| value.map_or(Some(NAT), |value| value.checked_mul(factor)))
        .collect();
    match nanoseconds {
        Some(values) if is_aware => Series::DatetimeTz(values),
        Some(values) => Series::Datetime(values),
        None => Series::Object(
            values
                .into_iter()
                .map(|value| value.map_or(Value::Other("NaT"), |_| Value::Other("Timestamp")))
                .collect(),
        ),
    }
}

fn optional<T: ArrowPrimitiveType>(array: &dyn Array) -> Vec<Option<T::Native>> {
    array.as_primitive::<T>().iter().collect()
}

/// The cells of a column of objects.
fn objects(array: &ArrayRef, none: &Value, budget: &mut Budget) -> Result<Vec<Value>, WireError> {
    let other = |name: &'static str| {
        (0..array.len())
            .map(|i| if array.is_null(i) { none.clone() } else { Value::Other(name) })
            .collect()
    };
    Ok(match array.data_type() {
        DataType::Null => vec![none.clone(); array.len()],
        DataType::Utf8View => sized(array.as_string_view().iter(), none, budget, |text| {
            (text.len(), Value::Str(text.to_owned()))
        })?,
        DataType::BinaryView => sized(array.as_binary_view().iter(), none, budget, |bytes| {
            (bytes.len(), Value::Bytes(bytes.to_owned()))
        })?,
        DataType::FixedSizeBinary(_) => {
            sized(array.as_fixed_size_binary().iter(), none, budget, |bytes| {
                (bytes.len(), Value::Bytes(bytes.to_owned()))
            })?
        }
        DataType::Decimal32(..) => decimals::<Decimal32Type>(array, none),
        DataType::Decimal64(..) => decimals::<Decimal64Type>(array, none),
        DataType::Decimal128(..) => decimals::<Decimal128Type>(array, none),
        DataType::Decimal256(..) => decimals::<Decimal256Type>(array, none),
        DataType::Date32 => dates(array.as_primitive::<Date32Type>(), none),
        DataType::Date64 => dates(array.as_primitive::<Date64Type>(), none),
        DataType::Time32(_) | DataType::Time64(_) => other("time"),
        DataType::Duration(_) => other("Timedelta"),
        DataType::List(_) => {
            let lists = array.as_list::<i32>();
            let bounds = lists.offsets().iter().map(|end| *end as usize);
            let items = cells(lists.values(), budget)?;
            split(array, bounds, items, none, Value::Array)
        }
        DataType::LargeList(_) => {
            let lists = array.as_list::<i64>();
            let bounds = lists.offsets().iter().map(|end| *end as usize);
            let items = cells(lists.values(), budget)?;
            split(array, bounds, items, none, Value::Array)
        }
        DataType::FixedSizeList(_, size) => {
            let bounds = (0..=array.len()).map(|i| i * *size as usize);
            let items = cells(array.as_fixed_size_list().values(), budget)?;
            split(array, bounds, items, none, Value::Array)
        }
        DataType::Map(..) => {
            let maps = array.as_map();
            let bounds = maps.offsets().iter().map(|end| *end as usize);
            let keys = cells(maps.keys(), budget)?;
            let pairs = keys.into_iter().zip(cells(maps.values(), budget)?);
            let pairs = pairs.map(|(key, value)| Value::List(vec![key, value])).collect();
            split(array, bounds, pairs, none, Value::List)
        }
        DataType::Struct(_) => dicts(array.as_struct(), none, budget)?,
        _ => return Err(invalid("it has a column of a type that is not supported")),
    })
}

/// Cells that take memory of their own.
fn sized<T>(
    values: impl Iterator<Item = Option<T>>,
    none: &Value,
    budget: &mut Budget,
    cell: impl Fn(T) -> (usize, Value),
) -> Result<Vec<Value>, WireError> {
    values
        .map(|value| match value {
            None => Ok(none.clone()),
            Some(value) => {
                let (bytes, value) = cell(value);
                budget.take(bytes)?;
                Ok(value)
            }
        })
        .collect()
}

/// Decimals as floats: the nearest to what their digits say.
fn decimals<T: DecimalType + ArrowPrimitiveType>(array: &dyn Array, none: &Value) -> Vec<Value> {
    let values = array.as_primitive::<T>();
    (0..values.len())
        .map(|i| {
            if values.is_null(i) {
                return none.clone();
            }
            let text = values.value_as_string(i);
            text.parse().map_or(Value::Other("Decimal"), Value::Float)
        })
        .collect()
}

/// Dates, as Python's `datetime.date`.
fn dates<T>(array: &PrimitiveArray<T>, none: &Value) -> Vec<Value>
where
    T: ArrowTemporalType,
    i64: From<T::Native>,
{
    let rows = (0..array.len()).map(|row| {
        if array.is_null(row) {
            return none.clone();
        }
        array.value_as_date(row).map_or(Value::Other("date"), Value::Date)
    });
    rows.collect()
}

/// A nested column's cells, the way they stand in a numpy array.
fn cells(array: &ArrayRef, budget: &mut Budget) -> Result<Vec<Value>, WireError> {
    fn integers<T: Into<i128>>(values: Vec<T>) -> Vec<Value> {
        values.into_iter().map(|value| integer(value.into())).collect()
    }
    fn floats<T: Into<f64>>(values: Vec<T>) -> Vec<Value> {
        values.into_iter().map(|value| Value::Float(value.into())).collect()
    }
    Ok(match convert(array, false, Missing::Plain, budget)? {
        Series::Bool(values) => values.into_iter().map(Value::Bool).collect(),
        Series::I8(values) => integers(values),
        Series::I16(values) => integers(values),
        Series::I32(values) => integers(values),
        Series::I64(values) => integers(values),
        Series::U8(values) => integers(values),
        Series::U16(values) => integers(values),
        Series::U32(values) => integers(values),
        Series::U64(values) => integers(values),
        Series::F16(values) => floats(values),
        Series::F32(values) => floats(values),
        Series::F64(values) => floats(values),
        Series::Datetime(values) | Series::DatetimeTz(values) => {
            vec![Value::Other("Timestamp"); values.len()]
        }
        Series::Object(values) | Series::Category(values) => values,
    })
}

fn integer(value: i128) -> Value {
    i64::try_from(value).map_or_else(|_| Value::BigInt(Box::new(BigInt::from(value))), Value::Int)
}

/// Hands the items to the rows that own them: row `i` owns those from `bounds[i]` on.
fn split(
    array: &dyn Array,
    mut bounds: impl Iterator<Item = usize>,
    mut items: Vec<Value>,
    none: &Value,
    wrap: fn(Vec<Value>) -> Value,
) -> Vec<Value> {
    let mut start = bounds.next().unwrap_or(0);
    let mut row = |i: usize, end: usize| {
        let owned = items.get_mut(start..end).unwrap_or_default();
        let owned = owned.iter_mut().map(|item| std::mem::replace(item, Value::None)).collect();
        start = end;
        if array.is_null(i) { none.clone() } else { wrap(owned) }
    };
    bounds.enumerate().map(|(i, end)| row(i, end)).collect()
}

/// Records as dicts. A missing record makes its fields missing, which makes integers floats.
fn dicts(
    records: &StructArray,
    none: &Value,
    budget: &mut Budget,
) -> Result<Vec<Value>, WireError> {
    let names: Vec<&str> = records.fields().iter().map(|field| field.name().as_str()).collect();
    let mut columns = Vec::with_capacity(names.len());
    for column in records.columns() {
        columns.push(cells(&masked(column, records.nulls())?, budget)?.into_iter());
    }
    let key_bytes = names.iter().map(|name| name.len() + size_of::<Value>()).sum();
    (0..records.len())
        .map(|i| {
            let values = columns.iter_mut().map(|column| column.next().unwrap_or(Value::None));
            let values: Vec<Value> = values.collect();
            if records.is_null(i) {
                return Ok(none.clone());
            }
            budget.take(key_bytes)?;
            Ok(Value::Dict(names.iter().map(|name| (*name).to_owned()).zip(values).collect()))
        })
        .collect()
}

/// The array with further cells missing.
fn masked(array: &ArrayRef, nulls: Option<&NullBuffer>) -> Result<ArrayRef, WireError> {
    if nulls.is_none() || *array.data_type() == DataType::Null {
        return Ok(ArrayRef::clone(array));
    }
    let nulls = NullBuffer::union(array.nulls(), nulls);
    let data = array.to_data().into_builder().nulls(nulls).build();
    data.map(make_array).map_err(|_| invalid("a nested column is damaged"))
}
