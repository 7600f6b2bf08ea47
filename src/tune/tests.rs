use std::sync::Mutex;
use std::time::Duration;

use half::f16;
use proptest::prelude::*;

use super::*;
use crate::backend::{LoadedModel, RunError};
use crate::model::{ClassKey, GraphInput, GraphIo, GraphOutput, Output, OutputKind};
use crate::tensor::{DType, Dim, Dims, Element, Tensor};
use crate::with_array;

const NAMES: [&str; 3] = ["a", "b", "c"];

/// A model that is a function of its first input, and counts the rows of its runs.
struct Function<F> {
    io: GraphIo,
    compute: F,
    runs: Mutex<Vec<usize>>,
}

impl<F: Fn(&Tensor) -> Option<Vec<Output>>> Function<F> {
    fn new(inputs: &[(DType, &[Dim])], output: OutputKind, compute: F) -> Self {
        let outputs = vec![GraphOutput { name: "y".to_owned(), kind: output }];
        Self { io: GraphIo { inputs: io(inputs).inputs, outputs }, compute, runs: Mutex::default() }
    }

    fn of_floats(compute: impl Fn(&[f32]) -> Vec<f32>) -> Function<impl Fn(&Tensor) -> Outputs> {
        Function::new(&[(DType::F32, &[Dim::Any])], floats(), move |x: &Tensor| {
            let made = compute(f32::unwrap_ref(x).unwrap().as_slice().unwrap());
            Some(vec![Output::Tensor(Tensor::from_vec(&[made.len()], made).unwrap())])
        })
    }
}

type Outputs = Option<Vec<Output>>;
/// Names the type whose constructor makes functions of floats.
type Floats = Function<fn(&Tensor) -> Outputs>;

impl<F: Fn(&Tensor) -> Outputs + Send + Sync> LoadedModel for Function<F> {
    fn io(&self) -> &GraphIo {
        &self.io
    }

    fn provider(&self) -> &'static str {
        "test"
    }

    fn run(&self, feeds: Vec<Tensor>) -> Result<Vec<Output>, RunError> {
        self.runs.lock().unwrap().push(feeds[0].shape().first().copied().unwrap_or(0));
        (self.compute)(&feeds[0]).ok_or_else(|| RunError::Failed("refused".to_owned()))
    }
}

fn floats() -> OutputKind {
    OutputKind::Tensor { dtype: DType::F32, dims: Dims(vec![Dim::Any]) }
}

fn io(inputs: &[(DType, &[Dim])]) -> GraphIo {
    let input = |((dtype, dims), name): (&(DType, &[Dim]), &str)| GraphInput {
        name: name.to_owned(),
        dtype: *dtype,
        dims: Dims(dims.to_vec()),
    };
    GraphIo { inputs: inputs.iter().zip(NAMES).map(input).collect(), outputs: Vec::new() }
}

fn check(model: &dyn LoadedModel, example: Option<Vec<Tensor>>) -> Batching {
    check_batching(model, &Sampler::new(model.io(), example))
}

fn alone(reason: &str) -> Batching {
    Batching::Alone(reason.to_owned())
}

#[test]
fn rounding_of_another_kernel_is_no_difference_and_more_is() {
    for (part, merged) in [(0.0, true), (2e-5, true), (1e-3, false)] {
        let model = Floats::of_floats(move |x| {
            x.iter().map(|value| value * (1.0 + part * x.len() as f32)).collect()
        });
        let merges = check(&model, None) == Batching::Merged;
        assert_eq!(merges, merged, "{part}");
    }
}

#[test]
fn a_nan_and_an_infinity_equal_themselves_only() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let model = Floats::of_floats(move |x| vec![value; x.len()]);
        assert_eq!(check(&model, None), Batching::Merged, "{value}");
        let odd = move |rows: usize| if rows == 5 { value } else { 1.0 };
        let model = Floats::of_floats(move |x| vec![odd(x.len()); x.len()]);
        assert_ne!(check(&model, None), Batching::Merged, "{value}");
    }
}

