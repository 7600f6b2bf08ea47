//! Answers with 200: the body, its coding, and where the time went.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use bytes::Bytes;

use crate::servable::{Answer, Share, Timing};

use super::error::{self, APPLICATION_JSON};

/// Answers from this size on count as memory until they are sent; smaller ones are gone soon.
const COUNTED_BYTES_MIN: usize = 64 << 10;

static SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The response of a scored request.
pub(super) fn respond(answer: Answer) -> HttpResponse {
    let Answer { body, coding, timing, share } = answer;
    let mut response = error::start(StatusCode::OK, APPLICATION_JSON);
    response.insert_header((SERVER_TIMING.clone(), server_timing(&timing)));
    if let Some(coding) = coding {
        let name = HeaderValue::from_static(coding.name());
        response.insert_header((header::CONTENT_ENCODING, name));
        response.insert_header((header::VARY, HeaderValue::from_static("accept-encoding")));
    }
    if body.len() < COUNTED_BYTES_MIN {
        return response.body(body);
    }
    response.body(Bytes::from_owner(Counted { body, _share: share }))
}

/// A body with the memory that it holds.
struct Counted {
    body: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

/// The stages in milliseconds, as browsers and proxies read them:
/// `decode;dur=0.012, queue;dur=0.000, ...`.
fn server_timing(timing: &Timing) -> HeaderValue {
    let Timing { decode, stages, encode } = timing;
    let mut text = Vec::with_capacity(112);
    for (name, time) in [
        ("decode;dur=", *decode),
        (", queue;dur=", stages.queue),
        (", assemble;dur=", stages.assemble),
        (", execute;dur=", stages.execute),
        (", encode;dur=", *encode),
    ] {
        text.extend_from_slice(name.as_bytes());
        write_millis(time, &mut text);
    }
    HeaderValue::from_maybe_shared(Bytes::from(text)).expect("digits and names are visible ASCII")
}

/// Milliseconds with three decimals.
fn write_millis(time: Duration, text: &mut Vec<u8>) {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    text.extend_from_slice(itoa::Buffer::new().format(micros / 1000).as_bytes());
    let fraction = (micros % 1000) as u16;
    text.push(b'.');
    for digit in [fraction / 100, fraction / 10 % 10, fraction % 10] {
        text.push(b'0' + digit as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Stages;

    #[test]
    fn stages_are_milliseconds_with_microseconds_behind_the_point() {
        let us = Duration::from_micros;
        let stages = Stages { queue: us(1_234_567), assemble: us(10), execute: us(100) };
        let timing = Timing { decode: us(7), stages, encode: us(0) };
        assert_eq!(
            server_timing(&timing).to_str().unwrap(),
            "decode;dur=0.007, queue;dur=1234.567, assemble;dur=0.010, execute;dur=0.100, \
             encode;dur=0.000"
        );
    }
}
