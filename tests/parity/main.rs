//! The answers that differ from MLflow's on purpose, one test an item of `docs/parity.md`: where
//! MLflow fails for a reason of its own, the server does what was plainly meant.

#[path = "../support/mod.rs"]
mod support;

use std::io::{Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use support::http::{self, Response};
use support::process::Server;

const JSON: (&str, &str) = ("Content-Type", "application/json");

/// One served model.
struct Served(Server);

impl Served {
    /// A model of `tests/fixtures/`.
    fn new(model: &str) -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(model);
        Server::start(&[("model".to_owned(), dir)])
            .map_or_else(|words| panic!("{model} is not served: {words}"), Self)
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        http::send(self.0.address(), method, path, &headers, body).expect("the server answers")
    }

    fn post(&self, body: &str) -> Response {
        self.ask("POST", "/invocations", &[JSON], body.as_bytes())
    }
}

/// The predictions of a 200.
fn predictions(answer: &Response) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    body["predictions"].take()
}

/// Asserts a refusal in MLflow's envelope, of the class that a bad request has.
fn assert_bad_request(answer: &Response) {
    assert_eq!(answer.status, 400, "{}", answer.text());
    let error: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(error["error_code"], "BAD_REQUEST", "{error}");
    assert_eq!(error.get("stack_trace"), None, "{error}");
}

#[test]
fn p3_1_outputs_of_different_lengths_make_one_record_a_row() {
    let served = Served::new("conformance/models/iris_nozipmap");
    let answer = served.post(
        r#"{"dataframe_split": {"columns": ["sepal length (cm)", "sepal width (cm)",
            "petal length (cm)", "petal width (cm)"],
            "data": [[5.1, 3.5, 1.4, 0.2], [6.2, 2.8, 4.8, 1.8]]}}"#,
    );
    let records = predictions(&answer);
    assert_eq!(records.as_array().unwrap().len(), 2);
    for (record, label) in records.as_array().unwrap().iter().zip([0, 2]) {
        assert_eq!(record["label"], label);
        let sum: f64 =
            record["probabilities"].as_array().unwrap().iter().filter_map(Value::as_f64).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{record}");
    }
}

#[test]
fn p3_2_numbers_are_cast_to_the_graphs_type_when_that_is_exact() {
    let served = Served::new("conformance/models/vm_l_f32");
    let ask = |a: i64| {
        served.post(&format!(
            r#"{{"dataframe_split": {{"columns": ["a", "b"], "data": [[{a}, 2]]}}}}"#
        ))
    };
    assert_eq!(predictions(&ask(1)), json!([{"out_a": 1.0, "out_b": 2.0}]));
    assert_eq!(predictions(&ask(1 << 24)), json!([{"out_a": 16_777_216.0, "out_b": 2.0}]));
    // 2^24 + 1 is the first integer that a 32-bit float does not hold.
    assert_bad_request(&ask((1 << 24) + 1));
}