#[test]
fn maps_are_compared_by_class_and_number() {
    let class = |rows: usize| ClassKey::Int(i64::from(rows == 5));
    for (keys, numbers, merged) in
        [(false, false, true), (true, false, false), (false, true, false)]
    {
        let compute = move |x: &Tensor| {
            let rows = x.shape()[0];
            let key = if keys { class(rows) } else { class(0) };
            let number = if numbers { rows as f64 } else { 1.0 };
            Some(vec![Output::Maps(vec![vec![(key, number)]; rows].into_iter().collect())])
        };
        let model = Function::new(&[(DType::F32, &[Dim::Any])], OutputKind::Maps, compute);
        assert_eq!(check(&model, None) == Batching::Merged, merged, "{keys} {numbers}");
    }
}

#[test]
fn a_model_that_refuses_other_values_is_tried_with_its_example() {
    let echo_if = |valid: fn(&f32) -> bool| {
        Function::new(&[(DType::F32, &[Dim::Any])], floats(), move |x: &Tensor| {
            let cells = f32::unwrap_ref(x).unwrap();
            cells.iter().all(valid).then(|| vec![Output::Tensor(x.clone())])
        })
    };
    let picky = echo_if(|cell| [3.0, 5.0].contains(cell));
    let example = |cells: Vec<f32>| Some(vec![Tensor::from_vec(&[cells.len()], cells).unwrap()]);
    assert_eq!(check(&picky, example(vec![3.0, 5.0])), Batching::Merged);
    assert_eq!(check(&picky, example(vec![1.0])), alone("it refuses a sample of 1 row"));
    // What is the same in every row says nothing about other rows.
    let alike = "its sample rows are all alike, so what it does across rows cannot be seen";
    assert_eq!(check(&picky, example(vec![3.0])), alone(alike));

    let refusing = echo_if(|_| false);
    let options = TuneOptions { time_max: Duration::from_secs(1), rows_max: 8, clock: Clock::Wall };
    let costs = measure(&refusing, &Sampler::new(&refusing.io, None), &Batching::Merged, options);
    assert_eq!(costs.points(), []);
}

#[test]
fn no_more_runs_are_made_than_there_is_time_for() {
    let model = Floats::of_floats(<[f32]>::to_vec);
    let sampler = Sampler::new(&model.io, None);
    let options = TuneOptions { time_max: Duration::ZERO, rows_max: 1024, clock: Clock::Wall };
    assert_eq!(measure(&model, &sampler, &Batching::Merged, options).points().len(), 1);
    assert_eq!(*model.runs.lock().unwrap(), [1], "the one run that tells anything");
}

#[test]
fn costs_are_outdone_by_much_faster_runs_alone() {
    let model = Floats::of_floats(<[f32]>::to_vec);
    let sampler = Sampler::new(&model.io, None);
    let of = |one_row| Costs::new(vec![(1, one_row)]);
    assert!(is_outdone(&of(Duration::from_hours(1)), &model, &sampler, Clock::Wall));
    // Slower than measured: it is now that is slow.
    assert!(!is_outdone(&of(Duration::from_nanos(1)), &model, &sampler, Clock::Wall));
    assert!(is_outdone(&Costs::default(), &model, &sampler, Clock::Wall), "nothing was measured");
}

#[test]
fn inputs_without_a_common_batch_axis_have_no_rows() {
    let rows = |inputs: &[(DType, &[Dim])]| Sampler::new(&io(inputs), None).rows(2);
    assert!(rows(&[(DType::F32, &[Dim::Any]), (DType::I64, &[Dim::Any, Dim::Any])]).is_some());
    assert!(rows(&[(DType::F32, &[Dim::Any]), (DType::I64, &[Dim::Fixed(1)])]).is_none());
    assert!(rows(&[(DType::F32, &[])]).is_none());
    assert!(rows(&[]).is_none());

    let two: &[(DType, &[Dim])] = &[(DType::F32, &[Dim::Any]), (DType::F32, &[Dim::Any])];
    let of = |rows: usize| Tensor::from_vec(&[rows], vec![1_f32; rows]).unwrap();
    assert!(Sampler::new(&io(two), Some(vec![of(3), of(3)])).rows(2).is_some());
    assert!(Sampler::new(&io(two), Some(vec![of(3), of(2)])).rows(2).is_none());
}

