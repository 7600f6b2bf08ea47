//! The content types of the protocol, by MLflow's exact rules.

use super::WireError;

/// What a body holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFormat {
    Json,
    Csv,
    Parquet,
}

const SUPPORTED: &str = "['text/csv', 'application/json', 'application/vnd.apache.parquet']";

/// Reads a `Content-Type` header. The media type is case-sensitive; the only parameter is
/// `charset`, which must be `utf-8`.
///
/// # Errors
/// `UnsupportedMediaType` for anything else, and where the header is missing.
pub fn parse(header: Option<&str>) -> Result<BodyFormat, WireError> {
    let header = header.unwrap_or_default();
    let mut parts = header.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let parameters: Vec<(&str, &str)> =
        parts.map(|part| part.split_once('=').unwrap_or((part, ""))).collect();
    // A repeated parameter: the last one counts.
    let charset = parameters.iter().rev().find(|(key, _)| *key == "charset");
    if charset.is_some_and(|(_, value)| value.to_lowercase() != "utf-8") {
        return Err(WireError::unsupported_media_type("The scoring server only supports UTF-8"));
    }
    if parameters.iter().any(|(key, _)| *key != "charset") {
        return Err(WireError::unsupported_media_type(
            "Unrecognized content type parameters. The only parameter of the scoring protocol is \
             charset=utf-8.",
        ));
    }
    match media_type {
        "application/json" => Ok(BodyFormat::Json),
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
