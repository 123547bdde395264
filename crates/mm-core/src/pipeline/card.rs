//! The model card of a saved model: `README.md` in its folder.

use super::{Latency, PipelineConfig};
use crate::data::kinds::SavedKind;
use crate::data::{InputKind, InputSpec, Target};
use crate::model::Model;
use std::fmt::Write;

/// What the model is, what it reached with each combination, and how to load it.
pub(super) fn text(config: &PipelineConfig, model: &dyn Model) -> String {
    let PipelineConfig { family, schema, kinds, columns, training, evaluation, latency, .. } = config;
    let mut card = String::new();
    // Writing to a string does not fail.
    let mut line = |text: std::fmt::Arguments| _ = writeln!(card, "{text}");
    line(format_args!("# A model of `{family}` for {}\n", schema.modalities));
    line(format_args!("It predicts from any of its sensors that are alive; what is absent is left out, not filled in.\n"));
    line(format_args!("| sensor | form |\n|---|---|"));
    for (m, (name, input)) in schema.modalities.names().iter().zip(&schema.inputs).enumerate() {
        let read = if model.reads().contains(m) { "" } else { "; served training only, not read" };
        line(format_args!("| {name} | {:?}, shape {:?}{read} |", input.kind, input.shape));
    }
    let predicted = match &schema.target {
        Target::Labels(_) => "Labels, any number of which hold",
        Target::Numbers(_) => "Numbers, in the unit of the data",
        _ => "Classes",
    };
    let outputs: Vec<String> = schema.target.output_names().iter().map(|name| as_text(name)).collect();
    line(format_args!("\n{predicted}: {}.\n", outputs.join(", ")));
    let config = &training.config;
    line(format_args!(
        "Trained on {} samples: {} epochs of batches of {}, {} steps, seed {}.",
        training.samples, config.epochs, config.batch_size, training.steps, config.seed
    ));
    if let Some(data) = &training.data {
        line(format_args!("SHA-256 of the data: `{data}`."));
    }
    match evaluation {
        None => line(format_args!("\nIt was not evaluated before it was saved.")),
        Some(evaluated) => {
            let timed = if latency.is_some() { " milliseconds for one sample | 9 of 10 within |" } else { "" };
            let rule = if latency.is_some() { "---|---|" } else { "" };
            // Scores that are no means over samples have none.
            let intervals = evaluated.combinations.iter().any(|c| c.interval.is_some());
            let (of_intervals, rule) = if intervals { (" 95 % interval |", format!("---|{rule}")) } else { ("", rule.to_string()) };
            line(format_args!(
                "\n## What it reaches\n\n| sensors alive | samples | {} |{of_intervals}{timed}\n|---|---|---|{rule}",
                evaluated.measure
            ));
            for c in &evaluated.combinations {
                let score = c.in_digits(&evaluated.measure);
                let interval = c.interval.map_or(String::new(), |[low, high]| format!("{low:.3} to {high:.3}"));
                let interval = if intervals { format!(" {interval} |") } else { String::new() };
                let time = latency.as_ref().map(|latency| match latency.of(&c.combination) {
                    Some(time) => format!(" {:.2} | {:.2} |", time.median_ms, time.p90_ms),
                    None => " | |".into(),
                });
                line(format_args!("| {} | {} | {score} |{interval}{}", c.combination, c.samples, time.unwrap_or_default()));
            }
            let over = if intervals { "Intervals are over samples of one training; another" } else { "Another" };
            line(format_args!("\n{over} seed gives another model."));
            if let Some(Latency { machine, threads, from_files, .. }) = latency {
                let what = if *from_files {
                    "from its files, which were in the system's memory, to the answer"
                } else {
                    "from its numbers to the answer"
                };
                line(format_args!("Times are of one sample at a time, {what}, with {threads} threads on {machine}."));
            }
        }
    }
    for note in &training.notes {
        line(format_args!("\n- {note}"));
    }
    line(format_args!("\n## Use\n\n```sh\nmm predict --model this-folder --manifest samples.csv --out answers.csv\n```\n"));
    line(format_args!("Or in a program:\n\n```rust,ignore\nuse mm_core::pipeline::Readings;\n"));
    line(format_args!("let model = mm_bench::from_pretrained(\"this-folder\")?;"));
    let names = schema.modalities.names();
    let given = given(&names[0], &schema.inputs[0], kinds[0].as_ref(), columns.variables.contains_key(&names[0]));
    line(format_args!("let answer = model.predict(&Readings::new(){given})?; // any of {}", names.join(", ")));
    if schema.target.is_dense() {
        line(format_args!("if let Some(pixels) = &answer.pixels {{\n    std::fs::write(\"classes.png\", pixels.to_png()?)?;\n}}"));
        line(format_args!("println!(\"from {{:?}}, ignored {{:?}}\", answer.used, answer.ignored);\n```"));
        return card;
    }
    let what = match &schema.target {
        Target::Labels(_) => "labels",
        Target::Numbers(_) => "numbers",
        _ => "class",
    };
    let form = if what == "class" { "{}" } else { "{:?}" };
    line(format_args!("println!(\"{form} from {{:?}}, ignored {{:?}}\", answer.{what}, answer.used, answer.ignored);\n```"));
    card
}

/// How a program gives a reading of a sensor; `named`: its numbers stood in columns.
fn given(name: &str, input: &InputSpec, kind: Option<&SavedKind>, named: bool) -> String {
    match kind.map(|kind| kind.kind.as_str()) {
        Some("text") => format!(".text({name:?}, \"some words\")"),
        Some(_) if !named => format!(".file({name:?}, \"a-file\")"),
        _ if input.kind == InputKind::Vector => format!(".vector({name:?}, [0.5; {}])", input.elements()),
        _ => format!(".array({name:?}, array)"),
    }
}

/// A name that Markdown would take for more than text, or a list for several.
fn as_text(name: &str) -> String {
    let last = name.chars().count().saturating_sub(1);
    let mut text = String::new();
    for (at, c) in name.chars().enumerate() {
        // Within a word an underscore is one.
        if "\\`*[]<>|#".contains(c) || c == '_' && (at == 0 || at == last) {
            text.push('\\');
        }
        text.push(c);
    }
    if name.contains(',') { format!("\"{text}\"") } else { text }
}
