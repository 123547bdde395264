//! What follows from what was found: how bad each thing is, and what to do.

use super::findings::{Level, Verdict};
use super::look::Flaw;
use super::scan::{Scanned, Tally};
use super::subject::Subject;
use super::twins::{Found, Set, What};
use crate::data::Part;
use crate::data::names::some;
use crate::data::reader::MEASURED;
use crate::error::Error;
use std::collections::BTreeMap;

/// Places that a verdict names at most.
const PLACES: usize = 1000;
/// A class with so many times fewer samples than the largest is told.
const IMBALANCE: usize = 10;
/// Values of a form that a verdict names.
const VALUES: usize = 5;

/// All verdicts, the worst first.
pub(super) fn verdicts(subject: &Subject, scanned: &Scanned, twins: &Found) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    list(subject, &mut verdicts);
    for (m, tally) in scanned.sensors.iter().enumerate() {
        readings(subject, m, tally, &mut verdicts);
        untrained(subject, m, tally, &mut verdicts);
        verdicts.extend(super::held_out::verdicts(subject, m, tally));
        forms(subject, m, tally, &mut verdicts);
        verdicts.extend(super::headers::differ(subject, m, tally));
        flaws(subject, m, tally, &mut verdicts);
        verdicts.extend(super::far::verdict(subject, m, tally));
        verdicts.extend(super::far::codes(subject, m, tally));
        verdicts.extend(super::padded::verdict_of(subject, m, tally));
        verdicts.extend(super::rising::verdict_of(subject, m, tally));
    }
    left_out(subject, scanned, &mut verdicts);
    verdicts.extend(super::pairing::verdicts(subject, scanned));
    verdicts.extend(super::leaks::verdicts(subject, scanned));
    verdicts.extend(super::copied::verdicts(subject));
    same(subject, twins, &mut verdicts);
    parts(subject, &mut verdicts);
    match (&subject.maps, &scanned.maps) {
        (Some(maps), Some(tally)) => verdicts.extend(tally.verdicts(subject, maps)),
        _ if subject.targets.is_some() => verdicts.extend(super::predicted::verdicts(subject)),
        _ => classes(subject, &mut verdicts),
    }
    verdicts.extend(super::ratio::stretched(subject, scanned));
    let remarks = subject.remarks.iter().map(|remark| {
        // The remarks of readers that are probably mistakes.
        let any = |words: &[&str]| words.iter().any(|words| remark.contains(words));
        let look_alike = any(&["look alike", "write them alike", "upper and lower case only"]);
        let is_mistake = look_alike || any(&["between thousands: write", "which measure nothing"]);
        let level = if is_mistake { Level::Warning } else { Level::Remark };
        verdict(
            level,
            "list",
            remark.clone(),
            if look_alike && !remark.contains("rite them alike") { "write them alike" } else { "" },
            Vec::new(),
        )
    });
    verdicts.extend(remarks);
    verdicts.sort_by_key(|verdict| verdict.level);
    verdicts
}

pub(super) fn verdict(level: Level, about: &str, found: impl Into<String>, advice: impl Into<String>, places: Vec<String>) -> Verdict {
    Verdict { level, about: about.into(), found: found.into(), advice: advice.into(), places }
}

