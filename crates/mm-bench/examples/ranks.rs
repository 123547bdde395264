//! What a step of a training on several ranks costs each of them, and what larger numbers of ranks would take.
//!
//! ```text
//! cargo build --release -p mm-bench --features mm-bench/mpi --example ranks
//! RAYON_NUM_THREADS=1 mpirun -n 1 target/release/examples/ranks images
//! RAYON_NUM_THREADS=1 mpirun -n 2 target/release/examples/ranks images MILLISECONDS_ALONE
//! ```
//!
//! Work is the time on a processor outside of exchanges, which other programs on the machine do not change much; the link is the fastest of many
//! exchanges. Linux alone tells the time on a processor, and in ticks too coarse for steps of a few milliseconds.

use anyhow::{Context, Result, bail};
use mm_baselines::{Fusion, FusionConfig};
use mm_core::data::{InputKind, InputSpec, Schema, Target};
use mm_core::fusion::NetworkConfig;
use mm_core::parallel::{Communicator, ParallelError};
use mm_core::recipe::Setup;
use mm_core::train::{EpochLog, Observer, Step, TrainConfig, Trainer};
use mm_core::{Modalities, Subset};
use mm_testing::{clear_to_weak_schema, patterns};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Samples of a step, and steps that are measured behind the first ones.
const BATCH: usize = 64;
const WARM: usize = 2;
const STEPS: usize = 10;

/// Links: what messages wait, in seconds, and bytes a second.
const ETHERNET: Link = Link { latency: 50e-6, bandwidth: 1.25e9 };

#[derive(Clone, Copy)]
struct Link {
    latency: f64,
    bandwidth: f64,
}

/// Calls and bytes that came from other ranks, by exchange; and the processor's time in all.
#[derive(Default, Clone)]
struct Exchanged {
    by_name: BTreeMap<String, (u64, u64)>,
    processor: f64,
}

/// Counts what passes.
struct Counted {
    inner: Arc<dyn Communicator>,
    exchanged: Mutex<Exchanged>,
}

impl Counted {
    fn counting(&self, what: &str, exchange: impl FnOnce() -> Result<Vec<Vec<u8>>, ParallelError>) -> Result<Vec<Vec<u8>>, ParallelError> {
        let before = processor_seconds();
        let parts = exchange()?;
        let others = parts.iter().enumerate().filter(|(rank, _)| *rank != self.rank());
        let bytes: usize = others.map(|(_, part)| part.len()).sum();
        let mut exchanged = self.exchanged.lock().unwrap_or_else(PoisonError::into_inner);
        exchanged.processor += processor_seconds() - before;
        let entry = exchanged.by_name.entry(what.into()).or_default();
        *entry = (entry.0 + 1, entry.1 + bytes as u64);
        Ok(parts)
    }

    fn so_far(&self) -> Exchanged {
        self.exchanged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Communicator for Counted {
    fn rank(&self) -> usize {
        self.inner.rank()
    }

    fn world(&self) -> usize {
        self.inner.world()
    }

    fn all_gather(&self, what: &str, own: &[u8]) -> Result<Vec<Vec<u8>>, ParallelError> {
        self.counting(what, || self.inner.all_gather(what, own))
    }

    fn all_to_all(&self, what: &str, parts: &[&[u8]]) -> Result<Vec<Vec<u8>>, ParallelError> {
        self.counting(what, || self.inner.all_to_all(what, parts))
    }
}

/// Of this thread; 0 where the system does not tell.
fn processor_seconds() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split_whitespace().next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap_or(0.0) * 1e-9
}

/// Clock, processor and exchanges at the beginning of the measured steps and behind them.
#[derive(Clone)]
struct Marks(Arc<Mutex<Vec<(Instant, f64, Exchanged)>>>, Arc<Counted>);

impl Marks {
    fn mark(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), processor_seconds(), self.1.so_far()));
    }
}

impl Observer for Marks {
    fn step(&self, step: &Step) {
        if [WARM, WARM + STEPS].contains(&step.step) {
            self.mark();
        }
    }

    fn epoch(&self, _: &EpochLog, _: usize) {}

    fn finished(&self) {}
}

