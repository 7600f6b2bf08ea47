//! A server in this process, on a port of its own, around a gated model.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use flowgate::backend::LoadedModel as _;
use flowgate::batch::{BatchLimits, InferencePool, RunnerOptions};
use flowgate::config::{Config, Environment, Sources};
use flowgate::model::{ModelId, ModelName, Signature, VersionId};
use flowgate::servable::{BatchOptions, LiveTable, Pending, Servable, ServingTable};
use flowgate::server::{Leaving, listen};
use flowgate::telemetry::Meters;
use flowgate::tune::Costs;
use flowgate::wire::invocations::{RecordShape, Scoring, ScoringOptions};

use super::{Client, Gate, GatedModel};

/// A running server. Stops when dropped, and says so if it does not.
pub(crate) struct TestServer {
    pub(crate) gate: Arc<Gate>,
    pub(crate) pool: Arc<InferencePool<Pending>>,
    config: Config,
    table: Arc<LiveTable>,
    address: SocketAddr,
    handle: ServerHandle,
    pub(crate) leaving: Leaving,
    thread: Option<JoinHandle<()>>,
}

impl TestServer {
    /// Starts with an open gate: the model `echo` answers at once.
    pub(crate) fn start(flags: &[(&'static str, &str)]) -> Self {
        let server = Self::start_held(flags);
        server.gate.open();
        server
    }

    /// Starts with a closed gate.
    pub(crate) fn start_held(flags: &[(&'static str, &str)]) -> Self {
        let mut given: HashMap<_, _> =
            [("port", "0"), ("workers", "1"), ("inference-threads", "1")].into();
        given.extend(flags.iter().copied());
        let given = given.into_iter().map(|(flag, value)| (flag, value.to_owned())).collect();
        let sources = Sources::merge(&given, Vec::new(), &Environment::default(), None);
        let config = Config::check(&sources).unwrap();

        let gate = Arc::new(Gate::default());
        let table = Arc::new(LiveTable::new(table_of("echo", &gate, &config)));
        let pool = Arc::new(InferencePool::start(config.pool).unwrap());

        let (ready, started) = flume::bounded(1);
        let options = config.server.clone();
        let leaving = Leaving::default();
        let told = leaving.clone();
        let (server_table, server_pool) = (Arc::clone(&table), Arc::clone(&pool));
        let thread = Builder::new().name("server-under-test".to_owned()).spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let listening =
                    listen(&options, server_table, server_pool, Meters::default(), told).unwrap();
                ready.send((listening.address, listening.handle)).unwrap();
                listening.server.await.unwrap();
            });
        });
        let (address, handle) = started.recv().unwrap();
        let thread = Some(thread.unwrap());
        Self { gate, pool, config, table, address, handle, leaving, thread }
    }

    /// Serves a model of another name, behind a gate of its own, instead of what was served.
    pub(crate) fn replace_model(&self, name: &str) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        self.table.store(table_of(name, &gate, &self.config));
        gate
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Lets the server see that clients have left: the worker is one thread, so once it has
    /// answered this, it has seen their connections end.
    pub(crate) fn notice_departures(&self) {
        for _ in 0..10 {
            assert_eq!(self.client().request("GET", "/ping", &[], b"").status, 200);
        }
    }

    /// Asks the server to stop and comes back at once.
    pub(crate) fn begin_stop(&self) {
        drop(self.handle.stop(true));
    }

    /// Waits for the server to have stopped, and closes the pool: how many requests were left?
    pub(crate) fn finish_stop(&mut self) -> usize {
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        self.pool.close(Instant::now() + Duration::from_secs(30))
    }
}

/// A table of one gated model.
fn table_of(name: &str, gate: &Arc<Gate>, config: &Config) -> ServingTable {
    let model = Arc::new(GatedModel::new(Arc::clone(gate)));
    let id = ModelId { name: ModelName::new(name).unwrap(), version: VersionId(1) };
    let options = ScoringOptions {
        record_shape: RecordShape::Flattened,
        decoded_bytes_max: config.server.body_bytes_max,
    };
    let scoring = Scoring::new(Signature::default(), model.io().clone(), options);
    let servable = Arc::new(Servable::new(id, scoring, model, runner_options(config)));
    ServingTable::new(vec![servable]).unwrap()
}

/// The gated model has no costs of its own: what is not configured is off.
fn runner_options(config: &Config) -> RunnerOptions {
    let BatchOptions { rows_max, delay_max, lane, .. } = config.batch;
    let rows_max = rows_max.unwrap_or(1);
    RunnerOptions {
        limits: BatchLimits { rows_max, delay_max },
        is_tuned: false,
        merges: rows_max > 1,
        lane,
        costs: Costs::new(vec![(1, Duration::from_millis(1))]),
        row_elements: 1,
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.gate.open();
        self.begin_stop();
        self.finish_stop();
    }
}
