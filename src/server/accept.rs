//! Content codings in request headers: what the body is in, what the answer may be in.

use actix_web::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap};

use crate::wire::coding::Coding;

use super::error::Failure;

/// How the request's body is compressed; `None` if it is not.
///
/// # Errors
/// When the header names an unknown coding, or more than one.
pub(super) fn body_coding(headers: &HeaderMap) -> Result<Option<Coding>, Failure> {
    let mut coding = None;
    for value in headers.get_all(CONTENT_ENCODING) {
        let names = value.to_str().map_err(|_| Failure::UnknownCoding)?;
        let given = names.split(',').map(str::trim);
        for name in given.filter(|name| !name.eq_ignore_ascii_case("identity") && !name.is_empty())
        {
            let known = Coding::from_name(name).ok_or(Failure::UnknownCoding)?;
            if coding.replace(known).is_some() {
                return Err(Failure::UnknownCoding);
            }
        }
    }
    Ok(coding)
}

/// The coding that the client likes best for its answer, among those we write; `None` is plain.
/// A client that refuses even that gets it all the same: MLflow ignores the header, so an answer
/// in plain text is better than none.
pub(super) fn answer_coding(headers: &HeaderMap) -> Option<Coding> {
    let mut best = None;
    for value in headers.get_all(ACCEPT_ENCODING) {
        for item in value.to_str().ok()?.split(',') {
            let (name, quality) = item.split_once(';').unwrap_or((item, ""));
            let Some(coding) = Coding::from_name(name.trim()) else { continue };
            let quality = quality.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.parse().ok());
            let quality: f32 = quality.unwrap_or(0.0);
            let rank = Coding::ALL.iter().position(|known| *known == coding);
            let better = |(best_quality, best_rank, _): (f32, Option<usize>, Coding)| {
                quality > best_quality || (quality == best_quality && rank < best_rank)
            };
            if quality > 0.0 && best.is_none_or(better) {
                best = Some((quality, rank, coding));
            }
        }
    }
    best.map(|(_, _, coding)| coding)
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.append(name, HeaderValue::from_static(value));
        headers
    }

    #[test]
    fn answers_follow_the_client_then_our_ranking() {
        let of = |value| answer_coding(&headers(ACCEPT_ENCODING, value));
        assert_eq!(of("gzip, deflate"), Some(Coding::Gzip));
        assert_eq!(of("gzip, br, zstd"), Some(Coding::Zstd));
        assert_eq!(of("gzip;q=1.0, zstd;q=0.5"), Some(Coding::Gzip));
        assert_eq!(of("gzip; q=0"), None);
        assert_eq!(of("identity;q=0, *"), None);
        assert_eq!(of("nonsense;;=,"), None);
    }

    #[test]
    fn bodies_have_one_known_coding_or_none() {
        let of = |value| body_coding(&headers(CONTENT_ENCODING, value)).ok();
        assert_eq!(of("gzip"), Some(Some(Coding::Gzip)));
        assert_eq!(of("identity"), Some(None));
        assert_eq!(of("identity, BR"), Some(Some(Coding::Brotli)));
        assert_eq!(of("gzip, gzip"), None);
        assert_eq!(of("compress"), None);
    }
}
