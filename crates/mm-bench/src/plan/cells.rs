//! The cells of a plan: every run on every data entry with every seed, resolved and checked before anything is trained.

use super::{DataEntry, Plan, distinct};
use crate::cell::{CellSpec, Resolved};
use crate::cost::Scale;
use crate::dataset::{CardReader, Dataset};
use crate::file_hashes::FileHashes;
use crate::pretrained;
use crate::registry::{Registry, UNUSED_ENCODERS, check_data, distinct_combinations, uses_encoders};
use anyhow::{Context, Result, anyhow};
use mm_core::Presence;
use mm_core::data::parse_table;
use mm_core::train::TrainConfig;
use mm_report::check_failure;
use std::collections::{BTreeMap, BTreeSet};

impl Plan {
    /// All cells, teachers before those who need them. A teacher that is also a run of the plan is trained once.
    pub fn cells(&self, registry: &Registry) -> Result<Vec<CellSpec>> {
        self.cells_of(registry, &mut FileHashes::default())
    }

    /// As [`cells`](Self::cells); of the data's files, only those are read whose hash is not known.
    pub(crate) fn cells_of(&self, registry: &Registry, files: &mut FileHashes) -> Result<Vec<CellSpec>> {
        self.resolve(registry, files).with_context(|| self.whereabouts())
    }

    fn resolve(&self, registry: &Registry, files: &mut FileHashes) -> Result<Vec<CellSpec>> {
        let mut cells: Vec<CellSpec> = Vec::new();
        let mut positions = BTreeMap::new();
        let mut weights = pretrained::Hashes::default();
        let (mut encoders_used, mut frozen_at_random, mut late) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        // A slip there would be found with `--quick` only.
        parse_table::<TrainConfig>("quick", self.quick.clone())?;
        for data in &self.data {
            let context = || format!("data `{}`", data.name);
            let score = data.score.clone().or_else(|| self.score.clone());
            let reader = CardReader::open(&data.card).with_context(context)?.scored_by(score.as_deref());
            let (loaded, identity) = reader.load().with_context(context)?;
            let (data_hash, data_stamp) = (identity.hash(files).with_context(context)?, identity.full_stamp());
            let modalities = &loaded.source.schema().modalities;
            let combinations = match &self.combinations {
                Some(names) => {
                    let subsets = distinct_combinations(modalities, names).context("`combinations`")?;
                    Some(subsets.into_iter().map(|subset| modalities.format(subset)).collect::<Vec<_>>())
                }
                None => None,
            };
            if let Some(rates) = data.failure.as_ref().or(self.failure.as_ref()) {
                check_failure(rates, modalities.names()).map_err(|problem| anyhow!(problem)).with_context(context)?;
            }
            let mut corruptions = Vec::new();
            for entry in &self.corruptions {
                corruptions.extend(entry.resolve(&*loaded.source).context("`[[corruptions]]`")?);
            }
            distinct("corruption", corruptions.iter().map(ToString::to_string)).context("`[[corruptions]]`")?;
            self.tell(data, &loaded).with_context(context)?;
            let kept = self.kept(data, &loaded).with_context(context)?;
            let split = loaded.draw(data.training_samples(), self.seeds[0]).with_context(context)?;
            let scale = Scale::new(&*loaded.source, split, self.seeds[0]);
            for run in &self.runs {
                for &seed in &self.seeds {
                    let mut resolved = Resolved {
                        program: registry.computes(),
                        level: self.level.clone(),
                        device: self.device,
                        data_hash: data_hash.clone(),
                        data_stamp: if data_stamp == data_hash { String::new() } else { data_stamp.clone() },
                        card: data.card.clone(),
                        score: score.clone(),
                        train_per_class: data.train_per_class,
                        train_on_validation: data.train_on_validation,
                        absent: data.absent.clone(),
                        method: run.method.clone(),
                        options: self.options(run).with_context(|| format!("run `{}`", run.name()))?,
                        train: self.train_config(data, run, seed)?,
                        combinations: combinations.clone(),
                        corruptions: corruptions.clone(),
                        teacher: None,
                        weights: BTreeMap::new(),
                    };
                    let mut recipe = registry.recipe(&resolved).with_context(|| format!("run `{}`", run.name()))?;
                    let epochs = resolved.train.epochs;
                    if let (true, Some((option, _))) = (self.is_quick && recipe.begins_too_late(epochs).is_some(), recipe.begins()) {
                        // All of the method is to be seen at work; one that has to wait longer stays, and is told.
                        let mut earlier = resolved.clone();
                        earlier.options.insert(option.into(), toml::Value::try_from(epochs - 1)?);
                        if let Ok(found) = registry.recipe(&earlier) {
                            (resolved, recipe) = (earlier, found);
                        }
                    }
                    if let Some(remark) = recipe.begins_too_late(epochs)
                        && late.insert((run.name(), remark.clone()))
                    {
                        tracing::warn!("run `{}`: {remark}", run.name());
                    }
                    resolved.weights = weights.of(&*recipe).with_context(|| format!("run `{}`", run.name()))?;
                    let context = || format!("run `{}` on data `{}`", run.name(), data.name);
                    check_data(&*recipe, &resolved, &loaded, kept.get(&seed)).with_context(context)?;
                    frozen_at_random.extend(recipe.network().frozen_at_random());
                    encoders_used.extend(uses_encoders(&*recipe, &resolved, loaded.source.schema()));
                    let seconds = scale.seconds(&resolved, &*recipe).with_context(context)?;
                    let mut cell = CellSpec::new(&data.name, &run.name(), seconds, resolved);
                    if let Some(teacher) = registry.teacher_of(&cell.resolved, &*recipe, modalities)? {
                        let seconds = scale.seconds(&teacher, &*registry.recipe(&teacher)?)?;
                        let teacher = CellSpec::new(&data.name, "teacher", seconds, teacher).hidden();
                        cell.set_teacher(teacher.key.clone());
                        add(&mut cells, &mut positions, teacher);
                    }
                    add(&mut cells, &mut positions, cell);
                }
            }
        }
        // With data of another kind beside the pixels, they are meant for these.
        if encoders_used == BTreeSet::from([false]) {
            tracing::warn!("{UNUSED_ENCODERS}");
        }
        frozen_at_random.iter().for_each(|remark| tracing::warn!("{remark}"));
        Ok(cells)
    }

