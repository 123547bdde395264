//! Which cells of a plan this process runs, where several machines share one.

use super::cell::CellSpec;
use anyhow::{Context, Result, anyhow, bail};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// One part of a plan's cells: the `part`-th, from 1, of `of`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub part: usize,
    /// How many there are.
    pub of: usize,
}

/// What `--shard` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardArgument {
    /// `I/N`.
    Given(Shard),
    /// `auto`, or `auto/N`: the part is the number of a scheduler's task.
    Auto(Option<usize>),
}

/// More parts than anyone has machines: a slip of the keyboard.
const MOST: usize = 100_000;

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

impl FromStr for ShardArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let count = |text: &str| text.parse().ok().filter(|count| (1..=MOST).contains(count));
        let wrong = || format!("it is `I/N`, such as `1/4` for the first of 4 parts, `auto` or `auto/N`; N is at most {MOST}");
        match text.split_once('/') {
            None if text == "auto" => Ok(Self::Auto(None)),
            None => Err(wrong()),
            Some(("auto", of)) => Ok(Self::Auto(Some(count(of).ok_or_else(wrong)?))),
            Some((part, of)) => match (part.parse::<usize>(), count(of)) {
                (Ok(0), Some(of)) => Err(format!("parts are counted from 1: the first is `1/{of}`, the last `{of}/{of}`")),
                (Ok(part), Some(of)) if part <= of => Ok(Self::Given(Shard { part, of })),
                (Ok(part), Some(of)) => Err(format!("there is no part {part} of {of}: the last is `{of}/{of}`")),
                _ => Err(wrong()),
            },
        }
    }
}

impl ShardArgument {
    /// The part; `auto` asks the environment.
    pub fn resolve(self, environment: impl Fn(&str) -> Option<String>) -> Result<Shard> {
        match self {
            Self::Given(shard) => Ok(shard),
            Self::Auto(of) => automatic(of, environment).context("`--shard auto`"),
        }
    }
}

/// Variables of schedulers that number their tasks from 0 or as the user says, and do not tell how many there are.
const UNCOUNTED: [&str; 2] = ["JOB_COMPLETION_INDEX", "HQ_TASK_ID"];

/// The part that the scheduler's variables tell: Slurm's job arrays, Kubernetes' Indexed Jobs, HyperQueue's task arrays.
fn automatic(of: Option<usize>, environment: impl Fn(&str) -> Option<String>) -> Result<Shard> {
    let number = |name: &str| -> Result<Option<usize>> {
        let Some(text) = environment(name) else { return Ok(None) };
        Ok(Some(text.trim().parse().map_err(|_| anyhow!("the variable {name} is `{text}`, which is no number"))?))
    };
    let (index, of, variable) = match number("SLURM_ARRAY_TASK_ID")? {
        Some(id) => {
            let needed = |name: &str| number(name)?.with_context(|| format!("the variable {name} is not set: give `--shard I/N`"));
            let (first, step) = (needed("SLURM_ARRAY_TASK_MIN")?, number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1));
            let of = of.map_or_else(|| needed("SLURM_ARRAY_TASK_COUNT"), Ok)?;
            (id.checked_sub(first).map(|past| past / step), of, "SLURM_ARRAY_TASK_ID")
        }
        None => {
            let found = UNCOUNTED.iter().find_map(|name| number(name).map(|found| Some((found?, *name))).transpose()).transpose()?;
            let Some((index, name)) = found else {
                bail!(
                    "none of the variables SLURM_ARRAY_TASK_ID, {} is set: this is no task of an array; give `--shard I/N`",
                    UNCOUNTED.join(", ")
                );
            };
            let of = of.with_context(|| format!("{name} does not say of how many tasks: give their number, `--shard auto/N`"))?;
            (Some(index), of, name)
        }
    };
    match index {
        Some(index) if index < of => Ok(Shard { part: index + 1, of }),
        _ => bail!(
            "{variable} is {}, which is no part of {of}: number the tasks without gaps, and give `auto/N` for N of them from 0, or `I/N`",
            environment(variable).unwrap_or_default()
        ),
    }
}

