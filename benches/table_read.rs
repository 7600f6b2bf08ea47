//! The look-up that every request makes, while other threads look up too and while the table is
//! replaced.
//!
//! Would catch: a lock in the way of a request, whose look-ups would cost more the more event loops
//! make them; a writer that readers wait for; and a look-up that copies more than one pointer.
//! Figures are the time of one look-up as its own thread sees it, the slowest thread's. Readers
//! share the count of one `Arc`, so two cores that look up the same model at once do slow each
//! other down.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use flowgate::backend::{LoadedModel, RunError};
use flowgate::batch::{BatchLimits, Lane, LaneChoice, RunnerOptions};
use flowgate::model::{GraphIo, ModelId, ModelName, Output, Signature, VersionId};
use flowgate::servable::{LiveTable, Servable, ServingTable};
use flowgate::tensor::Tensor;
use flowgate::tune::Costs;
use flowgate::wire::invocations::{RecordShape, Scoring, ScoringOptions};

/// The server's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Models in the table.
const NAMES: [&str; 4] = ["wine-quality", "churn", "fraud", "default"];
/// Pause between two swaps: nearly a thousand a second.
const SWAP_EVERY: Duration = Duration::from_millis(1);

/// A graph that nobody runs.
struct Idle(GraphIo);

impl LoadedModel for Idle {
    fn io(&self) -> &GraphIo {
        &self.0
    }

    fn provider(&self) -> &'static str {
        "none"
    }

    fn run(&self, _feeds: Vec<Tensor>) -> Result<Vec<Output>, RunError> {
        Ok(Vec::new())
    }
}

fn table() -> ServingTable {
    let servable = |name| {
        let name = ModelName::new(name).expect("a valid name");
        let io = GraphIo { inputs: Vec::new(), outputs: Vec::new() };
        let options = ScoringOptions { record_shape: RecordShape::Flattened, decoded_bytes_max: 0 };
        let scoring = Scoring::new(Signature::default(), io.clone(), options);
        let options = RunnerOptions {
            limits: BatchLimits { rows_max: 1, delay_max: Duration::ZERO },
            is_tuned: false,
            merges: false,
            lane: LaneChoice::Always(Lane::Queue),
            costs: Costs::default(),
            row_elements: 1,
        };
        let id = ModelId { name, version: VersionId(1) };
        Arc::new(Servable::new(id, scoring, Arc::new(Idle(io)), options))
    };
    ServingTable::new(NAMES.map(servable).into()).expect("names differ")
}

/// The time that `count` look-ups take, on each of `readers` threads at once.
fn read(live: &LiveTable, name: Option<&str>, readers: usize, count: u64) -> Duration {
    let together = Barrier::new(readers);
    let look_up = || {
        let table = live.load();
        match black_box(name) {
            None => table.default_servable(),
            Some(name) => table.get(name),
        }
    };
    let reader = || {
        together.wait();
        let start = Instant::now();
        for _ in 0..count {
            black_box(look_up());
        }
        start.elapsed()
    };
    thread::scope(|scope| {
        let readers: Vec<_> = (0..readers).map(|_| scope.spawn(reader)).collect();
        let times = readers.into_iter().map(|reader| reader.join().expect("look-ups do not fail"));
        times.max().unwrap_or_default()
    })
}

/// Does `work` while another thread replaces the table again and again.
fn while_swapping<T>(live: &LiveTable, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                live.store(table());
                thread::sleep(SWAP_EVERY);
            }
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        result
    })
}

fn look_up(criterion: &mut Criterion) {
    let live = LiveTable::new(table());
    let mut group = criterion.benchmark_group("table");
    group.throughput(Throughput::Elements(1));
    for (form, name) in [("default", None), ("by-name", Some(NAMES[0]))] {
        for readers in [1, 2, 4] {
            group.bench_function(BenchmarkId::new(form, readers), |bencher| {
                bencher.iter_custom(|count| read(&live, name, readers, count));
            });
            group.bench_function(BenchmarkId::new(format!("{form}-swapped"), readers), |bencher| {
                bencher.iter_custom(|count| {
                    while_swapping(&live, || read(&live, name, readers, count))
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, look_up);
criterion_main!(benches);
