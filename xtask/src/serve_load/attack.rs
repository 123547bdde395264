//! Hostile requests, while another client means well.

use super::client::{Connection, post};
use super::models::files;
use super::{MIB, Serving};
use anyhow::{Context, Result, bail};
use mm_baselines::FusionConfig;
use mm_core::Modalities;
use mm_core::data::audio::AudioSettings;
use mm_core::data::kinds::{Audio, Image, Kind, Origin, Vector};
use mm_core::data::{FileRow, FileSource, Split, Target, TargetValue};
use mm_core::train::{TrainConfig, Trainer};
use mm_testing::{Hostile, form};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Of one body, of all bodies, and of one decoded file, in MiB: lower than the defaults, so that the bounds are met.
const BOUNDS: [usize; 3] = [2, 32, 16];
/// Connections that attack at one time, besides those that are held open.
const ATTACKERS: usize = 8;
/// What the decoder of a file and what comes after it may need of the bound of a decoded file, for each thread.
const TIMES: usize = 8;

/// Attacks a server of a model of an image, a sound and a vector.
pub fn run(requests: u64, threads: usize) -> Result<String> {
    let folder = tempfile::tempdir()?;
    train(folder.path())?;
    let bounds = BOUNDS.map(|mib| mib.to_string());
    let options = ["--timeout-seconds", "5", "--mib", &bounds[0], &bounds[1], &bounds[2]];
    let serving = Serving::ours(&folder.path().join("model"), threads, &options)?;
    let [(_, _, sound), (_, _, image)] = files(0)?;
    let good = [
        post("application/json", br#"{"gauge": [1.5, 60]}"#),
        post("multipart/form-data; boundary=xxx", &form(&[("image", "a.png", image.clone()), ("sound", "a.wav", sound.clone())])),
    ];
    let mut connection = Connection::open(serving.address)?;
    for request in good.iter().cycle().take(20) {
        connection.ask(request)?;
    }
    let calm = serving.peak_memory().unwrap_or_default();
    let hostile = Hostile::new(["image", "sound", "gauge"], image, sound);
    let (over, began) = (AtomicBool::new(false), Instant::now());
    let (counts, mut waited) = std::thread::scope(|scope| -> Result<_> {
        let friend = scope.spawn(|| -> Result<Vec<f64>> {
            let mut waited = Vec::new();
            for request in good.iter().cycle() {
                let asked = Instant::now();
                let (status, body) = connection.ask(request)?;
                if status != 200 {
                    bail!("one who meant well got {status}: {}", String::from_utf8_lossy(&body));
                }
                waited.push(asked.elapsed().as_secs_f64());
                if over.load(Ordering::Relaxed) {
                    break;
                }
            }
            Ok(waited)
        });
        let counts = hostile.attack(serving.address, requests, ATTACKERS);
        over.store(true, Ordering::Relaxed);
        let waited = friend.join().map_err(|_| anyhow::anyhow!("one who meant well panicked"))??;
        Ok((counts, waited))
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let peak = serving.peak_memory().unwrap_or_default();
    let well = serving.end()?;
    waited.sort_by(f64::total_cmp);
    let at = |share: f64| 1e3 * waited.get((waited.len() as f64 * share) as usize).copied().unwrap_or_default();
    let bound = calm as f64 / 1e6 + ((3 * BOUNDS[1] + TIMES * threads * BOUNDS[2]) * MIB) as f64 / 1e6;
    let mut text = table(&counts)?;
    writeln!(
        text,
        "\n{requests} requests in {seconds:.0} s, {ATTACKERS} at a time, bounds of {} MiB a body, {} MiB for all bodies and {} MiB a decoded file; {}.\n\n\
         - The server {}.\n\
         - Memory: {:.0} MB before, {:.0} MB at most, bound {bound:.0} MB.\n\
         - One client that meant well: {} answers, all right; p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms.",
        BOUNDS[0],
        BOUNDS[1],
        BOUNDS[2],
        mm_bench::machine(),
        if well { "ended well when it was asked to" } else { "did NOT end well" },
        calm as f64 / 1e6,
        peak as f64 / 1e6,
        waited.len(),
        at(0.5),
        at(0.99),
        1e3 * waited.last().copied().context("one who means well was answered")?,
    )?;
    if !well || peak as f64 / 1e6 > bound || counts.keys().any(|(_, status)| *status == 500) {
        bail!("the server did not withstand:\n{text}");
    }
    Ok(text)
}

/// A row for each kind of request, a column for each status.
fn table(counts: &BTreeMap<(&'static str, u16), u64>) -> Result<String> {
    let statuses: BTreeSet<u16> = counts.keys().map(|(_, status)| *status).collect();
    let kinds: BTreeSet<&str> = counts.keys().map(|(kind, _)| *kind).collect();
    let name = |status: &u16| if *status == 0 { "closed or left".into() } else { status.to_string() };
    let mut text =
        format!("| requests | {} |\n|---|{}\n", statuses.iter().map(name).collect::<Vec<_>>().join(" | "), "---:|".repeat(statuses.len()));
    for kind in kinds {
        write!(text, "| {kind} |")?;
        for status in &statuses {
            match counts.get(&(kind, *status)) {
                Some(count) => write!(text, " {count} |")?,
                None => write!(text, " |")?,
            }
        }
        writeln!(text)?;
    }
    Ok(text)
}

fn train(folder: &Path) -> Result<()> {
    let settings: AudioSettings = serde_json::from_value(serde_json::json!({ "rate": 8000, "seconds": 1.0 }))?;
    let kinds: Vec<Arc<dyn Kind>> = vec![Arc::new(Image::gray(28)), Arc::new(Audio::new(settings)?), Arc::new(Vector::new(2))];
    let row = |number: u64| -> Result<FileRow> {
        let mut origins = Vec::new();
        // The image stands before the sound here.
        for (sensor, ending, bytes) in files(number)?.into_iter().rev() {
            let path = folder.join(format!("{sensor}{number}{ending}"));
            std::fs::write(&path, bytes)?;
            origins.push(Some(Origin::file(path)));
        }
        origins.push(Some(Origin::Numbers(vec![number as f64, 60.0 - number as f64])));
        Ok(FileRow::new(number.to_string(), origins, TargetValue::Class((number % 2) as u32))?)
    };
    let rows = (0..20).map(row).collect::<Result<_>>()?;
    let source = FileSource::new(Modalities::new(["image", "sound", "gauge"])?, kinds, Target::of_classes(["well", "ill"]), rows)?;
    let split = Split { train: (0..20).collect(), validation: Vec::new(), test: Vec::new() };
    let trainer = Trainer::new(TrainConfig { epochs: 1, batch_size: 10, ..TrainConfig::default() });
    Ok(trainer.fit(FusionConfig::modality_dropout(), &source, &split)?.save_pretrained(folder.join("model"))?)
}
