//! The one place where a panic is stopped: a model, or a decoder, that panics on one request must
//! not take the thread, and with it everybody else's requests, along.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Failure;

/// Numbers contained panics, so that an answer can be found in the log.
static PANICS: AtomicU64 = AtomicU64::new(1);

/// Runs `work`; a panic becomes [`Failure::Panicked`] and a log line that names the model.
///
/// What `work` borrows must not be left half changed by a panic: models are immutable, and
/// everything else belongs to the one request.
///
/// # Errors
/// `Panicked`.
pub fn contain<T>(
    model: &(impl std::fmt::Display + ?Sized),
    work: impl FnOnce() -> T,
) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let id = PANICS.fetch_add(1, Ordering::Relaxed);
        let message = message_of(&*panic);
        tracing::error!(%model, id, message, "panic while scoring; the request was failed");
        Failure::Panicked { id }
    })
}

/// What a panic said.
pub fn message_of(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}
