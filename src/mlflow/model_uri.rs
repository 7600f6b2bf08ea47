//! `models:/` URIs, as MLflow's client reads them.

use crate::model::{ModelName, ModelNameError, Selector, Stage, VersionId};

const SCHEME: &str = "models:";

/// What a `models:/` URI names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelUri {
    /// `models:/churn/3`, `models:/churn/Production`, `models:/churn/latest`,
    /// `models:/churn@champion`.
    Registered { name: ModelName, selector: Selector },
    /// `models:/m-<32 hex digits>`: a logged model, registered or not.
    Logged { id: String },
}

/// Why a text is not a `models:/` URI.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelUriError {
    #[error(
        "expected models:/NAME/VERSION, models:/NAME/STAGE, models:/NAME/latest, \
         models:/NAME@ALIAS or models:/MODEL_ID"
    )]
    Form,
    #[error("{0}")]
    Name(#[from] ModelNameError),
    #[error("version `{0}` is too large")]
    Version(String),
    #[error("`{0}` is neither a version nor a stage (None, Staging, Production, Archived, latest)")]
    Stage(String),
}

impl ModelUri {
    /// Whether a text claims to be such a URI.
    #[must_use]
    pub fn is_claimed_by(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Reads a `models:/` URI. Names are taken as they stand: MLflow does not percent-decode.
    ///
    /// # Errors
    /// When the text has another form, or its name, version or stage cannot exist.
    pub fn parse(text: &str) -> Result<Self, ModelUriError> {
        let path = text
            .strip_prefix(SCHEME)
            .and_then(|path| path.strip_prefix('/'))
            .filter(|path| !path.starts_with('/'))
            .ok_or(ModelUriError::Form)?;
        match path.split_once('/') {
            Some((_, suffix)) if suffix.contains('/') || suffix.trim().is_empty() => {
                Err(ModelUriError::Form)
            }
            Some((name, suffix)) => {
                Ok(Self::Registered { name: ModelName::new(name)?, selector: suffixed(suffix)? })
            }
            None => match path.rsplit_once('@') {
                Some((_, alias)) if alias.trim().is_empty() => Err(ModelUriError::Form),
                Some((name, alias)) => Ok(Self::Registered {
                    name: ModelName::new(name)?,
                    selector: Selector::Alias(alias.to_owned()),
                }),
                None if path.trim().is_empty() => Err(ModelUriError::Form),
                None => Ok(Self::Logged { id: path.to_owned() }),
            },
        }
    }
}

/// Digits are a version, `latest` the highest one, anything else a stage.
fn suffixed(suffix: &str) -> Result<Selector, ModelUriError> {
    if suffix.bytes().all(|byte| byte.is_ascii_digit()) {
        let version = suffix.parse().map_err(|_| ModelUriError::Version(suffix.to_owned()))?;
        Ok(Selector::Version(VersionId(version)))
    } else if suffix.eq_ignore_ascii_case("latest") {
        Ok(Selector::Latest)
    } else {
        Stage::from_name(suffix)
            .map(Selector::Stage)
            .ok_or_else(|| ModelUriError::Stage(suffix.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(name: &str, selector: Selector) -> ModelUri {
        ModelUri::Registered { name: ModelName::new(name).unwrap(), selector }
    }

    #[test]
    fn every_form_names_what_mlflows_client_takes_it_for() {
        let alias = |alias: &str| Selector::Alias(alias.to_owned());
        let cases = [
            ("models:/churn/3", registered("churn", Selector::Version(VersionId(3)))),
            ("models:/churn/production", registered("churn", Selector::Stage(Stage::Production))),
            ("models:/churn/LATEST", registered("churn", Selector::Latest)),
            ("models:/churn@champion", registered("churn", alias("champion"))),
            ("models:/a@b@c", registered("a@b", alias("c"))),
            ("models:/a@b/1", registered("a@b", Selector::Version(VersionId(1)))),
            ("models:/wine quality/1", registered("wine quality", Selector::Version(VersionId(1)))),
            ("models:/m-35424582", ModelUri::Logged { id: "m-35424582".to_owned() }),
        ];
        for (text, want) in cases {
            assert_eq!(ModelUri::parse(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused_with_the_reason() {
        let form = ModelUriError::Form;
        let cases = [
            ("models:churn/3", form.clone()),
            ("models:/", form.clone()),
            ("models://churn/3", form.clone()),
            ("models:/churn/3/4", form.clone()),
            ("models:/churn/", form.clone()),
            ("models:/churn@", form.clone()),
            ("runs:/abc/model", form),
            ("models:/churn/prod", ModelUriError::Stage("prod".to_owned())),
            (
                "models:/churn/99999999999999999999",
                ModelUriError::Version("99999999999999999999".to_owned()),
            ),
            ("models:/@champion", ModelUriError::Name(ModelNameError::Empty)),
        ];
        for (text, want) in cases {
            assert_eq!(ModelUri::parse(text), Err(want), "{text}");
        }
    }
}