    /// Says what was read, how ids matched, what the splits lack, and whether trainings are short, before anything is trained. The reader has told its own remarks.
    fn tell(&self, data: &DataEntry, loaded: &Dataset) -> Result<()> {
        let schema = loaded.source.schema();
        let (samples, sensors) = (loaded.source.len(), schema.modalities.len());
        tracing::info!("data `{}`: {samples} samples, {sensors} sensors, {}", data.name, schema.target.in_words());
        loaded.matched.iter().for_each(|file| tracing::info!("{file}"));
        let mut remarks: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for &seed in &self.seeds {
            let split = loaded.draw(data.training_samples(), seed)?;
            let mut found = loaded.remarks_on(&split);
            // `--quick` asks whether everything works, and not what is learned.
            for run in self.runs.iter().filter(|_| !self.is_quick) {
                found.extend(self.train_config(data, run, seed)?.remarks(split.train.len()));
            }
            found.sort();
            found.dedup();
            found.into_iter().for_each(|remark| remarks.entry(remark).or_default().push(seed.to_string()));
        }
        remarks.iter().for_each(|(remark, seeds)| tracing::warn!("data `{}`, seed {}: {remark}", data.name, seeds.join(", ")));
        Ok(())
    }

    /// What samples keep where absence is simulated, by seed.
    fn kept(&self, data: &DataEntry, loaded: &Dataset) -> Result<BTreeMap<u64, Presence>> {
        let Some(absent) = &data.absent else { return Ok(BTreeMap::new()) };
        absent.check(loaded.source.schema())?;
        let of = |&seed: &u64| Ok((seed, absent.kept(&*loaded.source, &loaded.draw(data.training_samples(), seed)?, seed)?));
        self.seeds.iter().map(of).collect()
    }
}

/// Adds a cell once; a hidden one becomes visible when it is also a run.
fn add(cells: &mut Vec<CellSpec>, positions: &mut BTreeMap<String, usize>, cell: CellSpec) {
    match positions.get(&cell.key) {
        Some(&at) if cells[at].hidden && !cell.hidden => {
            cells[at] = cell;
        }
        // The same settings, or the same data, under two names: both are shown, one is trained.
        Some(_) if !cell.hidden => cells.push(cell),
        Some(_) => {}
        None => {
            positions.insert(cell.key.clone(), cells.len());
            cells.push(cell);
        }
    }
}