#[test]
fn p3_3_graph_inputs_of_rank_two_take_columns() {
    let served = Served::new("parity/rank2_columns");
    let answer = served
        .post(r#"{"dataframe_split": {"columns": ["a", "b"], "data": [[1.5, 2.0], [0.5, 4.0]]}}"#);
    assert_eq!(predictions(&answer), json!([{"sum": 3.5}, {"sum": 4.5}]));
}

#[test]
fn p3_4_signatures_with_optional_instead_of_required_load() {
    let served = Served::new("parity/optional_2_9");
    let answer = served.post(r#"{"dataframe_records": [{"a": 1.5, "b": 2.0}]}"#);
    assert_eq!(predictions(&answer), json!([{"sum": 3.5}]));
}

#[test]
fn p3_5_what_breaks_python_is_a_bad_request() {
    let served = Served::new("conformance/models/wine_tensor");
    let answer = served.ask("POST", "/invocations", &[], b"{\"inputs\": [[1.0]]}");
    assert_eq!(answer.status, 415, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_bad_request(&served.post(&format!(r#"{{"inputs": [[{}]]}}"#, "9".repeat(5_000))));
    let [open, close] = ["[", "]"].map(|bracket| bracket.repeat(2_000));
    assert_bad_request(&served.post(&format!(r#"{{"inputs": {open}1.0{close}}}"#)));
    let row = ["0.5"; 11].join(", ");
    let names = (1..11).map(|i| format!("\"c{i}\"")).collect::<Vec<_>>().join(", ");
    for odd in ["[\"c0\"]", "{\"c0\": 1}"] {
        let body =
            format!(r#"{{"dataframe_split": {{"columns": [{odd}, {names}], "data": [[{row}]]}}}}"#);
        assert_bad_request(&served.post(&body));
    }
}

#[test]
fn p3_6_keys_of_chat_protocols_are_unknown_keys_like_any_other() {
    let served = Served::new("conformance/models/mlp_small");
    let row = vec!["0.5"; 16].join(", ");
    let plain = predictions(&served.post(&format!(r#"{{"inputs": [[{row}]]}}"#)));
    for key in ["messages", "prompt", "input"] {
        let beside = served.post(&format!(r#"{{"inputs": [[{row}]], "{key}": "x"}}"#));
        assert_eq!(predictions(&beside), plain, "{key}");
        assert_bad_request(&served.post(&format!(r#"{{"{key}": [[{row}]]}}"#)));
    }
}

#[test]
fn p3_7_a_bare_array_for_several_inputs_is_a_bad_request() {
    let served = Served::new("conformance/models/nosig_multi");
    for array in ["[1.0, 2.0]", "[[1.0, 2.0]]", "1.0"] {
        assert_bad_request(&served.post(&format!(r#"{{"inputs": {array}}}"#)));
    }
}

#[test]
fn p3_8_bodies_are_decoded_and_answers_encoded() {
    let served = Served::new("conformance/models/mlp_small");
    let rows = vec![format!("[{}]", vec!["0.5"; 16].join(", ")); 1_000].join(", ");
    let body = format!(r#"{{"inputs": [{rows}]}}"#);
    let plain = predictions(&served.post(&body));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body.as_bytes()).unwrap();
    let headers = [JSON, ("Content-Encoding", "gzip"), ("Accept-Encoding", "gzip")];
    let answer = served.ask("POST", "/invocations", &headers, &encoder.finish().unwrap());
    assert_eq!(answer.header("content-encoding"), Some("gzip"), "{}", answer.status);
    let mut decoded = Vec::new();
    GzDecoder::new(answer.body.as_slice()).read_to_end(&mut decoded).unwrap();
    assert_eq!(predictions(&Response { body: decoded, ..answer }), plain);
}

#[test]
fn p3_9_head_on_the_health_routes_is_answered() {
    let served = Served::new("conformance/models/mlp_small");
    for path in ["/ping", "/health"] {
        let answer = served.ask("HEAD", path, &[], &[]);
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{path}");
    }
}

#[test]
fn p3_10_string_columns_behave_as_with_pandas_2() {
    let served = Served::new("conformance/models/vm_s_str");
    let answer = served
        .post(r#"{"dataframe_split": {"columns": ["a", "b"], "data": [["x", "y"], [null, "z"]]}}"#);
    assert_eq!(
        predictions(&answer),
        json!([{"out_a": "x", "out_b": "y"}, {"out_a": "None", "out_b": "z"}])
    );
}

#[test]
fn p3_11_csv_feeds_a_tensor_when_its_columns_fit() {
    let served = Served::new("conformance/models/mlp_small");
    let csv = |columns: usize| {
        let header: Vec<_> = (0..columns).map(|n| format!("c{n}")).collect();
        let text = format!("{}\n{}\n", header.join(","), vec!["0.5"; columns].join(","));
        served.ask("POST", "/invocations", &[("Content-Type", "text/csv")], text.as_bytes())
    };
    let row = vec!["0.5"; 16].join(", ");
    let plain = predictions(&served.post(&format!(r#"{{"inputs": [[{row}]]}}"#)));
    assert_eq!(predictions(&csv(16)), plain);
    assert_bad_request(&csv(15));
    assert_bad_request(&csv(17));
}
