use proptest::prelude::*;
use serde_json::Value as Json;

use half::f16;

use super::*;
use crate::model::{
    ClassKey, ClassMaps, ColumnSpec, ColumnType, Columns, GraphInput, GraphOutput, OutputKind,
    Schema, ValueType,
};
use crate::tensor::{DType, Dims, Element};

/// Recorded from `docs/drift_reference.py` by `tests/fixtures/drift_reference/record.py`.
const RECORDED: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/fixtures/drift_reference/cases.jsonl"
));

fn io(inputs: &[&str], outputs: &[&str]) -> GraphIo {
    let (dtype, dims) = (DType::F32, Dims(Vec::new()));
    let input = |name: &&str| {
        let (name, dims) = ((*name).to_owned(), dims.clone());
        GraphInput { name, dtype, dims }
    };
    let output = |name: &&str| GraphOutput { name: (*name).to_owned(), kind: OutputKind::Maps };
    GraphIo {
        inputs: inputs.iter().map(input).collect(),
        outputs: outputs.iter().map(output).collect(),
    }
}

fn signature(columns: &[&str]) -> Signature {
    let spec = |name: &&str| ColumnSpec {
        name: (*name).to_owned(),
        ty: ValueType::Scalar(ColumnType::Double),
        required: true,
    };
    let specs = columns.iter().map(spec).collect();
    let inputs = Some(Schema::Columns(Columns { specs, named: true }));
    Signature { inputs, ..Signature::default() }
}

fn float(json: &Json) -> f64 {
    match json {
        Json::Null => f64::NAN,
        Json::String(text) => text.parse().unwrap(),
        number => number.as_f64().unwrap(),
    }
}

fn tensor(dtype: &str, shape: &[usize], values: &[Json]) -> Tensor {
    fn of<T: Element>(shape: &[usize], values: &[Json], read: impl Fn(&Json) -> T) -> Tensor {
        Tensor::from_vec(shape, values.iter().map(read).collect()).unwrap()
    }
    match dtype {
        "float64" => of(shape, values, float),
        "float32" => of(shape, values, |json| float(json) as f32),
        "float16" => of(shape, values, |json| f16::from_f64(float(json))),
        "int64" => of(shape, values, |json| json.as_i64().unwrap()),
        "int32" => of(shape, values, |json| json.as_i64().unwrap() as i32),
        "int8" => of(shape, values, |json| json.as_i64().unwrap() as i8),
        "uint64" => of(shape, values, |json| json.as_u64().unwrap()),
        "bool" => of(shape, values, |json| json.as_bool().unwrap()),
        "str" => of(shape, values, |json| json.as_str().unwrap().to_owned()),
        other => panic!("{other}"),
    }
}

/// `[name, dtype, shape, values]` as an output, of which a tensor may be an input.
fn output(json: &Json) -> (&str, Output) {
    let name = json[0].as_str().unwrap();
    let shape: Vec<usize> =
        json[2].as_array().unwrap().iter().map(|size| size.as_u64().unwrap() as usize).collect();
    let values = json[3].as_array().unwrap();
    if json[1] != "maps" {
        return (name, Output::Tensor(tensor(json[1].as_str().unwrap(), &shape, values)));
    }
    let row = |row: &Json| {
        let pairs = row.as_array().unwrap().clone();
        pairs.into_iter().map(|pair| {
            (ClassKey::Str(pair[0].as_str().unwrap().to_owned()), pair[1].as_f64().unwrap())
        })
    };
    (name, Output::Maps(values.iter().map(row).collect::<ClassMaps>()))
}

fn cut(output: &Output, rows: std::ops::Range<usize>) -> Output {
    match output {
        Output::Tensor(tensor) => {
            let end = rows.end.min(tensor.rows().unwrap());
            Output::Tensor(tensor.slice_rows(rows.start.min(end)..end).unwrap())
        }
        Output::Maps(maps) => Output::Maps(
            maps.rows(rows)
                .map(|row| row.keys.iter().cloned().zip(row.values.iter().copied()))
                .collect(),
        ),
    }
}