/// The fastest of many exchanges: of a few bytes, and of megabytes.
fn measure_link(ranks: &dyn Communicator) -> Result<Link> {
    let fastest = |length: usize| -> Result<f64> {
        let own = vec![1u8; length];
        let mut fastest = f64::INFINITY;
        for _ in 0..200 {
            let start = Instant::now();
            ranks.all_gather("link", &own)?;
            fastest = fastest.min(start.elapsed().as_secs_f64());
        }
        Ok(fastest)
    };
    let (latency, length) = (fastest(8)?, 4 << 20);
    Ok(Link { latency, bandwidth: length as f64 / (fastest(length)? - latency).max(1e-9) })
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (task, alone) = (arguments.next().context("vectors or images?")?, arguments.next());
    let alone: Option<f64> = alone.map(|alone| alone.parse()).transpose()?;
    let (schema, network) = match task.as_str() {
        "vectors" => (clear_to_weak_schema(), NetworkConfig::default()),
        "images" => {
            let inputs = [[3, 64, 64], [1, 64, 64]].map(|shape| InputSpec::new(InputKind::Image, shape)).to_vec();
            let schema = Schema::new(Modalities::new(["colour", "depth"])?, inputs, Target::of_classes(["a", "b", "c"]))?;
            let network = "encoder = { kind = 'resnet', stem = 'small', stages = 2, width = 32 }
                           trunk = { kind = 'resnet', widths = [128, 256], blocks = [2, 2] }";
            (schema, toml::from_str(network)?)
        }
        other => bail!("`{other}`: vectors or images?"),
    };
    let sensors = schema.modalities.len();
    let samples = BATCH * (WARM + STEPS + 1);
    let noise = vec![1.0; sensors];
    let data = patterns(schema, samples, &noise, |_| Subset::full(sensors));
    let ranks = mm_mpi::communicator()?;
    let counted = Arc::new(Counted { inner: ranks.clone(), exchanged: Mutex::default() });
    let marks = Marks(Arc::default(), counted.clone());
    let mut method =
        Fusion::new(FusionConfig { network, ..FusionConfig::modality_dropout() }, &Setup::new(mm_core::data::Source::schema(&data)))?;
    let config = TrainConfig { epochs: 1, batch_size: BATCH, ..TrainConfig::default() };
    let rows: Vec<usize> = (0..samples).collect();
    Trainer::new(config).communicator(counted).observer(marks.clone()).run(&mut method, &data, &rows, &[])?;
    let link = measure_link(&*ranks)?;
    ranks.finish();
    if ranks.rank() != 0 {
        return Ok(());
    }
    let marks = marks.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let [(start, busy_before, before), (end, busy, after)] = marks.as_slice() else { bail!("the training was too short") };
    let steps = STEPS as f64;
    let work = (busy - busy_before - (after.processor - before.processor)) / steps;
    let world = ranks.world();
    println!("{task}, {BATCH} samples a step, {world} ranks: {:.1} ms of work a step on rank 0", work * 1e3);
    println!("{:.1} ms a step by the clock", (*end - *start).as_secs_f64() / steps * 1e3);
    let mut of_step = BTreeMap::new();
    for (name, (calls, bytes)) in &after.by_name {
        let (calls_before, bytes_before) = before.by_name.get(name).copied().unwrap_or_default();
        let (calls, bytes) = ((calls - calls_before) as f64 / steps, (bytes - bytes_before) as f64 / steps);
        println!("  {name}: {calls:.1} exchanges and {:.1} KiB from others a step", bytes / 1024.0);
        of_step.insert(name.as_str(), (calls, bytes));
    }
    println!("link: {:.0} µs, {:.2} GB/s", link.latency * 1e6, link.bandwidth / 1e9);
    if let (Some(alone), 2) = (alone, world) {
        // Half of what is divided is gone with two ranks.
        let divided = (2.0 * (alone * 1e-3 - work)).clamp(0.0, alone * 1e-3);
        let replicated = alone * 1e-3 - divided;
        println!("divided {:.1} ms, done by every rank {:.1} ms", divided * 1e3, replicated * 1e3);
        println!("PROJECTION, not measured: milliseconds of a step with this link, and with 50 µs and 10 Gbit/s");
        let cases = [2.0, 8.0, 64.0].map(|ranks| (ranks, BATCH as f64)).into_iter();
        for (ranks, batch) in cases.chain([8.0, 64.0, 512.0].map(|ranks| (ranks, 8.0 * ranks))) {
            let size = batch / BATCH as f64;
            let time = |link: Link| {
                let exchange = |(name, (calls, bytes)): (&&str, &(f64, f64))| {
                    // With two ranks half of all came from the other; of sums each rank sends its own. Features grow with the batch.
                    let of_ranks = if ["moments", "gradient sums"].contains(name) { ranks - 1.0 } else { 2.0 * (ranks - 1.0) / ranks };
                    let of_batch = if name.starts_with("feature") { size } else { 1.0 };
                    calls * link.latency * ranks.log2() + bytes * of_ranks * of_batch / link.bandwidth
                };
                (size * (replicated + divided / ranks) + of_step.iter().map(exchange).sum::<f64>()) * 1e3
            };
            let (here, there, one) = (time(link), time(ETHERNET), size * alone);
            println!("  {ranks:3} ranks, {batch:4} samples: {here:.1}, {there:.1}; one process: {one:.1}");
        }
    }
    Ok(())
}
