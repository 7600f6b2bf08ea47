//! A look at a shared object before the dynamic linker maps it.
//!
//! The linker reports a wrong file in words, but one that was cut short in the middle it maps
//! without complaint, and the process dies of SIGBUS at the first missing page.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

const MAGIC: &[u8] = b"\x7fELF";
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const TYPE_SHARED: u16 = 3;
const SEGMENT_LOAD: u32 = 1;
const HEADER_BYTES: usize = 64;
/// Size of one program header in a 64-bit file.
const SEGMENT_BYTES: usize = 56;

/// Why the dynamic linker must not be asked to open the file; `Ok` when it may be.
pub(super) fn check(path: &Path) -> Result<(), String> {
    match inspect(path) {
        Ok(None) => Ok(()),
        Ok(Some(reason)) => Err(reason.to_owned()),
        Err(error) => Err(format!("it cannot be read: {error}")),
    }
}

fn inspect(path: &Path) -> io::Result<Option<&'static str>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut header = [0; HEADER_BYTES];
    if length < HEADER_BYTES as u64 {
        return Ok(Some("it is empty or cut short"));
    }
    file.read_exact(&mut header)?;
    if !header.starts_with(MAGIC) || u16_at(&header, 16) != TYPE_SHARED {
        return Ok(Some("it is not a shared object"));
    }
    if header[4] != CLASS_64 || header[5] != LITTLE_ENDIAN {
        return Ok(Some("it is built for another kind of processor"));
    }
    let table_at = u64_at(&header, 32);
    let segment_bytes = usize::from(u16_at(&header, 54));
    let segments = usize::from(u16_at(&header, 56));
    if segment_bytes != SEGMENT_BYTES {
        return Ok(Some("its program header is damaged"));
    }
    let table_bytes = segments * SEGMENT_BYTES;
    if table_at.checked_add(table_bytes as u64).is_none_or(|end| end > length) {
        return Ok(Some("it is cut short"));
    }
    let mut table = vec![0; table_bytes];
    file.seek(SeekFrom::Start(table_at))?;
    file.read_exact(&mut table)?;
    let beyond_the_end = |segment: &[u8]| {
        let end = u64_at(segment, 8).checked_add(u64_at(segment, 32));
        u32_at(segment, 0) == SEGMENT_LOAD && end.is_none_or(|end| end > length)
    };
    Ok(table.chunks_exact(SEGMENT_BYTES).any(beyond_the_end).then_some("it is cut short"))
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the slice has N bytes")
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes_at(bytes, at))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes_at(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_shared_object_passes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lib.so");
        let verdict = |content: &[u8]| {
            std::fs::write(&file, content).unwrap();
            check(&file)
        };
        assert_eq!(verdict(b""), Err("it is empty or cut short".to_owned()));
        assert_eq!(verdict(&[b'x'; 200]), Err("it is not a shared object".to_owned()));

        let mut whole = vec![0; 200];
        whole[..4].copy_from_slice(MAGIC);
        (whole[4], whole[5], whole[16]) = (CLASS_64, LITTLE_ENDIAN, 3);
        (whole[32], whole[54], whole[56]) = (64, 56, 1);
        // One loadable segment: the file's first 200 bytes.
        (whole[64], whole[64 + 32]) = (1, 200);
        assert_eq!(verdict(&whole), Ok(()));
        assert_eq!(verdict(&whole[..199]), Err("it is cut short".to_owned()));
        assert_eq!(verdict(&whole[..100]), Err("it is cut short".to_owned()));
        whole[4] = 1;
        assert!(verdict(&whole).unwrap_err().contains("processor"));
        std::fs::remove_file(&file).unwrap();
        assert!(check(&file).unwrap_err().contains("cannot be read"));
    }
}
