use base64::Engine as _;
use flowgate::backend::*;
use flowgate::store::ModelDir;
use flowgate::wire::invocations::*;
use std::io::{BufRead, Write};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let root = std::path::PathBuf::from(&args[1]);
    let mut out = std::io::BufWriter::new(std::fs::File::create(&args[2]).unwrap());
    let lib = LibrarySearch { explicit: Some(args[3].clone().into()), ..Default::default() };
    let b = select(
        Choice::Ort,
        OrtOptions { library: lib, intra_op_threads: 1.try_into().unwrap(), spinning: false },
    )
    .unwrap();
    let mut names: Vec<_> =
        std::fs::read_dir(root.join("cases")).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    for c in names {
        let name = c.file_stem().unwrap().to_str().unwrap().to_string();
        let dir = match ModelDir::open(&root.join("models").join(&name)) {
            Ok(d) => d,
            Err(e) => {
                println!("{name}: {e}");
                continue;
            }
        };
        let spec = LoadSpec {
            path: dir.graph.clone(),
            providers: vec![],
            session: SessionOptions::default(),
        };
        let m = match b.load(&spec) {
            Ok(m) => m,
            Err(e) => {
                println!("{name}: {e}");
                continue;
            }
        };
        let s = Scoring::new(
            dir.mlmodel.signature.clone().unwrap_or_default(),
            m.io().clone(),
            ScoringOptions { record_shape: RecordShape::Flattened, decoded_bytes_max: 1 << 28 },
        );
        for line in std::io::BufReader::new(std::fs::File::open(&c).unwrap()).lines() {
            let v: serde_json::Value = match serde_json::from_str(&line.unwrap()) {
                Ok(v) => v,
                Err(_) => continue,
            };
            if v["path"] != "/invocations" || v["method"] != "POST" {
                continue;
            }
            let body: Vec<u8> = if let Some(t) = v["body"].as_str() {
                t.as_bytes().to_vec()
            } else if let Some(t) = v["body_b64"].as_str() {
                base64::engine::general_purpose::STANDARD.decode(t).unwrap()
            } else {
                continue;
            };
            let ct = v["headers"]
                .as_object()
                .unwrap()
                .iter()
                .find(|(k, _)| k.to_lowercase() == "content-type")
                .map(|(_, v)| v.as_str().unwrap().to_string());
            let (status, code, text) = match s.decode(ct.as_deref(), &body) {
                Err(e) => match e.kind {
                    WireErrorKind::UnsupportedMediaType => (415, "", e.message),
                    WireErrorKind::BadRequest => (400, "BAD_REQUEST KAM00", e.message),
                    WireErrorKind::Schema => (400, "INVALID_PARAMETER_VALUE KAM01", e.message),
                    WireErrorKind::Params => (400, "INVALID_PARAMETER_VALUE KAM00", e.message),
                },
                Ok(d) => match m.run(d.feeds) {
                    Err(e) => (400, "BAD_REQUEST KAM00", format!("RUN {e}")),
                    Ok(o) => {
                        let mut b = vec![];
                        match s.encode(&o, d.layout, &mut b) {
                            Ok(()) => (200, "", String::from_utf8(b).unwrap()),
                            Err(e) => (400, "BAD_REQUEST KAM00", e.message),
                        }
                    }
                },
            };
            writeln!(out, "{}", serde_json::json!({"model": name, "case": v["case"], "status": status, "code": code, "body": text})).unwrap();
        }
    }
}
