//! The report as Markdown: the tables, without the pictures.

mod available;

use super::analysis::{
    DataReport, Difference, GroupReport, GroupScores, OutputReport, OutputScores, OverSeeds, PixelReport, PixelScores, Report, RunReport,
    Value,
};
use super::words::*;

/// Sets of sensors listed in the table.
const SETS_SHOWN: usize = 12;

/// The whole report.
pub fn text(report: &Report) -> String {
    let mut out = format!("# {}\n", escape(&report.plan));
    if !report.description.is_empty() {
        out += &format!("\n{}\n", escape(&report.description));
    }
    out +=
        &format!("\n{} `±` is the standard deviation over seeds, `[low, high]` {}\n", scale_in_words(report), intervals(report.resamples));
    out += &list("Notes", &report.notes);
    for data in &report.data {
        out += &data_section(data);
    }
    let p = &report.provenance;
    let hashes = p.data_hashes.iter().map(|(data, hash)| format!("{} {}", escape(data), escape(hash))).collect::<Vec<_>>();
    out += "\n## Provenance\n\n";
    let rows = [
        ("Version", escape(&p.versions.join(", "))),
        ("Plan hash", p.plan_hash.clone()),
        ("Cells", p.cells.to_string()),
        ("Data hash", hashes.join("; ")),
        ("Machine", escape(&p.machines.join("; "))),
        ("Threads a cell", p.threads.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
        ("Finished", escape(&between(&p.finished))),
    ];
    let known = rows.into_iter().filter(|(_, value)| !value.is_empty());
    out += &table(&["", ""], known.map(|(name, value)| vec![name.into(), value]).collect());
    out
}

fn data_section(data: &DataReport) -> String {
    let seeds: Vec<String> = data.seeds.iter().map(u64::to_string).collect();
    let mut out = format!(
        "\n## {}\n\n{} modalities ({}), {}, {} test samples, seeds {}.\n\n",
        escape(&data.name),
        data.modalities.len(),
        escape(&data.modalities.join(", ")),
        data.predicts,
        data.test_samples.iter().map(usize::to_string).collect::<Vec<_>>().join(" or "),
        seeds.join(", ")
    );
    let words = Words::from(&data.measure);
    for headline in &data.headlines {
        let found = escape(&words.sentence(headline, &data.reference));
        out += &format!("- **{}**: {}. {found}\n", headline.measure, words.with_range(&headline.value));
    }
    out += &list("Before reading the numbers", &data.remarks);
    out += &list("Remarks on the data as read", &data.data_remarks);
    if data.runs.is_empty() {
        return out + &samples(data);
    }
    out += &summary(data);
    out += &available::section(data);
    let meanings = data.runs.iter().filter(|r| !r.meaning.is_empty()).map(|r| format!("{}: {}", r.run, r.meaning));
    out += &list("What the methods do", &meanings.collect::<Vec<_>>());
    out += &pairs(data);
    out += &outputs(data);
    out += &by_group(data);
    out += &pixels(data);
    out += &samples(data);
    out += &severity(data);
    out += &sensors(data);
    out += &cost(data);
    let notes = data.runs.iter().flat_map(|r| r.notes.iter().map(|(note, seeds)| format!("{} (seed {}): {note}", r.run, join(seeds))));
    out + &list("Notes of the runs", &notes.collect::<Vec<_>>())
}

fn summary(data: &DataReport) -> String {
    let reference = format!("Δ mean to {}", escape(&data.reference));
    let words = Words::from(&data.measure);
    let judged = |d: Option<Difference>| d.map_or(["–".into(), "–".into()], |d| [words.difference(&d), d.verdict.to_string()]);
    let rows = data.runs.iter().map(|run| {
        let optional = |v: &Option<Value>| v.as_ref().map_or("–".into(), |v| words.value(v));
        let mean = words.with_range(&run.mean);
        let mut row = vec![escape(&run.run), mean, words.value(&run.worst), optional(&run.full), optional(&run.gap)];
        row.extend(judged(run.comparison.as_ref().and_then(|c| c.mean)));
        row
    });
    let mut out = format!("\n### Summary\n\n{}", table(&["Method", "Mean", "Worst", "Full", "Gap", &reference, "Verdict"], rows.collect()));
    if let Some(given) = &data.failure_rates {
        let rows = data.runs.iter().map(|run| {
            let expected = run
                .failure
                .as_ref()
                .map_or("–".into(), |f| format!("{} {}", words.with_range(&f.value), covered(f.covered)).trim_end().to_string());
            let mut row = vec![escape(&run.run), expected];
            row.extend(judged(run.comparison.as_ref().and_then(|c| c.failure)));
            row
        });
        out += &format!(
            "\n### Under failure\n\nThe mean over the combinations as often as each is left where sensors fail independently, given that not all do. \
             Rates: {}.\n\n{}",
            escape(&rates(given)),
            table(&["Method", "Mean under failure", &format!("Δ to {}", escape(&data.reference)), "Verdict"], rows.collect())
        );
    }
    out
}

fn pairs(data: &DataReport) -> String {
    if data.pairs.is_empty() {
        return String::new();
    }
    let words = Words::from(&data.measure);
    let judged = |d: Option<Difference>| d.map_or("–".into(), |d| format!("{}, {}", words.difference(&d), d.verdict));
    let of = |run: &str| data.runs.iter().find(|r| r.run == run);
    let rows = data.pairs.iter().map(|pair| {
        let value = |run: &str, which: fn(&RunReport) -> Value| of(run).map_or("–".into(), |r| words.score(which(r).interval.estimate));
        let both = |which| format!("{} / {}", value(&pair.run, which), value(&pair.peer, which));
        let c = pair.comparison.as_ref();
        let differences = [c.and_then(|c| c.mean), c.and_then(|c| c.worst), c.and_then(|c| c.full)].map(judged);
        [vec![escape(&pair.run), escape(&pair.peer), both(|r| r.mean), both(|r| r.worst)], differences.to_vec()].concat()
    });
    format!(
        "\n### Pairs\n\nEach run against its peer on the same samples and seeds, run minus peer. All pairs of a measure are judged together.\n\n{}",
        table(&["Run", "Peer", "Mean of both", "Worst of both", "Δ mean", "Δ worst", "Δ full"], rows.collect())
    )
}

fn outputs(data: &DataReport) -> String {
    let of_combination = |report: &OutputReport| {
        let head: Vec<&str> = std::iter::once("").chain(report.measures.iter().map(String::as_str)).collect();
        let score = |score: &Option<OverSeeds>| match score {
            Some(OverSeeds { mean, sd }) => {
                let sd = sd.map(|sd| format!(" ± {}", plain_number(sd))).unwrap_or_default();
                plain_number(*mean) + &sd
            }
            None => "–".into(),
        };
        let row = |output: &OutputScores| std::iter::once(escape(&output.name)).chain(output.scores.iter().map(score)).collect();
        let title = format!("{}, {}", report.run, report.combination);
        format!("\n### Each by itself: {}\n\n{}", escape(&title), table(&head, report.outputs.iter().map(row).collect()))
    };
    data.outputs.iter().map(of_combination).collect()
}

fn by_group(data: &DataReport) -> String {
    let words = Words::from(&data.measure);
    let of_combination = |report: &GroupReport| {
        let groups = report.groups.iter().map(|(group, samples)| format!("{} ({samples})", escape(group)));
        let head: Vec<String> = std::iter::once("Method".into()).chain(groups).collect();
        let score = |(at, score): (usize, &Option<OverSeeds>), run: &GroupScores| match score {
            Some(OverSeeds { mean, sd }) => {
                let (mark, of) = standing_in_group(report, run, at);
                format!("{}{mark} {} {of}", words.score(*mean), words.spread(*sd)).split_whitespace().collect::<Vec<_>>().join(" ")
            }
            None => "–".into(),
        };
        let row =
            |run: &GroupScores| std::iter::once(escape(&run.run)).chain(run.scores.iter().enumerate().map(|of| score(of, run))).collect();
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let table = table(&head, report.runs.iter().map(row).collect());
        let marked = if table.contains('†') { format!("\n{}\n", mark_in_words()) } else { String::new() };
        format!("\n### By group: {}\n\n{table}{marked}", escape(&report.combination))
    };
    data.by_group.iter().map(of_combination).collect()
}

fn pixels(data: &DataReport) -> String {
    let share =
        |value: Option<OverSeeds>| value.map_or("–".into(), |v| format!("{} {}", percent(v.mean), spread(v.sd)).trim_end().to_string());
    let row = |scores: &PixelScores| {
        let nll = scores.nll.map_or("–".into(), |v| format!("{:.3}", v.mean));
        let all = [share(scores.miou), share(scores.pixel_accuracy), share(scores.boundary_miou), nll, share(scores.ece)];
        let name = std::iter::once(escape(&scores.combination));
        name.chain(all).chain(scores.classes.iter().map(|class| share(*class))).collect()
    };
    let measures = ["Combination", "Mean IoU", "Pixel accuracy", "Boundary IoU", "Log loss", "Calibration error"];
    let classes: Vec<String> = data.classes.iter().map(|class| format!("IoU {}", escape(class))).collect();
    let head: Vec<&str> = measures.into_iter().chain(classes.iter().map(String::as_str)).collect();
    let of_run = |run: &PixelReport| {
        format!("\n### Classes of pixels: {}\n\n{}", escape(&run.run), table(&head, run.combinations.iter().map(row).collect()))
    };
    data.pixels.iter().map(of_run).collect()
}

fn samples(data: &DataReport) -> String {
    // Combinations that a model does not support are named in a remark.
    let incomplete: Vec<_> = data.incomplete.iter().filter(|c| !c.standing.is_unsupported()).collect();
    if incomplete.is_empty() && data.readings.iter().all(|r| r.absent + r.non_finite == 0) {
        let all = "Every test sample has a reading of every modality, and every combination stands on all of them.";
        return format!("\n### Test samples\n\n{all}\n");
    }
    let readings = data.readings.iter().map(|r| {
        let counts = [r.present, r.absent, r.non_finite].map(|n| n.to_string());
        std::iter::once(escape(&r.modality)).chain(counts).collect()
    });
    let mut out = format!(
        "\n### Test samples\n\nReadings in the test parts of all seeds together; a reading with a value that is not finite counts as absent.\n\n{}",
        table(&["Modality", "Present", "Absent", "Not finite"], readings.collect())
    );
    if !incomplete.is_empty() {
        let rows = incomplete.iter().map(|c| {
            let e = &c.standing.excluded;
            let runs = if c.runs.is_empty() { "all".into() } else { escape(&c.runs.join(", ")) };
            let samples = format!("{}{}", c.standing.samples, mark(c.standing.few));
            vec![escape(&c.combination), runs, samples, e.absent.to_string(), e.non_finite.to_string(), e.unusable.to_string()]
        });
        out += &format!(
            "\nCombinations that leave samples out or stand on few. Samples are distinct ones, of all seeds together; what is left out is summed over \
             the seeds. {}\n\n{}",
            mark_in_words(),
            table(&["Combination", "Runs", "Samples", "Left out: absent", "not finite", "of no use to the model"], rows.collect())
        );
    }
    out
}

fn severity(data: &DataReport) -> String {
    let words = Words::from(&data.measure);
    let rows: Vec<Vec<String>> = data
        .severity
        .iter()
        .flat_map(|report| {
            report.runs.iter().map(|run| {
                let (delta, verdict) =
                    run.comparison.as_ref().map_or(("–".into(), "–".into()), |c| (words.difference(c), c.verdict.to_string()));
                let area = run.area.as_ref().map_or("–".into(), |area| words.interval(area));
                let run_in = [&report.condition.corruption, &report.condition.subset, &run.run].map(|name| escape(name));
                [run_in.as_slice(), &[area, most_severe(run, words), delta, verdict]].concat()
            })
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let reference = format!("Δ to {}", escape(&data.reference));
    format!(
        "\n### Degraded sensors: {} averaged from clean to the most severe (trapezoid)\n\n{}",
        data.measure.title,
        table(&["Corruption", "Sensors", "Method", "Area", "Most severe", &reference, "Verdict"], rows)
    )
}

fn sensors(data: &DataReport) -> String {
    let Some(report) = &data.sensors else { return String::new() };
    let words = Words::from(&data.measure);
    let sensors = report.sensors.iter().map(|s| {
        let alone = s.alone.as_ref().map_or("–".into(), |v| words.score(v.accuracy));
        let shapley = s.shapley.as_ref().map_or("–".into(), |value| words.points_interval(value));
        vec![escape(&s.modality), alone, shapley, s.missed.map_or("–".into(), |missed| words.difference_of(missed))]
    });
    let shown = report.sets.iter().enumerate().filter(|(i, set)| *i < SETS_SHOWN || set.front).map(|(_, set)| {
        let accuracy = set.value.interval.as_ref().map_or_else(|| words.score(set.value.accuracy), |interval| words.interval(interval));
        let gain = set.gain.map_or(if set.front { "on the front".into() } else { String::new() }, |gain| words.difference_of(gain));
        vec![escape(&set.name), set.sensors.to_string(), accuracy, gain]
    });
    format!(
        "\n### Which sensors are worth their cost ({})\n\n{}\n{}",
        escape(&report.run),
        table(&["Sensor", "Alone", "Shapley value", "Lost without it"], sensors.collect()),
        table(&["Sensors", "Number", &data.measure.heading(), "Gain along the Pareto front"], shown.collect())
    )
}

fn cost(data: &DataReport) -> String {
    if data.runs.iter().all(|run| run.cost.is_none()) {
        return String::new();
    }
    let rows = data.runs.iter().map(|run| {
        let Some(c) = &run.cost else { return std::iter::once(escape(&run.run)).chain(vec!["not given".into(); 5]).collect() };
        let passes = format!("{:.1}", c.encoder_passes_per_batch);
        vec![
            escape(&run.run),
            seconds(c.train_seconds),
            seconds(c.evaluation_seconds),
            passes,
            thousands(c.deployed_parameters),
            megabytes(c.peak_memory_bytes),
        ]
    });
    format!(
        "\n### Cost of a cell\n\n{}",
        table(&["Method", "Training", "Evaluation", "Encoder passes a batch", "Deployed parameters", "Peak memory"], rows.collect())
    )
}

fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let rule = vec!["---".to_string(); head.len()];
    [line(&head), line(&rule), rows.iter().map(|r| line(r)).collect()].concat()
}

fn list(title: &str, items: &[String]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let items: String = items.iter().map(|i| format!("- {}\n", escape(i))).collect();
    format!("\n**{title}**\n\n{items}")
}

fn join(seeds: &[u64]) -> String {
    seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

/// Text as it is, whatever it holds: no markup, no new column, one line.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '#' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
