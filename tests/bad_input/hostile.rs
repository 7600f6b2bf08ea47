//! Bodies that are known to hurt: depth, digits, encodings, and small ones that decode to much.

use std::io::{Read, Write};

use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compress, Compression, FlushCompress};

use crate::{MODELS, Target};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const CSV: (&str, &str) = ("Content-Type", "text/csv");
const PARQUET: (&str, &str) = ("Content-Type", "application/vnd.apache.parquet");

/// What one block of a bomb decodes to, and how many blocks it has: 2 GiB in all.
const BLOCK_BYTES: usize = 1 << 20;
const BLOCKS: usize = 2_048;

/// Rows, and columns, of the tables that small bodies blow up to.
const SQUARE: usize = 20_000;

/// A name for reports, the request's headers, its body.
type Hostile<'a> = (&'a str, &'a [(&'a str, &'a str)], Vec<u8>);

/// Sends each body to the model and asks for a refusal of the 4xx class, then for a well server.
fn refused(model: &str, bodies: &[Hostile<'_>]) {
    let mut target = Target::start();
    let mut faults = Vec::new();
    for (name, headers, body) in bodies {
        match target.post(model, headers, body) {
            Ok(400..=499) => {}
            Ok(status) => faults.push(format!("{name}: refusal expected, {status} came")),
            Err(what) => faults.push(format!("{name}: {what}")),
        }
        if let Err(what) = target.is_well() {
            faults.push(format!("{name}: {what}"));
            target = Target::start();
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn inputs(text: &str) -> Vec<u8> {
    format!(r#"{{"inputs": {text}}}"#).into_bytes()
}

#[test]
fn deep_and_wide_bodies_are_refused() {
    let nested = |open: &str, close: &str, depth: usize| {
        inputs(&(open.repeat(depth) + "1" + &close.repeat(depth)))
    };
    // A short row is filled up to the widest one, a record to the union of all keys: both would
    // make these small bodies four hundred million cells.
    let wide = format!("[{}]", vec!["1"; SQUARE].join(","));
    let short = vec!["[]"; SQUARE].join(",");
    let padded = format!(r#"{{"dataframe_split": {{"data": [{wide},{short}]}}}}"#);
    let records: Vec<_> = (0..SQUARE).map(|n| format!(r#"{{"k{n}": 1}}"#)).collect();
    let ragged = format!(r#"{{"dataframe_records": [{}]}}"#, records.join(","));
    refused(
        "wine_tensor",
        &[
            ("100,000 open brackets", &[JSON], "[".repeat(100_000).into_bytes()),
            ("100,000 open braces", &[JSON], r#"{"inputs":"#.repeat(100_000).into_bytes()),
            ("100,000 nested lists", &[JSON], nested("[", "]", 100_000)),
            ("100,000 nested objects", &[JSON], nested(r#"{"a":"#, "}", 100_000)),
            ("1,000 nested lists", &[JSON], nested("[", "]", 1_000)),
            ("one wide row, many short ones", &[JSON], padded.into_bytes()),
            ("records without a key in common", &[JSON], ragged.into_bytes()),
            ("100,000 commas", &[JSON], inputs(&",".repeat(100_000))),
            ("100,000 columns of CSV", &[CSV], vec!["a"; 100_000].join(",").into_bytes()),
            ("an open quote in CSV", &[CSV], format!("a\n\"{}", "x,".repeat(100_000)).into_bytes()),
        ],
    );
}

#[test]
fn small_bodies_that_repeat_large_values_are_refused() {
    let (text, list) = ("x".repeat(30_000), format!("[[{}]]", vec!["1"; 15_000].join(",")));
    let index = vec!["0"; 14_000].join(",");
    let names = vec![r#""a""#; 4_000].join(",");
    let split = |members: String| format!(r#"{{"dataframe_split": {{{members}}}}}"#).into_bytes();
    let (text, list) = (text.as_str(), list.as_str());
    let broadcast = format!(r#"{{"inputs": {{"a": "{text}", "b": [{index}]}}}}"#).into_bytes();
    let scalar = split(format!(r#""data": "{text}", "columns": [{names}], "index": [{index}]"#));
    let row = split(format!(r#""data": [["{text}"]], "columns": ["a"], "index": [{index}]"#));
    let member = split(format!(r#""data": {{"a": "{text}"}}, "index": [{index}]"#));
    let nested = split(format!(r#""data": {{"a": {list}}}, "index": [{index}]"#));
    let chosen = |data: &str| split(format!(r#""data": {data}, "columns": [{names}]"#));
    let lists = chosen(&format!(r#"{{"a": [{index}]}}"#));
    let long = "x".repeat(300_000);
    let records = chosen(&format!(r#"[{{"a": "{long}"}}]"#));
    refused(
        "single_string_column",
        &[
            ("a text beside a long list", &[JSON], broadcast),
            ("a text for every cell", &[JSON], scalar),
            ("a row for every index entry", &[JSON], row),
            ("a text for every index entry", &[JSON], member),
            ("a list for every index entry", &[JSON], nested),
            ("a list for every column", &[JSON], lists),
            ("a text for every column", &[JSON], records),
        ],
    );
}

/// With a search for each name among all of the others this takes minutes, and the client gives
/// up before.
#[test]
fn many_names_beside_many_others_are_refused_in_time() {
    const NAMES: usize = 200_000;
    let list = |with: &dyn Fn(usize) -> String| (0..NAMES).map(with).collect::<Vec<_>>().join(",");
    let columns = list(&|n| format!(r#""x{n}""#));
    let members = list(&|n| format!(r#""y{n}":1"#));
    let split = |data: String| {
        format!(r#"{{"dataframe_split": {{"columns": [{columns}], "data": {data}}}}}"#).into_bytes()
    };
    refused(
        "wine_columns",
        &[
            ("other names in a record", &[JSON], split(format!("[{{{members}}}]"))),
            ("other names in an object", &[JSON], split(format!("{{{members}}}"))),
        ],
    );
}

#[test]
fn huge_and_odd_numbers_are_refused() {
    let digits = "9".repeat(5_000);
    let row = |cell: &str| inputs(&format!("[[{}]]", [cell; 11].join(",")));
    refused(
        "wine_tensor",
        &[
            ("an integer of 5,000 digits", &[JSON], row(&digits)),
            ("a negative one", &[JSON], row(&format!("-{digits}"))),
            ("an integer of 1,000,000 digits", &[JSON], row(&"9".repeat(1_000_000))),
            ("hexadecimal", &[JSON], row("0x10")),
            ("a leading zero", &[JSON], row("01")),
            ("a lone minus", &[JSON], row("-")),
            ("no digit after the dot", &[JSON], row("1.")),
            ("an unfinished exponent", &[JSON], row("1e")),
            ("lower-case nan", &[JSON], row("nan")),
        ],
    );
}

#[test]
fn floats_beyond_the_range_are_infinite_and_no_error() {
    let target = Target::start();
    for cell in ["1e400", "-1e400", "1e-400", "1e+999999999999", "NaN", "Infinity"] {
        let row = inputs(&format!("[[{}]]", [cell; 11].join(",")));
        assert_eq!(target.post("wine_tensor", &[JSON], &row), Ok(200), "{cell}");
    }
}

#[test]
fn messages_never_repeat_the_request() {
    const SECRET: &str = "ZQSECRETZQ";
    let target = Target::start();
    let text = format!(r#""{SECRET}""#);
    let values = [
        text.clone(),
        format!("[{text}]"),
        format!("[[{text}]]"),
        format!("[{{{text}: {text}}}]"),
        format!("{{{text}: {text}}}"),
        format!("{{{text}: {{{text}: 1}}}}"),
        format!("{{{text}: [1, [{text}]]}}"),
    ];
    let mut bodies = Vec::new();
    for value in &values {
        for form in ["inputs", "instances", "dataframe_records", "dataframe_split", SECRET] {
            bodies.push((JSON, format!(r#"{{"{form}": {value}}}"#)));
        }
        for columns in [format!("[{text}]"), format!("[{text}, {text}]"), text.clone()] {
            let split = format!(r#"{{"columns": {columns}, "data": {value}}}"#);
            bodies.push((JSON, format!(r#"{{"dataframe_split": {split}}}"#)));
        }
        bodies.push((JSON, format!(r#"{{"inputs": [[1]], "params": {value}}}"#)));
    }
    bodies.push((CSV, format!("{SECRET}\n{SECRET}\n")));
    bodies.push((CSV, format!("{SECRET},{SECRET}\n1,{SECRET},\n")));
    for model in MODELS {
        for (content_type, body) in &bodies {
            let answer = target.send(model, &[*content_type], body.as_bytes()).expect("an answer");
            let (status, shown) = (answer.status, answer.text());
            assert!(status == 200 || !shown.contains(SECRET), "{model}: {body}: {shown}");
        }
    }
}

#[test]
fn wrong_encodings_are_refused() {
    let text = r#"{"inputs": [[1.0]]}"#;
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let latin1 = b"{\"inputs\": [[\"caf\xe9\"]]}".to_vec();
    refused(
        "wine_tensor",
        &[
            ("half a UTF-16 unit", &[JSON], utf16[..utf16.len() - 1].to_vec()),
            ("Latin-1", &[JSON], latin1),
            ("an overlong sequence", &[JSON], b"{\"inputs\": [[\"\xc0\xaf\"]]}".to_vec()),
            ("an encoded surrogate", &[JSON], b"{\"inputs\": [[\"\xed\xa0\x80\"]]}".to_vec()),
            ("only a byte order mark", &[JSON], b"\xef\xbb\xbf".to_vec()),
            ("only a UTF-32 mark", &[JSON], b"\xff\xfe\0\0".to_vec()),
            ("a zero byte", &[JSON], b"{\"inputs\": \0[[1.0]]}".to_vec()),
            ("Latin-1 in CSV", &[CSV], b"caf\xe9\n1\n".to_vec()),
            ("zero bytes in CSV", &[CSV], b"a\0b\n\0\n".to_vec()),
            ("nothing", &[JSON], Vec::new()),
            ("no CSV", &[CSV], Vec::new()),
            ("no Parquet", &[PARQUET], Vec::new()),
        ],
    );
}

#[test]
fn bombs_and_broken_compression_are_refused() {
    let valid = inputs("[[1.0]]");
    let gzip = ("Content-Encoding", "gzip");
    let cut = {
        let whole = gzipped(&valid);
        whole[..whole.len() / 2].to_vec()
    };
    let mut flipped = gzipped(&valid);
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    refused(
        "wine_tensor",
        &[
            ("a gzip bomb", &[JSON, gzip], gzip_bomb()),
            ("a gzip bomb of CSV", &[CSV, gzip], gzip_bomb()),
            ("a gzip bomb in gzip", &[JSON, gzip], gzipped(&gzip_bomb())),
            ("a zstd bomb", &[JSON, ("Content-Encoding", "zstd")], zstd_bomb()),
            ("half of a gzip body", &[JSON, gzip], cut),
            ("a flipped gzip body", &[JSON, gzip], flipped),
            ("plain text that claims gzip", &[JSON, gzip], valid.clone()),
            ("that claims deflate", &[JSON, ("Content-Encoding", "deflate")], valid.clone()),
            ("that claims brotli", &[JSON, ("Content-Encoding", "br")], valid.clone()),
            ("that claims zstd", &[JSON, ("Content-Encoding", "zstd")], valid.clone()),
            ("gzip that claims nothing", &[JSON], gzipped(&valid)),
            ("a Parquet file of constant rows", &[PARQUET], constant_rows()),
        ],
    );
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).expect("a Vec takes all");
    encoder.finish().expect("a Vec takes all")
}

/// A gzip stream of zeros without end: a block that only refers back can be repeated at will.
fn gzip_bomb() -> Vec<u8> {
    const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    let zeros = vec![0; BLOCK_BYTES];
    let mut compress = Compress::new(Compression::best(), false);
    let mut block = || {
        let mut out = Vec::with_capacity(BLOCK_BYTES);
        compress.compress_vec(&zeros, &mut out, FlushCompress::Sync).expect("there is room");
        out
    };
    let (first, repeated) = (block(), block());
    [&HEADER[..], &first, &repeated.repeat(BLOCKS)].concat()
}

/// A zstd frame of run-length blocks: four bytes each, 128 KiB when decoded.
fn zstd_bomb() -> Vec<u8> {
    const RUN_BYTES: usize = 128 << 10;
    // Magic, a descriptor without checksum or content size, a window of 8 MiB.
    let header = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3];
    let block_header = ((RUN_BYTES as u32) << 3) | (1 << 1);
    let [a, b, c, _] = block_header.to_le_bytes();
    [&header[..], &[a, b, c, b'['].repeat(BLOCKS * BLOCK_BYTES / RUN_BYTES)].concat()
}

/// 200 million equal rows: 1.6 GB as numbers, 370 kB as a file. It is kept gzipped.
fn constant_rows() -> Vec<u8> {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/bad_input/constant_rows.parquet.gz");
    let packed = std::fs::read(path).expect("the fixture is there");
    let mut file = Vec::new();
    GzDecoder::new(packed.as_slice()).read_to_end(&mut file).expect("the fixture is gzip");
    file
}

#[test]
fn the_bombs_are_what_they_claim() {
    let mut start = vec![0; 3 * BLOCK_BYTES];
    GzDecoder::new(gzip_bomb().as_slice()).read_exact(&mut start).expect("it goes on");
    assert!(start.iter().all(|byte| *byte == 0));
    assert!(gzip_bomb().len() < BLOCKS * BLOCK_BYTES / 500);
    assert!(constant_rows().starts_with(b"PAR1") && constant_rows().ends_with(b"PAR1"));
}
