//! The built binary: exit codes, what it prints, signals.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::Client;

/// A real model of the repository.
pub(crate) const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/wine-quality");

fn flowgate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowgate"));
    command.args(arguments);
    command
}

pub(crate) fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = flowgate(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn bad_flags_end_with_2() {
    for arguments in [&["serve", "--colour"][..], &[], &["dance"]] {
        let (code, _, stderr) = run(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {stderr}");
    }
}

#[test]
fn help_and_version_end_with_0() {
    let (code, stdout, _) = run(&["--version"]);
    assert_eq!((code, stdout.as_str()), (Some(0), "flowgate 0.1.0\n"));
    let (code, stdout, _) = run(&["serve", "--help"]);
    assert_eq!(code, Some(0));
    for flag in ["-h, --host", "-p, --port", "-t, --timeout", "-w, --workers", "      --help"] {
        assert!(stdout.contains(flag), "{flag}: {stdout}");
    }
}

#[test]
fn nothing_to_serve_ends_with_2_and_says_what_to_do() {
    let (code, _, stderr) = run(&["serve"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("name a model directory"), "{stderr}");
}

#[test]
fn every_fault_of_a_configuration_is_printed_and_ends_with_2() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("flowgate.yaml");
    std::fs::write(&file, "server: {prot: 80, host: ''}\nlog: {level: loud}\n").unwrap();
    let (code, _, stderr) = run(&["serve", "--config", file.to_str().unwrap(), "--port", "x"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("4 mistakes"), "{stderr}");
    for place in ["server.prot:", "server.host:", "log.level:", "server.port (flag --port):"] {
        assert!(stderr.contains(place), "{place}: {stderr}");
    }
}

#[test]
fn a_configuration_file_that_is_missing_ends_with_2() {
    let (code, _, stderr) = run(&["config", "--config", "/no/such/file.yaml"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("/no/such/file.yaml"), "{stderr}");
}

#[test]
fn the_effective_configuration_can_be_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("flowgate.yaml");
    let (code, first, _) = run(&["config", "wine=models/wine", "-p", "0", "-t", "1m"]);
    assert_eq!(code, Some(0));
    std::fs::write(&file, &first).unwrap();
    let (code, second, _) = run(&["config", "--config", file.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    let values = |yaml: &str| -> Vec<String> {
        yaml.lines().map(|line| line.split("  #").next().unwrap().to_owned()).collect()
    };
    assert_eq!(values(&first), values(&second));
}

#[test]
fn directories_that_cannot_be_served_end_with_1_and_one_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let sklearn = dir.path().join("sklearn-only");
    std::fs::create_dir(&sklearn).unwrap();
    std::fs::write(sklearn.join("MLmodel"), "flavors: {sklearn: {pickled_model: model.pkl}}\n")
        .unwrap();
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let cases: [(&Path, &str); 3] = [
        (&dir.path().join("missing"), "does not exist"),
        (&empty, "holds no model"),
        (&sklearn, "no onnx flavor"),
    ];
    for (path, reason) in cases {
        for command in ["serve", "check"] {
            let (code, stdout, stderr) = run(&[command, path.to_str().unwrap()]);
            assert_eq!((code, stdout.as_str()), (Some(1), ""), "{stderr}");
            // Before it may stand what the log has to say.
            let last = stderr.lines().last().unwrap();
            assert!(last.starts_with("flowgate: cannot serve"), "{stderr}");
            assert!(last.contains(reason), "{reason}: {stderr}");
        }
    }
}

#[test]
fn a_port_that_is_taken_ends_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, _, stderr) = run(&["serve", MODEL, "--port", &port]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("cannot listen on 127.0.0.1"), "{stderr}");

    let arguments = ["serve", MODEL, "--port", "0", "--admin-port", &port, "--cache-dir", "off"];
    let (code, stdout, stderr) = run(&arguments);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    assert!(stderr.contains("choose another port with --admin-port"), "{stderr}");
}

#[test]
fn a_secret_that_is_not_there_is_a_mistake_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("hook");
    let arguments =
        ["serve", MODEL, "--port", "0", "--webhook-secret-file", file.to_str().unwrap()];
    for (content, words) in [(None, "No such file"), (Some("\n"), "is empty")] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let (code, stdout, stderr) = run(&arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(stderr.contains(words) && stderr.contains("/hook`"), "{stderr}");
    }
}

#[test]
fn a_graph_without_an_mlmodel_file_is_served_as_it_declares_itself() {
    let dir = tempfile::tempdir().unwrap();
    let graph = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/onnx/echo_float32.onnx");
    std::fs::copy(graph, dir.path().join("model.onnx")).unwrap();
    let model = format!("churn={}", dir.path().display());
    let serving = Serving::start(&[&model]);
    let mut client = Client::connect(serving.address);
    let reply = client.post(r#"{"inputs": [[1.5, 2.5, 0]]}"#);
    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(answer, json!({"predictions": {"y": [[1.5, 2.5, 0.0]]}}));
    assert_eq!(client.request("POST", "/invocations/churn", &[], b"").status, 415);
}

/// A model's folder with two versions, and a `registry.yaml`.
fn folder_of_versions() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for version in ["1", "2"] {
        let (from, to) = (Path::new(MODEL).join(version), dir.path().join("wine").join(version));
        std::fs::create_dir_all(&to).unwrap();
        for file in std::fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    std::fs::write(dir.path().join("wine/registry.yaml"), "stages: {Production: 1}\n").unwrap();
    dir
}

#[test]
fn a_version_in_a_folder_is_promoted_and_served() {
    let dir = folder_of_versions();
    let folder = dir.path().join("wine");
    let folder = folder.to_str().unwrap();
    for (version, to, said) in [
        ("2", ["--stage", "production"], "stage Production, which version 1 had before"),
        ("2", ["--stage", "Production"], "stage Production, which it had before"),
        ("1", ["--stage", "Production"], "stage Production, which version 2 had before"),
        ("2", ["--alias", "champion"], "alias champion, which no version had before"),
    ] {
        let (code, stdout, stderr) = run(&["promote", folder, version, to[0], to[1]]);
        assert_eq!(code, Some(0), "{stderr}");
        assert_eq!(stdout, format!("wine version {version} is promoted to {said}\n"));
    }
    let text = std::fs::read_to_string(dir.path().join("wine/registry.yaml")).unwrap();
    assert!(text.contains("Production: 1") && text.contains("champion: 2"), "{text}");
    assert!(Serving::start(&[folder]).line.contains("wine version 1"));
}

#[test]
fn what_cannot_be_promoted_is_left_as_it_is() {
    let dir = folder_of_versions();
    let folder = dir.path().join("wine");
    std::fs::write(folder.join("2/model.onnx"), "no graph").unwrap();
    std::fs::remove_file(folder.join("2/MLmodel")).unwrap();
    let folder = folder.to_str().unwrap();
    let absent = dir.path().join("absent");
    let sqlite = ["--tracking-uri", "sqlite:///mlflow.db"];
    let cases: [(&[&str], i32, &str); 8] = [
        (&[folder, "9", "--alias", "champion"], 1, "has no 9/MLmodel"),
        (&[folder, "2", "--alias", "champion"], 1, "version 2"),
        (&[absent.to_str().unwrap(), "1", "--alias", "champion"], 1, "does not exist"),
        (&[folder, "1", "--alias", "v1"], 2, "`v1` cannot be an alias"),
        (&[folder, "1"], 2, "--stage"),
        (&["models:/wine", "1", "--alias", "champion"], 2, "MLFLOW_TRACKING_URI"),
        (&["models:/wine@x", "1", "--alias", "champion"], 2, "give models:/wine"),
        (&["wine", "1", "--alias", "champion", sqlite[0], sqlite[1]], 2, "never written"),
    ];
    for (arguments, expected, words) in cases {
        let (code, stdout, stderr) = run(&[&["promote"], arguments].concat());
        assert_eq!((code, stdout.as_str()), (Some(expected), ""), "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
    let text = std::fs::read_to_string(dir.path().join("wine/registry.yaml")).unwrap();
    assert_eq!(text, "stages: {Production: 1}\n");
}

#[test]
fn check_gives_a_verdict() {
    let (code, stdout, stderr) = run(&["check", MODEL]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.starts_with("wine-quality/") && stdout.contains(": ok"), "{stdout}");
}

/// The binary, serving; ended by force if a test fails before it ends by itself.
pub(crate) struct Serving {
    child: Child,
    pub(crate) address: SocketAddr,
    line: String,
    /// The rest of what it says on standard output.
    more: BufReader<ChildStdout>,
}

impl Serving {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_by(&mut flowgate(&[]), arguments)
    }

    /// The same, and the file that its log goes to.
    pub(crate) fn start_logged(arguments: &[&str]) -> (Self, tempfile::NamedTempFile) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut command = flowgate(&[]);
        command.stderr(log.reopen().unwrap());
        (Self::start_by(&mut command, arguments), log)
    }

    fn start_by(command: &mut Command, arguments: &[&str]) -> Self {
        let mut child = command
            .args(["serve", "--port", "0", "--admin-port", "0"])
            .args(arguments)
            .env("FLOWGATE_CACHE_DIR", "off")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut more = BufReader::new(child.stdout.take().unwrap());
        more.read_line(&mut line).unwrap();
        let (_, rest) = line.split_once("http://").expect("the line names the address");
        let address = rest.split('/').next().unwrap().parse().unwrap();
        Self { child, address, line, more }
    }

    /// The admin port's address, from the line after that of the one model.
    pub(crate) fn admin(&mut self) -> SocketAddr {
        let mut line = String::new();
        self.more.read_line(&mut line).unwrap();
        let (_, rest) = line.split_once("http://").expect("the line names the address");
        rest.split('/').next().unwrap().parse().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Serving {
    /// Waits for the process to end: its exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn one_readable_line_says_what_is_served_and_where() {
    let serving = Serving::start(&[MODEL]);
    let line = &serving.line;
    for part in ["serving wine-quality version", "CPUExecutionProvider", "and 7 more", "double"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let url = format!("http://{}/invocations", serving.address);
    assert!(line.trim_end().ends_with(&format!("at {url}/wine-quality and {url}")), "{line}");
}

#[test]
fn several_models_are_served_and_default_is_the_one_named_so() {
    let second = format!("default={MODEL}");
    let serving = Serving::start(&[MODEL, &second]);
    let mut client = Client::connect(serving.address);
    for path in ["/invocations", "/invocations/wine-quality", "/invocations/default"] {
        let reply = client.request("POST", path, &[], b"");
        assert_eq!(reply.status, 415, "{path}");
    }
    assert_eq!(client.request("POST", "/invocations/other", &[], b"").status, 404);
}

#[test]
fn sigterm_and_sigint_end_with_0() {
    for name in ["-TERM", "-INT"] {
        let mut serving = Serving::start(&[MODEL]);
        let mut client = Client::connect(serving.address);
        assert_eq!(client.request("GET", "/ping", &[], b"").status, 200);
        serving.signal(name);
        assert_eq!(serving.wait(), Some(0), "{name}");
    }
}

#[test]
fn the_last_start_up_line_names_the_admin_port() {
    let mut serving = Serving::start(&[MODEL]);
    let admin = serving.admin();
    assert_ne!(serving.address, admin);
    let mut client = Client::connect(admin);
    assert_eq!(client.request("GET", "/ready", &[], b"").status, 200);
    let model = model_at(admin);
    assert_eq!(model["name"], "wine-quality");
    assert_eq!(model["provider"], "CPUExecutionProvider");
    assert_eq!(model["inputs"][0]["shape"], json!([-1, 11]));
    assert_eq!(model["batching"]["requests"], "merged");
    assert_eq!(model["batching"]["source"], "measured");
    assert!(!model["batching"]["points"].as_array().unwrap().is_empty());
    assert_eq!(Client::connect(serving.address).request("GET", "/ready", &[], b"").status, 404);
}

#[test]
fn a_second_start_recalls_what_the_first_one_measured() {
    let dir = tempfile::tempdir().unwrap();
    let cache = dir.path().join("cache");
    let arguments = [MODEL, "--cache-dir", cache.to_str().unwrap()];
    let batching = |arguments: &[&str]| {
        let mut serving = Serving::start(arguments);
        model_at(serving.admin())["batching"].clone()
    };
    let first = batching(&arguments);
    assert_eq!(first["source"], "measured");
    let second = batching(&arguments);
    assert_eq!(second["source"], "cache");
    for kept in ["requests", "batch_rows_max", "points"] {
        assert_eq!(first[kept], second[kept], "{kept}");
    }

    // A directory that cannot be used is no reason not to serve.
    std::fs::remove_dir_all(&cache).unwrap();
    std::fs::write(&cache, "a file").unwrap();
    assert_eq!(batching(&arguments)["source"], "measured");
}

/// What the admin port says about the model.
fn model_at(admin: SocketAddr) -> Value {
    let reply = Client::connect(admin).request("GET", "/v1/models/wine-quality", &[], b"");
    assert_eq!(reply.status, 200);
    serde_json::from_slice(&reply.body).unwrap()
}
