//! What is sent: the server's address, and every request as the bytes that go on the wire.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Host and port as the URL has them: the `Host` header.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
}

impl Target {
    /// Takes a URL of plain HTTP apart.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let rest = url
            .strip_prefix("http://")
            .ok_or("only http:// is measured: encryption would measure itself")?;
        let rest = rest.split('#').next().unwrap_or(rest);
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        if authority.is_empty() || authority.contains('@') {
            return Err("expected http://HOST:PORT/PATH".to_owned());
        }
        if url.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            return Err("blanks in a URL are written %20".to_owned());
        }
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        Ok(Self { authority: authority.to_owned(), path })
    }

    /// The address behind the name; port 80 where there is none.
    ///
    /// # Errors
    /// When the name does not resolve.
    pub(crate) fn resolve(&self) -> io::Result<SocketAddr> {
        let authority = &self.authority;
        let has_port = authority.rsplit(':').next().is_some_and(|port| {
            port.len() < authority.len() && port.bytes().all(|byte| byte.is_ascii_digit())
        });
        let with_port = if has_port { authority.clone() } else { format!("{authority}:80") };
        let first = with_port.to_socket_addrs()?.next();
        first.ok_or_else(|| io::Error::other(format!("{authority} has no address")))
    }

    /// A whole request.
    pub(crate) fn request(&self, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
        let Self { authority, path } = self;
        let mut head = format!("POST {path} HTTP/1.1\r\nHost: {authority}\r\n");
        for (name, value) in headers {
            // Writing to a string cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let _ = write!(head, "Content-Length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }
}

/// Takes `Name: value` apart.
///
/// # Errors
/// What is wrong with it, as a sentence.
pub(crate) fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected `Name: value`")?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) || value.contains(['\r', '\n']) {
        return Err("expected `Name: value`, on one line".to_owned());
    }
    for ours in ["content-length", "transfer-encoding", "host", "content-type"] {
        if name.eq_ignore_ascii_case(ours) {
            return Err(format!("`{name}` follows from the other options"));
        }
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// The bodies of `files`, whole, and then of `lists`, one a line.
///
/// # Errors
/// When a file cannot be read; the error names it.
pub(crate) fn read_bodies<'a>(
    files: impl Iterator<Item = &'a Path>,
    lists: impl Iterator<Item = &'a Path>,
) -> io::Result<Vec<Vec<u8>>> {
    let mut bodies = files.map(read).collect::<io::Result<Vec<_>>>()?;
    for list in lists {
        bodies.extend(read_lines(list)?);
    }
    Ok(bodies)
}

/// The lines of a file without their ends; an empty last line is none.
///
/// # Errors
/// When the file cannot be read; the error names it.
pub(crate) fn read_lines(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    Ok(lines(&read(path)?))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let named = |error| io::Error::other(format!("{}: {error}", path.display()));
    fs::read(path).map_err(named)
}

fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(authority: &str, path: &str) -> Target {
        Target { authority: authority.to_owned(), path: path.to_owned() }
    }

    #[test]
    fn a_url_is_a_host_and_a_path() {
        for (url, authority, path) in [
            ("http://127.0.0.1:8080/invocations", "127.0.0.1:8080", "/invocations"),
            ("http://localhost", "localhost", "/"),
            ("http://h:1?x=y", "h:1", "/?x=y"),
            ("http://[::1]:5/a/b?c#d", "[::1]:5", "/a/b?c"),
        ] {
            assert_eq!(Target::parse(url), Ok(target(authority, path)), "{url}");
        }
        for url in ["https://h/", "h:80/x", "http://", "http:///x", "http://u@h/", "http://h/a b"] {
            assert!(Target::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_port_is_80_unless_the_url_has_one() {
        for (authority, address) in [
            ("127.0.0.1", "127.0.0.1:80"),
            ("127.0.0.1:81", "127.0.0.1:81"),
            ("[::1]", "[::1]:80"),
            ("[::1]:81", "[::1]:81"),
        ] {
            assert_eq!(target(authority, "/").resolve().unwrap(), address.parse().unwrap());
        }
    }

    #[test]
    fn a_request_is_complete() {
        let headers = [("Content-Type".to_owned(), "text/csv".to_owned())];
        let request = target("h:1", "/x").request(&headers, b"a,b\n");
        assert_eq!(
            String::from_utf8(request).unwrap(),
            "POST /x HTTP/1.1\r\nHost: h:1\r\nContent-Type: text/csv\r\nContent-Length: 4\r\n\r\n\
             a,b\n"
        );
    }

    #[test]
    fn a_header_is_a_name_and_a_value_that_no_other_option_sets() {
        let pair = |name: &str, value: &str| Ok((name.to_owned(), value.to_owned()));
        assert_eq!(parse_header("X-A: b: c"), pair("X-A", "b: c"));
        assert_eq!(parse_header("X-A:"), pair("X-A", ""));
        for text in ["x", ": y", "a b: c", "a: b\r\nc: d", "content-length: 3", "Host: h"] {
            assert!(parse_header(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_is_split_at_its_lines() {
        let split = |text: &str| -> Vec<String> {
            lines(text.as_bytes()).into_iter().map(|l| String::from_utf8(l).unwrap()).collect()
        };
        assert_eq!(split("a\r\nb\n"), ["a", "b"]);
        assert_eq!(split("a\n\nb"), ["a", "", "b"]);
        assert!(split("").is_empty() && split("\n").is_empty());
    }
}
