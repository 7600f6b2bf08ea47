//! The project's own files, and Rust code with its comments and literals blanked out.

use std::fs;
use std::path::{Path, PathBuf};

/// Directories that hold nothing of ours.
const SKIPPED: [&str; 5] = ["target", ".git", "__pycache__", ".hypothesis", "fixtures"];
/// Files whose text is read for places and links.
const TEXTS: [&str; 9] = ["rs", "md", "toml", "py", "sh", "yaml", "yml", "txt", "jsonl"];

/// One Rust file.
pub(crate) struct Source {
    /// Relative to the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments, strings and characters blanked, line for line.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), code: blank(text) }
    }

    /// Whether the file is unit tests that have outgrown the file they test.
    pub(crate) fn is_unit_tests(&self) -> bool {
        self.path.starts_with("src/")
            && (self.path.ends_with("/tests.rs") || self.path.contains("/tests/"))
    }

    /// The lines of code before the file's unit tests; none where the file is all tests.
    pub(crate) fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let product = self.path.starts_with("src/") && !self.is_unit_tests();
        self.code
            .lines()
            .enumerate()
            .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
            .filter(move |_| product)
            .map(|(index, line)| (index + 1, line))
    }
}

/// Every Rust file of the project.
pub(crate) fn all() -> Vec<Source> {
    texts()
        .into_iter()
        .filter(|(path, _)| is_a(path, "rs"))
        .map(|(path, text)| Source::new(&path, &text))
        .collect()
}

/// Whether the file's name ends in this.
pub(crate) fn is_a(path: &str, kind: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == kind)
}

/// Every text file of the project, with its path from the repository's root.
pub(crate) fn texts() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    collect(root, root, &mut found);
    found.sort();
    found
}

fn collect(root: &Path, dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).expect("a directory of the project lists") {
        let path: PathBuf = entry.expect("a directory of the project lists").path();
        let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
        if path.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                collect(root, &path, found);
            }
        } else if ["Makefile", "Dockerfile"].contains(&name.as_str())
            || TEXTS.iter().any(|kind| is_a(&name, kind))
        {
            let relative = path.strip_prefix(root).expect("it lies under the root");
            let text = fs::read_to_string(&path).expect("a text file is UTF-8");
            found.push((relative.to_string_lossy().replace('\\', "/"), text));
        }
    }
}

/// Blanks comments and the insides of literals; line breaks stay.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, keep) = match first {
            '/' if rest.starts_with("//") => (rest.find('\n').unwrap_or(rest.len()), false),
            '/' if rest.starts_with("/*") => (rest.find("*/").map_or(rest.len(), |i| i + 2), false),
            '"' => (string_length(rest), false),
            'r' if raw_length(rest).is_some() && !follows_word(&code) => {
                (raw_length(rest).unwrap_or(1), false)
            }
            '\'' if char_length(rest).is_some() => (char_length(rest).unwrap_or(1), false),
            _ => (first.len_utf8(), true),
        };
        let (piece, after) = rest.split_at(length);
        if keep {
            code.push_str(piece);
        } else {
            code.extend(piece.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        rest = after;
    }
    code
}

fn follows_word(code: &str) -> bool {
    code.ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a raw string that starts here.
fn raw_length(text: &str) -> Option<usize> {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    let body = text[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(2 + hashes + body.find(&end).map_or(body.len(), |at| at + end.len()))
}

/// The length of a character literal; a lifetime is none.
fn char_length(text: &str) -> Option<usize> {
    let mut chars = text.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        return text[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map(|(at, _)| at + 3);
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(at + 1)
}

#[test]
fn comments_and_literals_are_blanked_and_code_is_kept() {
    let code =
        blank("let a = \"x // y\"; // ort::\nlet b: &'a str = r#\"f\"s\"#; let c = '\"'; d(';')\n");
    assert!(!code.contains("ort") && !code.contains('x') && !code.contains("f\"s"));
    assert!(code.contains("let b: &'a str ="));
    assert!(code.contains("let c =") && code.contains("; d("));
    assert_eq!(code.lines().count(), 2);
}
