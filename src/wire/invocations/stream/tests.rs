//! The streaming decoder is held to the exact path: on generated requests of every form and on
//! damaged ones, what it answers is what the exact path answers.

use proptest::prelude::*;

use crate::model::{
    ColumnSpec, ColumnType, Columns, GraphInput, GraphIo, GraphOutput, OutputKind, ParamSpec,
    ParamType, Schema, Signature, TensorDType, TensorSpec, ValueType,
};
use crate::tensor::{DType, Dim, Dims};
use crate::wire::invocations::numpy::NdArray;
use crate::wire::invocations::{Decoded, RecordShape, Scoring, ScoringOptions};

const CASES: u32 = 2000;

fn io(inputs: &[(&str, DType, &[Dim])]) -> GraphIo {
    let inputs = inputs.iter().map(|(name, dtype, dims)| GraphInput {
        name: (*name).into(),
        dtype: *dtype,
        dims: Dims(dims.to_vec()),
    });
    let kind = OutputKind::Tensor { dtype: DType::F32, dims: Dims(vec![Dim::Any]) };
    GraphIo { inputs: inputs.collect(), outputs: vec![GraphOutput { name: "y".into(), kind }] }
}

fn scoring(inputs: Option<Schema>, io: GraphIo) -> Scoring {
    let options =
        ScoringOptions { record_shape: RecordShape::Flattened, decoded_bytes_max: 1 << 20 };
    Scoring::new(Signature { inputs, outputs: None, params: None }, io, options)
}

fn columns(types: &[(&str, ColumnType, bool)]) -> Schema {
    let specs = types.iter().map(|(name, ty, required)| ColumnSpec {
        name: (*name).into(),
        ty: ValueType::Scalar(*ty),
        required: *required,
    });
    Schema::Columns(Columns { specs: specs.collect(), named: true })
}

fn tensor(name: Option<&str>, dtype: DType, dims: &[Dim]) -> TensorSpec {
    TensorSpec {
        name: name.map(Into::into),
        dtype: TensorDType::Known(dtype),
        dims: Dims(dims.to_vec()),
    }
}

/// A model of every kind that streams, with the names of its columns or inputs.
fn models() -> Vec<(Scoring, Vec<&'static str>)> {
    use ColumnType::{Boolean, Double, Float, Integer, Long, String};
    use Dim::{Any, Fixed};
    let matrix = |dtype| io(&[("x", dtype, &[Any, Fixed(2)])]);
    let each = |a, b| io(&[("a", a, &[Any]), ("b", b, &[Any])]);
    let two = |a, b| Some(columns(&[("a", a, true), ("b", b, true)]));
    let named = |schema, io| (scoring(schema, io), vec!["a", "b"]);
    let bare = |dtype, dims: &[Dim]| {
        let schema = Schema::Tensors(vec![tensor(None, dtype, dims)]);
        (scoring(Some(schema), io(&[("x", dtype, dims)])), vec![])
    };
    vec![
        named(two(Double, Double), matrix(DType::F32)),
        named(two(Float, Float), matrix(DType::F32)),
        named(two(Double, Float), matrix(DType::F64)),
        named(two(Long, Double), matrix(DType::F32)),
        named(two(Integer, Float), matrix(DType::F32)),
        named(two(Long, Long), matrix(DType::F32)),
        named(two(Integer, Long), matrix(DType::I64)),
        named(two(Boolean, String), each(DType::Bool, DType::Str)),
        named(two(Float, Integer), each(DType::F32, DType::I32)),
        named(
            two(Double, Long),
            io(&[("a", DType::F64, &[Any, Fixed(1)]), ("b", DType::I64, &[Any])]),
        ),
        named(
            Some(columns(&[("a", Double, true), ("b", Double, false)])),
            io(&[("a", DType::F64, &[Any]), ("c", DType::F64, &[Any])]),
        ),
        bare(DType::F32, &[Any, Fixed(2)]),
        bare(DType::F64, &[Any, Any]),
        bare(DType::F16, &[Any]),
        bare(DType::I8, &[Any, Fixed(2)]),
        bare(DType::U64, &[Any, Any]),
        bare(DType::Bool, &[Any, Fixed(2)]),
        bare(DType::Str, &[Any, Any]),
        bare(DType::F32, &[Any, Fixed(1), Fixed(2)]),
        (
            scoring(
                Some(Schema::Tensors(vec![
                    tensor(Some("b"), DType::I64, &[Any, Any]),
                    tensor(Some("a"), DType::F32, &[Any, Fixed(2)]),
                ])),
                io(&[("a", DType::F32, &[Any, Fixed(2)]), ("b", DType::I64, &[Any, Any])]),
            ),
            vec!["a", "b"],
        ),
        (scoring(None, matrix(DType::F32)), vec![]),
        (scoring(None, matrix(DType::F64)), vec![]),
    ]
}

