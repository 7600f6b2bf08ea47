//! The negative control: the same swaps in this process, with and without a leak.

use std::collections::HashMap;
use std::env;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flowgate::backend::{Backend, Choice, LibrarySearch, OrtOptions, PINNED_VERSION, select};
use flowgate::batch::LaneChoice;
use flowgate::drift::{DriftOptions, Monitors, WindowLength};
use flowgate::lifecycle::{
    Answer, Backoff, Event, Fetcher, Loader, Manager, ManagerOptions, Message, Plan, Policy,
    Reports, SwapPolicy, Tellers,
};
use flowgate::model::{ModelName, VersionId};
use flowgate::servable::{BatchOptions, LoadOptions};
use flowgate::source::{Aspired, ObjectOptions, Origin};
use flowgate::store::TuneCache;
use flowgate::telemetry::{Exposition, Meters};
use flowgate::wire::invocations::{RecordShape, ScoringOptions};
use tokio::sync::mpsc::Sender;

use crate::footprint::resident_bytes;

/// What outlives its swap.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    Nothing,
    /// Each version that was ever published.
    EveryVersion,
}

fn backend() -> Arc<dyn Backend> {
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("target/onnxruntime/{PINNED_VERSION}/libonnxruntime.so.{PINNED_VERSION}"));
    let library = LibrarySearch {
        executable: env::current_exe().ok(),
        explicit: pinned.exists().then_some(pinned),
        ..LibrarySearch::default()
    };
    let options = OrtOptions { library, intra_op_threads: NonZeroUsize::MIN, spinning: false };
    select(Choice::Ort, options).unwrap()
}

fn options(folder: &Path) -> LoadOptions {
    LoadOptions {
        providers: None,
        scoring: ScoringOptions {
            record_shape: RecordShape::Flattened,
            decoded_bytes_max: 1 << 20,
        },
        batch: BatchOptions {
            rows_max: None,
            delay_max: Duration::ZERO,
            lane: LaneChoice::Auto,
            tune_time_max: Duration::from_millis(100),
        },
        tune_cache: Some(TuneCache::new(folder.join("cache"))),
        intra_op_threads: 1,
        cores: 2,
        meters: Meters::default(),
        drift: DriftOptions {
            is_on: true,
            windows: WindowLength::usual().into(),
            rows_min: 500,
            features_max: 64,
            features_exported_max: 64,
            has_bins: true,
            live_rows: None,
        },
        monitors: Monitors::default(),
    }
}

fn aspired(folder: &Path, version: u64) -> Aspired {
    let origin = Origin::Directory(folder.join(version.to_string()));
    Aspired { version: VersionId(version), origin, stamp: version.to_string() }
}

/// Swaps versions 2 and 1 in turn; this process's resident memory after each swap of the later
/// half.
pub(crate) fn swap(folder: &Path, count: u64, kept: Kept) -> Vec<f64> {
    let model = ModelName::new("wine").unwrap();
    let plan = Plan {
        backend: backend(),
        options: options(folder),
        needs_compatible: true,
        selected_by: String::new(),
        needs_example: true,
    };
    let second = Duration::from_secs(1);
    let policy = Policy {
        swap: SwapPolicy::AvailabilityPreserving,
        loads_max: NonZeroUsize::MIN,
        backoff: Backoff { first: second, max: second },
        probation: Duration::ZERO,
        keeps_predecessor: false,
        jitter_seed: 0,
    };
    let fetcher = Fetcher {
        cache: None,
        client: None,
        objects: ObjectOptions {
            variables: Vec::new(),
            connect_time_max: second,
            read_time_max: second,
            retries_max: 0,
            retry_time_max: second,
            files_max: 1,
        },
        identities: HashMap::new(),
    };
    let plans = HashMap::from([(model.clone(), plan)]);
    let options = ManagerOptions {
        policy,
        models: vec![model],
        loader: Loader::new(plans, fetcher).unwrap(),
        drain_time_max: second,
        exposition: Exposition::default(),
        tellers: Tellers::default(),
    };
    let (manager, messages) = Manager::start(options).unwrap();
    let reports = manager.reports();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::select! {
            () = manager.run() => panic!("it runs for ever"),
            resident = drive(folder, count, kept, &reports, &messages) => resident,
        }
    })
}

async fn drive(
    folder: &Path,
    count: u64,
    kept: Kept,
    reports: &Reports,
    messages: &Sender<Message>,
) -> Vec<f64> {
    let (mut resident, mut versions) = (Vec::new(), Vec::new());
    for number in 1..=count {
        let aspired = aspired(folder, 1 + number % 2);
        let wanted = aspired.version;
        let model = reports.models().remove(0).name;
        let event = Event::Aspired { model, answer: Answer::Version(aspired) };
        assert!(messages.send(Message::Event(event)).await.is_ok());
        let version = loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let published = reports.models().remove(0).version;
            match published {
                Some(version) if version.servable.id().version == wanted => break version,
                Some(_) => {}
                None => assert_eq!(number, 1, "one serves at any time"),
            }
        };
        if kept == Kept::EveryVersion {
            versions.push(version);
        }
        if number > count / 2 {
            resident.push(resident_bytes(std::process::id()));
        }
    }
    resident
}