fn in_tensors(outputs: &[Output]) -> Vec<Tensor> {
    let tensor = |output: &Output| match output {
        Output::Tensor(tensor) => tensor.clone(),
        Output::Maps(_) => panic!("an input is a tensor"),
    };
    outputs.iter().map(tensor).collect()
}

#[test]
fn what_is_built_is_what_python_writes() {
    let mut checked = 0;
    for line in RECORDED.lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let [inputs, outputs] = ["inputs", "outputs"].map(|key| {
            let items = case[key].as_array().unwrap();
            items.iter().map(output).unzip::<_, _, Vec<_>, Vec<_>>()
        });
        let io = io(&inputs.0, &outputs.0);
        let columns: Option<Vec<&str>> = case["columns"]
            .as_array()
            .map(|names| names.iter().map(|name| name.as_str().unwrap()).collect());
        let signature = columns.map(|names| signature(&names)).unwrap_or_default();
        let rows = in_tensors(&inputs.1)[0].rows().unwrap();
        for block in [rows, 7, 1] {
            let mut builder = Builder::new(&signature, &io, usize::MAX);
            for start in (0..rows).step_by(block) {
                let range = start..(start + block).min(rows);
                let [feeds, outputs] = [&inputs.1, &outputs.1]
                    .map(|side| side.iter().map(|one| cut(one, range.clone())).collect::<Vec<_>>());
                builder.add(&in_tensors(&feeds), &outputs);
            }
            assert_eq!(builder.rows(), rows as u64);
            let built = builder.finish(None).unwrap();
            let want = case["text"].as_str().unwrap();
            assert_eq!(built.reference.to_json(), want, "{} in {block}", case["about"]);
            assert_eq!(Reference::parse(want.as_bytes()), Ok(built.reference));
        }
        checked += 1;
    }
    assert_eq!(checked, 7, "the recording is complete");
}

fn column(values: &[f64]) -> (Vec<Tensor>, Vec<Output>) {
    let tensor = Tensor::from_vec(&[values.len()], values.to_vec()).unwrap();
    (vec![tensor.clone()], vec![Output::Tensor(tensor)])
}

fn built(values: &[f64], block: usize, values_max: usize) -> Result<(Built, bool), BuildError> {
    let mut builder = Builder::new(&Signature::default(), &io(&["x"], &["y"]), values_max);
    let blocks: Vec<_> = values.chunks(block).map(column).collect();
    for (feeds, outputs) in &blocks {
        builder.add(feeds, outputs);
    }
    if !builder.needs_recount() {
        return Ok((builder.finish(None)?, false));
    }
    let mut recount = builder.recount(None)?;
    for (feeds, outputs) in &blocks {
        recount.add(feeds, outputs);
    }
    Ok((recount.finish()?, true))
}

fn numeric(built: &Built) -> &crate::drift::Numeric {
    match &built.reference.inputs[0].values {
        Values::Numeric(numeric) => numeric,
        Values::Categorical(_) => panic!("it is numeric"),
    }
}