#[test]
fn a_sample_that_would_take_much_memory_is_not_made() {
    let huge = io(&[(DType::F64, &[Dim::Any, Dim::Fixed(1 << 20), Dim::Fixed(4)])]);
    let sampler = Sampler::new(&huge, None);
    assert!(sampler.rows(2).is_some());
    assert!(sampler.rows(3).is_none());
    let endless = io(&[(DType::F32, &[Dim::Any, Dim::Fixed(usize::MAX), Dim::Fixed(9)])]);
    assert!(Sampler::new(&endless, None).rows(1).is_none());
}

#[test]
fn an_example_gives_sizes_integers_and_texts() {
    let inputs = io(&[
        (DType::I64, &[Dim::Any, Dim::Any]),
        (DType::Str, &[Dim::Any]),
        (DType::F32, &[Dim::Any, Dim::Fixed(1)]),
    ]);
    let ids = Tensor::from_vec(&[2, 3], vec![7_i64, 8, 9, -1, -2, -3]).unwrap();
    let words = Tensor::from_vec(&[2], vec!["red".to_owned(), "blue".to_owned()]).unwrap();
    let prices = Tensor::from_vec(&[2, 1], vec![10_f32, f32::NAN]).unwrap();
    let example = vec![ids.clone(), words.clone(), prices];
    let feeds = Sampler::new(&inputs, Some(example)).rows(4).unwrap();
    let doubled_ids = vec![7_i64, 8, 9, -1, -2, -3, 7, 8, 9, -1, -2, -3];
    assert_eq!(feeds[0], Tensor::from_vec(&[4, 3], doubled_ids).unwrap());
    let doubled_words = ["red", "blue", "red", "blue"].map(str::to_owned).to_vec();
    assert_eq!(feeds[1], Tensor::from_vec(&[4], doubled_words).unwrap());
    let prices = f32::unwrap_ref(&feeds[2]).unwrap();
    assert!(prices[[0, 0]] != 10.0 && prices[[1, 0]].is_nan() && prices[[0, 0]] != prices[[2, 0]]);

    // One row alone: its integers and texts have to vary, within what is likely to be valid.
    let one = vec![
        Tensor::from_vec(&[1, 3], vec![200_i64, 0, -50]).unwrap(),
        Tensor::from_vec(&[1], vec!["12".to_owned()]).unwrap(),
        Tensor::from_vec(&[1, 1], vec![0_f32]).unwrap(),
    ];
    let feeds = Sampler::new(&inputs, Some(one)).rows(50).unwrap();
    let ids = i64::unwrap_ref(&feeds[0]).unwrap();
    for row in ids.rows() {
        assert!((0..=200).contains(&row[0]) && (0..=1).contains(&row[1]));
        assert!((-50..=0).contains(&row[2]));
    }
    assert!(String::unwrap_ref(&feeds[1]).unwrap().iter().all(|text| text.parse::<u32>().is_ok()));
    assert!(f32::unwrap_ref(&feeds[2]).unwrap().iter().all(|price| *price != 0.0));

    let misfit = Some(vec![words]);
    assert_eq!(Sampler::new(&inputs, misfit).rows(2), Sampler::new(&inputs, None).rows(2));
}

fn any_dtype() -> impl Strategy<Value = DType> {
    prop::sample::select(vec![
        DType::Bool,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::U8,
        DType::U16,
        DType::U32,
        DType::U64,
        DType::F16,
        DType::F32,
        DType::F64,
        DType::Str,
    ])
}

