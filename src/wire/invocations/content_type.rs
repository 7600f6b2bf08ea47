//! The content types of the protocol, by MLflow's exact rules.

use super::WireError;

/// What a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    Json,
    Csv,
    Parquet,
}

const JSON: &str = "application/json";
const SUPPORTED: &str = "['text/csv', 'application/json', 'application/vnd.apache.parquet']";

/// MLflow's own advice, word for word, as its clients may look for it.
const PROTOCOL_CHANGE: &str = "IMPORTANT: The MLflow Model scoring protocol has changed in MLflow \
    version 2.0. If you are seeing this error, you are likely using an outdated scoring request \
    format. To resolve the error, either update your request format or adjust your MLflow Model's \
    requirements file to specify an older version of MLflow (for example, change the 'mlflow' \
    requirement specifier to 'mlflow==1.30.0'). If you are making a request using the MLflow \
    client (e.g. via `mlflow.pyfunc.spark_udf()`), upgrade your MLflow client to a version >= 2.0 \
    in order to use the new request format. For more information about the updated MLflow Model \
    scoring protocol in MLflow 2.0, see \
    https://mlflow.org/docs/latest/models.html#deploy-mlflow-models.";

/// Reads a `Content-Type` header. The media type is case-sensitive; the only parameter is
/// `charset`, which must be `utf-8`.
///
/// # Errors
/// `UnsupportedMediaType` for anything else, and where the header is missing.
pub fn parse(header: Option<&str>) -> Result<BodyFormat, WireError> {
    let header = header.unwrap_or_default();
    // Nearly every request, and nothing to take apart.
    if header == JSON {
        return Ok(BodyFormat::Json);
    }
    let mut parts = header.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let parameters: Vec<(&str, &str)> =
        parts.map(|part| part.split_once('=').unwrap_or((part, ""))).collect();
    // A repeated parameter: the last one counts.
    let charset = parameters.iter().rev().find(|(key, _)| *key == "charset");
    if charset.is_some_and(|(_, value)| value.to_lowercase() != "utf-8") {
        return Err(WireError::unsupported_media_type("The scoring server only supports UTF-8"));
    }
    let mut unknown: Vec<&str> = Vec::new();
    for (key, _) in parameters {
        if key != "charset" && !unknown.contains(&key) {
            unknown.push(key);
        }
    }
    if !unknown.is_empty() {
        return Err(WireError::unsupported_media_type(format!(
            "Unrecognized content type parameters: {}. {PROTOCOL_CHANGE}",
            unknown.join(", ")
        )));
    }
    match media_type {
        JSON => Ok(BodyFormat::Json),
        "text/csv" => Ok(BodyFormat::Csv),
        "application/vnd.apache.parquet" => Ok(BodyFormat::Parquet),
        _ => Err(WireError::unsupported_media_type(format!(
            "This predictor only supports the following content types: Types: {SUPPORTED}. Got \
             '{header}'."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_mlflows() {
        for (header, want) in [
            ("application/json", Some(BodyFormat::Json)),
            (" application/json ; charset=UTF-8", Some(BodyFormat::Json)),
            ("text/csv;charset=utf-8", Some(BodyFormat::Csv)),
            ("application/vnd.apache.parquet", Some(BodyFormat::Parquet)),
            ("Application/json", None),
            ("application/json;", None),
            ("application/json; charset=utf8", None),
            ("application/json; charset=\"utf-8\"", None),
            ("application/json; Charset=utf-8", None),
            ("application/json; charset = utf-8", None),
            ("application/json; foo=1", None),
            ("application/x-www-form-urlencoded", None),
            ("", None),
        ] {
            assert_eq!(parse(Some(header)).ok(), want, "{header:?}");
        }
        assert!(parse(None).is_err());
    }
}
