use serde_json::{Value as Json, json};

use super::*;

fn whole() -> Json {
    json!({
        "schema": 1, "signature": null, "rows": 10,
        "inputs": [
            {"name": "a", "tensor": "x", "width": 2, "index": 1, "kind": "numeric", "nulls": 1,
             "mean": 0.1, "std": 0.25, "edges": [-1.0, 0.5, 2.0, 2.0], "counts": [4, 3, 2],
             "bins": [0, 2, 3]},
            {"name": "b", "tensor": "y", "width": 1, "index": 0, "kind": "categorical", "nulls": 0,
             "categories": [["é\"\n", 6], ["", 3]], "other": 1},
        ],
        "outputs": [
            {"name": "p.mean", "tensor": "p", "width": 100, "summary": "mean", "kind": "numeric",
             "nulls": 10, "mean": null, "std": null, "edges": [], "counts": [], "bins": []},
        ],
    })
}

fn read(json: &Json) -> Result<Reference, ReferenceError> {
    Reference::parse(json.to_string().as_bytes())
}

/// The sentence for a reference of which one value is another.
fn fault(pointer: &str, value: Json) -> String {
    let mut json = whole();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match json.pointer_mut(parent).unwrap() {
        Json::Object(members) => drop(members.insert(key.to_owned(), value)),
        items => items[key.parse::<usize>().unwrap()] = value,
    }
    read(&json).unwrap_err().to_string()
}

#[test]
fn what_is_written_is_read_again() {
    let reference = read(&whole()).unwrap();
    assert_eq!(reference.inputs[0].part, Part::Element(1));
    assert_eq!(reference.outputs[0].part, Part::Mean);
    assert_eq!((reference.inputs[0].known(), reference.inputs[1].known()), (9, 10));
    let text = reference.to_json();
    assert_eq!(Reference::parse(text.as_bytes()), Ok(reference));
    let compact = whole().to_string() + "\n";
    assert_eq!(text, compact, "keys in their order, no blanks, floats as Python's");
}

#[test]
fn every_fault_names_its_field_and_what_was_expected() {
    let digest = "null or `sha256:` and 64 hexadecimal digits";
    for (pointer, value, want) in [
        ("/signature", json!("md5:0"), format!("`signature`: expected {digest}, got \"md5:0\"")),
        ("/rows", json!(-1), "`rows`: expected a whole number from 0, got -1".to_owned()),
        ("/inputs", json!(null), "`inputs`: expected a list, got nothing".to_owned()),
        ("/more", json!(1), "`more` is unknown to schema 1".to_owned()),
    ] {
        assert_eq!(fault(pointer, value), want);
    }
    for (key, value, want) in [
        ("name", json!(""), "expected a text that is not empty, got \"\""),
        ("name", json!("b"), "expected a name that no other has, got \"b\""),
        ("width", json!(0), "expected at least 1, got 0"),
        ("index", json!(2), "expected less than the width, 2, got 2"),
        ("index", json!(0.5), "expected a whole number from 0, got 0.5"),
        ("summary", json!("mean"), "expected it or `summary`, got both"),
        ("kind", json!("binary"), "expected numeric or categorical, got \"binary\""),
        ("nulls", json!(11), "expected at most the 10 rows, got 11"),
        ("mean", json!(null), "expected a number, got null"),
        ("std", json!(-0.5), "expected a number from 0, got -0.5"),
        ("edges", json!([1.0]), "expected 2 to 251 numbers, got 1"),
        (
            "edges",
            json!([0, 0, 1, 1]),
            "expected ascending numbers, of which only the last two may be equal, got 0 after 0",
        ),
        (
            "edges",
            json!([2, 1, 3, 4]),
            "expected ascending numbers, of which only the last two may be equal, got 1 after 2",
        ),
        ("counts", json!([9]), "expected 3, one for each cell between the edges, got 1"),
        (
            "counts",
            json!([4, 4, 4]),
            "expected counts that add up to 9, the rows that are not null, got 12",
        ),
        (
            "counts",
            json!([u64::MAX, 10, 0]),
            "expected counts that add up to 9, the rows that are not null, got \
             18446744073709551625",
        ),
        ("bins", json!([0, 4]), "expected at most 11 ascending places of edges, from 0 to 3"),
        ("bins", json!([0, 2, 2, 3]), "got [0,2,2,3]"),
        ("other", json!(0), "is unknown to schema 1"),
    ] {
        let sentence = fault(&format!("/inputs/0/{key}"), value);
        // A name is seen to be another's at the later of both.
        let index = usize::from(want.contains("no other"));
        let at = if key == "summary" { "index" } else { key };
        assert!(sentence.starts_with(&format!("`inputs[{index}].{at}`")), "{sentence}");
        assert!(sentence.contains(want), "{sentence}");
    }
}

