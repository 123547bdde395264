//! What the answers of a table add up to: which sensors were used, which ignored and why, and how often the class was right.

use super::format::Answered;
use mm_core::Pipeline;
use mm_core::data::class_position;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Counts of rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// By the sensors that were used, such as `rgb+depth`.
    combinations: BTreeMap<String, Count>,
    /// By sensor and reason, such as `depth: dead`; absent ones are not counted.
    ignored: BTreeMap<String, u64>,
    /// By sensor, rows in which it was used, and of these where its reading lay far from those of the training.
    #[serde(default)]
    far: BTreeMap<String, [u64; 2]>,
    /// Rows without any sensor that can be used.
    nothing: u64,
}

/// Told where so many rows are far, and one in ten of those that have the sensor.
const FAR_ROWS: u64 = 3;

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Count {
    rows: u64,
    /// Of these, with a label that is a class of the model.
    labelled: u64,
    right: u64,
}

impl Tally {
    /// Counts the answer of a row.
    pub fn add(&mut self, model: &Pipeline, label: Option<&str>, answer: &Answered) {
        let ignored = match answer {
            Ok(answer) => &answer.ignored,
            Err(ignored) => ignored,
        };
        for ignored in ignored.iter().filter(|ignored| ignored.reason != mm_core::pipeline::Reason::Absent) {
            *self.ignored.entry(format!("{}: {}", ignored.modality, ignored.reason.word())).or_default() += 1;
        }
        let Ok(answer) = answer else {
            self.nothing += 1;
            return;
        };
        for sensor in &answer.used {
            let [used, far] = self.far.entry(sensor.clone()).or_default();
            *used += 1;
            *far += u64::from(answer.far.contains(sensor));
        }
        let count = self.combinations.entry(answer.used.join("+")).or_default();
        count.rows += 1;
        let classes = model.schema().target.class_names();
        if let Some(class) = label.and_then(|label| class_position(classes, label)) {
            count.labelled += 1;
            count.right += u64::from(answer.class == classes[class]);
        }
    }

    /// Rows with an answer.
    pub fn answered(&self) -> u64 {
        self.combinations.values().map(|count| count.rows).sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.combinations.keys().map(|name| name.chars().count()).max().unwrap_or(0).max("sensors used".len());
        let total = self.combinations.values().fold(Count::default(), |sum, count| Count {
            rows: sum.rows + count.rows,
            labelled: sum.labelled + count.labelled,
            right: sum.right + count.right,
        });
        let labelled = total.labelled > 0;
        writeln!(f, "{:longest$}      rows{}", "sensors used", if labelled { "  labelled  accuracy" } else { "" })?;
        let all = ("all".to_string(), total);
        let several = self.combinations.len() > 1;
        for (name, count) in self.combinations.iter().chain(several.then_some((&all.0, &all.1))) {
            write!(f, "{name:longest$}  {:8}", count.rows)?;
            match (labelled, count.labelled) {
                (false, _) => writeln!(f)?,
                (true, 0) => writeln!(f, "         0")?,
                (true, n) => writeln!(f, "  {n:8}  {:.4}", count.right as f64 / n as f64)?,
            }
        }
        if self.nothing > 0 {
            let rows = if self.nothing == 1 { "1 row has".into() } else { format!("{} rows have", self.nothing) };
            writeln!(f, "{rows} no sensor that can be used, and no answer")?;
        }
        self.ignored.iter().try_for_each(|(what, count)| writeln!(f, "ignored {count} times: {what}"))?;
        let mut far = self.far.iter().filter(|(_, [used, far])| *far >= FAR_ROWS && 10 * far >= *used);
        far.try_for_each(|(sensor, [used, far])| {
            writeln!(
                f,
                "{sensor}: in {far} of {used} rows it lies far from all that the training had: is the unit another one, or does a number stand for \
                 no reading?"
            )
        })
    }
}
