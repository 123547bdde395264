//! The child process: trains and evaluates one cell.

use super::cell::{CellSpec, LevelName, Resolved};
use super::counts::TestSamples;
use super::output::{self, FILE_HASHES, WEIGHTS};
use super::pictures::{self, Tested};
use super::pretrained::Hashes;
use super::{Registry, corruption};
use crate::child;
use crate::dataset::{CardReader, Dataset, Identity};
use crate::file_hashes::FileHashes;
use crate::interrupt::Interrupt;
use crate::provenance::{machine, peak_memory_bytes, version};
use anyhow::{Context, Result, bail};
use mm_core::data::{Split, Standardized, Standardizer, TargetValue};
use mm_core::encoder::{DEFAULT_CACHE_BYTES, FeatureCache};
use mm_core::eval::{AvailableEvaluation, default_combinations, evaluate, evaluate_available, evaluation_batch};
use mm_core::pipeline::{Evaluated, PipelineConfig, TrainingSummary};
use mm_core::train::{CheckpointConfig, TrainOutcome, Trainer};
use mm_core::weights::write_atomically;
use mm_core::{DeviceName, Subset};
use mm_kernels::simd::Level;
use mm_report::Rows;
use mm_report::result::*;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Where there are too many combinations for all, all cells evaluate the same ones: what seeds and runs do not share cannot be compared.
const COMBINATION_DRAW: u64 = 0;

/// Draws of which sensors go, where more go than samples lack.
const REMOVAL_DRAWS: usize = 5;

/// Arguments of the hidden `cell` command.
#[derive(clap::Args)]
pub struct CellArguments {
    /// Folder with the cell's `spec.json`; the result goes there too.
    folder: PathBuf,
    /// Seconds between checkpoints.
    #[arg(long, default_value_t = 20.0)]
    checkpoint_seconds: f64,
    /// End when standard input does: the caller holds its other end.
    #[arg(long)]
    end_with_stdin: bool,
    /// Keep the features of frozen encoders in this folder.
    #[arg(long)]
    cache: Option<PathBuf>,
    /// GiB of that folder.
    #[arg(long, default_value_t = default_cache_gib())]
    cache_gib: f64,
}

/// [`DEFAULT_CACHE_BYTES`] in GiB.
pub fn default_cache_gib() -> f64 {
    DEFAULT_CACHE_BYTES as f64 / GIB
}

const GIB: f64 = (1u64 << 30) as f64;

