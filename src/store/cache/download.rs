//! One file, from an artifact store onto the disk.

use std::io::{self, Write};

use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};

use crate::store::{ByteStream, RemoteError};

use super::key::hex;

/// A file as it came.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

#[derive(Debug)]
pub(super) enum ReceiveError {
    Remote(RemoteError),
    /// More bytes than announced, or than allowed. The number is what had come by then.
    TooMany(u64),
    Write(io::Error),
}

/// Writes a stream into `target`, piece by piece, and computes its digest. Stops as soon as more
/// than `bytes_max` has come, so that a store that sends without end fills nothing. `on_bytes`
/// hears of each piece that is written and says whether more may come.
pub(super) async fn receive(
    mut stream: ByteStream,
    bytes_max: u64,
    target: &mut impl Write,
    mut on_bytes: impl FnMut(u64) -> bool,
) -> Result<Received, ReceiveError> {
    let mut digest = Sha256::new();
    let mut bytes = 0_u64;
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(ReceiveError::Remote)?;
        bytes = bytes.saturating_add(piece.len() as u64);
        if bytes > bytes_max {
            return Err(ReceiveError::TooMany(bytes));
        }
        target.write_all(&piece).map_err(ReceiveError::Write)?;
        digest.update(&piece);
        if !on_bytes(piece.len() as u64) {
            return Err(ReceiveError::TooMany(bytes));
        }
    }
    Ok(Received { bytes, sha256: hex(&digest.finalize()) })
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use bytes::Bytes;
    use futures_util::stream;

    use super::*;

    fn pieces<const N: usize>(pieces: [&'static str; N]) -> ByteStream {
        Box::pin(stream::iter(pieces.map(|piece| Ok(Bytes::from(piece)))))
    }

    #[tokio::test]
    async fn pieces_come_in_order_with_their_digest() {
        let (mut target, mut told) = (Vec::new(), Vec::new());
        let received = receive(pieces(["ab", "", "c"]), 3, &mut target, |bytes| {
            told.push(bytes);
            true
        });
        let want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(received.await.unwrap(), Received { bytes: 3, sha256: want.to_owned() });
        assert_eq!((target.as_slice(), told), (&b"abc"[..], vec![2, 0, 1]));
    }

    #[tokio::test]
    async fn a_stream_without_end_stops_at_the_limit() {
        let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[7; 1000])));
        let mut target = Vec::new();
        let error = receive(Box::pin(endless), 2500, &mut target, |_| true).await.unwrap_err();
        assert!(matches!(error, ReceiveError::TooMany(3000)), "{error:?}");
        assert_eq!(target.len(), 2000);
    }

    #[tokio::test]
    async fn a_full_disk_ends_it_with_the_systems_error() {
        let mut full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = receive(pieces(["abc"]), 3, &mut full, |_| true).await.unwrap_err();
        match error {
            ReceiveError::Write(cause) => assert_eq!(cause.kind(), io::ErrorKind::StorageFull),
            other => panic!("{other:?}"),
        }
    }
}
