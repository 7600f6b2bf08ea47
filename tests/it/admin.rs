//! The admin port: probes, and what it says about models.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::dev::ServerHandle;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flowgate::model::{GraphInput, GraphIo, GraphOutput, ModelName, OutputKind, VersionId};
use flowgate::servable::TuneSource;
use flowgate::server::{
    AdminOptions, AdminView, BatchingStatus, Control, Controlled, Leaving, LifecycleStatus,
    ModelStatus, Readiness, RefusedStatus, ServingStatus, VersionStatus, Webhook, WebhookSecret,
    listen_admin,
};
use flowgate::tensor::{DType, Dim, Dims};
use flowgate::tune::{Batching, Costs};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{Client, Reply};

/// An admin server in this process; stops when dropped.
struct Admin {
    /// What waits in the first model's queue, as the server will tell it.
    queued: Arc<AtomicUsize>,
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Admin {
    fn start() -> Self {
        Self::start_with(|view| view)
    }

    fn start_with(more: impl FnOnce(AdminView) -> AdminView) -> Self {
        let queued = Arc::new(AtomicUsize::new(0));
        let now = Arc::clone(&queued);
        let models = move || vec![merged(now.load(Ordering::Relaxed)), alone()];
        let control = |name: &str, control| match (name, control) {
            ("wine quality", Control::Rollback) => Controlled::Accepted,
            ("wine quality", Control::Poll) => Controlled::Busy,
            ("ranking", Control::Rollback) => Controlled::NothingBefore,
            _ => Controlled::Unknown,
        };
        let view = Arc::new(more(AdminView::new(models, control)));
        let (ready, started) = flume::bounded(1);
        let thread = Builder::new().name("admin-under-test".to_owned()).spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let options = AdminOptions { host: "127.0.0.1".to_owned(), port: 0 };
                let listening = listen_admin(&options, view).unwrap();
                ready.send((listening.address, listening.handle)).unwrap();
                listening.server.await.unwrap();
            });
        });
        let (address, handle) = started.recv().unwrap();
        Self { queued, address, handle, thread: Some(thread.unwrap()) }
    }

    fn get(&self, path: &str) -> Reply {
        Client::connect(self.address).request("GET", path, &[], b"")
    }

    fn json(&self, path: &str) -> Value {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.headers["content-type"], "application/json");
        serde_json::from_slice(&reply.body).unwrap()
    }
}