/// Trains and evaluates the cell in a folder.
pub fn run_cell(arguments: &CellArguments, registry: &Registry) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    if arguments.end_with_stdin {
        child::end_with_parent(&interrupt)?;
    }
    let started = Instant::now();
    let folder = &arguments.folder;
    let spec_path = folder.join("spec.json");
    let text = std::fs::read(&spec_path).with_context(|| format!("reading {}", spec_path.display()))?;
    let spec: CellSpec = serde_json::from_slice(&text).with_context(|| format!("reading {}", spec_path.display()))?;
    let resolved = &spec.resolved;
    let device = resolved.device.open()?;
    if let Some(level) = resolved.level.as_ref().map(LevelName::level).filter(|level| *level != Level::best()) {
        bail!("the plan asks for the level {} of vector instructions, and this process has {}", level.name(), Level::best().name());
    }

    // What the bench has read of the data's files.
    let known = folder.join("../..").join(FILE_HASHES);
    let ((mut loaded, identity), registry) = (load_unchanged(resolved, &known)?, with_features(arguments, resolved, registry)?.on(&device));
    let split = loaded.draw(resolved.training_samples(), resolved.train.seed)?;
    if let Some(absent) = &resolved.absent {
        loaded = absent.applied(loaded, &split, resolved.train.seed)?;
    }
    loaded.try_held_out(&split)?;
    let standardizer = Standardizer::fit(&*loaded.source, &split.train)?;
    let standardized = Standardized::new(&*loaded.source, &standardizer)?;
    let data = standardized.source();
    let schema = data.schema().clone();

    let recipe = registry.recipe(resolved)?;
    let teacher = resolved.teacher.as_ref().map(|key| folder.with_file_name(key).join(WEIGHTS));
    let mut method = registry.build(resolved, &schema, teacher.as_deref())?;
    let checkpoints = CheckpointConfig {
        folder: folder.join(output::CHECKPOINTS),
        every_seconds: arguments.checkpoint_seconds,
        fingerprint: spec.key.clone(),
    };
    let trainer = Trainer::new(resolved.train.clone()).checkpoints(checkpoints.clone()).stop_when(move || interrupt.is_set());
    let outcome = trainer.run(&mut *method, data, &split.train, &split.validation)?;
    let (threshold, note) = trainer.threshold(method.model(), data, &split.validation)?;
    let deciding = |threshold| Standardized::new(&*loaded.source, &standardizer)?.deciding_at(Some(threshold));
    let deciding = threshold.map(deciding).transpose()?;
    let data = deciding.as_ref().map_or(data, Standardized::source);
    let trained_parameters = method.parameters().count_trained();
    let model = resolved.train.deployed(method.into_model());

    let subsets: Vec<Subset> = match &resolved.combinations {
        Some(names) => names.iter().map(|n| schema.modalities.parse(n)).collect::<Result<_, _>>()?,
        None => default_combinations(schema.modalities.len(), COMBINATION_DRAW),
    };
    let evaluation_started = Instant::now();
    let evaluation = evaluate(&*model, data, &split.test, &subsets, evaluation_batch(&schema), &device)
        .with_context(|| format!("evaluating `{}`", resolved.method))?;
    let available = evaluate_available(&*model, data, &split.test, REMOVAL_DRAWS, &device)
        .with_context(|| format!("evaluating `{}` with what samples have", resolved.method))?;
    let evaluation_seconds = evaluation_started.elapsed().as_secs_f64();

    let (clean, corruptions) = corruption::evaluate(&*model, data, &split.test, &resolved.corruptions, resolved.train.seed, &device)
        .with_context(|| format!("evaluating `{}`", resolved.method))?;

    let tested = Tested { standardized: data, raw: &*loaded.source, rows: &split.test };
    let pictures = pictures::write(folder, &*model, tested, &evaluation).context("writing pictures of test samples")?;

    // Files are read all the while: a checkpoint of what they held meanwhile is of no more use than the model.
    if let Err(error) = check_unchanged(&identity, resolved, &known) {
        output::remove_checkpoints(&checkpoints.folder)?;
        return Err(error);
    }
    model.parameters().save(&folder.join(WEIGHTS), |_| true)?;

    let (modalities, measure) = (&schema.modalities, Measured::from(&schema));
    let samples = TestSamples::new(data, &split.test, &loaded.non_finite);
    let combinations: Vec<CombinationResult> = evaluation
        .combinations
        .iter()
        .map(|c| {
            let (correct, sums) = marks(&c.outcomes, &measure);
            CombinationResult {
                subset: modalities.format(c.subset),
                metrics: Metrics::new(&c.scored, &measure),
                correct,
                sums,
                excluded: samples.excluded(c.subset, true),
                confusion: c.scored.confusion.clone(),
                outputs: c.scored.outputs.iter().map(|of| of.iter().map(|(name, x)| (name.to_string(), *x)).collect()).collect(),
            }
        })
        .collect();
    let evaluated = |subset: &Subset| evaluation.combinations.iter().any(|c| c.subset == *subset);
    let left_out = |&subset: &Subset| NotEvaluated {
        subset: modalities.format(subset),
        excluded: samples.excluded(subset, model.supports(subset)),
        undefined: false,
    };
    let full = modalities.format(modalities.full());
    let cost = Cost {
        train_seconds: outcome.seconds,
        evaluation_seconds,
        total_seconds: started.elapsed().as_secs_f64(),
        steps: outcome.steps as usize,
        evaluation_encoder_passes: evaluation.encoder_passes,
        evaluation_batches: evaluation.batches,
        trained_parameters,
        deployed_parameters: model.parameters().count(|_| true),
        peak_memory_bytes: peak_memory_bytes(),
        threads: rayon::current_num_threads(),
    };
    let result = CellResult {
        key: spec.key.clone(),
        data: spec.data.clone(),
        run: spec.run.clone(),
        method: resolved.method.to_string(),
        meaning: registry.method(&resolved.method)?.summary().into(),
        seed: resolved.train.seed,
        modalities: modalities.names().to_vec(),
        classes: schema.target.class_names().to_vec(),
        outputs: if schema.target.classes() == 0 { schema.target.output_names().to_vec() } else { Vec::new() },
        predicts: Some(schema.target.in_words()),
        measure: measure.clone(),
        test_samples: split.test.len(),
        test_rows: Some(Rows::new(split.test.clone())),
        test_groups: split.test.iter().map(|&row| data.meta(row).group.map(String::from)).collect(),
        test_ids: split.test.iter().map(|&row| data.meta(row).id.map(String::from)).collect(),
        truths: split.test.iter().map(|&row| data.meta(row).class).collect(),
        true_outputs: true_outputs(&split.test, |row| data.target(row))?,
        readings: samples.readings(modalities),
        data_remarks: data_remarks(&loaded, &split),
        summary: Summary::of(&combinations, &full, &measure),
        combinations,
        not_evaluated: subsets.iter().filter(|s| !evaluated(s)).map(left_out).collect(),
        available: available.map(|available| available_result(available, &measure)),
        clean,
        notes: outcome
            .notes
            .clone()
            .into_iter()
            .chain(not_finite(&outcome))
            .chain(note)
            .chain(recipe.begins_too_late(resolved.train.epochs))
            .chain(corruption::without_result(&resolved.corruptions, &corruptions, &schema)?)
            .collect(),
        corruptions,
        cost: Some(cost),
        epochs: epochs(&outcome),
        provenance: Some(Provenance {
            version: version(),
            data_hash: resolved.data_hash.clone(),
            machine: machine(),
            level: computed_with(resolved.device),
            finished_at: jiff::Timestamp::now().to_string(),
        }),
        pictures,
        folder: None,
    }
    .with_defined_scores();
    // With it the folder is that of a saved model.
    let mut training = TrainingSummary::new(&resolved.train, split.train.len(), &outcome, &spec.key);
    training.notes = result.notes.clone();
    training.test = Some(split.test_hash(data));
    let mut config = PipelineConfig::of_trained(&*recipe, data.schema().clone(), &*loaded.source, standardizer.clone(), training)?;
    config.columns = loaded.columns.clone();
    config.evaluation = Some(Evaluated::new(data.schema(), &evaluation));
    config.write(folder)?;

    let bytes = result.to_bytes()?;
    // A number that is not finite would be written as null, and the result could never be read.
    serde_json::from_slice::<CellResult>(&bytes).with_context(|| {
        let nulls = bytes.windows(5).position(|window| window == b":null").unwrap_or_default();
        let place = String::from_utf8_lossy(&bytes[nulls.saturating_sub(80)..nulls]).into_owned();
        format!("the result holds a number that is not finite, behind `{place}`")
    })?;
    write_atomically(&folder.join("result.json"), &bytes)?;
    output::remove_checkpoints(&checkpoints.folder)
}

