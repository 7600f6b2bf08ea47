//! Content codings: compressed bodies, in both directions.
//!
//! Decoding is bounded in its output, so a decompression bomb costs at most `bytes_max` bytes of
//! memory and as much again for the decoder's window, which never exceeds what was decoded
//! (brotli), 8 MiB (zstd) or 32 KiB (the others).

use std::io::{self, Read};

use flate2::Compression;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

/// Largest zstd window we accept, as a power of two: 8 MiB, what RFC 9659 allows in HTTP.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// A content coding of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    /// Zlib's format. On the way in a bare deflate stream is accepted too: old clients send it
    /// under the same name.
    Deflate,
    Brotli,
    Zstd,
}

/// Why a compressed body could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodingError {
    #[error("the decompressed request body is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error(
        "the request body is not a valid {name} stream, although Content-Encoding says so",
        name = .coding.name()
    )]
    Corrupt { coding: Coding },
}

impl Coding {
    /// Every coding, most useful first: how equally acceptable ones are ranked for answers.
    pub const ALL: [Self; 4] = [Self::Zstd, Self::Brotli, Self::Gzip, Self::Deflate];

    /// The name in `Content-Encoding` and `Accept-Encoding`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// The coding of that name, whatever its case; `x-gzip` is an old name of `gzip`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("x-gzip") {
            return Some(Self::Gzip);
        }
        Self::ALL.into_iter().find(|coding| coding.name().eq_ignore_ascii_case(name))
    }

    /// Decompresses `body` into at most `bytes_max` bytes.
    ///
    /// # Errors
    /// When the stream is damaged or truncated, or holds more than `bytes_max` bytes.
    pub fn decode(self, body: &[u8], bytes_max: usize) -> Result<Vec<u8>, CodingError> {
        let plain = match self {
            Self::Gzip => read_bounded(MultiGzDecoder::new(body), bytes_max),
            Self::Deflate if is_zlib(body) => read_bounded(ZlibDecoder::new(body), bytes_max),
            Self::Deflate => read_bounded(DeflateDecoder::new(body), bytes_max),
            Self::Brotli => read_bounded(brotli::Decompressor::new(body, 0), bytes_max),
            Self::Zstd => zstd_decoder(body).and_then(|reader| read_bounded(reader, bytes_max)),
        };
        match plain {
            Ok(plain) if plain.len() > bytes_max => Err(CodingError::TooLarge { bytes_max }),
            Ok(plain) => Ok(plain),
            Err(_) => Err(CodingError::Corrupt { coding: self }),
        }
    }

    /// Compresses an answer, favouring speed over size. `None` if the encoder fails, which the
    /// caller answers by sending the body as it is.
    #[must_use]
    pub fn encode(self, body: &[u8]) -> Option<Vec<u8>> {
        let out = Vec::with_capacity(body.len() / 2);
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(out, Compression::fast());
                io::copy(&mut &*body, &mut encoder).and_then(|_| encoder.finish())
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(out, Compression::fast());
                io::copy(&mut &*body, &mut encoder).and_then(|_| encoder.finish())
            }
            Self::Brotli => encode_brotli(body, out),
            Self::Zstd => zstd::bulk::compress(body, 1),
        }
        .ok()
    }
}

/// Reads one byte beyond the bound at most, so that the caller sees it was passed.
fn read_bounded(reader: impl Read, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    reader.take(bytes_max as u64 + 1).read_to_end(&mut plain)?;
    Ok(plain)
}

/// Whether the stream starts with zlib's two-byte header (RFC 1950) rather than bare deflate.
fn is_zlib(body: &[u8]) -> bool {
    match body {
        [cmf, flg, ..] => cmf & 0x0f == 8 && u16::from_be_bytes([*cmf, *flg]).is_multiple_of(31),
        _ => false,
    }
}

fn zstd_decoder(body: &[u8]) -> io::Result<impl Read> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(body)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    Ok(decoder)
}

fn encode_brotli(body: &[u8], mut out: Vec<u8>) -> io::Result<Vec<u8>> {
    let params = brotli::enc::BrotliEncoderParams { quality: 4, ..Default::default() };
    brotli::BrotliCompress(&mut &*body, &mut out, &params)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coding_reads_what_it_wrote() {
        let body = b"{\"inputs\": [[1.0, 2.0]]}".repeat(1000);
        for coding in Coding::ALL {
            let packed = coding.encode(&body).unwrap();
            assert!(packed.len() < body.len() / 4, "{coding:?}");
            assert_eq!(coding.decode(&packed, body.len()), Ok(body.clone()), "{coding:?}");
        }
    }

    #[test]
    fn output_beyond_the_bound_is_refused_without_making_it() {
        let zeros = vec![0; 4 << 20];
        for coding in Coding::ALL {
            let bomb = coding.encode(&zeros).unwrap();
            let bytes_max = 1000;
            let refused = coding.decode(&bomb, bytes_max);
            assert_eq!(refused, Err(CodingError::TooLarge { bytes_max }), "{coding:?}");
        }
    }

    #[test]
    fn truncated_and_foreign_streams_are_corrupt() {
        for coding in Coding::ALL {
            let corrupt = Err(CodingError::Corrupt { coding });
            let packed = coding.encode(&b"0123456789".repeat(100)).unwrap();
            let half = packed.get(..packed.len() / 2).unwrap();
            assert_eq!(coding.decode(half, 1 << 20), corrupt, "truncated {coding:?}");
            assert_eq!(coding.decode(b"{\"inputs\": [1]}", 1 << 20), corrupt, "plain {coding:?}");
        }
    }

    #[test]
    fn bare_deflate_streams_are_read_too() {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), Compression::fast());
        io::copy(&mut &b"hello"[..], &mut encoder).unwrap();
        let bare = encoder.finish().unwrap();
        assert_eq!(Coding::Deflate.decode(&bare, 10), Ok(b"hello".to_vec()));
    }

    #[test]
    fn names_are_read_whatever_their_case() {
        assert_eq!(Coding::from_name("GZip"), Some(Coding::Gzip));
        assert_eq!(Coding::from_name("x-gzip"), Some(Coding::Gzip));
        assert_eq!(Coding::from_name("compress"), None);
    }
}