impl Drop for Admin {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn status(name: &str, outputs: Vec<GraphOutput>, batching: BatchingStatus) -> ModelStatus {
    let input = GraphInput {
        name: "x".to_owned(),
        dtype: DType::F32,
        dims: Dims(vec![Dim::Any, Dim::Fixed(11)]),
    };
    ModelStatus {
        name: ModelName::new(name).unwrap(),
        serving: Some(ServingStatus {
            version: VersionId(2),
            engine: "onnxruntime 1.31.1".to_owned(),
            provider: "CPUExecutionProvider".to_owned(),
            io: GraphIo { inputs: vec![input], outputs },
            batching,
        }),
        lifecycle: LifecycleStatus {
            aspired: Some(VersionId(3)),
            registry_error: Some("it answers 500".to_owned()),
            versions: vec![VersionStatus {
                version: VersionId(3),
                state: "Fetching".to_owned(),
                since: UNIX_EPOCH,
                reason: "the registry names it",
                is_serving: false,
                is_loading: true,
            }],
            predecessor: Some(VersionId(1)),
            is_pinned: false,
            probation_until: None,
            refused: vec![RefusedStatus {
                version: VersionId(4),
                at: "Verifying".to_owned(),
                cause: "no graph".to_owned(),
                since: UNIX_EPOCH,
                retry_at: Some(UNIX_EPOCH + Duration::from_millis(1500)),
            }],
            history: vec![(UNIX_EPOCH, VersionId(2), "serves".to_owned())],
        },
    }
}

fn merged(queued_requests: usize) -> ModelStatus {
    let kind = OutputKind::Tensor { dtype: DType::I64, dims: Dims(vec![Dim::Any]) };
    let points = vec![(1, Duration::from_nanos(9_808)), (2, Duration::from_nanos(10_264))];
    let batching = BatchingStatus {
        batching: Batching::Merged,
        batch_rows_max: 2,
        lane: "express",
        lane_reason: "a run of 1 row takes 9.8 us".to_owned(),
        costs: Costs::new(points),
        source: TuneSource::Cache,
        queued_requests,
    };
    let outputs = vec![
        GraphOutput { name: "label".to_owned(), kind },
        GraphOutput { name: "probabilities".to_owned(), kind: OutputKind::Maps },
    ];
    status("wine quality", outputs, batching)
}

fn alone() -> ModelStatus {
    let batching = BatchingStatus {
        batching: Batching::Alone("output `y` has 1 row for 2 rows of input".to_owned()),
        batch_rows_max: 1,
        lane: "queue",
        lane_reason: "it is configured".to_owned(),
        costs: Costs::default(),
        source: TuneSource::Configured,
        queued_requests: 0,
    };
    status("ranking", Vec::new(), batching)
}

#[test]
fn a_model_is_described_whole() {
    let admin = Admin::start();
    admin.queued.store(7, Ordering::Relaxed);
    let wine = json!({
        "name": "wine quality",
        "version": 2,
        "engine": "onnxruntime 1.31.1",
        "provider": "CPUExecutionProvider",
        "inputs": [{"name": "x", "type": "float32", "shape": [-1, 11]}],
        "outputs": [
            {"name": "label", "type": "int64", "shape": [-1]},
            {"name": "probabilities", "type": "maps"},
        ],
        "batching": {
            "requests": "merged",
            "reason": null,
            "batch_rows_max": 2,
            "lane": "express",
            "lane_reason": "a run of 1 row takes 9.8 us",
            "points": [{"rows": 1, "micros": 9.808}, {"rows": 2, "micros": 10.264}],
            "source": "cache",
            "queued_requests": 7,
        },
        "lifecycle": {
            "aspired": 3,
            "registry_error": "it answers 500",
            "versions": [{
                "version": 3,
                "state": "Fetching",
                "since": "1970-01-01T00:00:00.000Z",
                "reason": "the registry names it",
                "serving": false,
            }],
            "loading": {"version": 3, "state": "Fetching"},
            "predecessor": 1,
            "pinned": false,
            "probation_until": null,
            "refused": [{
                "version": 4,
                "at": "Verifying",
                "cause": "no graph",
                "since": "1970-01-01T00:00:00.000Z",
                "retry_at": "1970-01-01T00:00:01.500Z",
            }],
            "history": [{"at": "1970-01-01T00:00:00.000Z", "version": 2, "what": "serves"}],
        },
    });
    assert_eq!(admin.json("/v1/models/wine%20quality"), wine);
    let ranking = admin.json("/v1/models/ranking");
    assert_eq!(ranking["batching"]["requests"], "alone");
    assert_eq!(ranking["batching"]["reason"], "output `y` has 1 row for 2 rows of input");
    assert_eq!(ranking["batching"]["source"], "configured");
    assert_eq!(admin.json("/v1/models"), json!({"models": [wine, ranking]}));

    admin.queued.store(0, Ordering::Relaxed);
    let now = admin.json("/v1/models/wine%20quality");
    assert_eq!(now["batching"]["queued_requests"], 0, "it tells what is, not what was");
}

#[test]
fn an_operator_is_told_what_becomes_of_what_he_asks() {
    let admin = Admin::start();
    for (path, status) in [
        ("/v1/models/wine%20quality/rollback", 202),
        ("/v1/models/wine%20quality/poll", 503),
        ("/v1/models/ranking/rollback", 409),
        ("/v1/models/other/rollback", 404),
        ("/v1/models/ranking/promote", 404),
    ] {
        let reply = Client::connect(admin.address).request("POST", path, &[], b"");
        assert_eq!(reply.status, status, "{path}");
    }
    assert_eq!(admin.get("/v1/models/ranking/rollback").status, 405);
}

#[test]
fn probes_tell_a_live_process_from_a_ready_one() {
    let leaving = Leaving::default();
    let told = leaving.clone();
    let admin = Admin::start_with(|view| view.with_leaving(told));
    assert_eq!(admin.json("/live"), json!({"status": "live"}));
    assert_eq!(admin.json("/ready"), json!({"status": "ready"}));
    leaving.begin();
    assert_eq!(admin.json("/live"), json!({"status": "live"}));
    let reply = admin.get("/ready");
    assert_eq!((reply.status, reply.body), (503, br#"{"status":"stopping"}"#.to_vec()));
}

#[test]
fn a_process_is_ready_when_its_models_are() {
    for (readiness, said) in [
        (Readiness::Starting, json!({"status": "starting"})),
        (
            Readiness::Waiting(vec!["wine quality".to_owned()]),
            json!({"status": "waiting", "models": ["wine quality"]}),
        ),
    ] {
        let admin = Admin::start_with(|view| view.with_readiness(move || readiness.clone()));
        let reply = admin.get("/ready");
        assert_eq!(reply.status, 503);
        assert_eq!(serde_json::from_slice::<Value>(&reply.body).unwrap(), said);
        assert_eq!(admin.json("/live"), json!({"status": "live"}));
    }
}

#[test]
fn other_paths_and_methods_are_refused_as_on_the_data_port() {
    let admin = Admin::start();
    for path in ["/", "/ping", "/invocations", "/v1/models/", "/v1/models/nope", "/live/"] {
        let reply = admin.get(path);
        assert_eq!(reply.status, 404, "{path}");
        assert_eq!(reply.body, br#"{"detail":"Not Found"}"#, "{path}");
    }
    for path in ["/live", "/ready", "/v1/models", "/v1/models/ranking"] {
        let mut client = Client::connect(admin.address);
        let reply = client.request("POST", path, &[], b"{}");
        assert_eq!(reply.status, 405, "{path}");
        assert_eq!(reply.headers["allow"], "GET, HEAD", "{path}");
        assert_eq!(reply.body, br#"{"detail":"Method Not Allowed"}"#, "{path}");
        let head = Client::connect(admin.address).request("HEAD", path, &[], b"");
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    }
}

#[test]
fn a_taken_port_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let options = AdminOptions { host: "127.0.0.1".to_owned(), port };
    let refused = actix_web::rt::System::new().block_on(async {
        listen_admin(&options, Arc::new(AdminView::new(Vec::new, |_, _| Controlled::Unknown)))
            .map(drop)
    });
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
}

const HOOK: &str = "/v1/webhooks/mlflow";

/// A delivery as MLflow signs it with the secret `s3cr3t`, made so many seconds from now.
fn delivery(id: &str, seconds: i64, body: &[u8]) -> [(String, String); 3] {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let timestamp = now.checked_add_signed(seconds).unwrap().to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cr3t").unwrap();
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    [
        ("X-MLflow-Delivery-Id", id),
        ("X-MLflow-Timestamp", &timestamp),
        ("X-MLflow-Signature", &signature),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
}

/// An admin port that takes deliveries, and the names of models that it was told of.
fn with_webhook() -> (Admin, flume::Receiver<String>) {
    let (poked, names) = flume::unbounded();
    let secret = WebhookSecret::new(b"s3cr3t".to_vec()).unwrap();
    let webhook = Webhook::new(secret, move |name| {
        poked.send(name.to_owned()).unwrap();
        name == "churn"
    });
    (Admin::start_with(|view| view.with_webhook(webhook)), names)
}

fn post(admin: &Admin, headers: &[(String, String)], body: &[u8]) -> (u16, Value) {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    let reply = Client::connect(admin.address).request("POST", HOOK, &headers, body);
    assert_eq!(reply.headers["content-type"], "application/json");
    (reply.status, serde_json::from_slice(&reply.body).unwrap())
}

#[test]
fn a_delivery_pokes_once_and_only_if_it_is_the_registrys() {
    let (admin, names) = with_webhook();
    let body = br#"{"entity": "model_version_alias", "action": "created", "data":
        {"name": "churn", "alias": "champion", "version": "1"}}"#;
    let good = delivery("one", 0, body);
    let (status, said) = post(&admin, &good, body);
    assert_eq!((status, said), (200, json!({"status": "accepted"})));
    assert_eq!(post(&admin, &good, body).0, 200, "MLflow repeats what it got no answer to");
    assert_eq!(names.drain().collect::<Vec<_>>(), ["churn"]);

    let other = br#"{"entity": "model_version", "data": {"name": "other"}}"#;
    assert_eq!(post(&admin, &delivery("two", 0, other), other).0, 200);
    assert_eq!(names.drain().collect::<Vec<_>>(), ["other"]);

    let huge = vec![b' '; (1 << 20) + 1];
    for (headers, body, expected) in [
        (&[][..], &body[..], 401),
        (&good[..2], body, 401),
        (&good, other, 401),
        (&delivery("three", -400, body), body, 401),
        (&delivery("four", 400, body), body, 401),
        (&delivery("five", 0, b"secret? {"), b"secret? {", 400),
        (&delivery("six", 0, &huge), &huge, 413),
    ] {
        let (status, said) = post(&admin, headers, body);
        assert_eq!(status, expected, "{said}");
        let detail = said["detail"].as_str().unwrap();
        assert!(!detail.contains("secret?") && !detail.contains("churn"), "{detail}");
    }
    assert!(names.is_empty());
    let reply = admin.get(HOOK);
    assert_eq!((reply.status, reply.headers["allow"].as_str()), (405, "POST"));
}

#[test]
fn without_a_secret_there_are_no_webhooks() {
    let admin = Admin::start();
    let body = br#"{"entity": "model_version", "data": {"name": "churn"}}"#;
    assert_eq!(post(&admin, &delivery("one", 0, body), body).0, 404);
    assert_eq!(admin.get(HOOK).status, 404);
}
