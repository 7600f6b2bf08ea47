//! The list of recorded answers that we differ from on purpose, each with its number in
//! `docs/parity.md` and with the answer that we give instead.

use std::collections::BTreeMap;
use std::path::Path;

/// What we answer instead of the recorded answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    /// The item of the parity policy: `P3.1` to `P3.11`.
    pub(crate) item: String,
    pub(crate) status: u16,
    /// For a 200 the body (compared within the tolerance), for an error its `error_code`.
    pub(crate) answer: Option<String>,
}

/// Reads a list: `MODEL/CASE  P3.N  STATUS  [ERROR_CODE or BODY]` a line, `#` for comments.
/// A list that is not there is empty.
pub(crate) fn read(path: &Path) -> BTreeMap<String, Difference> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    parse(&text).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}

fn parse(text: &str) -> Result<BTreeMap<String, Difference>, String> {
    let mut listed = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (id, difference) = entry(line).ok_or_else(|| format!("line {}: {line}", index + 1))?;
        if listed.insert(id.clone(), difference).is_some() {
            return Err(format!("line {}: {id} is listed twice", index + 1));
        }
    }
    Ok(listed)
}

fn entry(line: &str) -> Option<(String, Difference)> {
    let (id, rest) = line.split_once(char::is_whitespace)?;
    let (item, rest) = rest.trim_start().split_once(char::is_whitespace)?;
    let number: u8 = item.strip_prefix("P3.")?.parse().ok()?;
    let rest = rest.trim_start();
    let (status, answer) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let answer = answer.trim_start();
    let difference = Difference {
        item: format!("P3.{number}"),
        status: status.parse().ok()?,
        answer: (!answer.is_empty()).then(|| answer.to_owned()),
    };
    (1..=11).contains(&number).then(|| (id.to_owned(), difference))
}

#[test]
fn a_list_reads_and_its_faults_are_named() {
    let list =
        "# why\n\nm/a  P3.1  200  {\"predictions\": []}\nm/b P3.5 400 BAD_REQUEST\nm/c P3.9 200";
    let listed = parse(list).unwrap();
    assert_eq!(listed["m/a"].answer.as_deref(), Some("{\"predictions\": []}"));
    assert_eq!((listed["m/b"].status, listed["m/b"].item.as_str()), (400, "P3.5"));
    assert_eq!(listed["m/c"].answer, None);
    assert!(parse("m/a P3.12 200").is_err(), "there is no such item");
    assert!(parse("m/a P3.1").is_err(), "no status");
    assert!(parse("m/a P3.1 200\nm/a P3.1 200").is_err(), "twice");
}