/// Cells as JSON text, usual ones far more often than odd ones.
fn cell() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "null",
        "NaN",
        "Infinity",
        "-Infinity",
        "true",
        "false",
        "\"7\"",
        "\"x\"",
        "\"\"",
        "\"é\"",
        "\"a\\u0041\"",
        "\"nul\\u0000\"",
        "16777217",
        "16777216",
        "-16777217",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775809",
        "1e400",
        "1e22",
        "1e-400",
        "255",
        "256",
        "-1",
        "128",
        "2147483648",
        "0.1",
        "-0.0",
        "-0",
        "1E5",
        "1e+2",
        "123456789.123456789",
        "[1]",
        "[]",
        "{}",
        "01",
        "1.",
        "+1",
        "\"1.5\"",
        "4.35",
        "2.5e-5",
    ]);
    prop_oneof![
        4 => any::<f32>().prop_filter("finite", |v| v.is_finite()).prop_map(|v| format!("{v:?}")),
        3 => (-1e6_f64..1e6).prop_map(|v| format!("{v}")),
        4 => (-1000_i64..1000).prop_map(|v| v.to_string()),
        2 => prop::sample::select(vec!["true", "false"]).prop_map(String::from),
        2 => "[a-z ]{0,5}".prop_map(|text| format!("\"{text}\"")),
        2 => odd.prop_map(String::from),
    ]
}

fn grid(cell: impl Strategy<Value = String> + 'static) -> BoxedStrategy<Vec<Vec<String>>> {
    prop::collection::vec(prop::collection::vec(cell, 2), 1..4).boxed()
}

/// Rows of cells that mostly share a kind, so that whole requests are often valid.
fn rows() -> impl Strategy<Value = Vec<Vec<String>>> {
    let number = prop_oneof![
        (-1e3_f64..1e3).prop_map(|v| format!("{v:.3}")),
        (-100_i64..100).prop_map(|v| v.to_string()),
    ];
    let float = (-1e3_f64..1e3).prop_map(|v| format!("{v:?}"));
    let int = (-100_i64..100).prop_map(|v| v.to_string());
    let bool = any::<bool>().prop_map(|v| v.to_string());
    let text = "[a-zé]{0,4}".prop_map(|text| format!("\"{text}\""));
    let pair =
        (any::<bool>(), "[a-z]{0,3}").prop_map(|(b, t)| vec![b.to_string(), format!("\"{t}\"")]);
    let mixed = (-9_f64..9.0, -9_i64..9).prop_map(|(f, i)| vec![format!("{f:?}"), i.to_string()]);
    prop_oneof![
        4 => grid(number),
        3 => grid(float),
        3 => grid(int),
        1 => grid(bool),
        1 => grid(text),
        2 => prop::collection::vec(pair, 1..4),
        2 => prop::collection::vec(mixed, 1..4),
        3 => prop::collection::vec(prop::collection::vec(cell(), 0..4), 0..4),
    ]
}

/// How a request deviates from the plain form.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent choices")]
struct Shape {
    form: usize,
    index: Option<usize>,
    columns_last: bool,
    extra: Option<&'static str>,
    swap: bool,
    spaces: bool,
    nest: bool,
    /// The record that has a column of its own, as has the one after it.
    stray: Option<usize>,
}

fn shape() -> impl Strategy<Value = Shape> {
    let extra = prop::sample::select(vec![
        ", \"params\": {}",
        ", \"params\": null",
        ", \"params\": {\"a\": 1}",
        ", \"other\": 1",
        ", \"inputs\": 1",
        ", \"params\": {}, \"params\": {}",
        "} ",
        ",",
    ]);
    (
        0..7_usize,
        prop::option::weighted(0.3, 0..4_usize),
        prop::bool::weighted(0.1),
        prop::option::weighted(0.15, extra),
        prop::bool::weighted(0.3),
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::option::weighted(0.1, 0..3_usize),
    )
        .prop_map(|(form, index, columns_last, extra, swap, spaces, nest, stray)| Shape {
            form,
            index,
            columns_last,
            extra,
            swap,
            spaces,
            nest,
            stray,
        })
}

