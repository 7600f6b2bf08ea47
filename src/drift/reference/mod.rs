//! The reference: what each input and each output of a model looked like in its training data.
//!
//! It travels as one line of JSON, [`FILE_NAME`], beside the model or within it. The text is a
//! pure function of the values, byte for byte, whoever writes it: floats are spelt as Python's
//! `repr` spells them, keys have one order. Reading believes nothing: a reference that was read
//! has ascending edges, counts that add up, and names that occur once.

mod read;
#[cfg(test)]
mod tests;
mod write;

/// The name of the file in a model's directory.
pub const FILE_NAME: &str = "drift_reference.json";

/// Largest file that is read, in bytes.
pub const REFERENCE_BYTES_MAX: usize = 4 << 20;

/// The version of the file's form that is read and written here.
pub const SCHEMA: u64 = 1;

/// Most features of a reference, inputs and outputs together.
pub const FEATURES_MAX: usize = 1024;

/// Most edges of a numeric feature: 250 quantiles and the greatest value.
pub const EDGES_MAX: usize = 251;

/// Most scoring bins of a numeric feature (`build::grid` has the reason why there are no more).
pub const SCORING_BINS_MAX: usize = 10;

/// Most categories of a feature that are counted by name.
pub const CATEGORIES_MAX: usize = 64;

/// What the features of a model looked like.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// `sha256:` and 64 hex digits of the signature that the model had; `None` where it had none.
    pub signature: Option<String>,
    pub rows: u64,
    pub inputs: Vec<Feature>,
    pub outputs: Vec<Feature>,
}

/// One number or text of every row of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Unique among the inputs, and among the outputs.
    pub name: String,
    /// The name of the graph's input or output.
    pub tensor: String,
    /// Elements of one row of that tensor, at least 1.
    pub width: usize,
    pub part: Part,
    /// Rows in which it is NaN or infinite. Everything else is about the other rows.
    pub nulls: u64,
    pub values: Values,
}

/// What of a tensor's row the feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The element at that place of the row, less than the width.
    Element(usize),
    /// The mean of the row's elements.
    Mean,
    /// The standard deviation of the row's elements, as of a whole population.
    Deviation,
}

/// How the values are distributed.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    Numeric(Numeric),
    Categorical(Categorical),
}

/// Numbers: a fine grid of quantiles, and which of its edges bound the bins that scores use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numeric {
    /// `None` where every value is null, as in `std`.
    pub mean: Option<f64>,
    /// The standard deviation of a whole population.
    pub std: Option<f64>,
    /// Strictly ascending, but that the last two may be equal: then the greatest value has a cell
    /// of its own. Empty where every value is null, else at least two.
    pub edges: Vec<f64>,
    /// Values in each cell: from one edge to the next, without it; the last cell has its end.
    pub counts: Vec<u64>,
    /// Ascending places of `edges`, the first and the last among them.
    pub bins: Vec<usize>,
}

/// Texts, flags, or a few whole numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Categorical {
    /// The most frequent ones with their counts; built ones have the most frequent first.
    pub categories: Vec<(String, u64)>,
    /// How many values are none of them.
    pub other: u64,
}

/// Why a text is no reference, as a sentence that reads after the file's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error("it has {bytes} bytes, and a reference at most {REFERENCE_BYTES_MAX}")]
    TooLarge { bytes: usize },
    #[error("it is not JSON: {0}")]
    Json(String),
    #[error(
        "it was made by another version: `schema` is {got}, and {SCHEMA} is what this one reads"
    )]
    Schema { got: String },
    /// One field, named by its path (`inputs[2].edges`).
    #[error("`{at}`: expected {expected}, got {got}")]
    Field { at: String, expected: String, got: String },
    #[error("`{at}` is unknown to schema {SCHEMA}")]
    Unknown { at: String },
}

impl Reference {
    /// Reads a reference and checks all of it.
    ///
    /// # Errors
    /// The first fault.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReferenceError> {
        read::parse(bytes)
    }

    /// The reference as one line of JSON with a line end.
    #[must_use]
    pub fn to_json(&self) -> String {
        write::to_json(self)
    }
}

impl Feature {
    /// Rows in which it is not null.
    #[must_use]
    pub fn known(&self) -> u64 {
        match &self.values {
            Values::Numeric(numeric) => numeric.counts.iter().sum(),
            Values::Categorical(Categorical { categories, other }) => {
                categories.iter().map(|(_, count)| count).sum::<u64>() + other
            }
        }
    }
}
