//! `~/.mlflow/credentials`: where `mlflow` users keep a name and a password.
//!
//! Read as MLflow's client reads it: an ini file whose section `[mlflow]` has the keys
//! `mlflow_tracking_username` and `mlflow_tracking_password`, or finds them in `[DEFAULT]`; a `%`
//! is written `%%`. Variables of the environment go before it, each for itself.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ini::{Ini, ParseOption, Properties};

/// Largest file; two short lines are usual.
const BYTES_MAX: u64 = 64 << 10;
const USERNAME: &str = "mlflow_tracking_username";
const PASSWORD: &str = "mlflow_tracking_password";

/// Why the file is of no use. The text names it and repeats nothing of its content.
#[derive(Debug, thiserror::Error)]
#[error("`{}` {problem}", .path.display())]
pub struct CredentialsError {
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("has more than {BYTES_MAX} bytes, which no file of credentials has")]
    TooLarge,
    #[error("is not UTF-8 text")]
    NotUtf8,
    #[error("is no ini file: line {line}, column {column}")]
    NotIni { line: usize, column: usize },
    #[error("has a line that is no `key = value`, before one of `{0}`")]
    NoKey(&'static str),
    #[error("has `{0}` more than once")]
    Twice(&'static str),
    #[error("has a single % in `{0}`, which MLflow's client refuses as well: write it %%")]
    Percent(&'static str),
}

/// What the file says; either may be missing.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
}

/// Reads the file of the user with that home. No file is no login.
pub(super) fn read(home: &Path) -> Result<Login, CredentialsError> {
    let path = home.join(".mlflow/credentials");
    // A home that may not be looked into is as good as none.
    if std::fs::metadata(&path).is_err() {
        return Ok(Login::default());
    }
    login(&path).map_err(|problem| CredentialsError { path, problem })
}

fn login(path: &Path) -> Result<Login, Problem> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(Problem::Unreadable)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(Problem::TooLarge);
    }
    let text = String::from_utf8(bytes).map_err(|_| Problem::NotUtf8)?;
    // Quotes and backslashes are parts of passwords, as Python has it.
    let options =
        ParseOption { enabled_quote: false, enabled_escape: false, ..ParseOption::default() };
    let ini = Ini::load_from_str_opt(&text, options)
        .map_err(|error| Problem::NotIni { line: error.line, column: error.col })?;
    let Some(own) = ini.section(Some("mlflow")) else { return Ok(Login::default()) };
    let default = ini.section(Some("DEFAULT"));
    let value = |key| match value(own, key)? {
        None => default.map_or(Ok(None), |section| value(section, key)),
        found => Ok(found),
    };
    Ok(Login { username: value(USERNAME)?, password: value(PASSWORD)? })
}

/// The value of a key, whatever the key's case.
fn value(section: &Properties, key: &'static str) -> Result<Option<String>, Problem> {
    let mut found = None;
    for (name, value) in section {
        // A line without a value, or an indented comment, is taken for the beginning of a key.
        let (before, name) = name.rsplit_once('\n').unwrap_or(("", name));
        if !name.trim().eq_ignore_ascii_case(key) {
            continue;
        }
        let is_comment = |line: &str| line.is_empty() || line.starts_with(['#', ';']);
        if !before.lines().map(str::trim).all(is_comment) {
            return Err(Problem::NoKey(key));
        }
        if found.replace(value.trim()).is_some() {
            return Err(Problem::Twice(key));
        }
    }
    let Some(value) = found.filter(|value| !value.is_empty()) else { return Ok(None) };
    let parts: Vec<_> = value.split("%%").collect();
    if parts.iter().any(|part| part.contains('%')) {
        return Err(Problem::Percent(key));
    }
    Ok(Some(parts.join("%")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_file(content: &[u8]) -> Result<Login, String> {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".mlflow")).unwrap();
        std::fs::write(home.path().join(".mlflow/credentials"), content).unwrap();
        read(home.path()).map_err(|error| error.to_string())
    }

    fn found(content: &str) -> (Option<String>, Option<String>) {
        let login = read_file(content.as_bytes()).unwrap();
        (login.username, login.password)
    }

    /// What Python's `configparser` makes of the same texts.
    #[test]
    fn a_file_says_what_it_says_to_mlflows_client() {
        let both = |username: &str, password: &str| {
            [username, password].map(|text| (!text.is_empty()).then(|| text.to_owned())).into()
        };
        for (content, username, password) in [
            (
                "[mlflow]\nmlflow_tracking_username = ada\nmlflow_tracking_password = p\n",
                "ada",
                "p",
            ),
            ("[mlflow]\r\nmlflow_tracking_username=ada\r\nmlflow_tracking_password: p", "ada", "p"),
            (
                "# one\n; two\n\n[mlflow]\nMLFLOW_TRACKING_PASSWORD = p = q: r # s",
                "",
                "p = q: r # s",
            ),
            ("[mlflow]\nmlflow_tracking_password = \"a\\b'%%\n", "", "\"a\\b'%"),
            ("[mlflow]\nmlflow_tracking_username =\nmlflow_tracking_password = ü\n", "", "ü"),
            ("[DEFAULT]\nmlflow_tracking_username = d\n[mlflow]\nother = 1", "d", ""),
            ("[DEFAULT]\nmlflow_tracking_username = d\n", "", ""),
            ("[MLflow]\nmlflow_tracking_username = ada\n", "", ""),
            (
                "[x]\nmlflow_tracking_username = x\n[mlflow]\nmlflow_tracking_username = ada",
                "ada",
                "",
            ),
            ("[mlflow]\n  mlflow_tracking_username = ada\n", "ada", ""),
            ("[mlflow]\n  # who\n\n ;\nmlflow_tracking_username = ada\n", "ada", ""),
            ("", "", ""),
        ] {
            assert_eq!(found(content), both(username, password), "{content}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_is_repeated() {
        let long = "#".repeat(70_000);
        for (content, words) in [
            (&b"[mlflow\nmlflow_tracking_password = sesame"[..], "no ini file: line"),
            (b"[mlflow]\nsesame\nmlflow_tracking_password = sesame", "no `key = value`"),
            (b"[mlflow]\nmlflow_tracking_password = 100%sesame", "single % in"),
            (
                b"[mlflow]\nmlflow_tracking_password = sesame\nmlflow_tracking_password = sesame2",
                "`mlflow_tracking_password` more than once",
            ),
            (b"[mlflow]\nmlflow_tracking_password = sesame\xff", "is not UTF-8"),
            (long.as_bytes(), "more than 65536 bytes"),
        ] {
            let error = read_file(content).err().unwrap();
            assert!(error.contains(words) && error.contains("/.mlflow/credentials`"), "{error}");
            assert!(!error.contains("sesame"), "{error}");
        }
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join(".mlflow/credentials")).unwrap();
        assert!(read(home.path()).err().unwrap().to_string().contains("cannot be read"));
    }

    #[test]
    fn no_file_is_no_login() {
        let home = tempfile::tempdir().unwrap();
        assert!(read(home.path()).unwrap() == Login::default());
        assert!(read(&home.path().join("absent")).unwrap() == Login::default());
    }
}
