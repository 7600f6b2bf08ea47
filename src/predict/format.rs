//! The forms in which rows are read and predictions are written.

use std::path::Path;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    /// One document: as input a request body of the protocol or a list of records, as output
    /// `{"predictions": [...]}`.
    Json,
    /// One JSON value a line.
    JsonLines,
    Parquet,
}

/// Every form with its names: the first is the one to print, all are endings of files.
const NAMES: [(Format, &[&str]); 4] = [
    (Format::Csv, &["csv"]),
    (Format::Json, &["json"]),
    (Format::JsonLines, &["jsonl", "ndjson"]),
    (Format::Parquet, &["parquet", "pq"]),
];

impl Format {
    /// The names that a user may give.
    pub const CHOICES: [&'static str; 4] = ["csv", "json", "jsonl", "parquet"];

    /// The form of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, names)| names[0] == name).map(|(format, _)| *format)
    }

    /// What the ending of a file says, in either case of letters.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        NAMES.iter().find(|(_, names)| names.contains(&ending.as_str())).map(|(format, _)| *format)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_a_name_and_an_ending() {
        for choice in Format::CHOICES {
            let format = Format::from_name(choice);
            assert!(format.is_some(), "{choice}");
            assert_eq!(Format::of_path(Path::new(&format!("a.b.{choice}"))), format);
        }
        assert_eq!(Format::of_path(Path::new("A.PQ")), Some(Format::Parquet));
        assert_eq!(Format::of_path(Path::new("rows.ndjson")), Some(Format::JsonLines));
        assert_eq!(Format::of_path(Path::new("csv")), None);
        assert_eq!(Format::from_name("xml"), None);
    }
}