/// Problems of the list itself; those that differ only in what they quote are one.
fn list(subject: &Subject, verdicts: &mut Vec<Verdict>) {
    let mut alike: BTreeMap<(usize, String), Vec<String>> = BTreeMap::new();
    let mut order: Vec<String> = Vec::new();
    for problem in subject.problems.iter().filter(|problem| problem.of.is_none()) {
        let (place, text) = match &problem.error {
            Error::Parse { path, line, column, problem } => (format!("{}:{line}:{column}", path.display()), problem.clone()),
            Error::File { path, problem } => (path.display().to_string(), problem.clone()),
            Error::Config { field, problem } if field == "data" => (String::new(), problem.clone()),
            error => (String::new(), error.to_string()),
        };
        let without: String = text.split(['`', '"']).step_by(2).collect();
        let at = order.iter().position(|known| *known == without).unwrap_or_else(|| {
            order.push(without.clone());
            order.len() - 1
        });
        let entry = if place.is_empty() { text } else { format!("{place}: {text}") };
        alike.entry((at, without)).or_default().push(entry);
    }
    for entries in alike.into_values() {
        let more = if entries.len() > 1 { format!(" (and {} more like it)", entries.len() - 1) } else { String::new() };
        let places = entries.iter().skip(1).take(PLACES).cloned().collect();
        verdicts.push(verdict(Level::Error, "list", format!("{}{more}", entries[0]), "", places));
    }
}

/// Readings that are not there or cannot be read.
fn readings(subject: &Subject, m: usize, tally: &Tally, verdicts: &mut Vec<Verdict>) {
    let name = &subject.sensors[m].name;
    if !tally.unreadable.is_empty() {
        let level = if subject.lenient { Level::Warning } else { Level::Error };
        let advice = match subject.lenient {
            true => "they count as absent, as the card says (on_corrupt); get the files again if you can",
            false => "mend or remove them, or write on_corrupt = \"absent\" in the card to take them as absent",
        };
        let place = |unreadable: &super::findings::Unreadable| match unreadable.place.as_str() {
            "" => unreadable.problem.clone(),
            place => format!("{place}: {}", unreadable.problem),
        };
        let places = tally.unreadable.iter().take(PLACES).map(place).collect();
        verdicts.push(verdict(level, name, format!("{} cannot be read", count(tally.unreadable.len(), "reading")), advice, places));
    }
    if tally.present == 0 && !subject.samples.is_empty() {
        verdicts.push(verdict(Level::Error, name, "no sample has a reading that can be read", "take the sensor out of the card", vec![]));
    }
}

/// Whether a row has a reading of a sensor that can be used.
pub(super) fn is_usable(row: usize, tally: &Tally) -> bool {
    tally.contents[row].is_some() && tally.flaws.get(&Flaw::NonFinite).is_none_or(|rows| rows.binary_search(&row).is_err())
}

/// A sensor that only samples have that are not for training.
fn untrained(subject: &Subject, m: usize, tally: &Tally, verdicts: &mut Vec<Verdict>) {
    let trains = |row: usize| subject.samples[row].part == Some(Part::Train);
    let rows = || 0..subject.samples.len();
    if tally.present > 0 && rows().any(trains) && !rows().any(|row| trains(row) && is_usable(row, tally)) {
        let advice = "no model can learn it: take the sensor out of the card, or add training samples that have it";
        verdicts.push(verdict(Level::Error, &subject.sensors[m].name, "no training sample has a reading", advice, vec![]));
    }
}

/// Samples of which no reading can be used, where such readings count as absent.
fn left_out(subject: &Subject, scanned: &Scanned, verdicts: &mut Vec<Verdict>) {
    let without = (0..subject.samples.len()).filter(|&row| !scanned.sensors.iter().any(|tally| is_usable(row, tally)));
    let places: Vec<String> = without.map(|row| subject.samples[row].id.clone()).collect();
    if subject.lenient && !places.is_empty() {
        let found = format!("{} without a reading that can be used", count(places.len(), "sample"));
        let advice = "training and test leave them out, as the card says (on_corrupt)";
        verdicts.push(verdict(Level::Warning, "samples", found, advice, places.into_iter().take(PLACES).collect()));
    }
}

