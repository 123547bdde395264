//! Trains and tests every cell (seed, available views, run), one thread each.

use anyhow::{Context, Result};
use candle_core::Device;
use mm_baselines::{DistillationConfig, Fusion, FusionConfig};
use mm_core::Subset;
use mm_core::data::{DatasetCard, Inputs, Source, Split, Standardizer, TableDataset};
use mm_core::eval::evaluate;
use mm_core::missing::MissingPattern;
use mm_core::model::Output;
use mm_core::recipe::Setup;
use mm_core::teacher::{CachedTeacher, Teacher};
use mm_core::train::{Method, TrainConfig, Trainer};
use mod_distill::{ModDistill, ModDistillConfig};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What is trained on the available views.
pub enum Run {
    /// Cross entropy only.
    Alone,
    /// Cross entropy and the teacher's softened predictions (temperature 2).
    LogitDistillation,
    /// The method with these settings.
    Distil(Box<ModDistillConfig>),
}

/// Size of the runs.
#[derive(Clone, Copy)]
pub struct Setting {
    pub per_class: usize,
    pub epochs: usize,
    pub first_seed: u64,
    pub seeds: u64,
}

/// All runs of one size.
pub struct Runs<'a> {
    pub card: &'a DatasetCard,
    pub available: &'a [String],
    pub runs: &'a [(String, Run)],
    pub setting: Setting,
    /// Score on the validation samples, not on the test samples.
    pub validation: bool,
}

/// `[run][seed][available]`: right or wrong for each test sample; run 0 is the teacher.
pub type Outcomes = Vec<Vec<Vec<Vec<bool>>>>;

/// What was tested, on which rows of the data set with each seed.
pub struct Tested {
    pub outcomes: Outcomes,
    pub samples: Vec<Vec<usize>>,
}

/// A teacher that several students share.
struct Shared(Arc<CachedTeacher>);

impl Teacher for Shared {
    fn teach(&self, inputs: &Inputs) -> mm_core::Result<Output> {
        self.0.teach(inputs)
    }
}

/// What all cells of a seed have in common.
struct Seed {
    data: TableDataset,
    split: Split,
    train: TrainConfig,
    teacher: Arc<CachedTeacher>,
    teacher_right: Vec<bool>,
}

impl Runs<'_> {
    /// Trains and tests all.
    pub fn all(&self) -> Result<Tested> {
        let seeds: Vec<Seed> = in_parallel(self.setting.seeds as usize, |seed| self.seed(self.setting.first_seed + seed as u64))?;
        let (runs, sets) = (self.runs.len(), self.available.len());
        let cells = in_parallel(seeds.len() * sets * runs, |cell| {
            let (seed, set, run) = (cell / (sets * runs), cell / runs % sets, cell % runs);
            let right = self.cell(&seeds[seed], &self.available[set], &self.runs[run].1)?;
            let share = right.iter().filter(|r| **r).count() as f64 / right.len() as f64;
            let seed = self.setting.first_seed + seed as u64;
            eprintln!("{} a class, seed {seed}, {}, {}: {share:.4}", self.setting.per_class, self.available[set], self.runs[run].0);
            Ok(right)
        })?;
        let teacher = seeds.iter().map(|s| vec![s.teacher_right.clone(); sets]).collect();
        let of_run = |run: usize| -> Vec<Vec<Vec<bool>>> {
            (0..seeds.len()).map(|seed| (0..sets).map(|set| cells[(seed * sets + set) * runs + run].clone()).collect()).collect()
        };
        let outcomes = std::iter::once(teacher).chain((0..runs).map(of_run)).collect();
        Ok(Tested { outcomes, samples: seeds.into_iter().map(|s| s.split.test).collect() })
    }

    fn seed(&self, seed: u64) -> Result<Seed> {
        let loaded = self.card.load_files()?;
        let mut split = loaded.split(seed)?.with_train_per_class(self.setting.per_class, &loaded.joined.data, seed)?;
        if self.validation {
            split.test = std::mem::take(&mut split.validation);
        }
        let mut data = loaded.joined.data;
        Standardizer::fit(&data, &split.train)?.apply(&mut data)?;
        let train = TrainConfig { epochs: self.setting.epochs, seed, ..TrainConfig::default() };
        let mut teacher = Fusion::new(FusionConfig::full_only(), &Setup::new(data.schema()).seed(seed))?;
        let full = data.schema().modalities.full();
        let teacher_right = trained(&mut teacher, &data, &split, &train, full)?;
        let teacher = Arc::new(CachedTeacher::new(Box::new(teacher.into_deployed())));
        Ok(Seed { data, split, train, teacher, teacher_right })
    }

    fn cell(&self, seed: &Seed, available: &str, run: &Run) -> Result<Vec<bool>> {
        let Seed { data, split, train, .. } = seed;
        let (setup, subset) = (Setup::new(data.schema()).seed(train.seed), data.schema().modalities.parse(available)?);
        let teacher = Shared(seed.teacher.clone());
        let missing = MissingPattern::Fixed(available.into());
        let alone = FusionConfig { missing, ..FusionConfig::full_only() };
        match run {
            Run::Alone => trained(&mut Fusion::new(alone, &setup)?, data, split, train, subset),
            Run::LogitDistillation => {
                let config = FusionConfig { distillation: Some(DistillationConfig::default()), ..alone };
                trained(&mut Fusion::new(config, &setup)?.with_teacher(teacher), data, split, train, subset)
            }
            Run::Distil(config) => {
                let config = ModDistillConfig {
                    available: available.split('+').map(String::from).collect(),
                    cache_teacher: false, // it is cached for all of them
                    ..(**config).clone()
                };
                // Each of two stages is as long as the one stage.
                let train = TrainConfig { epochs: train.epochs * (1 + usize::from(config.two_stage)), ..train.clone() };
                trained(&mut ModDistill::new(config, &setup, teacher)?, data, split, &train, subset)
            }
        }
    }
}

fn trained(method: &mut dyn Method, data: &TableDataset, split: &Split, train: &TrainConfig, subset: Subset) -> Result<Vec<bool>> {
    Trainer::new(train.clone()).run(method, data, &split.train, &[])?;
    let evaluation = evaluate(method.model(), data, &split.test, &[subset], 512, &Device::Cpu)?;
    let evaluation = evaluation.combinations.into_iter().next().context("no test sample has the available views")?;
    Ok(evaluation.outcomes.into_iter().filter(|outcome| !outcome.is_nan()).map(|outcome| outcome == 1.0).collect())
}

/// `task(0..count)` over the processor's threads, each with no threads below it; results in order.
fn in_parallel<T: Send>(count: usize, task: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, T)>> = Mutex::default();
    let work = || -> Result<()> {
        let single = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= count {
                return Ok(());
            }
            let result = single.install(|| task(i))?;
            results.lock().unwrap_or_else(|p| p.into_inner()).push((i, result));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(count);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|w| w.join().unwrap_or_else(|_| anyhow::bail!("a worker stopped")))
    })?;
    let mut results = results.into_inner().unwrap_or_else(|p| p.into_inner());
    results.sort_by_key(|(i, _)| *i);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}