/// What a result keeps of the evaluation with what samples have.
fn available_result(available: AvailableEvaluation, measure: &Measured) -> AvailableResult {
    let (correct, sums) = marks(&available.outcomes, measure);
    let removed = available.removed.iter().map(|removed| RemovedResult {
        count: removed.count,
        metrics: Metrics::new(&removed.scored, measure),
        left_out: removed.left_out,
    });
    AvailableResult {
        metrics: Metrics::new(&available.scored, measure),
        correct,
        sums,
        excluded: Excluded { unusable: available.left_out, ..Excluded::default() },
        placements: available.placements.iter().map(|x| if x.is_nan() { -1.0 } else { *x }).collect(),
        removed: removed.collect(),
    }
}

/// What the numbers of a result differ by in their last bits.
fn computed_with(device: DeviceName) -> String {
    match device {
        DeviceName::Cpu => Level::best().name().into(),
        DeviceName::Cuda(_) => "cuda".into(),
        DeviceName::Metal(_) => "metal".into(),
    }
}

/// The registry that keeps the features of frozen encoders, if the cell has some; refuses weights that are others than the bench found.
fn with_features(arguments: &CellArguments, resolved: &Resolved, registry: &Registry) -> Result<Registry> {
    let recipe = registry.recipe(resolved)?;
    if Hashes::default().of(&*recipe)? != resolved.weights {
        bail!("the weights that encoders begin with changed since the bench began: run the bench again");
    }
    match &arguments.cache {
        Some(folder) if recipe.network().has_frozen_encoder() => {
            let cache = FeatureCache::open(folder, (arguments.cache_gib * GIB) as u64)?;
            Ok(registry.clone().with_feature_cache(cache))
        }
        _ => Ok(registry.clone()),
    }
}