#[test]
fn more_rows_than_are_held_are_counted_exactly_in_a_second_reading() {
    let values: Vec<f64> = (0..20_011).map(|i| f64::from(i * 7919 % 20_011)).collect();
    let (whole, recounted) = built(&values, 1000, usize::MAX).unwrap();
    assert!(!recounted);
    let (thinned, recounted) = built(&values, 1000, 2 * 3000).unwrap();
    assert!(recounted);
    let (all, some) = (numeric(&whole), numeric(&thinned));
    assert_eq!((all.mean, all.std), (some.mean, some.std), "sums are those of all rows");
    assert_eq!(some.edges.first(), Some(&0.0));
    assert_eq!(some.edges.last(), Some(&20_010.0));
    assert_eq!(some.counts.iter().sum::<u64>(), 20_011);
    for (cell, count) in some.counts.iter().enumerate() {
        let [from, to] = [some.edges[cell], some.edges[cell + 1]];
        let last = cell + 1 == some.counts.len();
        let inside = values.iter().filter(|v| **v >= from && (**v < to || last)).count();
        assert_eq!(inside as u64, *count, "cell {cell}");
    }
    let again = built(&values, 77, 2 * 3000).unwrap().0;
    assert_eq!(again, thinned, "blocks do not show");
    assert_eq!(Reference::parse(again.reference.to_json().as_bytes()), Ok(again.reference));
}

#[test]
fn a_second_reading_of_other_rows_is_refused() {
    let values: Vec<f64> = (0..3000).map(f64::from).collect();
    let thinned = || {
        let mut builder = Builder::new(&Signature::default(), &io(&["x"], &["y"]), 2);
        let (feeds, outputs) = column(&values);
        builder.add(&feeds, &outputs);
        builder
    };
    assert_eq!(thinned().finish(None), Err(BuildError::NotRecounted));
    assert_eq!(thinned().recount(None).unwrap().finish(), Err(BuildError::Changed));
    let mut recount = thinned().recount(None).unwrap();
    let (feeds, outputs) = column(&vec![5000.0; 3000]);
    recount.add(&feeds, &outputs);
    assert_eq!(recount.finish(), Err(BuildError::Changed));
}

#[test]
fn what_cannot_be_followed_is_left_out_with_a_reason() {
    let reasons = |feeds: &[Vec<Tensor>], outputs: &[Vec<Output>]| {
        let [names, answers] = [feeds[0].len(), outputs[0].len()]
            .map(|len| (0..len).map(|i| format!("t{i}")).collect::<Vec<_>>());
        let [names, answers] =
            [&names, &answers].map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
        let mut builder = Builder::new(&Signature::default(), &io(&names, &answers), 1 << 20);
        for (feeds, outputs) in feeds.iter().zip(outputs) {
            builder.add(feeds, outputs);
        }
        builder.finish(None).map(|built| {
            built.left_out.into_iter().map(|one| format!("{}: {}", one.name, one.reason)).collect()
        })
    };
    let of =
        |shape: &[usize]| Tensor::from_vec(shape, vec![1.0_f32; shape.iter().product()]).unwrap();
    let none: Vec<String> = Vec::new();
    assert_eq!(reasons(&[vec![of(&[2, 3]), of(&[2, 0])]], &[vec![]]), Ok(none));
    assert_eq!(
        reasons(
            &[
                vec![of(&[2, 3]), of(&[]), of(&[1, 2]), of(&[2, 1])],
                vec![of(&[1, 3]), of(&[]), of(&[1, 2]), of(&[1, 2])]
            ],
            &[vec![], vec![]]
        ),
        Ok(vec![
            "t1: it is a single value, not one for each row".to_owned(),
            "t2: it is not one row for each row".to_owned(),
            "t3: its rows have different lengths".to_owned(),
        ])
    );
    let far = Tensor::from_vec(&[2], vec![f64::MAX, f64::MIN]).unwrap();
    let texts: Vec<String> = (0..=100_000).map(|i| i.to_string()).collect();
    let texts = Tensor::from_vec(&[texts.len()], texts).unwrap();
    let classes = |key: &str| vec![(ClassKey::Str(key.to_owned()), 0.5)];
    let maps = Output::Maps([classes("a"), classes("b")].into_iter().collect());
    assert_eq!(
        reasons(&[vec![of(&[2, 1]), far]], &[vec![maps]]),
        Ok(vec![
            "t1: its values are too far apart for a standard deviation".to_owned(),
            "t0: its rows have different classes".to_owned(),
        ])
    );
    assert_eq!(reasons(&[vec![texts]], &[vec![]]), Err(BuildError::NoFeatures));
    assert_eq!(reasons(&[vec![of(&[0, 3])]], &[vec![]]), Err(BuildError::NoRows));
}

