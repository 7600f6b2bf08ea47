//! Reading HTTP/1.1 answers from bytes: heads, and bodies of all three kinds of length.

/// Headers of an answer, at most; more is no server that we measure.
const HEADERS_MAX: usize = 64;

/// Bytes that are no HTTP/1.1 answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The head of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// The head's own length in bytes: the body begins there.
    pub(crate) bytes: usize,
    pub(crate) body: BodyLength,
    /// The server will close the connection.
    pub(crate) close: bool,
    /// The version of the model that answered, where the server says so and it is a number.
    pub(crate) version: Option<u64>,
}

/// The header that says which version of a model answered.
const VERSION: &str = "x-model-version";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    Known(usize),
    Chunked,
    UntilClose,
}

impl Head {
    /// The head at the start of `bytes`; `None` when there is more to come.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = response.parse(bytes).map_err(|_| Malformed)?
        else {
            return Ok(None);
        };
        let status = response.code.ok_or(Malformed)?;
        let keeps = response.version == Some(1);
        let (body, close) = (BodyLength::UntilClose, !keeps);
        let mut head = Self { status, bytes: length, body, close, version: None };
        for header in &*response.headers {
            if header.name.eq_ignore_ascii_case("content-length") {
                let text = str::from_utf8(header.value).map_err(|_| Malformed)?;
                if head.body != BodyLength::Chunked {
                    head.body = BodyLength::Known(text.trim().parse().map_err(|_| Malformed)?);
                }
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                if !header.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err(Malformed);
                }
                head.body = BodyLength::Chunked;
            } else if header.name.eq_ignore_ascii_case(VERSION) {
                let text = str::from_utf8(header.value).map_err(|_| Malformed)?;
                head.version = text.trim().parse().ok();
            } else if header.name.eq_ignore_ascii_case("connection") {
                let value = header.value.trim_ascii();
                head.close = value.eq_ignore_ascii_case(b"close")
                    || !(keeps || value.eq_ignore_ascii_case(b"keep-alive"));
            }
        }
        if matches!(status, 204 | 304) {
            head.body = BodyLength::Known(0);
        }
        Ok(Some(head))
    }
}

/// A chunked body, decoded as its bytes come.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    /// The decoded body, so far.
    pub(crate) body: Vec<u8>,
    /// Where the next chunk begins.
    at: usize,
}

impl Chunks {
    /// Decodes what is there of the chunks in `bytes`, which is all of the encoded body so far.
    /// Whether that was the last of it.
    ///
    /// # Errors
    /// When they are no chunks, or something follows the last.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<bool, Malformed> {
        loop {
            let rest = &bytes[self.at..];
            let parsed = httparse::parse_chunk_size(rest).map_err(|_| Malformed)?;
            let httparse::Status::Complete((start, size)) = parsed else { return Ok(false) };
            if size == 0 {
                return last_chunk_ends(&rest[start..]);
            }
            let size = usize::try_from(size).map_err(|_| Malformed)?;
            let end = start.checked_add(size).ok_or(Malformed)?;
            let Some(mark) = rest.get(end..end.saturating_add(2)) else { return Ok(false) };
            if mark != b"\r\n" {
                return Err(Malformed);
            }
            self.body.extend_from_slice(&rest[start..end]);
            self.at += end + 2;
        }
    }
}

/// After the last chunk come trailers, which no one needs, and an empty line.
fn last_chunk_ends(trailers: &[u8]) -> Result<bool, Malformed> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    match httparse::parse_headers(trailers, &mut headers).map_err(|_| Malformed)? {
        httparse::Status::Complete((length, _)) if length == trailers.len() => Ok(true),
        httparse::Status::Complete(_) => Err(Malformed),
        httparse::Status::Partial => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Head {
        Head::parse(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn a_head_tells_status_length_and_whether_the_connection_stays() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nDate: now\r\n\r\n{}";
        let body = BodyLength::Known(12);
        let expected = Head { status: 200, bytes: 50, body, close: false, version: None };
        assert_eq!(parsed(text), expected);
        for end in 0..expected.bytes {
            assert_eq!(Head::parse(&text.as_bytes()[..end]), Ok(None), "{end}");
        }
    }

    #[test]
    fn the_connection_stays_unless_the_version_or_the_server_says_otherwise() {
        for (text, close) in [
            ("HTTP/1.1 429 Busy\r\n\r\n", false),
            ("HTTP/1.1 429 Busy\r\nconnection: Close\r\n\r\n", true),
            ("HTTP/1.0 200 OK\r\n\r\n", true),
            ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", false),
        ] {
            assert_eq!(parsed(text).close, close, "{text}");
        }
    }

    #[test]
    fn a_version_is_read_where_it_is_a_number() {
        for (text, version) in [
            ("HTTP/1.1 200 OK\r\nX-Model-Version: 12\r\n\r\n", Some(12)),
            ("HTTP/1.1 200 OK\r\nx-model-version: new\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\n\r\n", None),
        ] {
            assert_eq!(parsed(text).version, version, "{text}");
        }
    }

    #[test]
    fn a_body_has_a_known_length_or_chunks_or_ends_with_the_connection() {
        for (text, body) in [
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", BodyLength::Chunked),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
                BodyLength::Chunked,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                BodyLength::Chunked,
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", BodyLength::Known(0)),
            ("HTTP/1.1 200 OK\r\n\r\n", BodyLength::UntilClose),
        ] {
            assert_eq!(parsed(text).body, body, "{text}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for text in [
            "GET / HTTP/1.1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        ] {
            assert_eq!(Head::parse(text.as_bytes()), Err(Malformed), "{text}");
        }
    }

    #[test]
    fn damaged_chunks_are_refused() {
        for text in ["x\r\n", "2\r\nabc\r\n", "0\r\n\r\nHTTP"] {
            assert_eq!(Chunks::default().take(text.as_bytes()), Err(Malformed), "{text}");
        }
        let mut chunks = Chunks::default();
        assert_eq!(chunks.take(b"1\r\na\r\n0\r\nServer-Timing: x\r\n\r\n"), Ok(true));
        assert_eq!(chunks.body, b"a");
    }

    proptest! {
        #[test]
        fn chunks_become_their_body_however_they_arrive(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            step in 1..50_usize,
        ) {
            let mut bytes = Vec::new();
            for piece in &pieces {
                bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                bytes.extend_from_slice(piece);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            let mut chunks = Chunks::default();
            for end in (0..bytes.len()).step_by(step) {
                prop_assert_eq!(chunks.take(&bytes[..end]), Ok(false));
            }
            prop_assert_eq!(chunks.take(&bytes), Ok(true));
            prop_assert_eq!(chunks.body, pieces.concat());
        }

        #[test]
        fn any_bytes_are_refused_or_wait_for_more(bytes: Vec<u8>) {
            let _ = Head::parse(&bytes);
            let _ = Chunks::default().take(&bytes);
        }
    }
}
