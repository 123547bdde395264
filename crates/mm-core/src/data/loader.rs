//! Rows in, batches out: shuffled, read and transformed ahead of the training.

use super::{Batch, DataError, LossOptions, Sample, SampleKey, Source, Transform, collate};
use crate::error::Result;
use crate::rng;
use candle_core::{Device, Tensor};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::mpsc::{Receiver, sync_channel};

/// The rows of one epoch in seeded order, cut into batches; the same for the same `(seed, epoch)` everywhere.
///
/// The last batch may be smaller; `drop_last` leaves it out, unless it is the only one.
///
/// ```
/// let batches = mm_core::data::epoch_batches(&[10, 11, 12, 13, 14], 2, false, 0, 0);
/// assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
/// ```
pub fn epoch_batches(rows: &[usize], batch_size: usize, drop_last: bool, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
    let mut order = rows.to_vec();
    order.shuffle(&mut rng::stream(seed, "order", &[epoch]));
    let batch_size = batch_size.max(1);
    let mut batches: Vec<Vec<usize>> = order.chunks(batch_size).map(<[usize]>::to_vec).collect();
    if drop_last && batches.len() > 1 && batches.last().is_some_and(|last| last.len() < batch_size) {
        batches.pop();
    }
    batches
}

/// How far ahead of the training batches are made. Changes no bit of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Loading {
    /// Threads that read, decode and transform, besides the training's; 0: it does so itself, between two steps.
    pub workers: usize,
    /// Batches that are ready or in work, at most; at least one a worker.
    pub prefetch: usize,
}

impl Default for Loading {
    /// Nothing ahead: right for tables in memory.
    fn default() -> Self {
        Self { workers: 0, prefetch: 4 }
    }
}

impl Loading {
    /// What suits a source: nothing ahead for a table in memory without transforms, else a worker a core.
    pub fn suited_to(source: &dyn Source, transforms: &[Box<dyn Transform>]) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(rayon::current_num_threads());
        let workers = if source.as_table().is_some() && transforms.is_empty() { 0 } else { cores };
        Self { workers, ..Self::default() }
    }
}

/// One of several processes that share the samples of each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Which one, from 0.
    pub rank: usize,
    /// Of how many.
    pub world: usize,
}

impl Shard {
    /// One process that has all samples.
    pub const WHOLE: Self = Self { rank: 0, world: 1 };

    /// Its part of the rows of a step: each process has as many, up to one, and none has nothing where there are as many rows as processes.
    pub fn of<'r>(&self, rows: &'r [usize]) -> &'r [usize] {
        let world = self.world.max(1);
        let at = |rank: usize| rank.min(world) * rows.len() / world;
        &rows[at(self.rank)..at(self.rank + 1)]
    }
}

/// Makes the batches of an epoch from a source.
pub struct Loader<'a> {
    source: &'a dyn Source,
    rows: &'a [usize],
    batch_size: usize,
    seed: u64,
    transforms: &'a [Box<dyn Transform>],
    /// By class: its weight in the loss; empty where all weigh the same.
    class_weights: Vec<f32>,
    options: LossOptions,
    loading: Loading,
    shard: Shard,
    device: Device,
}

impl<'a> Loader<'a> {
    /// Batches of `batch_size` from `rows` in an order drawn from `(seed, epoch)`; the last, smaller one is left out where there is a
    /// whole one.
    pub fn new(source: &'a dyn Source, rows: &'a [usize], batch_size: usize, seed: u64) -> Self {
        Self {
            source,
            rows,
            batch_size,
            seed,
            transforms: &[],
            class_weights: Vec::new(),
            options: LossOptions::default(),
            loading: Loading::default(),
            shard: Shard::WHOLE,
            device: Device::Cpu,
        }
    }

    /// What is done to each sample.
    pub fn transforms(self, transforms: &'a [Box<dyn Transform>]) -> Self {
        Self { transforms, ..self }
    }

    /// How far ahead batches are made.
    pub fn loading(self, loading: Loading) -> Self {
        Self { loading, ..self }
    }

    /// Weight of each class or label in the loss; empty: all the same.
    pub fn class_weights(self, class_weights: Vec<f32>) -> Self {
        Self { class_weights, ..self }
    }

    /// What else shapes the loss; its class weights are those of [`Loader::class_weights`].
    pub fn options(self, options: LossOptions) -> Self {
        Self { options, ..self }
    }

