//! A recorded case: one request to MLflow's scoring server, and what it answered.

use std::path::Path;

use base64::Engine as _;
use serde_json::Value;

/// One line of a case file.
pub(crate) struct Case {
    pub(crate) model: String,
    pub(crate) name: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) rule: Rule,
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) response_headers: Vec<(String, String)>,
    pub(crate) response: Recorded,
    /// What kind of answer the recorder took it for: `ok`, `schema`, `predict_exception`, ...
    pub(crate) kind: String,
}

/// How an answer is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    JsonTolerance,
    Error,
    Exact,
    Version,
    /// A long answer of which only the head and the length were kept.
    HeadTolerance,
    Skip,
}

/// The recorded body: whole, or the head of a long one.
pub(crate) enum Recorded {
    Whole(String),
    Head { text: String, length: usize },
}

impl Case {
    /// The case's name in reports and in the list of differences.
    pub(crate) fn id(&self) -> String {
        format!("{}/{}", self.model, self.name)
    }

    pub(crate) fn response_header(&self, name: &str) -> Option<&str> {
        self.response_headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Reads a file of cases, one JSON object a line.
pub(crate) fn read(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            let json: Value = serde_json::from_str(line)
                .unwrap_or_else(|e| panic!("{}:{}: {e}", path.display(), index + 1));
            parse(&json).unwrap_or_else(|field| {
                panic!("{}:{}: field `{field}` is missing or odd", path.display(), index + 1)
            })
        })
        .collect()
}

/// `Err` names the field that is missing or of another shape than expected.
fn parse(json: &Value) -> Result<Case, &'static str> {
    let text = |key: &'static str| json[key].as_str().map(str::to_owned).ok_or(key);
    let rule = match text("compare")?.as_str() {
        "json_tolerance" => Rule::JsonTolerance,
        "error" => Rule::Error,
        "exact" => Rule::Exact,
        "version" => Rule::Version,
        "sha256_or_json_tolerance" => Rule::HeadTolerance,
        "skip" => Rule::Skip,
        _ => return Err("compare"),
    };
    let response = match &json["response_body"] {
        Value::String(whole) => Recorded::Whole(whole.clone()),
        _ => Recorded::Head {
            text: text("response_body_head")?,
            length: json["response_body_len"].as_u64().ok_or("response_body_len")? as usize,
        },
    };
    let response_headers = pairs(&json["response_headers"]).ok_or("response_headers")?;
    Ok(Case {
        model: text("model")?,
        name: text("case")?,
        method: text("method")?,
        path: text("path")?,
        headers: pairs(&json["headers"]).ok_or("headers")?,
        body: body(json)?,
        rule,
        status: json["status"].as_u64().and_then(|n| n.try_into().ok()).ok_or("status")?,
        response_headers: response_headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect(),
        response,
        kind: json["class"]["kind"].as_str().unwrap_or("?").to_owned(),
    })
}

fn pairs(json: &Value) -> Option<Vec<(String, String)>> {
    json.as_object()?
        .iter()
        .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// The request's body: as text, as base64, or as a rule that makes a long one.
fn body(json: &Value) -> Result<Vec<u8>, &'static str> {
    if let Some(text) = json["body"].as_str() {
        return Ok(text.as_bytes().to_vec());
    }
    if let Some(encoded) = json["body_b64"].as_str() {
        return base64::prelude::BASE64_STANDARD.decode(encoded).map_err(|_| "body_b64");
    }
    generated(&json["body_gen"]).map(String::into_bytes).ok_or("body_gen")
}

/// `{"prefix", "unit", "sep", "n", "suffix"}` or `{"concat": [[text, n], ...]}`.
fn generated(json: &Value) -> Option<String> {
    if let Some(parts) = json["concat"].as_array() {
        let repeat = |part: &Value| Some(part[0].as_str()?.repeat(part[1].as_u64()? as usize));
        return parts.iter().map(repeat).collect();
    }
    let units = vec![json["unit"].as_str()?; json["n"].as_u64()? as usize];
    let [prefix, sep, suffix] = ["prefix", "sep", "suffix"].map(|key| json[key].as_str());
    Some([prefix?, &units.join(sep?), suffix?].concat())
}
