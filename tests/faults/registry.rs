//! A registry with three versions of a model and a proxy for their files, made to fail at will.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::fake::{Answer, Fake, Pace, Request};

const API: &str = "/api/2.0/mlflow";
const FILES: &str = "/api/2.0/mlflow-artifacts/artifacts";

/// What a version has beside the files of its model.
pub(crate) const BALLAST: &str = "ballast.bin";

/// The registry of the model `wine`, whose alias `champion` moves.
pub(crate) struct Registry {
    fake: Fake,
    champion: usize,
}

impl Registry {
    /// Version 1 is the champion. Versions 1 and 2 are those of the sample model, 3 is 1 again.
    pub(crate) fn start() -> Self {
        let registry = Self { fake: Fake::start(), champion: 1 };
        registry.mend();
        registry
    }

    pub(crate) fn uri(&self) -> String {
        self.fake.uri()
    }

    /// Moves the alias, which nobody is told before [`answer_champion`](Self::answer_champion).
    pub(crate) fn promote(&mut self, version: usize) {
        self.champion = version;
    }

    /// From now on questions about the alias are answered as they should be.
    pub(crate) fn answer_champion(&self) {
        let champion = self.champion.to_string();
        let aliases = [json!({"alias": "champion", "version": champion})];
        self.answer("registered-models/get", &json!({"registered_model": {"aliases": aliases}}));
    }

    /// From now on everything is answered as it should be.
    pub(crate) fn mend(&self) {
        for version in 1..=3 {
            let about = format!("name=wine&version={version}");
            self.answer(
                &format!("model-versions/get?{about}"),
                &json!({"model_version": {"version": version.to_string(), "status": "READY"}}),
            );
            self.answer(
                &format!("model-versions/get-download-uri?{about}"),
                &json!({"artifact_uri": format!("mlflow-artifacts:/wine/{version}")}),
            );
            let (mut files, listing) = (Vec::new(), format!("{FILES}?path=wine/{version}"));
            for entry in fs::read_dir(directory(version)).unwrap() {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                let bytes = fs::read(entry.path()).unwrap();
                files.push(json!({"path": name, "is_dir": false, "file_size": bytes.len()}));
                let bytes = Answer::new(200, "application/octet-stream", bytes);
                self.fake.set("GET", &format!("{FILES}/wine/{version}/{name}"), bytes);
            }
            self.fake.set("GET", &listing, Answer::json(&json!({ "files": files })));
        }
        self.answer_champion();
    }

    /// Waits until so many questions about the alias have come since the last call.
    pub(crate) fn wait_for_questions(&self, count: usize) {
        self.fake.asked();
        let mut asked = 0;
        while asked < count {
            std::thread::sleep(std::time::Duration::from_millis(10));
            let asks = |request: &Request| request.target.contains("registered-models/get");
            asked += self.fake.asked().iter().filter(|request| asks(request)).count();
        }
    }

    /// From now on questions about models and versions are answered so.
    pub(crate) fn answer_questions(&self, answer: &Answer) {
        self.fake.set("GET", &format!("{API}/registered-models/get"), answer.clone());
    }

    /// From now on whoever asks for a version's files is answered so.
    pub(crate) fn answer_fetches(&self, version: usize, answer: &Answer) {
        self.fake.set("GET", &format!("{FILES}?path=wine/{version}"), answer.clone());
        for entry in fs::read_dir(directory(version)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            self.fake.set("GET", &format!("{FILES}/wine/{version}/{name}"), answer.clone());
        }
    }

    /// From now on one file of a version comes at that pace.
    pub(crate) fn slow_down(&self, version: usize, name: &str, pace: Pace) {
        let bytes = fs::read(directory(version).join(name)).unwrap();
        let answer = Answer::new(200, "application/octet-stream", bytes).at(pace);
        self.fake.set("GET", &format!("{FILES}/wine/{version}/{name}"), answer);
    }

    /// From now on a version has one more file, of so many bytes.
    pub(crate) fn weigh_down(&self, version: usize, bytes: usize) {
        let mut files = vec![json!({"path": BALLAST, "is_dir": false, "file_size": bytes})];
        for entry in fs::read_dir(directory(version)).unwrap() {
            let entry = entry.unwrap();
            let bytes = entry.metadata().unwrap().len();
            let name = entry.file_name().into_string().unwrap();
            files.push(json!({"path": name, "is_dir": false, "file_size": bytes}));
        }
        let listing = format!("{FILES}?path=wine/{version}");
        self.fake.set("GET", &listing, Answer::json(&json!({ "files": files })));
        let ballast = Answer::new(200, "application/octet-stream", vec![7; bytes]);
        self.fake.set("GET", &format!("{FILES}/wine/{version}/{BALLAST}"), ballast);
    }

    fn answer(&self, question: &str, answer: &serde_json::Value) {
        self.fake.set("GET", &format!("{API}/{question}"), Answer::json(answer));
    }
}

fn directory(version: usize) -> PathBuf {
    let number = if version == 2 { "2" } else { "1" };
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/wine-quality").join(number)
}