    /// Only the part of each batch that one of several processes has.
    pub fn shard(self, shard: Shard) -> Self {
        Self { shard, ..self }
    }

    /// Where the tensors go.
    pub fn device(self, device: &Device) -> Self {
        Self { device: device.clone(), ..self }
    }

    /// Batches of an epoch.
    pub fn steps(&self) -> usize {
        epoch_batches(self.rows, self.batch_size, true, self.seed, 0).len()
    }

    /// Calls `body` with the batches of an epoch, from step `from` on, in order. The same bytes whatever [`Loading`] says.
    pub fn epoch<R>(&self, epoch: u64, from: usize, body: impl FnOnce(&mut dyn Iterator<Item = Result<Batch>>) -> R) -> R {
        let batches = epoch_batches(self.rows, self.batch_size, true, self.seed, epoch);
        let rows: Vec<&[usize]> = batches.iter().skip(from).map(|rows| self.shard.of(rows)).collect();
        if self.loading.workers == 0 {
            return body(&mut rows.iter().map(|rows| self.make(rows, epoch, true)?.to_device(&self.device)));
        }
        let workers = self.loading.workers.min(rows.len()).max(1);
        // What a worker holds in its hands counts as well.
        let ready = (self.loading.prefetch / workers).saturating_sub(1);
        std::thread::scope(|scope| {
            let rows = &rows;
            let (channels, threads): (Vec<Receiver<Result<Batch>>>, Vec<_>) = (0..workers)
                .map(|worker| {
                    let (sender, receiver) = sync_channel(ready);
                    let thread = scope.spawn(move || {
                        for rows in rows.iter().skip(worker).step_by(workers) {
                            // Nobody listens any more: the training has ended.
                            if sender.send(self.make(rows, epoch, false)).is_err() {
                                return;
                            }
                        }
                    });
                    (receiver, thread)
                })
                .unzip();
            let mut next = (0..rows.len()).map(|step| match channels[step % workers].recv() {
                Ok(batch) => batch?.to_device(&self.device),
                Err(_) => Err(DataError::ReaderPanicked.into()),
            });
            let result = body(&mut next);
            drop(next);
            drop(channels);
            // A panic has become an error above: it must not become one of this thread.
            threads.into_iter().for_each(|thread| _ = thread.join());
            result
        })
    }

    /// One batch on the CPU.
    fn make(&self, rows: &[usize], epoch: u64, on_all_threads: bool) -> Result<Batch> {
        let batch = match self.transforms.is_empty() && self.source.as_table().is_some() {
            true => self.source.batch(rows, &Device::Cpu)?,
            false => {
                let read = |&row: &usize| self.read(row, epoch);
                let samples = match on_all_threads {
                    true => rows.par_iter().map(read).collect::<Result<Vec<_>>>()?,
                    false => rows.iter().map(read).collect::<Result<Vec<_>>>()?,
                };
                let random = self.source.augments() || self.transforms.iter().any(|transform| transform.is_random());
                collate(self.source.schema(), samples, rows.iter().map(|&row| row as u64).collect(), random, &Device::Cpu)?
            }
        };
        // Where a sample has one class, its weight is the sample's.
        let target = &self.source.schema().target;
        let class_weights = match (target.is_dense() || target.classes() == 0) && !self.class_weights.is_empty() {
            true => Some(Tensor::from_slice(&self.class_weights, self.class_weights.len(), &Device::Cpu)?),
            false => None,
        };
        let batch = batch.with_options(LossOptions { class_weights, ..self.options.clone() });
        let weights: Vec<f32> = rows.iter().map(|&row| self.weight(row)).collect();
        match weights.iter().all(|weight| *weight == 1.0) {
            true => Ok(batch),
            false => batch.with_weights(Tensor::from_vec(weights, rows.len(), &Device::Cpu)?),
        }
    }

    fn weight(&self, row: usize) -> f32 {
        let meta = self.source.meta(row);
        let of_class = meta.class.and_then(|class| self.class_weights.get(class as usize));
        meta.weight * of_class.copied().unwrap_or(1.0)
    }

    fn read(&self, row: usize, epoch: u64) -> Result<Sample> {
        let key = SampleKey { seed: self.seed, epoch, id: row as u64 };
        let mut sample = self.source.read_augmented(row, key)?;
        self.transforms.iter().try_for_each(|transform| transform.apply(&mut sample, self.source.schema(), key))?;
        Ok(sample)
    }
}