/// Readings of one sensor that differ in form.
fn forms(subject: &Subject, m: usize, tally: &Tally, verdicts: &mut Vec<Verdict>) {
    let sensor = &subject.sensors[m];
    for form in tally.forms().into_iter().filter(|form| form.values.len() > 1) {
        let (level, advice) = match (form.what, sensor.kind.as_str()) {
            ("size", _) => {
                (Level::Remark, format!("all are brought to {:?} (`size` in the card)", &sensor.shape[sensor.shape.len().min(3) - 2..]))
            }
            ("colours", _) => (
                Level::Warning,
                "all are brought to the `channels` of the card; are grey ones another sensor, such as a night camera?".into(),
            ),
            ("depth", "depth") => (
                Level::Warning,
                "the same number means another distance in each: convert them, or make two sensors with a `scale` each".into(),
            ),
            ("depth", _) => {
                (Level::Warning, "black and white are the same in both; check that the brighter ones are not another sensor's".into())
            }
            ("rate", _) => (Level::Warning, "all are brought to the `rate` of the card; nothing above half a file's rate is in it".into()),
            ("channels", _) => (Level::Warning, "channels are averaged where the card says channels = 1".into()),
            ("shape", _) => (Level::Error, "readings of one sensor have one shape: convert them".into()),
            _ => continue,
        };
        let values: Vec<String> = form.values.iter().map(|(value, count)| format!("{value} ({count})")).collect();
        let first = |(value, _): &(String, usize)| Some(format!("{value}: {}", subject.reading(tally.first_of(form.what, value)?, m)));
        let places = if form.what == "size" { Vec::new() } else { form.values.iter().take(VALUES).filter_map(first).collect() };
        verdicts.push(verdict(level, &sensor.name, format!("{} differ: {}", plural(form.what), some(&values, VALUES)), advice, places));
    }
}

fn plural(what: &str) -> String {
    match what {
        "channels" | "colours" => what.into(),
        "depth" => "bit depths".into(),
        "rate" => "sample rates".into(),
        what => format!("{what}s"),
    }
}

/// Readings that look broken.
fn flaws(subject: &Subject, m: usize, tally: &Tally, verdicts: &mut Vec<Verdict>) {
    let sensor = &subject.sensors[m];
    let dead = tally.dead.len();
    if dead > 0 && dead == tally.present {
        let found = format!("all {} say nothing (zeros, one value throughout, silence or no letter)", count(dead, "reading"));
        verdicts.push(verdict(Level::Error, &sensor.name, found, "the sensor is dead, or its files were written wrongly", vec![]));
    } else if tally.present > 1 && tally.contents.iter().flatten().collect::<std::collections::HashSet<_>>().len() == 1 {
        let found = format!("all {} are the same", count(tally.present, "reading"));
        verdicts.push(verdict(Level::Error, &sensor.name, found, "nothing can be learnt from it: take the sensor out", vec![]));
    } else {
        let unchanging: Vec<String> = (tally.ranges.iter().enumerate())
            .filter(|(_, (low, high))| low == high && tally.present > 1)
            // Where a number is missing, its reading is not among those that are followed.
            .filter(|(v, _)| !sensor.variables.get(*v).is_some_and(|name| name.ends_with(MEASURED)))
            .map(|(v, (low, _))| format!("{} ({low})", sensor.variable(v)))
            .collect();
        if !unchanging.is_empty() && unchanging.len() < tally.ranges.len() {
            let found = format!("{} of {} variables never change: {}", unchanging.len(), tally.ranges.len(), some(&unchanging, VALUES));
            verdicts.push(verdict(Level::Remark, &sensor.name, found, "leave them out if that is not how it should be", vec![]));
        }
    }
    for (flaw, rows) in &tally.flaws {
        if flaw.is_dead() && dead == tally.present {
            continue;
        }
        let share = format!("{} of {}", rows.len(), count(tally.present, "reading"));
        let (level, found, advice) = match flaw {
            Flaw::NonFinite if subject.lenient => (
                Level::Warning,
                "hold a value that is NaN or infinite",
                "they count as absent, as the card says (on_corrupt); mend them if you can",
            ),
            Flaw::NonFinite => (
                Level::Error,
                "hold a value that is NaN or infinite",
                "training stops at them: mend or remove them, or write on_corrupt = \"absent\" in the card to take them as absent",
            ),
            Flaw::Empty => {
                (Level::Warning, "are texts without a letter", "empty the cell if there was no reading: it then counts as absent")
            }
            Flaw::NoText => (
                Level::Warning,
                "are words for no text, such as `N/A`, and are read as texts",
                "empty the cell if there was no reading: it then counts as absent",
            ),
            Flaw::Zero => (
                Level::Warning,
                "are nothing but zeros (black, or digital silence)",
                "if the sensor was dead there, leave the reading out: it then counts as absent",
            ),
            Flaw::Constant => (
                Level::Warning,
                "have one value throughout",
                "if the sensor was dead there, leave the reading out: it then counts as absent",
            ),
            Flaw::Silent => (Level::Warning, "are silent (below -60 dB of full scale)", "if the microphone was off, leave the reading out"),
            Flaw::Clipped => {
                let found = "are clipped: near full scale, one sample in a thousand or more lies in a run of three at the peak";
                (Level::Warning, found, "record again with less gain if you can")
            }
            Flaw::Opposed => (
                Level::Warning,
                "have two channels that cancel each other: their mean, which a model gets, is near silence",
                "one is turned over: write channels = 2 in the card, or save one channel alone",
            ),
            Flaw::Cut => (Level::Remark, "are longer than what a model gets of them", longer(&sensor.kind)),
            Flaw::Enlarged => (
                Level::Remark,
                "are less than half as large as what a model gets",
                "a smaller `size` (images) or `rate` (sounds) in the card costs less and loses nothing",
            ),
            Flaw::Ending => {
                (Level::Remark, "have an ending of another format than they are of", "they are read all the same, by their content")
            }
        };
        let places = rows.iter().take(PLACES).map(|&row| subject.reading(row, m)).collect();
        verdicts.push(verdict(level, &sensor.name, format!("{share} {found}"), advice, places));
    }
}

