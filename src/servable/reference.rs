//! From the reference that came with a version to what watches it.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::drift::{DriftOptions, Monitor, NoReference, Origin, Reference, ReferenceError, fits};
use crate::model::{GraphIo, ModelId, Signature};
use crate::store::{ModelDir, NamedBy, ReferenceFile};

/// What a version is watched by. One without a reference that is of use says why in the log, and
/// serves all the same.
pub(super) fn monitor(
    id: &ModelId,
    dir: &ModelDir,
    io: &GraphIo,
    options: &DriftOptions,
) -> Monitor {
    let idle = |why| Monitor::idle(id.clone(), options.clone(), why);
    if !options.is_on {
        return idle(NoReference::Off);
    }
    match read(dir, io) {
        Ok(Some(Found { reference, origin, digest })) => {
            let options = options.clone();
            Monitor::watching(id.clone(), options, io, reference, (origin, digest))
        }
        Ok(None) => match options.live_rows {
            Some(rows) => {
                let signature: Signature = dir.mlmodel.signature.clone().unwrap_or_default();
                Monitor::learning(id.clone(), options.clone(), &signature, io, rows)
            }
            None => idle(NoReference::Absent),
        },
        Err(Useless { why, sentence }) => {
            tracing::warn!(model = %id, "drift is not watched: {sentence}");
            idle(why)
        }
    }
}

struct Found {
    reference: Reference,
    origin: Origin,
    digest: String,
}

/// A reference that is there and cannot be used.
struct Useless {
    why: NoReference,
    sentence: String,
}

fn read(dir: &ModelDir, io: &GraphIo) -> Result<Option<Found>, Useless> {
    let useless = |why, sentence| Err(Useless { why, sentence });
    let (name, origin, bytes) = match &dir.drift_reference {
        ReferenceFile::Absent => return Ok(None),
        ReferenceFile::Found { name, named_by: NamedBy::Run, bytes } => (name, Origin::Run, bytes),
        ReferenceFile::Found { name, bytes, .. } => (name, Origin::Model, bytes),
        ReferenceFile::TooLarge { name, bytes } => {
            return useless(NoReference::TooLarge, format!("`{name}` has {bytes} bytes"));
        }
        ReferenceFile::Unreadable { name, reason } => {
            return useless(NoReference::Unreadable, format!("`{name}` {reason}"));
        }
    };
    let reference = Reference::parse(bytes).map_err(|error| {
        let why = match &error {
            ReferenceError::TooLarge { .. } => NoReference::TooLarge,
            _ => NoReference::Malformed,
        };
        Useless { why, sentence: format!("`{name}`: {error}") }
    })?;
    let signature = dir.mlmodel.signature_digest.as_deref();
    if let Err(sentence) = fits(&reference, signature, io) {
        return useless(NoReference::Mismatch, format!("`{name}`: {sentence}"));
    }
    Ok(Some(Found { reference, origin, digest: digest(bytes) }))
}

fn digest(bytes: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
