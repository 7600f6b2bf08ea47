//! Which files a run reads and writes, and in which forms.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::error::PredictError;
use super::format::Format;

/// What was asked. Names are those of `mlflow models predict`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// `None`: standard input.
    pub input: Option<PathBuf>,
    /// `None`: what the file's ending says.
    pub input_format: Option<Format>,
    /// `None`: standard output.
    pub output: Option<PathBuf>,
    /// `None`: what the file's ending says.
    pub output_format: Option<Format>,
    /// `None`: the graph's own batch if it has a fixed one, else a thousand.
    pub rows_per_batch: Option<NonZeroUsize>,
}

/// Where a drift reference goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceTarget {
    /// Into the model's directory, if it is one on this machine, else to standard output.
    Model,
    StandardOutput,
    File(PathBuf),
}

/// The forms of both files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forms {
    pub input: Format,
    pub output: Format,
}

impl Files {
    /// The forms that were given, or that the endings say, or MLflow's JSON for standard streams.
    ///
    /// # Errors
    /// An ending that says nothing; Parquet from standard input.
    pub fn forms(&self) -> Result<Forms, PredictError> {
        let input = self.input_form()?;
        let output = form(self.output_format, self.output.as_deref(), "--output-type")?;
        Ok(Forms { input, output })
    }

    /// The form of the input alone.
    ///
    /// # Errors
    /// An ending that says nothing; Parquet from standard input.
    pub fn input_form(&self) -> Result<Format, PredictError> {
        let input = form(self.input_format, self.input.as_deref(), "-t")?;
        if input == Format::Parquet && self.input.is_none() {
            return Err(PredictError::Usage(
                "Parquet is read from its end, which standard input has not got; name a file"
                    .to_owned(),
            ));
        }
        Ok(input)
    }
}

fn form(given: Option<Format>, path: Option<&Path>, flag: &str) -> Result<Format, PredictError> {
    match (given, path) {
        (Some(format), _) => Ok(format),
        (None, None) => Ok(Format::Json),
        (None, Some(path)) => Format::of_path(path).ok_or_else(|| {
            let (path, choices) = (path.display(), Format::CHOICES.join(", "));
            PredictError::Usage(format!(
                "the ending of {path} says no type; give one of {choices} with {flag}"
            ))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_goes_before_an_ending_and_standard_streams_are_json() {
        let files = Files {
            input: Some("a.csv".into()),
            output: Some("b.parquet".into()),
            ..Files::default()
        };
        let forms = Forms { input: Format::Csv, output: Format::Parquet };
        assert_eq!(files.forms().unwrap(), forms);
        let given = Files { input_format: Some(Format::JsonLines), ..files };
        assert_eq!(given.forms().unwrap().input, Format::JsonLines);
        let forms = Forms { input: Format::Json, output: Format::Json };
        assert_eq!(Files::default().forms().unwrap(), forms);
    }

    #[test]
    fn what_cannot_be_told_is_asked_for() {
        let files = Files { input: Some("rows.txt".into()), ..Files::default() };
        let error = files.forms().unwrap_err().to_string();
        assert_eq!(
            error,
            "the ending of rows.txt says no type; give one of csv, json, jsonl, parquet with -t"
        );
        let files = Files { input_format: Some(Format::Parquet), ..Files::default() };
        assert!(matches!(files.forms(), Err(PredictError::Usage(_))));
    }
}
