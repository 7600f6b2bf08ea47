//! What a model asks of the runtime that runs it.

/// An execution provider, with its options as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    pub name: String,
    pub options: Vec<(String, String)>,
}

/// Session settings; `None` leaves the choice to us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionOptions {
    pub intra_op_threads: Option<usize>,
    pub inter_op_threads: Option<usize>,
    pub parallel_execution: Option<bool>,
    /// ONNX Runtime's number: 0 none, 1 basic, 2 extended, 3 layout, 99 all.
    pub graph_optimization_level: Option<u32>,
    /// `extra_session_config`, values as written.
    pub config_entries: Vec<(String, String)>,
}
