//! Rows to try a model with.

use fastrand::Rng;
use half::f16;
use ndarray::Axis;

use crate::model::{GraphInput, GraphIo};
use crate::tensor::{DType, Dim, Element, Tensor};
use crate::with_array;

/// Largest sample, in bytes of feeds: a model whose rows are larger is tried with fewer of them.
const SAMPLE_BYTES_MAX: usize = 64 << 20;

/// Makes samples the same in every run.
const SEED: u64 = 0x666c_6f77_6761_7465;

/// Rows to try a model with: deterministic, valid for its inputs as far as that can be known, and
/// different from each other, because equal rows hide what a graph does across rows and make a
/// tree take the same path (and seem several times faster than it is).
///
/// A row of the model's own example is varied: floats by half their value, so that trees take
/// other paths. Integers may be indices, and texts classes: they stay within an example of several
/// rows, while a single row's are varied towards zero or by a digit. A model that refuses such
/// rows is asked again with tamer ones.
#[derive(Clone, Debug)]
pub struct Sampler {
    inputs: Vec<Input>,
    /// Rows of the example; 0 without one.
    example_rows: usize,
    /// Why there is no common batch axis, if there is none.
    without_rows: Option<String>,
    variety: Variety,
}

/// What differs from the example's rows, from the wildest to the tamest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variety {
    Everything,
    /// Integers, booleans and texts are the example's.
    Floats,
    /// The example's rows as they are.
    Nothing,
}

/// How one input is fed.
#[derive(Clone, Debug)]
struct Input {
    dtype: DType,
    /// Sizes of all dimensions of one sample, unknown ones from the example, else 1.
    shape: Vec<usize>,
    example: Option<Tensor>,
}

impl Sampler {
    /// A sampler for the inputs of `io`. `example` holds one tensor for each of them, in order:
    /// what the model's own example is to the graph. One that does not fit the graph is left out.
    #[must_use]
    pub fn new(io: &GraphIo, example: Option<Vec<Tensor>>) -> Self {
        let example = example.filter(|feeds| fits(&io.inputs, feeds));
        let mut without_rows = without_rows(&io.inputs);
        let mut example_rows = 0;
        if let (None, Some(feeds)) = (&without_rows, &example) {
            let mut rows = feeds.iter().map(|feed| feed.shape()[0]);
            example_rows = rows.next().unwrap_or(0);
            if rows.any(|other| other != example_rows) {
                without_rows =
                    Some("the inputs of its example have different numbers of rows".to_owned());
            }
        }
        let mut examples = example.into_iter().flatten();
        let inputs = io.inputs.iter().map(|input| Input::new(input, examples.next())).collect();
        Self { inputs, example_rows, without_rows, variety: Variety::Everything }
    }

    /// Feeds of `rows` distinct rows; `None` when the inputs have no common batch axis, or so many
    /// rows are more than 64 MiB. The rows of a smaller sample begin a larger one.
    #[must_use]
    pub fn rows(&self, rows: usize) -> Option<Vec<Tensor>> {
        let bytes: usize = self.inputs.iter().map(Input::row_bytes).fold(0, usize::saturating_add);
        if self.without_rows.is_some() || bytes.saturating_mul(rows) > SAMPLE_BYTES_MAX {
            return None;
        }
        Some(self.pick(&(0..rows).collect::<Vec<_>>()))
    }

    /// Elements of one row of all inputs, or of one request where there is no common batch axis.
    #[must_use]
    pub fn row_elements(&self) -> usize {
        let has_rows = self.without_rows.is_none();
        let elements = |input: &Input| {
            let shape = if has_rows { input.row_shape() } else { &input.shape };
            shape.iter().fold(1, |product: usize, size| product.saturating_mul(*size))
        };
        self.inputs.iter().map(elements).fold(0, usize::saturating_add)
    }

    /// Feeds of one request, of one row where there are rows: the example's shapes and values
    /// where there is one. `None` when it is more than 64 MiB.
    pub(super) fn whole(&self) -> Option<Vec<Tensor>> {
        if self.without_rows.is_none() {
            return self.rows(1);
        }
        let bytes = self.inputs.iter().map(Input::bytes).fold(0, usize::saturating_add);
        (bytes <= SAMPLE_BYTES_MAX).then(|| self.inputs.iter().map(Input::whole).collect())
    }