/// What to do about readings that are cut.
fn longer(kind: &str) -> &'static str {
    match kind {
        "series" => "a part is taken: set `steps` in the card to what a reading needs, or cut windows (`[windows]`)",
        _ => "set `seconds` in the card to what a reading needs",
    }
}

/// Samples and readings that are there more than once.
fn same(subject: &Subject, twins: &Found, verdicts: &mut Vec<Verdict>) {
    let drawn = !subject.has_parts();
    let group = "give them one `group`, so that a drawn split keeps them together, or keep one";
    let mut of = |select: &dyn Fn(&Set) -> bool, level: Level, about: &str, what: &dyn Fn(usize, usize) -> String, advice: &str| {
        let sets: Vec<&Set> = twins.sets.iter().filter(|set| select(set)).collect();
        if sets.is_empty() {
            return;
        }
        let members = |set: &&Set| {
            let sensor = match set.what {
                What::Samples => None,
                What::Readings(sensor) | What::File(sensor) | What::Alike(sensor) => Some(sensor),
            };
            let name = |&row: &usize| {
                let sample = &subject.samples[row];
                let known = [sample.part.map(|part| part.to_string()), sample.label.clone()].into_iter().flatten().collect::<Vec<_>>();
                let name = match (sensor, set.what) {
                    (Some(sensor), What::Readings(_) | What::Alike(_)) => subject.reading(row, sensor),
                    _ => sample.id.clone(),
                };
                if known.is_empty() { name } else { format!("{name} ({})", known.join(", ")) }
            };
            some(&set.rows.iter().map(name).collect::<Vec<_>>(), 4)
        };
        let places = sets.iter().take(PLACES).map(members).collect();
        verdicts.push(verdict(level, about, what(sets.len(), sets.iter().map(|set| set.rows.len()).sum()), advice, places));
    };
    let samples = |sets: usize, rows: usize| format!("{rows} samples are the same in all readings{}", in_sets(sets));
    let whole = |set: &Set| set.what == What::Samples;
    let leak = if subject.of_files { Level::Error } else { Level::Warning };
    let leaks = "what a model has learnt by heart counts as right: keep each in one part only";
    of(&|s| whole(s) && s.across, leak, "parts", &|n, r| format!("{}, in several parts", samples(n, r)), leaks);
    let contradiction = "find out which label is right, and keep one";
    of(&|s| whole(s) && s.labels, Level::Warning, "labels", &|n, r| format!("{}, under different labels", samples(n, r)), contradiction);
    let (level, advice) = if drawn { (Level::Warning, group) } else { (Level::Remark, "they count twice: keep one") };
    of(&|s| whole(s) && !s.across && !s.labels, level, "samples", &samples, advice);
    for (m, sensor) in subject.sensors.iter().enumerate() {
        let readings = |sets: usize, rows: usize| format!("{rows} files hold the same{}", in_sets(sets));
        let is = |set: &Set| set.what == What::Readings(m);
        of(&|s| is(s) && s.across, Level::Warning, &sensor.name, &|n, r| format!("{}, in several parts", readings(n, r)), leaks);
        of(
            &|s| is(s) && !s.across,
            Level::Remark,
            &sensor.name,
            &readings,
            if drawn { group } else { "a reading may belong to one sample only" },
        );
        let files = |sets: usize, rows: usize| {
            format!("{} named by several rows ({rows} in all)", count(sets, "file") + if sets == 1 { " is" } else { " are" })
        };
        let one = |set: &Set| set.what == What::File(m);
        of(&|s| one(s) && s.across, Level::Warning, &sensor.name, &|n, r| format!("{}, in several parts", files(n, r)), leaks);
        of(&|s| one(s) && !s.across, Level::Remark, &sensor.name, &files, if drawn { group } else { "" });
        let alike = |sets: usize, _| format!("{} of images look alike (another size, quality or brightness)", count(sets, "pair"));
        let near = |set: &Set| set.what == What::Alike(m);
        of(
            &|s| near(s) && s.across,
            Level::Warning,
            &sensor.name,
            &|n, r| format!("{}, in different parts", alike(n, r)),
            "look at them: copies belong into one part",
        );
        of(&|s| near(s) && !s.across, Level::Remark, &sensor.name, &alike, if drawn { group } else { "look at them" });
    }
}

