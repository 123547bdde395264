//! `mm predict`: a model and a table of samples in, an answer for each row out.

mod format;
mod ids;
mod maps;
mod output;
mod tally;

use anyhow::{Context, Result, anyhow, bail};
use format::Format;
use ids::Ids;
use indicatif::{ProgressBar, ProgressStyle};
use maps::Maps;
use mm_bench::{DeviceArgument, Registry, Stamp, child};
use mm_core::data::kinds::Origin;
use mm_core::data::{Array, InputKind, ManifestColumns, ManifestRow, ManifestRows, OnCorrupt, class_position};
use mm_core::eval::evaluation_batch;
use mm_core::pipeline::Readings;
use mm_core::weights::{folder_of, hash_file};
use mm_core::{Error, ModalityError, Pipeline};
use output::{Output, State};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Rows that are answered together, at most. The last bits of an answer depend on it, so it is the same for all runs.
const TOGETHER: usize = 64;

/// Arguments of `predict`.
#[derive(clap::Args)]
pub struct PredictArguments {
    /// Folder of the model.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The samples: a table (.csv, .jsonl, .parquet; .gz) with a column for each sensor, as for the training; labels are not needed. Or a
    /// folder with a folder for each sensor, with or without folders of classes in them.
    #[arg(long, value_name = "FILE or DIR")]
    manifest: PathBuf,
    /// Where the answers go: a file that ends in .csv or .jsonl.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What to do with a file that is not there or cannot be decoded.
    #[arg(long, value_enum, default_value_t = Corrupt::Error)]
    on_corrupt: Corrupt,
    /// The column that holds a sensor, where it is not called as the sensor; may be given several times.
    #[arg(long, value_name = "SENSOR=COLUMN")]
    column: Vec<String>,
    /// The column of the name of each sample, if it is not `id`.
    #[arg(long, value_name = "COLUMN")]
    id: Option<String>,
    /// The column of the class, where there is one and it is not `label`: the accuracy is then told.
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// Beside each map of classes, a picture of its colours over the first sensor that gives an image; for models of pixels.
    #[arg(long)]
    overlays: bool,
    /// Ask for the mirrored images, too, and answer with the mean of both scores: twice the work; for models of pixels.
    #[arg(long)]
    test_flips: bool,
    /// The same in all quarter turns, for images without an up and a down: eight times the work; for models of pixels.
    #[arg(long)]
    test_turns: bool,
    #[command(flatten)]
    device: DeviceArgument,
    /// Replace the file of answers, or an interrupted one of other samples.
    #[arg(long)]
    overwrite: bool,
}

/// What to do with a file that is not there or cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Corrupt {
    /// An error that names it.
    Error,
    /// The sensor is ignored in this sample, and the answer says so.
    Absent,
}

impl From<Corrupt> for OnCorrupt {
    fn from(corrupt: Corrupt) -> Self {
        match corrupt {
            Corrupt::Error => Self::Error,
            Corrupt::Absent => Self::Absent,
        }
    }
}

/// Answers every row of the table. An interrupted run is taken up where it stopped, and ends with the same bytes.
pub fn run(arguments: &PredictArguments) -> Result<ExitCode> {
    child::predicting(|| predict(arguments))
}