#[test]
fn a_reference_has_a_bounded_number_of_features() {
    let feed = Tensor::from_vec(&[1, 64], vec![0.5_f32; 64]).unwrap();
    let names: Vec<String> = (0..20).map(|i| format!("t{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut builder = Builder::new(&Signature::default(), &io(&names, &names), 1 << 20);
    let outputs = vec![Output::Tensor(feed.clone()); 20];
    builder.add(&vec![feed; 20], &outputs);
    let built = builder.finish(None).unwrap();
    assert_eq!(built.reference.inputs.len(), 512);
    assert_eq!(built.reference.outputs.len(), 512);
    assert_eq!(built.left_out.len(), 2 * (20 * 64 - 512));
}

proptest! {
    #[test]
    fn whatever_is_built_is_a_reference(
        values in prop::collection::vec(
            prop_oneof![
                4 => -1e6..1e6_f64,
                4 => (0..5_i32).prop_map(f64::from),
                1 => any::<f64>(),
            ],
            1..1500,
        ),
        block in 1..400_usize,
        values_max in 0..4000_usize,
    ) {
        let built = match built(&values, block, values_max) {
            Ok((built, _)) => built,
            Err(error) => {
                prop_assert_eq!(error, BuildError::NoFeatures);
                return Ok(());
            }
        };
        let text = built.reference.to_json();
        let read = Reference::parse(text.as_bytes());
        prop_assert_eq!(read.as_ref(), Ok(&built.reference), "{}", text);
        let nulls = values.iter().filter(|value| !value.is_finite()).count() as u64;
        prop_assert_eq!(built.reference.inputs[0].nulls, nulls);
    }

    /// Whatever is common, also where the last cell is no more than the greatest value.
    #[test]
    fn a_common_value_is_not_with_all_that_is_greater(
        shares in prop::collection::vec(0..400_usize, 1..9),
        greater in prop::collection::vec(0..5000_i32, 0..900),
    ) {
        let repeated = |(value, count): (usize, &usize)| std::iter::repeat_n(value as f64, *count);
        let mut sorted: Vec<f64> = shares.iter().enumerate().flat_map(repeated).collect();
        sorted.extend(greater.into_iter().map(f64::from));
        sorted.push(0.0);
        sorted.sort_unstable_by(f64::total_cmp);
        let edges = grid::edges(&sorted);
        let counts = grid::counts(&sorted, &edges);
        let bins = grid::bins(&sorted, &edges, &counts);
        prop_assert!(bins.len() <= SCORING_BINS_MAX + 1, "{:?}", bins);
        prop_assert!(bins.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert_eq!([bins[0], *bins.last().unwrap()], [0, counts.len()]);
        for (cell, count) in counts.iter().enumerate() {
            prop_assert!(count * 5 < sorted.len() as u64 || bins.contains(&(cell + 1)));
        }
    }

    #[test]
    fn a_value_is_in_the_cell_that_counts_it(
        values in prop::collection::vec((0..300_i32).prop_map(f64::from), 1..900),
    ) {
        let mut sorted = values.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let edges = grid::edges(&sorted);
        let mut counts = vec![0; edges.len() - 1];
        for value in &values {
            counts[grid::cell(&edges, *value).unwrap()] += 1;
        }
        prop_assert_eq!(counts, grid::counts(&sorted, &edges));
        let bins = grid::bins(&sorted, &edges, &grid::counts(&sorted, &edges));
        prop_assert!(bins.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(bins.len() <= SCORING_BINS_MAX + 1);
        prop_assert_eq!(grid::cell(&edges, -1.0), None);
        prop_assert_eq!(grid::cell(&edges, 300.0), None);
    }
}