/// What the test samples' labels or numbers are; nothing of classes, which are kept as positions, and of pixels, which are kept as counts.
fn true_outputs(rows: &[usize], target: impl Fn(usize) -> mm_core::Result<TargetValue>) -> Result<Vec<Vec<f64>>> {
    let mut known = Vec::with_capacity(rows.len());
    for &row in rows {
        match target(row)? {
            TargetValue::Labels(labels) => known.push(labels.into_iter().map(f64::from).collect()),
            TargetValue::Numbers(numbers) => known.push(numbers),
            _ => return Ok(Vec::new()),
        }
    }
    Ok(known)
}

/// What to know about the data: how ids matched, what the reader remarked, which classes a part lacks.
fn data_remarks(loaded: &Dataset, split: &Split) -> Vec<String> {
    loaded.matched.iter().chain(&loaded.remarks).cloned().chain(loaded.remarks_on(split)).collect()
}

/// The data, if it still is what the bench found when it began: a result is kept under the hash of that.
fn load_unchanged(resolved: &Resolved, known: &Path) -> Result<(Dataset, Identity)> {
    let changed = || changed(resolved);
    let read = CardReader::open(&resolved.card).and_then(|source| source.scored_by(resolved.score.as_deref()).load());
    let (loaded, identity) = read.context("it was read without error then").with_context(changed)?;
    let found_then = if resolved.data_stamp.is_empty() { &resolved.data_hash } else { &resolved.data_stamp };
    // Files that were only given to another owner, or copied back, hold what they held.
    if identity.full_stamp() != *found_then && identity.hash(&mut FileHashes::read(known)).with_context(changed)? != resolved.data_hash {
        bail!(changed());
    }
    Ok((loaded, identity))
}

/// Refuses what was computed while files of the data changed: of which state it is, nobody knows.
fn check_unchanged(identity: &Identity, resolved: &Resolved, known: &Path) -> Result<()> {
    let now = identity.now().with_context(|| changed(resolved))?;
    let is_same = now.full_stamp() == identity.full_stamp() || now.hash(&mut FileHashes::read(known))? == resolved.data_hash;
    if is_same { Ok(()) } else { bail!(changed(resolved)) }
}

fn changed(resolved: &Resolved) -> String {
    format!("the data of `{}` changed since the bench began: run the bench again", resolved.card)
}

/// The training history; what was not finite is left out, and [`not_finite`] says so.
fn epochs(outcome: &TrainOutcome) -> Vec<EpochRecord> {
    let record = |log: &mm_core::train::EpochLog| EpochRecord {
        epoch: log.epoch,
        learning_rate: log.learning_rate,
        losses: log.losses.iter().filter(|(_, loss)| loss.is_finite()).map(|(name, loss)| (name.clone(), *loss)).collect(),
        validation_score: log.validation_score.filter(|score| score.is_finite()),
    };
    outcome.history.iter().map(record).collect()
}

fn not_finite(outcome: &TrainOutcome) -> Option<String> {
    let of_epoch = |log: &mm_core::train::EpochLog| {
        let names: Vec<&str> = log.losses.iter().filter(|(_, loss)| !loss.is_finite()).map(|(name, _)| name.as_str()).collect();
        (!names.is_empty()).then(|| format!("{} in epoch {}", names.join(", "), log.epoch))
    };
    let found: Vec<String> = outcome.history.iter().filter_map(of_epoch).collect();
    let first = found.first()?;
    Some(format!("losses that are not finite in {} epochs, first {first}", found.len()))
}