fn predict(arguments: &PredictArguments) -> Result<()> {
    let format = Format::of(&arguments.out)?;
    arguments.refuse_own_input()?;
    let registry = Registry::default().on(&arguments.device.open()?);
    let mut model = registry.from_pretrained(&arguments.model)?.on_corrupt(arguments.on_corrupt.into());
    if arguments.test_flips {
        model = model.with_test_flips().context("`--test-flips`")?;
    }
    if arguments.test_turns {
        model = model.with_test_turns().context("`--test-turns`")?;
    }
    if arguments.overlays && !model.schema().target.is_dense() {
        bail!("`--overlays`: the model gives one class a sample and no map of classes to show");
    }
    let columns = arguments.columns(&model)?;
    let mut maps = match model.schema().target.is_dense() {
        true => Some(Maps::of(&arguments.out, arguments.overlays)?),
        false => None,
    };
    let request = arguments.request(&model, &columns, format)?;
    let mut output = Output::open(&arguments.out, &request, arguments.overwrite)?;
    let rows = model.rows(&arguments.manifest, &columns)?;
    for (flag, column) in [("--id", &arguments.id), ("--label", &arguments.label)] {
        if let Some(column) = column.as_ref().filter(|column| !rows.columns().contains(column)) {
            bail!("`{flag} {column}`: {} has the columns {}", arguments.manifest.display(), rows.columns().join(", "));
        }
    }
    arguments.check_columns(&model, &columns, rows.columns())?;
    rows.remarks().iter().for_each(|remark| eprintln!("{remark}"));
    if let (Some(maps), Some(state)) = (&maps, output.resumed()) {
        let lacking = state.tally.answered().saturating_sub(maps.there(state.rows));
        if lacking > 0 {
            eprintln!("{lacking} of {} maps of rows that were answered before are gone; beginning anew", state.tally.answered());
            output.begin_anew()?;
        }
    }
    let mut state = match output.resumed() {
        Some(state) => {
            if state.rows > 0 {
                eprintln!("{} of {} rows were answered before; going on", state.rows, state.total);
            }
            state
        }
        // Mistakes in the last row are found before the first is answered.
        None => {
            let total = check(rows, &model, &arguments.manifest, &columns)?;
            let state = State::new(&request, total);
            output.append(format.header(&model).as_bytes(), state)?
        }
    };
    if let Some(maps) = &mut maps {
        maps.open(model.schema().target.class_names(), state.total)?;
    }
    let bar = bar("{bar:30} {human_pos} of {human_len} rows, {per_sec}, {eta} left", state.total)?;
    bar.set_position(state.rows);
    bar.reset_eta();
    let mut rows = model.rows(&arguments.manifest, &columns)?.skip(state.rows as usize);
    let place = |line: usize, id: &str| match arguments.manifest.is_dir() {
        true => format!("sample `{id}`"),
        false => format!("line {line}, sample `{id}`"),
    };
    let together = TOGETHER.min(evaluation_batch(model.schema()));
    loop {
        let some: Vec<ManifestRow> = rows.by_ref().take(together).collect::<mm_core::Result<_>>()?;
        if some.is_empty() {
            break;
        }
        let mut text = String::new();
        answer(&model, some, &place, (format, maps.as_ref()), &mut text, &mut state)
            .with_context(|| format!("{}", arguments.manifest.display()))?;
        state = output.append(text.as_bytes(), state)?;
        bar.set_position(state.rows);
    }
    bar.finish_and_clear();
    if state.rows != state.total {
        bail!("{} changed while it was read: it had {} rows, and now has {}", arguments.manifest.display(), state.total, state.rows);
    }
    if let Some(maps) = &mut maps {
        maps.finish(state.rows)?;
    }
    output.finish(&state)?;
    print!("{}", state.tally);
    println!("{}: {} rows", arguments.out.display(), state.rows);
    Ok(())
}

/// Reads all cells once; how many rows there are.
fn check(mut rows: ManifestRows, model: &Pipeline, manifest: &Path, columns: &ManifestColumns) -> Result<u64> {
    let bar = bar("checking {human_pos} rows", 0)?;
    let (mut total, mut unknown, mut uncompared, mut ids) = (0, None, false, Ids::default());
    let target = &model.schema().target;
    let compares = !target.is_dense() && target.classes() > 0;
    for row in rows.by_ref() {
        let row = row?;
        total += 1;
        // In folders, files of one name are one sample.
        if !manifest.is_dir() {
            ids.add(&row);
        }
        uncompared |= !compares && row.label.is_some();
        let known = |label: &String| class_position(target.class_names(), label).is_some();
        if let Some(label) = row.label.filter(|label| compares && !known(label)) {
            unknown.get_or_insert((row.line, row.id, label));
        }
        if total % 256 == 0 {
            bar.set_position(total);
        }
    }
    bar.finish_and_clear();
    if let Some((line, id, label)) = unknown {
        let place = if manifest.is_dir() { format!("{}: {id}", manifest.display()) } else { format!("{}:{line}", manifest.display()) };
        eprintln!("{place}: the label `{label}` is no class of the model; rows of such labels are left out of the accuracy");
    }
    if uncompared {
        let what = if target.is_dense() { "a class for every pixel".into() } else { target.in_words() };
        let table = manifest.display();
        eprintln!("{table}: the model predicts {what}, which are not compared with the labels here: `mm evaluate` does, with a card");
    }
    if let Some(warning) = ids.warning(model, manifest, columns)? {
        eprintln!("{warning}");
    }
    if rows.short() > 0 {
        eprintln!("{}: {} recordings are shorter than a window of the model and are left out", manifest.display(), rows.short());
    }
    match total {
        0 if rows.short() > 0 => bail!("{}: no recording is as long as a window of the model", manifest.display()),
        0 if manifest.is_dir() => bail!("{} holds no reading of the model's sensors", manifest.display()),
        0 => bail!("{} has no rows: a row is a sample", manifest.display()),
        total => Ok(total),
    }
}