/// How many sets of equal things there are.
fn in_sets(sets: usize) -> String {
    if sets == 1 { String::new() } else { format!(" as others ({sets} sets)") }
}

/// The split.
fn parts(subject: &Subject, verdicts: &mut Vec<Verdict>) {
    let without = subject.samples.iter().filter(|sample| sample.part.is_none()).count();
    if subject.has_parts() && without > 0 {
        let places = subject.samples.iter().filter(|s| s.part.is_none()).take(PLACES).map(|s| s.id.clone()).collect();
        let found = format!("{without} of {} have no part, and others have one", count(subject.samples.len(), "sample"));
        verdicts.push(verdict(Level::Error, "parts", found, "name a part in every row, or in none", places));
    }
    if !subject.has_parts() && !subject.samples.is_empty() && subject.no_split.is_none() {
        let found = "the data do not say what is for training and what for the test";
        verdicts.push(verdict(Level::Remark, "parts", found, "a split is drawn by `[split]` of the card, for each seed another", vec![]));
    }
    if subject.has_parts() && !subject.parts().iter().any(|part| part == "validation") {
        let found = "no sample is for validation: nothing is chosen by such samples, and settings that need some are refused";
        let advice = "the last weights of a training are taken; to choose by `select` or `patience`, name the part `validation` of some samples that now train";
        verdicts.push(verdict(Level::Remark, "parts", found, advice, vec![]));
    }
    let groups = subject.groups_in_several_parts();
    let is_told = !groups.is_empty() || without > 0 && subject.has_parts();
    if !groups.is_empty() {
        let found =
            format!("{} in several parts", if groups.len() == 1 { "1 group lies".into() } else { format!("{} groups lie", groups.len()) });
        let advice = "samples of one group (a person, a recording) belong into one part; without `group` in the card they may not";
        verdicts.push(verdict(Level::Error, "groups", found, advice, groups.into_iter().take(PLACES).collect()));
    }
    if let Some(error) = subject.no_split.as_ref().filter(|_| !is_told) {
        verdicts.push(verdict(Level::Error, "parts", error.to_string(), "", vec![]));
    }
}

