//! A plan: which data, which runs, which seeds. TOML; unknown fields are refused.

mod cells;

use super::absence::Absence;
use super::cell::{CellSpec, LevelName, Resolved};
use super::corruption::CorruptionEntry;
use super::pretrained;
use crate::dataset::TrainingSamples;
use anyhow::{Context, Result, bail};
use mm_core::DeviceName;
use mm_core::data::{nearest, parse_table, parse_toml, refuse_card, utf8};
use mm_core::train::TrainConfig;
use mm_report::FailureRates;
use mm_report::roster::{Listed, Roster};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The plan that runs without `--plan`.
pub const DEFAULT_PLAN: &str = include_str!("../plans/default.toml");

/// The plans that are part of the program; the first is the default.
const BUILT_IN: [(&str, &str); 5] = [
    ("default", DEFAULT_PLAN),
    ("audio-visual", include_str!("../plans/audio-visual.toml")),
    ("segmentation", include_str!("../plans/segmentation.toml")),
    ("smartwatch", include_str!("../plans/smartwatch.toml")),
    ("targets", include_str!("../plans/targets.toml")),
];

/// Where a checkout of the project has further plans, which are known by name there.
const STUDIES: &str = "benchmarks/plans";

/// More cells than anyone waits for: a slip of the keyboard.
const MOST_CELLS: usize = 100_000;

/// A plan as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Short name: the folder of the results.
    pub name: String,
    /// What the plan is for.
    #[serde(default)]
    pub description: String,
    /// Every run is repeated for each seed.
    pub seeds: Vec<u64>,
    /// Training settings of all cells.
    #[serde(default)]
    train: toml::Table,
    /// Training settings of all cells with `--quick`; 8 epochs by default.
    #[serde(default)]
    quick: toml::Table,
    /// Whether these have been put in place.
    #[serde(skip)]
    is_quick: bool,
    /// Network of every run whose options name none.
    #[serde(default)]
    network: Option<toml::Table>,
    /// The measure that selects models and heads the report, such as `auroc`; by default what the card or the task says.
    #[serde(default)]
    score: Option<String>,
    /// Combinations to evaluate, such as `["rgb", "rgb+depth"]`; all by default.
    #[serde(default)]
    combinations: Option<Vec<String>>,
    /// Corruptions to evaluate with all modalities present.
    #[serde(default)]
    corruptions: Vec<CorruptionEntry>,
    /// How often each sensor fails, for a further mean in the report. No part of a cell.
    #[serde(default)]
    failure: Option<FailureRates>,
    /// The level of vector instructions that all cells are computed with, whatever more a machine has.
    #[serde(default)]
    level: Option<LevelName>,
    /// The device that all cells are computed on, such as `cuda:0`; the CPU by default.
    #[serde(default)]
    device: DeviceName,
    /// The data sets, or variants of one.
    pub data: Vec<DataEntry>,
    /// The runs.
    pub runs: Vec<RunEntry>,
    /// Where the plan was read.
    #[serde(skip)]
    path: PathBuf,
}

/// One data set of a plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataEntry {
    /// Name in the report.
    pub name: String,
    /// A built-in data set or the path of a card, relative to the plan.
    pub card: String,
    /// The measure that selects models and heads the report of this data, in place of the plan's.
    #[serde(default)]
    score: Option<String>,
    /// Use only so many training samples of each class.
    #[serde(default)]
    pub train_per_class: Option<usize>,
    /// Train on the samples for validation as well; nothing can be chosen by them then.
    #[serde(default)]
    train_on_validation: bool,
    /// Which sensors samples lose for good, to simulate absence: patterns for `train` and `test`.
    #[serde(default)]
    absent: Option<Absence>,
    /// Training settings for this data.
    #[serde(default)]
    train: toml::Table,
    /// How often each sensor fails, in place of the plan's rates.
    #[serde(default)]
    failure: Option<FailureRates>,
}

impl DataEntry {
    /// Which samples train.
    pub fn training_samples(&self) -> TrainingSamples {
        TrainingSamples { per_class: self.train_per_class, with_validation: self.train_on_validation }
    }
}

/// One run of a plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunEntry {
    /// Name in the report; the method's by default.
    #[serde(default)]
    name: Option<String>,
    /// The method.
    pub method: String,
    /// Settings of the method.
    #[serde(default)]
    pub options: toml::Table,
    /// Training settings for this run.
    #[serde(default)]
    train: toml::Table,
}