/// Answers some rows, in their order; `place` words where one stands.
fn answer(
    model: &Pipeline,
    rows: Vec<ManifestRow>,
    place: &dyn Fn(usize, &str) -> String,
    (format, maps): (Format, Option<&Maps>),
    text: &mut String,
    state: &mut State,
) -> Result<()> {
    let names = model.schema().modalities.names();
    let mut keys = Vec::with_capacity(rows.len());
    let mut asked = Vec::with_capacity(rows.len());
    for mut row in rows {
        keys.push((row.line, std::mem::take(&mut row.id), row.label.take()));
        asked.push(Readings::of_row(names, row));
    }
    let answers = model.predict_each(&asked)?;
    for (((line, id, label), readings), answer) in keys.into_iter().zip(&asked).zip(answers) {
        let answer = match answer {
            Ok(answer) => Ok(answer),
            // A row that nothing can be said of is an answer, too: the next one may have its sensors back.
            Err(Error::Modality(ModalityError::NoSensor { ignored } | ModalityError::TooFewSensors { ignored, .. })) => Err(ignored),
            Err(error) => return Err(anyhow!(error).context(place(line, &id))),
        };
        state.tally.add(model, label.as_deref(), &answer);
        let pixels = answer.as_ref().ok().and_then(|answer| answer.pixels.as_ref());
        let map = maps.map(|maps| maps.write(state.rows, pixels)).transpose()?.flatten();
        if let (Some(maps), Some(pixels), Ok(answer)) = (maps.filter(|maps| maps.overlays), pixels, &answer) {
            // A file is read once more, which only who asks for pictures pays for.
            if let Some(reading) = first_image(model, readings, &answer.used)? {
                maps.write_overlay(state.rows, pixels, &reading)?;
            }
        }
        format.line(model, &id, &answer, map.as_deref(), text);
        state.rows += 1;
    }
    Ok(())
}

/// What the first of these sensors saw that gives images.
fn first_image(model: &Pipeline, readings: &Readings, used: &[String]) -> Result<Option<Array>> {
    let schema = model.schema();
    let is_image = |name: &&String| schema.modalities.index(name).is_ok_and(|m| schema.inputs[m].kind == InputKind::Image);
    Ok(used.iter().find(is_image).map(|name| model.reading(readings, name)).transpose()?.flatten())
}

fn bar(template: &str, length: u64) -> Result<ProgressBar> {
    let bar = ProgressBar::new(length);
    bar.set_style(ProgressStyle::with_template(template)?);
    Ok(bar)
}

/// Names, sizes and times of all that is in a folder.
fn hash_folder(folder: &Path, hash: &mut Sha256) -> Result<()> {
    let context = || format!("reading {}", folder.display());
    let mut paths =
        std::fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>());
    paths.as_mut().map(|paths| paths.sort()).ok();
    for path in paths.with_context(context)? {
        hash_file_state(&path, hash);
        if path.is_dir() {
            hash_folder(&path, hash)?;
        }
    }
    Ok(())
}

/// By what a file or folder is seen to have changed; one that is not there is told where it is read.
fn hash_file_state(path: &Path, hash: &mut Sha256) {
    hash.update(format!("{}\0{:?}\0", path.display(), Stamp::of(path).ok()));
}

