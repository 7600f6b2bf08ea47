//! The verdict on one answer.

use serde_json::Value;

use crate::case::{Case, Recorded, Rule};
use crate::differences::Difference;
use crate::support::http::Response;
use crate::{echo, json};

/// How far the length of a long answer may be from the recorded one: the last digits of floats.
const LENGTH_TOLERANCE: f64 = 0.02;
/// Most characters of an answer that a report repeats.
const SHOWN_CHARS_MAX: usize = 200;
/// The keys of an error answer, in MLflow's order; its `stack_trace` is left out on purpose.
const ERROR_KEYS: [&str; 4] = ["error_code", "message", "sqlstate", "error_class"];

/// Judges an answer by the case's rule, or, where the case is listed, by the listed difference.
///
/// # Errors
/// What is wrong with the answer.
pub(crate) fn judge(
    case: &Case,
    listed: Option<&Difference>,
    answer: &Response,
    declared: &str,
) -> Result<(), String> {
    if let Value::Object(error) = error_of(answer) {
        well_formed(&error)?;
        let message = error["message"].as_str().unwrap_or_default();
        let csv = case.headers.iter().any(|(_, value)| value.starts_with("text/csv"));
        if let Some(cell) = echo::echoed(message, &case.body, csv, declared) {
            let message: String = message.chars().take(SHOWN_CHARS_MAX).collect();
            return Err(format!("the message repeats the cell `{cell}`: {message}"));
        }
    }
    let verdict = by_rule(case, answer);
    let Some(difference) = listed else { return verdict };
    if verdict.is_ok() {
        return Err(format!("is listed as {} but answers as MLflow does", difference.item));
    }
    as_listed(difference, answer).map_err(|what| format!("not as {} says: {what}", difference.item))
}

fn by_rule(case: &Case, answer: &Response) -> Result<(), String> {
    if case.rule == Rule::Skip {
        return Ok(());
    }
    if answer.status != case.status {
        let text: String = answer.text().chars().take(SHOWN_CHARS_MAX).collect();
        return Err(format!("status {} expected, {} came: {text}", case.status, answer.status));
    }
    same_header(case, answer, "content-type")?;
    let text = answer.text();
    match (case.rule, &case.response) {
        (Rule::Skip, _) => Ok(()),
        (_, Recorded::Head { text: head, length }) => {
            json::compare_head(head, &text)?;
            same_length(*length, answer.body.len())
        }
        (Rule::JsonTolerance | Rule::HeadTolerance, Recorded::Whole(recorded)) => {
            json::compare(recorded, &text)
        }
        (Rule::Error, Recorded::Whole(recorded)) => same_error(recorded, answer),
        (Rule::Exact, Recorded::Whole(recorded)) => {
            same_header(case, answer, "allow")?;
            same_location(case, answer)?;
            same("body", recorded, &text)
        }
        (Rule::Version, Recorded::Whole(recorded)) if recorded.is_empty() => {
            same("body", recorded, &text)
        }
        (Rule::Version, Recorded::Whole(_)) => version(&text),
    }
}

/// Equal but for the last digits of floats.
fn same_length(want: usize, have: usize) -> Result<(), String> {
    if (want as f64 - have as f64).abs() <= LENGTH_TOLERANCE * want as f64 {
        Ok(())
    } else {
        Err(format!("{want} bytes expected, {have} came"))
    }
}

fn as_listed(difference: &Difference, answer: &Response) -> Result<(), String> {
    if answer.status != difference.status {
        let text: String = answer.text().chars().take(SHOWN_CHARS_MAX).collect();
        return Err(format!(
            "status {} expected, {} came: {text}",
            difference.status, answer.status
        ));
    }
    match &difference.answer {
        None => Ok(()),
        Some(body) if answer.status < 300 => json::compare(body, &answer.text()),
        Some(code) => {
            same("error_code", code, error_of(answer)["error_code"].as_str().unwrap_or(""))
        }
    }
}

/// The error envelope of an answer, `Null` where there is none.
fn error_of(answer: &Response) -> Value {
    if answer.status < 400 || answer.header("content-type") != Some("application/json") {
        return Value::Null;
    }
    serde_json::from_slice(&answer.body)
        .ok()
        .filter(|value: &Value| value.get("error_code").is_some() || value.get("message").is_some())
        .unwrap_or_default()
}

fn well_formed(error: &serde_json::Map<String, Value>) -> Result<(), String> {
    let keys: Vec<&str> = error.keys().map(String::as_str).collect();
    if keys != ERROR_KEYS {
        return Err(format!("an error holds {ERROR_KEYS:?}, this one {keys:?}"));
    }
    if error["message"].as_str().is_none_or(str::is_empty) {
        return Err("an error says what is wrong".to_owned());
    }
    Ok(())
}

fn same_error(recorded: &str, answer: &Response) -> Result<(), String> {
    let recorded: Value = serde_json::from_str(recorded)
        .map_err(|error| format!("the recorded error is no JSON: {error}"))?;
    let error = error_of(answer);
    for key in ["error_code", "sqlstate", "error_class"] {
        let [want, have] = [&recorded, &error].map(|side| side[key].as_str().unwrap_or("nothing"));
        same(key, want, have)
            .map_err(|what| format!("{what}: {}", error["message"].as_str().unwrap_or_default()))?;
    }
    Ok(())
}

fn same_header(case: &Case, answer: &Response, name: &str) -> Result<(), String> {
    let [want, have] = [case.response_header(name), answer.header(name)];
    same(name, want.unwrap_or("nothing"), have.unwrap_or("nothing"))
}

/// The recorded location names the recorder's own address; what follows it must agree.
fn same_location(case: &Case, answer: &Response) -> Result<(), String> {
    let [want, have] = [case.response_header("location"), answer.header("location")]
        .map(|location| location.and_then(|url| url.strip_prefix("http://")?.split_once('/')));
    let [want, have] = [want, have].map(|parts| parts.map_or("nothing", |(_, path)| path));
    same("location", want, have)
}

fn version(text: &str) -> Result<(), String> {
    let numbers: Vec<_> = text.split('.').map(str::parse::<u32>).collect();
    if numbers.len() == 3 && numbers.iter().all(Result::is_ok) {
        Ok(())
    } else {
        Err(format!("a bare version like 3.18.0 expected, `{text}` came"))
    }
}

fn same(what: &str, want: &str, have: &str) -> Result<(), String> {
    if want == have {
        return Ok(());
    }
    let [want, have] =
        [want, have].map(|text| text.chars().take(SHOWN_CHARS_MAX).collect::<String>());
    Err(format!("{what}: `{want}` expected, `{have}` came"))
}
