//! Secrets that are files, as orchestrators mount them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::server::WebhookSecret;

/// Longest secret; MLflow keeps up to 1,000 characters.
const SECRET_BYTES_MAX: usize = 4096;

/// Why a file holds no secret. The text names the file and never what is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("`{}` cannot be read: {cause}", .path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
    #[error("`{}` is empty, and a secret is not", .0.display())]
    Empty(PathBuf),
    #[error("`{}` has more than {SECRET_BYTES_MAX} bytes, which no secret has", .0.display())]
    TooLong(PathBuf),
}

/// Reads the secret of webhooks. A newline at its end is not part of it.
///
/// # Errors
/// When the file cannot be read, or is empty or too long.
pub fn read_webhook_secret(path: &Path) -> Result<WebhookSecret, SecretError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(SECRET_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|cause| SecretError::Unreadable { path: path.to_owned(), cause })?;
    if bytes.len() > SECRET_BYTES_MAX {
        return Err(SecretError::TooLong(path.to_owned()));
    }
    let secret = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let secret = secret.strip_suffix(b"\r").unwrap_or(secret);
    WebhookSecret::new(secret.to_owned()).ok_or_else(|| SecretError::Empty(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_what_the_file_holds_but_for_a_newline_at_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let read = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            read_webhook_secret(&path)
        };
        let secret = |bytes: &[u8]| WebhookSecret::new(bytes.to_owned()).unwrap();
        for (content, want) in
            [("a b", "a b"), ("a b\n", "a b"), ("a b\r\n", "a b"), ("a\n\n", "a\n"), (" ü ", " ü ")]
        {
            assert_eq!(read(content.as_bytes()).unwrap(), secret(want.as_bytes()), "{content:?}");
        }
        let longest = [b'x'; SECRET_BYTES_MAX];
        assert_eq!(read(&longest).unwrap(), secret(&longest));
        for (content, words) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"\r\n", "is empty"),
            (&[b'x'; SECRET_BYTES_MAX + 1], "more than 4096 bytes"),
        ] {
            let error = read(content).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains("/secret`"), "{error}");
        }
        let error = read_webhook_secret(&dir.path().join("absent")).unwrap_err().to_string();
        assert!(error.contains("/absent` cannot be read: No such file"), "{error}");
    }
}
