//! Why a request could not be decoded, in the protocol's own classes.

/// The protocol's error classes. Status codes and envelopes are `server/error.rs`'s business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireErrorKind {
    /// The content type is missing, unknown, or has parameters: 415 with a plain text.
    UnsupportedMediaType,
    /// The body does not parse, or its data cannot become the declared types: `BAD_REQUEST`.
    BadRequest,
    /// The data parse but do not fit the model's signature: `SCHEMA_ENFORCEMENT_FAILED`.
    Schema,
    /// A parameter does not fit the model's parameter schema: `INVALID_PARAMETER_VALUE`.
    Params,
}

/// Why a request was refused. The message is for the client: it names the field, what was
/// expected and what came, and never repeats the payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WireError {
    pub kind: WireErrorKind,
    pub message: String,
}

impl WireError {
    /// A body that does not parse or convert.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self { kind: WireErrorKind::BadRequest, message: message.into() }
    }

    /// Data that do not fit the signature.
    pub fn schema(message: impl Into<String>) -> Self {
        Self { kind: WireErrorKind::Schema, message: message.into() }
    }

    /// Parameters that do not fit their schema.
    pub fn params(message: impl Into<String>) -> Self {
        Self { kind: WireErrorKind::Params, message: message.into() }
    }

    /// A content type that the protocol does not know.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self { kind: WireErrorKind::UnsupportedMediaType, message: message.into() }
    }
}