/// Labels and their balance.
fn classes(subject: &Subject, verdicts: &mut Vec<Verdict>) {
    let parts = subject.parts();
    let mut counts: BTreeMap<&String, Vec<usize>> = BTreeMap::new();
    for (row, sample) in subject.samples.iter().enumerate() {
        if let Some(label) = &sample.label {
            counts.entry(label).or_insert_with(|| vec![0; parts.len()])[subject.part_of(row, &parts)] += 1;
        }
    }
    let total = |counts: &[usize]| counts.iter().sum::<usize>();
    if counts.len() == 1 && !subject.samples.is_empty() {
        let found = format!("all samples are of the class `{}`", subject.classes().concat());
        verdicts.push(verdict(Level::Error, "labels", found, "there is nothing to tell apart: is this the column of the label?", vec![]));
        return;
    }
    let once: Vec<&str> = counts.iter().filter(|(_, counts)| total(counts) == 1).map(|(name, _)| name.as_str()).collect();
    if !once.is_empty() {
        let found = format!(
            "{} one sample only: {}",
            if once.len() == 1 { "1 class has".into() } else { format!("{} classes have", once.len()) },
            some(&once, 8)
        );
        verdicts.push(verdict(
            Level::Warning,
            "labels",
            found,
            "is the label a slip? A class needs samples for training and for the test",
            vec![],
        ));
    }
    let most = counts.values().map(|counts| total(counts)).max().unwrap_or(0);
    let few: Vec<String> = counts
        .iter()
        .filter(|(_, c)| total(c) > 1 && total(c) * IMBALANCE <= most)
        .map(|(name, c)| format!("{name} ({})", total(c)))
        .collect();
    if !few.is_empty() {
        let found = format!("the largest class has {most} samples; at least {IMBALANCE} times fewer have: {}", some(&few, 8));
        verdicts.push(verdict(
            Level::Remark,
            "labels",
            found,
            "read the balanced accuracy and the recall by class, not the accuracy alone",
            vec![],
        ));
    }
    if let Some(train) = parts.iter().position(|part| part == "train") {
        for (p, part) in parts.iter().enumerate() {
            let lacks = |name: &&String| counts[*name][train] == 0 && counts[*name][p] > 0;
            let untaught: Vec<&str> = counts.keys().copied().filter(lacks).map(String::as_str).collect();
            if !untaught.is_empty() {
                let found = format!("classes in {part} and not in train: {}", some(&untaught, 8));
                verdicts.push(verdict(
                    Level::Error,
                    "labels",
                    found,
                    "no model can learn them: add training samples, or take them out",
                    vec![],
                ));
            }
            let absent: Vec<&str> = counts.iter().filter(|(_, c)| c[p] == 0).map(|(name, _)| name.as_str()).collect();
            if part != "train" && part != "no part" && !absent.is_empty() {
                let found = format!("classes that {part} lacks: {}", some(&absent, 8));
                verdicts.push(verdict(Level::Remark, "labels", found, "nothing is measured for them there", vec![]));
            }
        }
    } else if subject.has_parts() {
        verdicts.push(verdict(
            Level::Error,
            "parts",
            "no sample is for training",
            "name the part `train` in the rows to learn from",
            vec![],
        ));
    }
}

/// `1 reading`, `3 readings`.
pub(super) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}