fn body(names: &[&str], rows: &[Vec<String>], shape: &Shape) -> String {
    let names: Vec<&str> = if names.is_empty() { vec!["a", "b"] } else { names.to_vec() };
    let names: Vec<&str> = if shape.swap { names.into_iter().rev().collect() } else { names };
    let list = |cells: &[String]| format!("[{}]", cells.join(", "));
    let nest = |text: String| if shape.nest { format!("[{text}]") } else { text };
    let lists =
        || format!("[{}]", rows.iter().map(|r| nest(list(r))).collect::<Vec<_>>().join(", "));
    let record = |(i, row): (usize, &Vec<String>)| {
        let members = names.iter().zip(row).map(|(name, cell)| format!("\"{name}\": {cell}"));
        let own = match shape.stray {
            Some(stray) if stray == i => Some("\"more\": 1".to_owned()),
            Some(stray) if stray + 1 == i => Some("\"late\": null".to_owned()),
            _ => None,
        };
        format!("{{{}}}", members.chain(own).collect::<Vec<_>>().join(", "))
    };
    let records =
        || format!("[{}]", rows.iter().enumerate().map(record).collect::<Vec<_>>().join(", "));
    let by_name = |wide: bool| {
        let members = names.iter().enumerate().map(|(i, name)| {
            let cells: Vec<String> = rows
                .iter()
                .filter_map(|row| {
                    row.get(i).map(|c| if wide { format!("[{c}, {c}]") } else { c.clone() })
                })
                .collect();
            format!("\"{name}\": {}", list(&cells))
        });
        format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
    };
    let split = || {
        let columns = format!(
            "\"columns\": [{}]",
            names.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ")
        );
        let data = format!("\"data\": {}", lists());
        let index = shape.index.map(|n| format!("\"index\": {:?}", (0..n).collect::<Vec<_>>()));
        let mut parts = if shape.columns_last { vec![data, columns] } else { vec![columns, data] };
        parts.extend(index);
        format!("{{{}}}", parts.join(", "))
    };
    let (form, data) = match shape.form {
        0 => ("dataframe_split", split()),
        1 => ("dataframe_records", records()),
        2 => ("inputs", lists()),
        3 => ("instances", lists()),
        4 => ("inputs", by_name(shape.nest)),
        5 => ("instances", records()),
        _ => ("inputs", records()),
    };
    let text = format!("{{\"{form}\": {data}{}}}", shape.extra.unwrap_or_default());
    if shape.spaces { text } else { text.replace(", ", ",").replace(": ", ":") }
}

/// A decoded request as text, in which NaN equals itself.
fn text(decoded: &Decoded) -> String {
    let feeds = decoded
        .feeds
        .iter()
        .map(|feed| (feed.dtype(), feed.shape().to_vec(), NdArray::Tensor(feed.clone()).values()));
    format!("{:?} {} {:?}", feeds.collect::<Vec<_>>(), decoded.rows, decoded.layout)
}

/// Whether the body streams; an error where the exact path disagrees.
fn same(scoring: &Scoring, body: &[u8]) -> Result<bool, String> {
    let Some(streamed) = scoring.stream(body) else { return Ok(false) };
    let streamed = text(&streamed);
    match scoring.decode_exactly(Some("application/json"), body).as_ref().map(text) {
        Ok(exact) if exact == streamed => Ok(true),
        exact => Err(format!("streamed {streamed}, exactly {exact:?}")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn streamed_requests_decode_as_exact_ones(rows in rows(), shape in shape()) {
        for (scoring, names) in models() {
            let body = body(&names, &rows, &shape);
            if let Err(difference) = same(&scoring, body.as_bytes()) {
                prop_assert!(false, "{body}\n{difference}");
            }
        }
    }

    #[test]
    fn damaged_requests_do_too(
        rows in rows(), shape in shape(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        kind in 0..3_u8,
    ) {
        for (scoring, names) in models() {
            let mut body = body(&names, &rows, &shape).into_bytes();
            let at = at.index(body.len());
            match kind {
                0 => body[at] = byte,
                1 => body.insert(at, byte),
                _ => drop(body.remove(at)),
            }
            if let Err(difference) = same(&scoring, &body) {
                prop_assert!(false, "{}\n{difference}", String::from_utf8_lossy(&body));
            }
        }
    }
}

#[test]
fn usual_requests_stream() {
    let plain = |form| Shape {
        form,
        index: None,
        columns_last: false,
        extra: None,
        swap: false,
        spaces: true,
        nest: false,
        stray: None,
    };
    let numbers = vec![vec!["1.5".to_owned(), "2.25".into()], vec!["-3.5".into(), "1e3".into()]];
    let by_columns = &models()[0];
    for form in [0, 1, 4, 5, 6] {
        let body = body(&by_columns.1, &numbers, &plain(form));
        assert_eq!(same(&by_columns.0, body.as_bytes()), Ok(true), "{body}");
    }
    let by_array = &models()[11];
    for form in [0, 2, 3] {
        let body = body(&by_array.1, &numbers, &plain(form));
        assert_eq!(same(&by_array.0, body.as_bytes()), Ok(true), "{body}");
    }
}

#[test]
fn parameters_are_left_to_the_exact_path_where_they_are_declared() {
    let io = io(&[("x", DType::F32, &[Dim::Any, Dim::Fixed(2)])]);
    let inputs = Some(Schema::Tensors(vec![tensor(None, DType::F32, &[Dim::Any, Dim::Fixed(2)])]));
    let params = Some(vec![ParamSpec {
        name: "p".into(),
        ty: ParamType::Scalar(ColumnType::Long),
        default: serde_json::Value::from(1),
        is_array: false,
    }]);
    let options =
        ScoringOptions { record_shape: RecordShape::Flattened, decoded_bytes_max: 1 << 20 };
    let scoring = Scoring::new(Signature { inputs, outputs: None, params }, io, options);
    assert!(scoring.stream(br#"{"inputs": [[1.0, 2.0]]}"#).is_some());
    assert!(scoring.stream(br#"{"inputs": [[1.0, 2.0]], "params": {}}"#).is_none());
}