    /// Why there is no common batch axis, if there is none.
    pub(super) fn without_rows(&self) -> Option<&str> {
        self.without_rows.as_deref()
    }

    /// The same with rows that are closer to the example; `None` when they are the example's.
    pub(super) fn tamer(&self) -> Option<Self> {
        let variety = match self.variety {
            Variety::Everything => Variety::Floats,
            Variety::Floats => Variety::Nothing,
            Variety::Nothing => return None,
        };
        Some(Self { variety, ..self.clone() })
    }

    /// Feeds of the rows with these numbers, in this order. There is a batch axis.
    pub(super) fn pick(&self, rows: &[usize]) -> Vec<Tensor> {
        // The discrete values of an example of several rows differ by themselves.
        let discrete = self.variety == Variety::Everything && self.example_rows <= 1;
        let vary = Vary { floats: self.variety != Variety::Nothing, discrete };
        let feeds = self.inputs.iter().enumerate();
        feeds.map(|(place, input)| input.pick(rows, self.example_rows, place, vary)).collect()
    }
}

/// What is to be varied.
#[derive(Clone, Copy)]
struct Vary {
    floats: bool,
    discrete: bool,
}

impl Input {
    fn new(input: &GraphInput, example: Option<Tensor>) -> Self {
        let declared = || {
            let size = |dim: &Dim| if let Dim::Fixed(size) = dim { *size } else { 1 };
            input.dims.0.iter().map(size).collect()
        };
        let shape = example.as_ref().map_or_else(declared, |example| example.shape().to_vec());
        Self { dtype: input.dtype, shape, example }
    }

    fn row_shape(&self) -> &[usize] {
        self.shape.get(1..).unwrap_or_default()
    }

    fn row_bytes(&self) -> usize {
        bytes(self.dtype, self.row_shape())
    }

    fn bytes(&self) -> usize {
        bytes(self.dtype, &self.shape)
    }

    /// The example as it is, else one synthetic value set of the declared shape.
    fn whole(&self) -> Tensor {
        let made = || {
            let vary = Vary { floats: true, discrete: true };
            let shape: Vec<usize> = [1].iter().chain(&self.shape).copied().collect();
            let stacked = Self { dtype: self.dtype, shape, example: None }.pick(&[0], 0, 0, vary);
            with_array!(stacked, array => Element::wrap(array.index_axis_move(Axis(0), 0)))
        };
        self.example.clone().unwrap_or_else(made)
    }

    fn pick(&self, rows: &[usize], example_rows: usize, place: usize, vary: Vary) -> Tensor {
        match self.dtype {
            DType::Bool => self.column::<bool>(rows, example_rows, place, vary),
            DType::I8 => self.column::<i8>(rows, example_rows, place, vary),
            DType::I16 => self.column::<i16>(rows, example_rows, place, vary),
            DType::I32 => self.column::<i32>(rows, example_rows, place, vary),
            DType::I64 => self.column::<i64>(rows, example_rows, place, vary),
            DType::U8 => self.column::<u8>(rows, example_rows, place, vary),
            DType::U16 => self.column::<u16>(rows, example_rows, place, vary),
            DType::U32 => self.column::<u32>(rows, example_rows, place, vary),
            DType::U64 => self.column::<u64>(rows, example_rows, place, vary),
            DType::F16 => self.column::<f16>(rows, example_rows, place, vary),
            DType::F32 => self.column::<f32>(rows, example_rows, place, vary),
            DType::F64 => self.column::<f64>(rows, example_rows, place, vary),
            DType::Str => self.column::<String>(rows, example_rows, place, vary),
        }
    }

    fn column<T: Sample>(
        &self,
        rows: &[usize],
        example_rows: usize,
        place: usize,
        vary: Vary,
    ) -> Tensor {
        let row_len: usize = self.row_shape().iter().product();
        let example = self.example.as_ref().and_then(T::unwrap_ref).and_then(|a| a.as_slice());
        let mut values = Vec::with_capacity(rows.len() * row_len);
        for &row in rows {
            // A row is the same in whatever sample it stands.
            let mut rng = Rng::with_seed(SEED ^ ((row as u64) << 20) ^ place as u64);
            let base = example.filter(|_| example_rows > 0).map(|values| {
                let start = (row % example_rows) * row_len;
                &values[start..start + row_len]
            });
            match base {
                Some(base) => values.extend(base.iter().map(|value| value.vary(vary, &mut rng))),
                None => values.extend((0..row_len).map(|_| T::synthetic(&mut rng))),
            }
        }
        let shape: Vec<usize> = [rows.len()].iter().chain(self.row_shape()).copied().collect();
        Tensor::from_vec(&shape, values).expect("every row has row_len values")
    }
}