#[test]
fn faults_of_categories_and_of_what_is_empty_are_named() {
    for (key, value, want) in [
        ("categories", json!([["a", 6], ["a", 3]]), "expected different texts, got \"a\" twice"),
        (
            "other",
            json!(2),
            "expected counts that add up to 10, the rows that are not null, got 11",
        ),
        ("edges", json!([]), "is unknown to schema 1"),
    ] {
        let sentence = fault(&format!("/inputs/1/{key}"), value);
        assert!(sentence.contains(want), "{sentence}");
    }
    let many: Vec<Json> = (0..65).map(|i| json!([i.to_string(), 0])).collect();
    assert!(fault("/inputs/1/categories", many.into()).contains("expected 64 at most, got 65"));
    assert_eq!(
        fault("/inputs/1/categories/1", json!(["a"])),
        "`inputs[1].categories[1]`: expected a pair of a text and its count, got a list"
    );
    assert!(fault("/outputs/0/kind", json!("categorical")).contains("numeric for a summary"));
    assert!(fault("/outputs/0/mean", json!(1.0)).contains("null where no value is known"));
    assert!(fault("/outputs/0/edges", json!([1, 2])).contains("none where no value is known"));
    assert!(fault("/outputs/0/bins", json!([0])).contains("none where there are no edges"));
}

#[test]
fn what_is_no_reference_at_all_is_told_apart() {
    let sentence = |text: &str| Reference::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(sentence("{").starts_with("it is not JSON: EOF"));
    assert_eq!(sentence("[]"), "it is not JSON: expected an object, got a list");
    assert!(sentence("{\"schema\":1,\"rows\":NaN}").starts_with("it is not JSON"));
    let other = "it was made by another version: `schema` is 2, and 1 is what this one reads";
    assert_eq!(sentence("{\"schema\":2,\"novelty\":[]}"), other);
    assert_eq!(
        Reference::parse(&vec![b' '; REFERENCE_BYTES_MAX + 1]),
        Err(ReferenceError::TooLarge { bytes: REFERENCE_BYTES_MAX + 1 })
    );
    let mut json = whole();
    let feature = json["inputs"][1].clone();
    let named = |i: usize| {
        let mut feature = feature.clone();
        feature["name"] = i.to_string().into();
        feature
    };
    json["inputs"] = (0..FEATURES_MAX).map(named).collect();
    assert_eq!(
        read(&json).unwrap_err().to_string(),
        "`outputs`: expected 1024 features at most, got 1025 of both"
    );
}

#[test]
fn doubles_come_back_to_the_last_bit() {
    let edges = [5e-324, 1.1, 123_456.789_012_345_67, 9.007_199_254_740_993e15, f64::MAX];
    let mut json = whole();
    json["inputs"][0]["edges"] = edges.to_vec().into();
    json["inputs"][0]["counts"] = json!([1, 2, 3, 3]);
    json["inputs"][0]["bins"] = json!([0, 4]);
    let reference = read(&json).unwrap();
    let Values::Numeric(numeric) = &reference.inputs[0].values else { panic!("it is numeric") };
    assert_eq!(numeric.edges, edges);
    assert_eq!(Reference::parse(reference.to_json().as_bytes()).unwrap(), reference);
}
