use std::io::Cursor;

use proptest::prelude::*;

use crate::store::onnx_file::{ExternalFile, GraphWeights, OnnxFileError, graph_weights};

use super::wire::{bytes, external, model, number};

fn walk(file: &[u8]) -> Result<Vec<ExternalFile>, OnnxFileError> {
    Ok(graph_weights(Cursor::new(file), file.len() as u64)?.files)
}

fn file(location: &str, bytes_min: u64, tensor: &str) -> ExternalFile {
    ExternalFile { location: location.to_owned(), bytes_min, tensor: tensor.to_owned() }
}

#[test]
fn tensors_of_one_file_are_merged_to_how_far_they_reach() {
    let near = external("near", &[("location", "w.bin"), ("offset", "0"), ("length", "48")]);
    let far = external("far", &[("location", "w.bin"), ("offset", "4096"), ("length", "10")]);
    let other = external("other", &[("location", "a/b")]);
    let graph = model(&[near, far, other]);
    // Without a length it is the tensor's size: 4 x 3 floats.
    assert_eq!(walk(&graph).unwrap(), [file("a/b", 48, "other"), file("w.bin", 4106, "far")]);
}

#[test]
fn weights_are_counted_wherever_they_lie_and_16_bits_count_twice() {
    let raw = |data_type, payload: &[u8]| [number(2, data_type), bytes(9, payload)].concat();
    let (floats, halves) = (raw(1, &[0; 40]), raw(10, &[0; 40]));
    let elsewhere = external("far", &[("location", "w.bin")]);
    let graph = model(&[floats.clone(), halves.clone(), elsewhere.clone()]);
    let GraphWeights { own_bytes, wide_bytes, .. } =
        graph_weights(Cursor::new(&graph), graph.len() as u64).unwrap();
    let [floats, halves, elsewhere] = [floats, halves, elsewhere].map(|tensor| tensor.len() as u64);
    assert_eq!(own_bytes, floats + halves + elsewhere);
    // 4 x 3 floats.
    assert_eq!(wide_bytes, floats + 2 * halves + 48);
}

#[test]
fn tensors_are_found_wherever_a_graph_can_hold_them() {
    let tensor = |name: &str| external(name, &[("location", name)]);
    let attribute = |field, payload: &[u8]| bytes(1, &bytes(5, &bytes(field, payload)));
    let sparse = [bytes(1, &tensor("values")), bytes(2, &tensor("indices"))].concat();
    let subgraph = bytes(5, &tensor("in-subgraph"));
    let subsubgraph = attribute(6, &bytes(5, &tensor("in-subsubgraph")));
    let graph = [
        bytes(5, &tensor("initializer")),
        bytes(15, &sparse),
        attribute(5, &tensor("constant")),
        attribute(10, &tensor("one-of-many")),
        attribute(6, &subgraph),
        attribute(11, &subsubgraph),
        attribute(22, &bytes(1, &tensor("sparse-constant"))),
    ]
    .concat();
    let function = bytes(7, &bytes(5, &bytes(5, &tensor("in-function"))));
    let file = [bytes(7, &graph), bytes(25, &function)].concat();
    let found: Vec<_> = walk(&file).unwrap().into_iter().map(|file| file.location).collect();
    let want = [
        "constant",
        "in-function",
        "in-subgraph",
        "in-subsubgraph",
        "indices",
        "initializer",
        "one-of-many",
        "sparse-constant",
        "values",
    ];
    assert_eq!(found, want);
}

#[test]
fn tensors_in_the_file_itself_name_no_other() {
    let raw = [bytes(8, b"w"), number(2, 1), bytes(1, &[2, 3]), bytes(9, &[0; 24])].concat();
    // Entries without `data_location: EXTERNAL` are remnants that every runtime ignores.
    let remnant = bytes(13, &[bytes(1, b"location"), bytes(2, b"gone")].concat());
    assert_eq!(walk(&model(&[raw, remnant])).unwrap(), []);
}

#[test]
fn damaged_files_are_told_from_graphs() {
    let whole = model(&[external("w", &[("location", "w.bin")])]);
    for end in 0..whole.len() {
        assert!(walk(&whole[..end]).is_err(), "cut at {end}");
    }
    for junk in [&b"not a model at all"[..], b"<html></html>", b"\x80\x02}q\x00.", &[0; 64]] {
        assert!(walk(junk).is_err(), "{junk:?}");
    }
    assert!(matches!(walk(&number(1, 10)), Err(OnnxFileError::NoGraph)));
}

#[test]
fn a_file_shorter_than_announced_is_an_error() {
    let graph = model(&[bytes(9, &[0; 100])]);
    let announced = graph.len() as u64 + 1;
    assert!(graph_weights(Cursor::new(&graph), announced).is_err());
}

#[test]
fn nesting_is_bounded() {
    let mut graph = bytes(5, &external("w", &[("location", "w")]));
    for _ in 0..40 {
        graph = bytes(1, &bytes(5, &bytes(6, &graph)));
    }
    assert!(matches!(walk(&bytes(7, &graph)), Err(OnnxFileError::TooDeep { .. })));
}

#[test]
fn senseless_external_entries_are_named() {
    let long = "x".repeat(5000);
    let cases: [(&[(&str, &str)], &str); 7] = [
        (&[], "does not name it"),
        (&[("location", "")], "does not name it"),
        (&[("location", &long)], "does not name it"),
        (&[("location", "w"), ("offset", "-1")], "its offset is not a number"),
        (&[("location", "w"), ("length", "many")], "its length is not a number"),
        (
            &[("location", "w"), ("offset", "18446744073709551615"), ("length", "1")],
            "its end exceeds 64 bits",
        ),
        (&[("location", "w"), ("offset", "99999999999999999999")], "not a number"),
    ];
    for (entries, part) in cases {
        let message = walk(&model(&[external("weight", entries)])).unwrap_err().to_string();
        assert!(message.contains("`weight`") && message.contains(part), "{message}");
    }
    let huge = [external("w", &[("location", "w")]), number(1, u64::MAX)].concat();
    assert!(walk(&model(&[huge])).unwrap_err().to_string().contains("size exceeds 64 bits"));
}

proptest! {
    #[test]
    fn no_bytes_make_the_walker_panic(file in prop::collection::vec(any::<u8>(), 0..500)) {
        let _ = walk(&file);
    }

    #[test]
    fn no_damage_makes_the_walker_panic(at in 0usize..200, value: u8) {
        let mut file = model(&[
            external("w", &[("location", "w.bin"), ("offset", "8"), ("length", "16")]),
            external("b", &[("location", "b.bin")]),
        ]);
        let at = at % file.len();
        file[at] = value;
        let _ = walk(&file);
    }
}
