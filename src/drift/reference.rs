//! The reference profile: how each feature was distributed when the model was made.

/// How the features of a model were distributed in the rows it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// `sha256:` and the hex digest of the model's signature; `None` where it has none.
    pub signature: Option<String>,
    /// Rows that were profiled.
    pub rows: u64,
    pub inputs: Vec<Feature>,
    pub outputs: Vec<Feature>,
}

/// One number (or text) of every row, and how it was distributed.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Unique among the inputs, and among the outputs.
    pub name: String,
    /// The graph's input or output that holds it.
    pub tensor: String,
    /// Elements of one row of that tensor.
    pub width: usize,
    pub part: Part,
    /// Rows whose value was NaN or infinite; they are in no other number.
    pub nulls: u64,
    pub values: Values,
}

/// What of a tensor's row a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The element at this place in the row.
    Element(usize),
    /// The mean of the row's elements.
    Mean,
    /// The population standard deviation of the row's elements.
    Deviation,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    Numeric(Numeric),
    Categorical(Categorical),
}

/// A distribution of numbers, as counts between ascending edges.
#[derive(Clone, Debug, PartialEq)]
pub struct Numeric {
    /// `None` where all values were null; so is `std`.
    pub mean: Option<f64>,
    /// Of the population: divided by the number of values.
    pub std: Option<f64>,
    /// Ends of the cells, ascending; the last two may be equal. Cell `i` is
    /// `edges[i] <= value < edges[i + 1]`, the last one holds its end too.
    pub edges: Vec<f64>,
    /// Values in each cell: one less than edges.
    pub counts: Vec<u64>,
    /// The scoring bins: ascending indexes into `edges`, from the first to the last.
    pub bins: Vec<usize>,
}

/// A distribution of texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Categorical {
    /// The most frequent texts with their counts, most first.
    pub categories: Vec<(String, u64)>,
    /// Rows with any other text.
    pub other: u64,
}
