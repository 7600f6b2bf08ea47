//! Why a file was not scored, each as one sentence for the person who asked.

use std::io;

use super::block::Place;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// What was asked makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The input cannot be read.
    #[error("cannot read {input}: {cause}")]
    Read { input: String, cause: io::Error },
    /// The input as a whole is not what it should be.
    #[error("{input}: {reason}")]
    Input { input: String, reason: String },
    /// A row of the input is bad: it does not parse, does not fit the signature, or the graph
    /// fails on it.
    #[error("{input}, {place}: {reason}")]
    Row { input: String, place: Place, reason: String },
    /// What the model gives cannot be written row by row.
    #[error("{0}")]
    Output(String),
    /// The target cannot be written.
    #[error("cannot write {output}: {cause}")]
    Write { output: String, cause: io::Error },
    /// The rows make no drift reference.
    #[error("{input} makes no reference: {reason}")]
    Reference { input: String, reason: String },
    /// The system refuses a thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
    /// Something of ours panicked; standard error has its message.
    #[error("internal error: a thread of the scoring ended")]
    Panicked,
    /// Somebody asked to stop.
    #[error("stopped before the end; nothing was written")]
    Stopped,
}