/// An element that can be made up.
trait Sample: Element {
    /// Another value like this one.
    fn vary(&self, vary: Vary, rng: &mut Rng) -> Self;
    /// A value where nothing is known.
    fn synthetic(rng: &mut Rng) -> Self;
}

macro_rules! floats {
    ($($ty:ty: $from:expr),*) => {$(
        impl Sample for $ty {
            fn vary(&self, vary: Vary, rng: &mut Rng) -> Self {
                let value = f64::from(*self);
                if !vary.floats || !value.is_finite() {
                    return *self;
                }
                let width = if value == 0.0 { 1.0 } else { value.abs() / 2.0 };
                $from(value + width * bell(rng))
            }
            fn synthetic(rng: &mut Rng) -> Self {
                $from(bell(rng))
            }
        }
    )*};
}

floats!(f16: f16::from_f64, f32: |value: f64| value as f32, f64: |value: f64| value);

macro_rules! integers {
    ($($ty:ty: $pick:ident),*) => {$(
        impl Sample for $ty {
            #[allow(unused_comparisons, clippy::absurd_extreme_comparisons)]
            fn vary(&self, vary: Vary, rng: &mut Rng) -> Self {
                match *self {
                    value if !vary.discrete => value,
                    value if value < 0 => rng.$pick(value..=0),
                    // Where an index is valid, the smaller ones are.
                    value => rng.$pick(0..=value.max(1)),
                }
            }
            fn synthetic(rng: &mut Rng) -> Self {
                rng.$pick(0..=1)
            }
        }
    )*};
}

integers!(i8: i8, i16: i16, i32: i32, i64: i64, u8: u8, u16: u16, u32: u32, u64: u64);

impl Sample for bool {
    fn vary(&self, vary: Vary, rng: &mut Rng) -> Self {
        if vary.discrete { rng.bool() } else { *self }
    }
    fn synthetic(rng: &mut Rng) -> Self {
        rng.bool()
    }
}

impl Sample for String {
    /// A digit more leaves numbers numbers.
    fn vary(&self, vary: Vary, rng: &mut Rng) -> Self {
        if vary.discrete { format!("{self}{}", rng.u8(0..10)) } else { self.clone() }
    }
    fn synthetic(rng: &mut Rng) -> Self {
        (*rng.choice(&["a", "b"]).expect("there are two")).to_owned()
    }
}

/// A random number of mean 0 and variance 1, mostly near 0 and within 2.5: the sum of two even
/// ones.
fn bell(rng: &mut Rng) -> f64 {
    (rng.f64() + rng.f64() - 1.0) * 6_f64.sqrt()
}

/// Bytes of a tensor; a text counts as a small one.
fn bytes(dtype: DType, shape: &[usize]) -> usize {
    let element = match dtype {
        DType::Bool | DType::I8 | DType::U8 => 1,
        DType::I16 | DType::U16 | DType::F16 => 2,
        DType::I32 | DType::U32 | DType::F32 => 4,
        DType::I64 | DType::U64 | DType::F64 => 8,
        DType::Str => 32,
    };
    shape.iter().fold(element, |product: usize, size| product.saturating_mul(*size))
}

/// Whether the feeds are what the inputs declare.
fn fits(inputs: &[GraphInput], feeds: &[Tensor]) -> bool {
    inputs.len() == feeds.len()
        && inputs.iter().zip(feeds).all(|(input, feed)| {
            input.dtype == feed.dtype()
                && (input.dims.rank() == 0 || input.dims.accepts(feed.shape()))
        })
}

/// Why the inputs declare no common batch axis, if they do not.
fn without_rows(inputs: &[GraphInput]) -> Option<String> {
    if inputs.is_empty() {
        return Some("it has no input".to_owned());
    }
    inputs.iter().find_map(|GraphInput { name, dims, .. }| match dims.0.first() {
        Some(Dim::Any) => None,
        Some(Dim::Fixed(1)) => Some(format!("input `{name}` takes exactly 1 row")),
        Some(Dim::Fixed(rows)) => Some(format!("input `{name}` takes exactly {rows} rows")),
        None => Some(format!("input `{name}` declares no rows")),
    })
}
