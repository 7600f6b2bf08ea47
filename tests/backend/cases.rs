//! The recorded cases of `tests/fixtures/onnx/cases.json`.

use flowgate::model::{ClassKey, ClassMap, Output};
use flowgate::tensor::{DType, Element, Tensor};
use half::f16;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::support;

#[derive(Deserialize)]
pub(crate) struct Case {
    pub(crate) model: String,
    feeds: Vec<Recorded>,
    pub(crate) outputs: Vec<Recorded>,
    #[cfg_attr(not(feature = "tract"), expect(dead_code, reason = "tract's tests filter by it"))]
    pub(crate) tract: bool,
}

/// A recorded tensor, or the maps of a `ZipMap`.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Recorded {
    Tensor { dtype: String, shape: Vec<usize>, data: Vec<Json> },
    Maps { maps: Vec<Vec<(Json, f64)>> },
}

impl Case {
    pub(crate) fn all() -> Vec<Self> {
        let text = std::fs::read(support::fixture("cases.json")).expect("the fixture is there");
        serde_json::from_slice(&text).expect("the fixture is JSON")
    }

    pub(crate) fn feeds(&self) -> Vec<Tensor> {
        self.feeds.iter().map(Recorded::tensor).collect()
    }

    /// Asserts that the outputs are the recorded ones, up to rounding.
    pub(crate) fn compare(&self, outputs: &[Output]) {
        assert_eq!(outputs.len(), self.outputs.len(), "{}", self.model);
        for (output, recorded) in outputs.iter().zip(&self.outputs) {
            match (output, recorded) {
                (Output::Tensor(tensor), Recorded::Tensor { .. }) => {
                    assert_close(&self.model, tensor, &recorded.tensor());
                }
                (Output::Maps(rows), Recorded::Maps { maps }) => {
                    assert_eq!(rows.len(), maps.len(), "{}", self.model);
                    for (row, recorded) in rows.rows(0..maps.len()).zip(maps) {
                        assert_same_map(&self.model, row, recorded);
                    }
                }
                _ => panic!("{}: an output of another kind than recorded", self.model),
            }
        }
    }
}

impl Recorded {
    fn tensor(&self) -> Tensor {
        let Self::Tensor { dtype, shape, data } = self else { panic!("maps are never fed") };
        match DType::from_name(dtype).expect("a dtype of ours") {
            DType::Bool => tensor::<bool>(shape, data, serde_json::Value::as_bool),
            DType::I8 => tensor::<i8>(shape, data, |v| v.as_i64()?.try_into().ok()),
            DType::I16 => tensor::<i16>(shape, data, |v| v.as_i64()?.try_into().ok()),
            DType::I32 => tensor::<i32>(shape, data, |v| v.as_i64()?.try_into().ok()),
            DType::I64 => tensor::<i64>(shape, data, serde_json::Value::as_i64),
            DType::U8 => tensor::<u8>(shape, data, |v| v.as_u64()?.try_into().ok()),
            DType::U16 => tensor::<u16>(shape, data, |v| v.as_u64()?.try_into().ok()),
            DType::U32 => tensor::<u32>(shape, data, |v| v.as_u64()?.try_into().ok()),
            DType::U64 => tensor::<u64>(shape, data, serde_json::Value::as_u64),
            DType::F16 => tensor::<f16>(shape, data, |v| number(v).map(f16::from_f64)),
            DType::F32 => tensor::<f32>(shape, data, |v| number(v).map(|v| v as f32)),
            DType::F64 => tensor::<f64>(shape, data, number),
            DType::Str => tensor::<String>(shape, data, |v| v.as_str().map(str::to_owned)),
        }
    }
}

fn number(value: &Json) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn tensor<T: Element>(shape: &[usize], data: &[Json], read: fn(&Json) -> Option<T>) -> Tensor {
    let values: Option<Vec<_>> = data.iter().map(read).collect();
    Tensor::from_vec(shape, values.expect("values of the dtype")).expect("as many as the shape has")
}

fn assert_close(model: &str, got: &Tensor, want: &Tensor) {
    assert_eq!((got.dtype(), got.shape()), (want.dtype(), want.shape()), "{model}");
    let close = match (got, want) {
        (Tensor::F16(got), Tensor::F16(want)) => {
            got.iter().zip(want).all(|(a, b)| near(a.to_f64(), b.to_f64(), 1e-3))
        }
        (Tensor::F32(got), Tensor::F32(want)) => {
            got.iter().zip(want).all(|(a, b)| near(f64::from(*a), f64::from(*b), 1e-5))
        }
        (Tensor::F64(got), Tensor::F64(want)) => {
            got.iter().zip(want).all(|(a, b)| near(*a, *b, 1e-12))
        }
        _ => got == want,
    };
    assert!(close, "{model}: got {got:?}, recorded {want:?}");
}

/// Equal up to a relative difference, or an absolute one for values below 1.
fn near(a: f64, b: f64, tolerance: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * b.abs().max(1.0)
}

fn assert_same_map(model: &str, row: ClassMap<'_>, recorded: &[(Json, f64)]) {
    assert_eq!(row.keys.len(), recorded.len(), "{model}");
    let entries = row.keys.iter().zip(row.values);
    for ((key, value), (recorded_key, recorded_value)) in entries.zip(recorded) {
        let key = match key {
            ClassKey::Int(key) => Json::from(*key),
            ClassKey::Str(key) => Json::from(key.as_str()),
        };
        assert_eq!(&key, recorded_key, "{model}");
        assert!(near(*value, *recorded_value, 1e-5), "{model}: {value} for {recorded_value}");
    }
}
