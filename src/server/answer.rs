//! Answers with 200: the body, its coding, and where the time went.

use std::sync::Arc;
use std::time::Duration;

use actix_http::Response;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use bytes::Bytes;

use crate::servable::{Answer, Servable, Share, Timing};
use crate::telemetry::{Meter, Outcome, OwnedPassage, Passage};

use super::error::{self, APPLICATION_JSON};

/// Answers from this size on count as memory until they are sent; smaller ones are gone soon.
const COUNTED_BYTES_MIN: usize = 64 << 10;

const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The version of the model that made the answer: while versions are swapped, who asks can tell.
const MODEL_VERSION: HeaderName = HeaderName::from_static("x-model-version");

/// The response of a request that was scored by that version. The request ends here, or, where its
/// answer is sent in many pieces, with the last of them.
pub(super) fn respond(
    answer: Answer,
    servable: &Servable,
    passage: Passage<&Meter>,
) -> Response<BoxBody> {
    let Answer { body, coding, timing, share } = answer;
    let version = servable.id().version;
    let body = if body.len() < COUNTED_BYTES_MIN {
        passage.end(Outcome::Ok);
        Bytes::from(body)
    } else {
        let passage = passage.into_owned(Arc::clone(servable.meter()), Outcome::Ok);
        Bytes::from_owner(Counted { body, _share: share, _passage: passage })
    };
    let mut response = error::respond(StatusCode::OK, APPLICATION_JSON, body);
    let headers = response.headers_mut();
    headers.insert(SERVER_TIMING, server_timing(&timing));
    headers.insert(MODEL_VERSION, HeaderValue::from(version.0));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}

/// A body that is dropped when it is sent, with the memory that it holds and the request's end.
struct Counted {
    body: Vec<u8>,
    _share: Share,
    _passage: OwnedPassage,
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
    let mut line = Line { text: [0; LINE_MAX], len: 0 };
    line.push(b"decode;dur=");
    line.push_millis(*decode);
    line.push(b", queue;dur=");
    line.push_millis(stages.queue);
    line.push(b", assemble;dur=");
    line.push_millis(stages.assemble);
    line.push(b", execute;dur=");
    line.push_millis(stages.execute);
    line.push(b", encode;dur=");
    line.push_millis(*encode);
    HeaderValue::from_bytes(&line.text[..line.len]).expect("digits and names are visible ASCII")
}

/// Five names, and five times of up to 20 digits before the point.
const LINE_MAX: usize = 192;

/// A short text on the stack. Every answer has one: pieces of known length are moved, where a
/// vector would call for a copy of each.
struct Line {
    text: [u8; LINE_MAX],
    len: usize,
}

impl Line {
    fn push<const N: usize>(&mut self, piece: &[u8; N]) {
        if let Some(to) = self.text[self.len..].first_chunk_mut() {
            *to = *piece;
            self.len += N;
        }
    }

    /// Milliseconds with three decimals.
    fn push_millis(&mut self, time: Duration) {
        let micros = time.subsec_micros();
        if time.as_secs() == 0 && micros < 10_000 {
            let [ones, tenths, hundredths, thousandths] = digits(micros);
            self.push(&[ones, b'.', tenths, hundredths, thousandths]);
        } else {
            self.push_long(time);
        }
    }

    #[cold]
    fn push_long(&mut self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        for digit in itoa::Buffer::new().format(millis).bytes() {
            self.push(&[digit]);
        }
        let [_, tenths, hundredths, thousandths] = digits(time.subsec_micros());
        self.push(&[b'.', tenths, hundredths, thousandths]);
    }
}

/// The last four digits of a number.
fn digits(number: u32) -> [u8; 4] {
    [1000, 100, 10, 1].map(|unit| b'0' + (number / unit % 10) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Stages;

    #[test]
    fn stages_are_milliseconds_with_microseconds_behind_the_point() {
        let us = Duration::from_micros;
        let stages = Stages { queue: us(1_234_567), assemble: us(10), execute: us(100), rows: 1 };
        let timing = Timing { decode: us(7), stages, encode: us(0) };
        assert_eq!(
            server_timing(&timing).to_str().unwrap(),
            "decode;dur=0.007, queue;dur=1234.567, assemble;dur=0.010, execute;dur=0.100, \
             encode;dur=0.000"
        );
    }

    #[test]
    fn the_longest_times_fit() {
        let longest = Duration::MAX;
        let stages = Stages { queue: longest, assemble: longest, execute: longest, rows: 1 };
        let timing = Timing { decode: longest, stages, encode: longest };
        let text = "18446744073709551615.999";
        assert_eq!(
            server_timing(&timing).to_str().unwrap(),
            format!(
                "decode;dur={text}, queue;dur={text}, assemble;dur={text}, execute;dur={text}, \
                 encode;dur={text}"
            )
        );
    }
}
