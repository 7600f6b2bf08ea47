//! Sizes, names and finish of the source files.

use crate::source::Source;

/// A file without its unit tests.
const FILE_LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_CHARS_MAX: usize = 100;

/// Names that tell nothing about what is inside.
const VAGUE: [&str; 13] = [
    "util", "utils", "helper", "helpers", "common", "misc", "types", "data", "info", "engine",
    "executor", "context", "service",
];

/// Work that was put off.
pub(crate) fn unfinished(source: &Source) -> Vec<String> {
    // In code only (a text may speak of them) or anywhere (a comment is where these stand).
    let in_code = ["todo!", "unimplemented!", "#[ignore"];
    let anywhere = [concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO")];
    let code = source.code.lines().enumerate().map(|line| (line, &in_code));
    let text = source.text.lines().enumerate().map(|line| (line, &anywhere));
    code.chain(text)
        .filter_map(|((index, line), words)| {
            let word = words.iter().find(|word| holds_alone(line, word))?;
            Some(format!("{}:{}: {word}: what is here is finished", source.path, index + 1))
        })
        .collect()
}

/// Whether the line holds the word, not within a longer one (`\uXXXX` is a notation).
fn holds_alone(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let [before, after] =
            [line[..at].chars().next_back(), line[at + word.len()..].chars().next()];
        ![before, after].into_iter().flatten().any(|c| c.is_alphanumeric() || c == '_')
    })
}

/// What has outgrown one reading.
pub(crate) fn too_large(source: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    let path = &source.path;
    let own = source.text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count();
    if own > FILE_LINES_MAX {
        faults
            .push(format!("{path}: {own} lines, {FILE_LINES_MAX} at most: a file holds one idea"));
    }
    for (index, line) in source.text.lines().enumerate() {
        if line.chars().count() > LINE_CHARS_MAX {
            faults.push(format!("{path}:{}: longer than {LINE_CHARS_MAX} columns", index + 1));
        }
    }
    for (line, name, length) in functions(&source.code) {
        if length > FUNCTION_LINES_MAX {
            faults.push(format!(
                "{path}:{line}: `{name}` has {length} lines, {FUNCTION_LINES_MAX} at most: a \
                 function is read at one glance"
            ));
        }
    }
    faults
}

/// First line, name and number of lines of every function with a body.
fn functions(code: &str) -> Vec<(usize, &str, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        if code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            continue;
        }
        let name_end = code[at + 3..].find(|c: char| !(c.is_alphanumeric() || c == '_'));
        let name = &code[at + 3..at + 3 + name_end.unwrap_or(0)];
        let Some(open) = body_start(&code[at..]).filter(|_| !name.is_empty()) else { continue };
        let mut depth = 0_usize;
        let body = code[at + open..].find(|c: char| {
            depth = match c {
                '{' => depth + 1,
                '}' => depth - 1,
                _ => depth,
            };
            depth == 0
        });
        let end = at + open + body.unwrap_or(0);
        let line = code[..at].lines().count().max(1);
        found.push((line, name, code[at..end].lines().count()));
    }
    found
}

/// Where the body of the function that starts here opens; `None` where it has none.
fn body_start(code: &str) -> Option<usize> {
    let mut depth = 0_i32;
    let at = code.find(|c: char| {
        depth += i32::from("([".contains(c)) - i32::from(")]".contains(c));
        depth == 0 && "{;".contains(c)
    })?;
    code[at..].starts_with('{').then_some(at)
}

/// Files that do not say what they are for; unit tests are for the file beside them.
pub(crate) fn without_doc(source: &Source) -> Vec<String> {
    if source.text.starts_with("//! ") || source.is_unit_tests() {
        return Vec::new();
    }
    vec![format!("{}: starts without `//!`: the head of a file says what it promises", source.path)]
}

/// Names that could stand for anything.
pub(crate) fn vague_name(source: &Source) -> Vec<String> {
    source
        .path
        .trim_end_matches(".rs")
        .split('/')
        .filter(|part| VAGUE.contains(part))
        .map(|part| format!("{}: `{part}` says nothing: name what is inside", source.path))
        .collect()
}

#[test]
fn unfinished_work_is_seen() {
    let bad = |text: &str| !unfinished(&Source::new("src/a.rs", text)).is_empty();
    assert!(bad("fn f() { todo!() }"));
    assert!(bad("fn f() { unimplemented!(\"later\") }"));
    assert!(bad("#[ignore = \"slow\"]\nfn f() {}"));
    assert!(bad(concat!("// FIX", "ME: later")));
    assert!(!bad("let text = \"todo!\";"));
    assert!(!bad(concat!("// \\u", "XX", "XX is an escape")));
}

#[test]
fn what_is_too_large_is_seen() {
    let faults = |text: &str| too_large(&Source::new("src/a.rs", text)).len();
    assert_eq!(faults(&"a();\n".repeat(FILE_LINES_MAX + 1)), 1);
    assert_eq!(faults(&format!("#[cfg(test)]\n{}", "a();\n".repeat(FILE_LINES_MAX))), 0);
    assert_eq!(faults(&"a".repeat(LINE_CHARS_MAX + 1)), 1);
    let body = "    a();\n".repeat(FUNCTION_LINES_MAX);
    assert_eq!(faults(&format!("fn f(x: &str) -> [u8; 2] {{\n{body}}}\n")), 1);
    assert_eq!(faults(&format!("fn f() {{ a(); }}\n{body}")), 0);
}

#[test]
fn a_file_without_doc_or_with_a_vague_name_is_seen() {
    assert_eq!(without_doc(&Source::new("src/a.rs", "use std::fs;")).len(), 1);
    assert_eq!(without_doc(&Source::new("src/a.rs", "//! What it is for.")).len(), 0);
    assert_eq!(without_doc(&Source::new("src/a/tests.rs", "use super::*;")).len(), 0);
    assert_eq!(vague_name(&Source::new("src/wire/utils.rs", "")).len(), 1);
    assert_eq!(vague_name(&Source::new("src/helpers/mod.rs", "")).len(), 1);
    assert_eq!(vague_name(&Source::new("src/wire/number.rs", "")).len(), 0);
}