impl PredictArguments {
    /// The table itself is never the file of answers, whatever may be overwritten.
    fn refuse_own_input(&self) -> Result<()> {
        if !self.manifest.exists() {
            bail!("there is no {}: `--manifest` names a table of samples, or a folder of folders of sensors", self.manifest.display());
        }
        let whole = |path: &Path| std::fs::canonicalize(path).ok();
        if whole(&self.out).is_some_and(|out| Some(out) == whole(&self.manifest)) {
            bail!("`--out {}` is the table of samples itself: give another file for the answers", self.out.display());
        }
        let beside = folder_of(&self.out);
        if self.manifest.is_dir() && whole(beside).zip(whole(&self.manifest)).is_some_and(|(beside, samples)| beside.starts_with(samples)) {
            bail!("`--out {}` lies in the folder of the samples, whose files are readings: give a file elsewhere", self.out.display());
        }
        Ok(())
    }

    /// The model's own columns, and what the caller says of them.
    fn columns(&self, model: &Pipeline) -> Result<ManifestColumns> {
        let mut columns = model.config().columns.clone();
        for given in &self.column {
            let (sensor, column) = given.split_once('=').with_context(|| format!("`--column {given}`: write SENSOR=COLUMN"))?;
            model.schema().modalities.index(sensor).with_context(|| format!("`--column {given}`"))?;
            columns.modalities.insert(sensor.into(), column.into());
        }
        columns.id = self.id.clone().or(columns.id);
        columns.label = self.label.clone().or(columns.label);
        Ok(columns)
    }

    /// What `--column` names is in the manifest, and each sensor has its own, unless two shared one in the training.
    fn check_columns(&self, model: &Pipeline, columns: &ManifestColumns, there: &[String]) -> Result<()> {
        fn column<'a>(columns: &'a ManifestColumns, sensor: &'a str) -> &'a str {
            columns.modalities.get(sensor).map_or(sensor, String::as_str)
        }
        for (given, (sensor, name)) in self.column.iter().filter_map(|given| Some((given, given.split_once('=')?))) {
            let refused = |problem: String| {
                let what = if self.manifest.is_dir() { "folders" } else { "columns" };
                anyhow!("`--column {given}`: {problem}{} has the {what} {}", self.manifest.display(), there.join(", "))
            };
            // The columns of a vector's numbers begin with the name.
            let is_it = |c: &String| c == name || c.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'));
            let is_there = if self.manifest.is_dir() { self.manifest.join(name).is_dir() } else { there.iter().any(is_it) };
            if !is_there {
                return Err(refused(String::new()));
            }
            let trained = &model.config().columns;
            let shares =
                |other: &&String| *other != sensor && column(columns, other) == name && column(trained, other) != column(trained, sensor);
            if let Some(other) = model.schema().modalities.names().iter().find(shares) {
                return Err(refused(format!("the sensor `{other}` is read from `{name}`, too; ")));
            }
        }
        Ok(())
    }

    /// What the answers depend on, in one number: an interrupted run is taken up only where it is the same.
    fn request(&self, model: &Pipeline, columns: &ManifestColumns, format: Format) -> Result<String> {
        let mut hash = Sha256::new();
        let mut files = vec![self.model.join("config.json"), self.model.join("model.safetensors")];
        match self.manifest.is_dir() {
            true => hash_folder(&self.manifest, &mut hash)?,
            false => {
                files.push(self.manifest.clone());
                // What is wrong with a row is told by the check of all rows.
                let reads_files = model.config().kinds.iter().any(Option::is_some);
                let rows = reads_files.then(|| model.rows(&self.manifest, columns)).transpose()?;
                let out = std::fs::canonicalize(&self.out).ok();
                for origin in rows.into_iter().flatten().map_while(Result::ok).flat_map(|row| row.origins).flatten() {
                    if let Origin::File { path, .. } = origin {
                        if path.file_name() == self.out.file_name() && out.is_some() && std::fs::canonicalize(&path).ok() == out {
                            bail!("`--out {}` is a reading of the table of samples: give another file for the answers", self.out.display());
                        }
                        hash_file_state(&path, &mut hash);
                    }
                }
            }
        }
        for file in files {
            hash.update(hash_file(&file, |_| {})?);
        }
        let settings = (
            columns,
            format!("{:?}", self.on_corrupt),
            format!("{format:?}"),
            self.overlays,
            self.test_flips,
            self.test_turns,
            self.device,
            mm_bench::version(),
        );
        hash.update(serde_json::to_vec(&settings)?);
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
