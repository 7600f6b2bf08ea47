//! The real `mlflow server`, where `FLOWGATE_MLFLOW_BIN` names one; the recorded one is enough
//! elsewhere. Models are logged by plain requests: no Python beside the server's own.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use flowgate::model::{ModelName, Stage, VersionId};
use flowgate::source::{Client, MlflowSource, Origin, OthersInStage, ProxyDir, Told, Wanted};
use flowgate::store::RemoteDir as _;
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};

use crate::fake::options;

/// Longest wait for the next word of a server that imports all of MLflow on a busy machine.
const START_MAX: Duration = Duration::from_mins(2);
const FILES: [(&str, &str); 3] =
    [("MLmodel", "flavors: {}\n"), ("code/a b.py", "pass\n"), ("model.onnx", "not a graph")];

/// Dropping it ends the server and all of its workers.
struct Mlflow {
    child: Child,
    reader: Option<JoinHandle<()>>,
    uri: String,
    http: reqwest::Client,
    dir: tempfile::TempDir,
}

impl Mlflow {
    /// `None` where no binary is named.
    fn start(more: &[&str]) -> Option<Self> {
        let binary = std::env::var_os("FLOWGATE_MLFLOW_BIN").map(PathBuf::from)?;
        let dir = tempfile::tempdir().unwrap();
        // It cannot choose a port by itself: this one was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut child = Command::new(&binary)
            .args(["server", "--host", "127.0.0.1", "--workers", "1"])
            .args(["--port", &address.port().to_string()])
            .arg("--backend-store-uri")
            .arg(format!("sqlite:///{}", dir.path().join("mlflow.db").display()))
            .args(more)
            .current_dir(dir.path())
            // Its workers for other things than models outlive it for a minute.
            .env("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        let (sender, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        // Read to its end: a full pipe would block the server.
        let read = move || stderr.lines().map_while(Result::ok).for_each(|l| drop(sender.send(l)));
        let reader = thread::Builder::new().name("mlflow".to_owned()).spawn(read).unwrap();
        let uri = format!("http://{address}");
        // Makes the process's choice of cryptography, which the plain client below needs.
        Client::new(&options(&uri)).unwrap();
        let http = reqwest::Client::new();
        let server = Self { child, reader: Some(reader), uri, http, dir };
        let mut said = String::new();
        while !["Uvicorn running on", "Listening at"].iter().any(|words| said.contains(words)) {
            let line = lines.recv_timeout(START_MAX).unwrap_or_else(|_| panic!("{said}"));
            said = said + &line + "\n";
        }
        Some(server)
    }

    async fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        let url = format!("{}/api/2.0/mlflow/{path}", self.uri);
        let method = method.parse().unwrap();
        let answer = self.http.request(method, url).json(body).send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// A run with its artifacts' URI.
    async fn run(&self) -> (String, String) {
        let run = self.api("POST", "runs/create", &json!({ "experiment_id": "0" })).await;
        let text = |name: &str| run["run"]["info"][name].as_str().unwrap().to_owned();
        (text("run_id"), text("artifact_uri"))
    }

    /// A logged model of that name with its artifacts' URI.
    async fn log_model(&self, run_id: &str, name: &str) -> (String, String) {
        let body = json!({ "experiment_id": "0", "name": name, "source_run_id": run_id });
        let model = self.api("POST", "logged-models", &body).await;
        let text = |name: &str| model["model"]["info"][name].as_str().unwrap().to_owned();
        let (id, uri) = (text("model_id"), text("artifact_uri"));
        let ready = json!({ "model_id": id, "status": "LOGGED_MODEL_READY" });
        self.api("PATCH", &format!("logged-models/{id}"), &ready).await;
        (id, uri)
    }

    /// The files of a model at a location of artifacts: through the proxy, or on this machine.
    async fn upload(&self, uri: &str) {
        for (name, content) in FILES {
            if let Some(path) = uri.strip_prefix("mlflow-artifacts:") {
                let url = format!("{}/api/2.0/mlflow-artifacts/artifacts{path}/{name}", self.uri);
                let answer = self.http.put(url).body(content).send().await.unwrap();
                assert!(answer.status().is_success(), "{name}: {}", answer.status());
            } else {
                let path = Path::new(uri.trim_start_matches("file://")).join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, content).unwrap();
            }
        }
    }

    async fn register(&self, name: &str, source: &str, run_id: &str) {
        let id = source.strip_prefix("models:/");
        let body = json!({ "name": name, "source": source, "run_id": run_id, "model_id": id });
        self.api("POST", "model-versions/create", &body).await;
    }

    fn client(&self) -> Client {
        Client::new(&options(&self.uri)).unwrap()
    }
}