impl RunEntry {
    /// Name in the report.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.method.clone())
    }
}

impl Plan {
    /// Reads a plan file, or one that is built in or lies in `benchmarks/plans`, by its name; without any, the default plan.
    pub fn read(path: Option<&Path>) -> Result<Self> {
        let path = path.unwrap_or(Path::new(BUILT_IN[0].0));
        if path.is_file() {
            let bytes = std::fs::read(path).with_context(|| format!("reading the plan {}", path.display()))?;
            return Self::from_bytes(&bytes, path);
        }
        if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| path.as_os_str() == *name) {
            return Self::from_bytes(text.as_bytes(), Path::new(&format!("{name}.toml")));
        }
        let study = Path::new(STUDIES).join(path).with_extension("toml");
        match path.components().count() == 1 && path.extension().is_none() && study.is_file() {
            true => Self::read(Some(&study)),
            false => {
                let name = path.to_string_lossy();
                let near = nearest(&name, BUILT_IN.iter().map(|(name, _)| *name)).map(|near| format!("; did you mean `{near}`?"));
                let names = BUILT_IN.map(|(name, _)| format!("`{name}`")).join(", ");
                bail!("no plan `{name}`{} Give the path of a plan, or one of {names}", near.unwrap_or(".".into()))
            }
        }
    }

    /// Reads the text of a plan; `path` is where it is said to be, for messages and for the cards beside it.
    pub fn from_bytes(text: &[u8], path: &Path) -> Result<Self> {
        let text = utf8(path, text)?;
        refuse_card(path, text)?;
        let mut plan: Plan = parse_toml(path, text)?;
        plan.path = path.into();
        plan.check().with_context(|| plan.whereabouts())?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for data in &mut plan.data {
            if mm_datasets::by_name(&data.card).is_none() {
                data.card = folder.join(&data.card).to_string_lossy().into_owned();
            }
        }
        Ok(plan)
    }

    /// Adds a run of each of these methods with its default settings.
    pub fn add_runs<'a>(&mut self, methods: impl IntoIterator<Item = &'a str>) {
        let run = |method: &str| RunEntry { name: None, method: method.into(), options: toml::Table::new(), train: toml::Table::new() };
        self.runs.extend(methods.into_iter().map(run));
    }

    /// The settings of one training: of the data entry of a card (the first one without a card), and of the run of a method.
    pub fn one(&self, card: Option<&str>, method: &str, seed: u64) -> Result<Resolved> {
        let named = |data: &&DataEntry| card.is_none_or(|card| data.card == card || same_file(&data.card, card));
        let mut data = match self.data.iter().find(named) {
            Some(data) => data.clone(),
            // Settings of other data, which the caller wants for these.
            None => DataEntry {
                score: None,
                train_per_class: None,
                train_on_validation: false,
                absent: None,
                train: toml::Table::new(),
                ..self.data[0].clone()
            },
        };
        data.card = card.map_or(data.card, String::from);
        let run = self.runs.iter().find(|run| run.name() == method).or_else(|| self.runs.iter().find(|run| run.method == method));
        let other = || RunEntry { name: None, method: method.into(), options: toml::Table::new(), train: toml::Table::new() };
        let run = run.cloned().unwrap_or_else(other);
        Ok(Resolved {
            program: String::new(),
            level: self.level.clone(),
            device: self.device,
            data_hash: String::new(),
            data_stamp: String::new(),
            card: data.card.clone(),
            score: data.score.clone().or_else(|| self.score.clone()),
            train_per_class: data.train_per_class,
            train_on_validation: data.train_on_validation,
            absent: data.absent.clone(),
            method: run.method.clone(),
            options: self.options(&run).with_context(|| self.whereabouts())?,
            train: self.train_config(&data, &run, seed).with_context(|| self.whereabouts())?,
            combinations: None,
            corruptions: Vec::new(),
            teacher: None,
            weights: BTreeMap::new(),
        })
    }

    fn whereabouts(&self) -> String {
        format!("in the plan {}", self.path.display())
    }

    fn check(&self) -> Result<()> {
        if self.name.is_empty() || !self.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) || self.name.starts_with('.')
        {
            bail!("`name = {:?}` must be letters, digits, `-`, `_` or `.`: it becomes a folder", self.name);
        }
        if self.seeds.is_empty() || self.data.is_empty() || self.runs.is_empty() {
            bail!("`seeds`, `[[data]]` and `[[runs]]` must not be empty");
        }
        let cells = [self.seeds.len(), self.data.len(), self.runs.len()].into_iter().fold(1, usize::saturating_mul);
        if cells > MOST_CELLS {
            bail!("`seeds` times `[[data]]` times `[[runs]]` makes {cells} cells, at most {MOST_CELLS} are possible");
        }
        distinct("seeds", self.seeds.iter().map(u64::to_string))?;
        distinct("name of [[data]]", self.data.iter().map(|d| d.name.clone()))?;
        distinct("name of [[runs]]", self.runs.iter().map(RunEntry::name))
    }

    /// The failure rates of each data entry that has some: its own or the plan's.
    pub fn failure_rates(&self) -> BTreeMap<String, FailureRates> {
        let of = |data: &DataEntry| Some((data.name.clone(), data.failure.clone().or_else(|| self.failure.clone())?));
        self.data.iter().filter_map(of).collect()
    }

    /// What a report of these cells has to know of the plan.
    pub(crate) fn roster(&self, cells: &[CellSpec]) -> Roster {
        let listed = |cell: &CellSpec| Listed {
            key: cell.key.clone(),
            data: cell.data.clone(),
            run: cell.run.clone(),
            seed: cell.resolved.train.seed,
            hidden: cell.hidden,
        };
        let cells = cells.iter().map(listed).collect();
        Roster { plan: self.name.clone(), description: self.description.clone(), failure: self.failure_rates(), cells }
    }

    /// Computes all cells on this device, whatever the plan says.
    pub fn set_device(&mut self, device: DeviceName) {
        self.device = device;
    }

    /// The device of all cells.
    pub fn device(&self) -> DeviceName {
        self.device
    }

    /// One seed and few epochs: does everything work?
    pub fn quick(&mut self) {
        self.name = format!("{}-quick", self.name);
        self.is_quick = true;
        self.seeds.truncate(1);
        self.quick.entry("epochs").or_insert(toml::Value::Integer(8));
        let entries = self.data.iter_mut().map(|d| &mut d.train).chain(self.runs.iter_mut().map(|r| &mut r.train));
        for (key, value) in &self.quick {
            self.train.insert(key.clone(), value.clone());
        }
        // A table of its own goes before the plan's.
        for train in entries {
            for (key, value) in &self.quick {
                train.get_mut(key).into_iter().for_each(|own| *own = value.clone());
            }
        }
    }

    /// Only the first data entry, the first `seeds` seeds and the named runs, without corruptions.
    pub fn keep(&mut self, seeds: usize, runs: &[&str]) {
        self.seeds.truncate(seeds);
        self.data.truncate(1);
        self.runs.retain(|run| runs.contains(&run.name().as_str()));
        self.corruptions.clear();
    }

    /// The run's options, with the plan's network where they name none, and the places and sizes of published weights.
    fn options(&self, run: &RunEntry) -> Result<toml::Table> {
        let mut options = run.options.clone();
        if let Some(network) = &self.network {
            options.entry("network").or_insert_with(|| toml::Value::Table(network.clone()));
        }
        pretrained::located(&mut options, self.path.parent().unwrap_or(Path::new("")))?;
        Ok(options)
    }

    fn train_config(&self, data: &DataEntry, run: &RunEntry, seed: u64) -> Result<TrainConfig> {
        let mut merged = self.train.clone();
        merged.extend(data.train.clone());
        merged.extend(run.train.clone());
        if merged.contains_key("seed") {
            bail!("`train.seed` comes from the plan's `seeds`");
        }
        let context = || format!("training settings of run `{}` on `{}`", run.name(), data.name);
        let mut config: TrainConfig = parse_table("train", merged).with_context(context)?;
        config.seed = seed;
        config.validate().with_context(context)?;
        Ok(config)
    }
}

fn same_file(a: &str, b: &str) -> bool {
    Path::new(a).canonicalize().ok().zip(Path::new(b).canonicalize().ok()).is_some_and(|(a, b)| a == b)
}

fn distinct(what: &str, names: impl Iterator<Item = String>) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for name in names {
        if !seen.insert(name.clone()) {
            bail!("{what}: `{name}` appears twice");
        }
    }
    Ok(())
}