/// An example whose cells are the extremes of their types.
fn extremes(dtype: DType, shape: &[usize]) -> Tensor {
    fn of<T: Element>(shape: &[usize], value: T) -> Tensor {
        Tensor::from_vec(shape, vec![value; shape.iter().product()]).unwrap()
    }
    match dtype {
        DType::Bool => of(shape, true),
        DType::I8 => of(shape, i8::MIN),
        DType::I16 => of(shape, i16::MAX),
        DType::I32 => of(shape, i32::MIN),
        DType::I64 => of(shape, i64::MAX),
        DType::U8 => of(shape, u8::MAX),
        DType::U16 => of(shape, u16::MAX),
        DType::U32 => of(shape, u32::MAX),
        DType::U64 => of(shape, u64::MAX),
        DType::F16 => of(shape, f16::MAX),
        DType::F32 => of(shape, f32::MIN),
        DType::F64 => of(shape, f64::MAX),
        DType::Str => of(shape, String::new()),
    }
}

proptest! {
    #[test]
    fn a_sample_fits_the_inputs_and_begins_every_larger_one(
        dtypes in prop::collection::vec(any_dtype(), 1..4),
        width in 0_usize..5,
        example_rows in prop::option::of(0_usize..4),
        rows in 0_usize..9,
    ) {
        let dims = [Dim::Any, Dim::Any, Dim::Fixed(2)];
        let inputs: Vec<(DType, &[Dim])> = dtypes.iter().map(|d| (*d, &dims[..])).collect();
        let inputs = io(&inputs);
        let example = example_rows.map(|rows| {
            dtypes.iter().map(|dtype| extremes(*dtype, &[rows, width, 2])).collect()
        });
        let width = if example_rows.is_some() { width } else { 1 };
        let sampler = Sampler::new(&inputs, example);
        let small = sampler.rows(rows).unwrap();
        let large = sampler.rows(rows + 3).unwrap();
        for ((small, large), dtype) in small.iter().zip(&large).zip(&dtypes) {
            prop_assert_eq!(small.dtype(), *dtype);
            prop_assert_eq!(small.shape(), &[rows, width, 2]);
            let begins = with_array!(large, array => {
                let start = array.slice_axis(ndarray::Axis(0), (0..rows).into()).to_owned();
                Element::wrap(start) == *small
            });
            prop_assert!(begins);
        }
    }
}

#[test]
fn a_model_is_warmed_up_in_every_size_that_it_can_be_given() {
    let model = Floats::of_floats(<[f32]>::to_vec);
    let sampler = Sampler::new(model.io(), None);
    let options = WarmOptions { rows_min: 1, rows_max: 6, time_max: Duration::from_mins(1) };
    let mut seen = 0;
    let warmth = warm(&model, &sampler, options, |outputs| seen += outputs.len());
    let mut sizes = model.runs.lock().unwrap().clone();
    assert_eq!((warmth.runs, warmth.rows, seen), (sizes.len(), 6, sizes.len()));
    sizes.dedup();
    assert_eq!(sizes, [1, 2, 4, 6]);

    // Nothing is left where all was measured.
    let options = WarmOptions { rows_min: 16, rows_max: 8, ..options };
    let warmth = warm(&model, &sampler, options, |_| panic!("nothing runs"));
    assert_eq!((warmth.runs, warmth.is_settled), (0, true));
}

#[test]
fn a_model_that_refuses_larger_samples_is_as_warm_as_it_can_be() {
    let model: Floats = Function::new(&[(DType::F32, &[Dim::Any])], floats(), |x| {
        (x.shape()[0] < 3).then(|| vec![Output::Tensor(x.clone())])
    });
    let sampler = Sampler::new(model.io(), None);
    let options = WarmOptions { rows_min: 1, rows_max: 64, time_max: Duration::from_mins(1) };
    let warmth = warm(&model, &sampler, options, |_| ());
    assert_eq!((warmth.rows, warmth.is_settled), (2, false));
}

#[test]
fn a_model_that_takes_long_is_run_once() {
    let model = Floats::of_floats(<[f32]>::to_vec);
    let sampler = Sampler::new(model.io(), None);
    let options = WarmOptions { rows_min: 1, rows_max: 64, time_max: Duration::ZERO };
    let warmth = warm(&model, &sampler, options, |_| ());
    assert_eq!((warmth.runs, warmth.is_settled), (1, false));
}