impl Drop for Mlflow {
    fn drop(&mut self) {
        // Asked politely it takes its workers with it.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

async fn selected(client: &Client, target: &str) -> Option<(VersionId, Origin)> {
    let mut source = MlflowSource::new(client.clone(), Wanted::parse(target).unwrap());
    let aspired = source.aspired().await.unwrap_or_else(|error| panic!("{target}: {error}"));
    assert_eq!(source.aspired().await.unwrap(), aspired, "asked again nothing is new");
    aspired.map(|aspired| (aspired.version, aspired.origin))
}

async fn holds_the_files(client: &Client, uri: &str) {
    let dir = ProxyDir::new(client, uri).unwrap();
    let mut files = dir.list().await.unwrap();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let listed: Vec<_> = files.iter().map(|f| (f.path.as_str(), f.bytes.unwrap())).collect();
    let want: Vec<_> = FILES.iter().map(|(name, text)| (*name, text.len() as u64)).collect();
    assert_eq!(listed, want, "{uri}");
    for (name, content) in FILES {
        let pieces: Vec<_> = dir.read(name).await.unwrap().try_collect().await.unwrap();
        assert_eq!(pieces.concat(), content.as_bytes(), "{uri}/{name}");
    }
}

#[tokio::test]
async fn a_real_registry_is_followed_through_a_life_of_versions() {
    let Some(server) = Mlflow::start(&[]) else { return };
    let (client, name) = (server.client(), ModelName::new("wine quality ü").unwrap());
    let (run_id, artifacts) = server.run().await;
    let (id, files) = server.log_model(&run_id, "net").await;
    server.upload(&files).await;
    let old = format!("{artifacts}/model");
    server.upload(&old).await;
    server.api("POST", "registered-models/create", &json!({ "name": name.as_str() })).await;
    server.register(name.as_str(), &format!("models:/{id}"), &run_id).await;
    server.register(name.as_str(), &format!("runs:/{run_id}/model"), &run_id).await;
    let at = |suffix: &str| format!("models:/wine quality ü{suffix}");
    let new = Some((VersionId(1), Origin::Artifacts(files.clone())));
    let second = Some((VersionId(2), Origin::Artifacts(old.clone())));

    assert_eq!(selected(&client, &at("/1")).await, new);
    assert_eq!(selected(&client, &at("/latest")).await, second);
    assert_eq!(selected(&client, &at("/9")).await, None);
    assert_eq!(selected(&client, &at("/Production")).await, None);
    assert_eq!(selected(&client, &at("@live")).await, None);
    assert_eq!(selected(&client, &format!("models:/{id}")).await, new);
    assert_eq!(selected(&client, &format!("runs:/{run_id}/net")).await, new);
    let of_run = Some((VersionId(1), Origin::Artifacts(old.clone())));
    assert_eq!(selected(&client, &format!("runs:/{run_id}/model")).await, of_run);

    let target = Wanted::parse(&at("/production")).unwrap();
    let mut source = MlflowSource::new(client.clone(), target);
    for (version, others) in [(2, OthersInStage::Keep), (1, OthersInStage::Archive)] {
        let version = VersionId(version);
        client.transition_stage(&name, version, Stage::Production, others).await.unwrap();
        let aspired = source.aspired().await.unwrap().unwrap();
        assert_eq!(aspired.version, version);
        for told in [Told::Refused { reason: "no graph".to_owned() }, Told::Serving] {
            source.tell(version, &told).await.unwrap();
            assert_eq!(source.aspired().await.unwrap().unwrap(), aspired, "a tag changes nothing");
            let mut fresh =
                MlflowSource::new(client.clone(), Wanted::parse(&at("/production")).unwrap());
            assert_eq!(fresh.aspired().await.unwrap().unwrap(), aspired);
            let question = json!({ "name": name.as_str(), "version": version.to_string() });
            let found = server.api("GET", "model-versions/get", &question).await;
            let tag = |key: &str| {
                let tags = found["model_version"]["tags"].as_array().unwrap().iter();
                let value = tags.filter(|tag| tag["key"] == key).map(|tag| &tag["value"]).next();
                value.and_then(Value::as_str).map(str::to_owned)
            };
            assert_eq!(tag("flowgate.status").as_deref(), Some(told.status()));
            assert_eq!(tag("flowgate.reason").as_deref(), told.reason());
        }
    }
    for version in [1, 2] {
        client.set_alias(&name, "live", VersionId(version)).await.unwrap();
        assert_eq!(selected(&client, &at("@live")).await.unwrap().0, VersionId(version));
    }
    client.set_alias(&name, "v1", VersionId(1)).await.unwrap_err();
    let missing = client.set_alias(&name, "live", VersionId(9)).await;
    assert!(matches!(missing, Err(flowgate::store::RemoteError::Missing(_))), "{missing:?}");

    let by_model = format!("models:/{id}");
    let by_run = format!("runs:/{run_id}/model");
    for uri in [&files, &old, &by_model, &by_run] {
        holds_the_files(&client, uri).await;
    }
    let absent = ProxyDir::new(&client, &format!("{files}/absent")).unwrap();
    assert!(matches!(absent.list().await, Err(flowgate::store::RemoteError::Missing(_))));
}

#[tokio::test]
async fn a_real_server_without_its_proxy_is_read_all_the_same() {
    let Some(server) = Mlflow::start(&["--no-serve-artifacts", "--default-artifact-root", "./own"])
    else {
        return;
    };
    let client = server.client();
    let (run_id, artifacts) = server.run().await;
    let (id, files) = server.log_model(&run_id, "net").await;
    let own = |uri: &str| {
        let path = uri.trim_start_matches("file://");
        server.dir.path().join(path)
    };
    server.upload(own(&files).to_str().unwrap()).await;
    let old = format!("{artifacts}/model");
    server.upload(own(&old).to_str().unwrap()).await;
    let here = selected(&client, &format!("models:/{id}")).await.unwrap().1;
    assert_eq!(here, Origin::Directory(own(&files)));

    // The server's directory seen from a machine that has no such directory.
    holds_the_files(&client, &format!("models:/{id}")).await;
    holds_the_files(&client, &format!("runs:/{run_id}/model")).await;
    let proxied = ProxyDir::new(&client, "mlflow-artifacts:/0/x").unwrap();
    let error = proxied.list().await.unwrap_err();
    assert!(error.to_string().contains("--serve-artifacts"), "{error}");
}
