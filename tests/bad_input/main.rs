//! No byte sequence, sent to `/invocations` or thrown at the socket, gets an answer of the 5xx
//! class, ends the process, or makes it hold more memory than a bound. What is refused is refused
//! in the protocol's own way: MLflow's error envelope, or 415 with a text.
//!
//! The generated part runs `PROPTEST_CASES` cases a property (a case that failed once is kept in
//! `regressions.txt` and tried first); the rest are the classics, one by one.

#[path = "../support/mod.rs"]
mod support;

mod bodies;
mod generated;
mod hostile;
mod socket;

use std::path::Path;

use support::http::{self, Response};
use support::process::{self, Server};

/// Most memory that all of a test's bad requests together may add to the process. The largest
/// body is a few megabytes, and what it decodes to is bounded by the server's own limits.
const MEMORY_GROWTH_MAX: u64 = 768 << 20;

/// Where a server that fails the bound is stopped for the machine's sake. Address space is more
/// than memory: allocators and thread stacks reserve without using.
const ADDRESS_SPACE_MAX: u64 = 8 << 30;

/// The models that are sent bad input: every kind of signature and of graph input.
const MODELS: [&str; 8] = [
    "all_scalar_columns",
    "complex_columns",
    "dtype_tensors",
    "nosig_multi",
    "params_model",
    "single_string_column",
    "wine_columns",
    "wine_tensor",
];

/// The server under attack.
struct Target {
    server: Server,
    memory_at_start: Option<u64>,
}

impl Target {
    fn start() -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/conformance/models");
        let mut models = process::models_in(&dir);
        models.retain(|(name, _)| MODELS.contains(&name.as_str()));
        let server = Server::start_within(&models, ADDRESS_SPACE_MAX)
            .unwrap_or_else(|words| panic!("the server does not start: {words}"));
        let memory_at_start = server.memory_peak_bytes();
        Self { server, memory_at_start }
    }

    /// Sends a body to a model.
    ///
    /// # Errors
    /// Why there is no answer.
    fn send(&self, model: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Response, String> {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let path = format!("/invocations/{model}");
        http::send(self.server.address(), "POST", &path, &headers, body)
            .map_err(|error| format!("no answer: {error}"))
    }

    /// Sends a body to a model and checks the answer.
    ///
    /// # Errors
    /// What is wrong with the answer.
    fn post(&self, model: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<u16, String> {
        let answer = self.send(model, headers, body)?;
        check(&answer).map(|()| answer.status)
    }

    /// Whether the server still answers and has kept its memory bounded.
    ///
    /// # Errors
    /// What is wrong with it.
    fn is_well(&mut self) -> Result<(), String> {
        if !self.server.is_running() {
            return Err("the process has ended".to_owned());
        }
        let answer = http::send(self.server.address(), "GET", "/ping", &[], &[])
            .map_err(|error| format!("/ping does not answer: {error}"))?;
        if answer.status != 200 {
            return Err(format!("/ping answers {}", answer.status));
        }
        match (self.memory_at_start, self.server.memory_peak_bytes()) {
            (Some(start), Some(peak)) if peak - start > MEMORY_GROWTH_MAX => {
                Err(format!("memory grew by {} MiB", (peak - start) >> 20))
            }
            _ => Ok(()),
        }
    }
}

/// An answer to bad input: a success (what looked bad was not), or a refusal in the protocol's
/// own way.
fn check(answer: &Response) -> Result<(), String> {
    let shown: String = answer.text().chars().take(300).collect();
    let envelope = || {
        let error: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let keys: Vec<&String> = error.as_object().map(|o| o.keys().collect()).unwrap_or_default();
        keys == ["error_code", "message", "sqlstate", "error_class"]
    };
    let content_type = answer.header("content-type");
    let good = match answer.status {
        200 => true,
        415 => content_type == Some("text/plain; charset=utf-8"),
        400..=499 => content_type == Some("application/json") && envelope(),
        _ => false,
    };
    if good { Ok(()) } else { Err(format!("{} ({content_type:?}): {shown}", answer.status)) }
}

#[test]
fn an_answer_of_the_wrong_shape_is_seen() {
    let answer = |status, content_type: &str, body: &str| Response {
        status,
        headers: vec![("content-type".to_owned(), content_type.to_owned())],
        body: body.as_bytes().to_vec(),
    };
    let envelope = r#"{"error_code": "B", "message": "m", "sqlstate": "K", "error_class": "I"}"#;
    assert!(check(&answer(400, "application/json", envelope)).is_ok());
    assert!(check(&answer(415, "text/plain; charset=utf-8", "no")).is_ok());
    assert!(check(&answer(500, "application/json", envelope)).is_err());
    assert!(check(&answer(400, "text/plain", "no")).is_err());
    let leaky = envelope.replace('}', r#", "stack_trace": "at"}"#);
    assert!(check(&answer(400, "application/json", &leaky)).is_err());
}