impl Shard {
    /// The cells of this part, in the plan's order. Every part finds the same division, from the plan and the data alone: a teacher stays
    /// together with the cells that need it, and such groups go, the longest first, to the part that has least to do.
    pub fn of(self, cells: &[CellSpec]) -> Vec<CellSpec> {
        let mut groups: BTreeMap<&str, BTreeMap<&str, f64>> = BTreeMap::new();
        for cell in cells {
            groups.entry(group(cell)).or_default().insert(&cell.key, cell.estimated_seconds);
        }
        let mut groups: Vec<(&str, f64)> = groups.into_iter().map(|(group, cells)| (group, cells.values().sum())).collect();
        groups.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        let mut work: Vec<f64> = vec![0.0; self.of];
        let mut part_of = BTreeMap::new();
        for (group, seconds) in groups {
            let least = work.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(part, _)| part);
            work[least] += seconds;
            part_of.insert(group, least + 1);
        }
        cells.iter().filter(|cell| part_of.get(group(cell)) == Some(&self.part)).cloned().collect()
    }
}

/// The key of the teacher of a cell, or its own.
fn group(cell: &CellSpec) -> &str {
    cell.resolved.teacher.as_ref().unwrap_or(&cell.key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Plan, Registry};
    use std::collections::BTreeSet;

    fn auto(of: Option<usize>, variables: &[(&str, &str)]) -> Result<String, String> {
        let environment = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string());
        ShardArgument::Auto(of).resolve(environment).map(|shard| shard.to_string()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn parts_are_written_from_one() {
        assert_eq!("2/3".parse(), Ok(ShardArgument::Given(Shard { part: 2, of: 3 })));
        assert_eq!("auto/12".parse(), Ok(ShardArgument::Auto(Some(12))));
        for (text, part) in [("0/4", "the first is `1/4`"), ("5/4", "no part 5 of 4"), ("1/0", "it is `I/N`"), ("one", "it is `I/N`")] {
            assert!(text.parse::<ShardArgument>().unwrap_err().contains(part), "{text}");
        }
    }

    #[test]
    fn schedulers_number_their_tasks_each_in_its_way() {
        let slurm = |id, min, count, step| {
            auto(
                None,
                &[
                    ("SLURM_ARRAY_TASK_ID", id),
                    ("SLURM_ARRAY_TASK_MIN", min),
                    ("SLURM_ARRAY_TASK_COUNT", count),
                    ("SLURM_ARRAY_TASK_STEP", step),
                ],
            )
        };
        assert_eq!(slurm("0", "0", "4", "1"), Ok("1/4".into()));
        assert_eq!(slurm("4", "1", "4", "1"), Ok("4/4".into()));
        assert_eq!(slurm("14", "2", "4", "4"), Ok("4/4".into()));
        // `--array=3,9`: two tasks whose numbers say nothing.
        assert!(slurm("9", "3", "2", "1").unwrap_err().contains("is 9, which is no part of 2"));
        assert_eq!(auto(Some(8), &[("JOB_COMPLETION_INDEX", "7")]), Ok("8/8".into()));
        assert_eq!(auto(Some(8), &[("HQ_TASK_ID", "0")]), Ok("1/8".into()));
        assert!(auto(None, &[("HQ_TASK_ID", "0")]).unwrap_err().contains("`--shard auto/N`"));
        assert!(auto(Some(8), &[("HQ_TASK_ID", "8")]).unwrap_err().contains("no part of 8"));
        assert!(auto(Some(8), &[("HQ_TASK_ID", "x")]).unwrap_err().contains("`x`, which is no number"));
        assert!(auto(None, &[]).unwrap_err().contains("no task of an array"));
    }

    #[test]
    fn each_cell_is_of_one_part_and_with_its_teacher() {
        let cells = Plan::read(None).unwrap().cells(&Registry::default()).unwrap();
        let keys = |cells: &[CellSpec]| cells.iter().map(|cell| cell.key.clone()).collect::<Vec<_>>();
        assert_eq!(keys(&Shard { part: 1, of: 1 }.of(&cells)), keys(&cells));
        for of in [2, 3, 7, 1000] {
            let parts: Vec<Vec<CellSpec>> = (1..=of).map(|part| Shard { part, of }.of(&cells)).collect();
            assert_eq!(parts.iter().flat_map(|part| keys(part)).collect::<BTreeSet<_>>(), keys(&cells).into_iter().collect());
            assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), cells.len(), "no cell is of two parts");
            for part in &parts {
                let keys = keys(part);
                assert!(part.iter().filter_map(|cell| cell.resolved.teacher.as_ref()).all(|teacher| keys.contains(teacher)));
            }
            let work = |part: &Vec<CellSpec>| part.iter().map(|cell| cell.estimated_seconds).sum::<f64>();
            let (most, all) = (parts.iter().map(work).fold(0.0, f64::max), cells.iter().map(|cell| cell.estimated_seconds).sum::<f64>());
            let fair = all / of as f64;
            assert!(of == 1000 || most < 1.5 * fair, "{of} parts: the longest has {most:.0} s of {all:.0}");
        }
    }
}
