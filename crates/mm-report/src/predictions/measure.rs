//! The task of a data set, and the score that heads its report.

use super::data_set::DataSet;
use super::error::Result;
use super::kind::Kind;
use super::settings::FolderSettings;
use crate::result::Measured;
use mm_core::data::{Target, nearest};
use mm_core::statistics::{mean, standard_deviation};
use mm_core::task::{FaceAntiSpoofing, Labels, Numbers, PixelClasses};

impl DataSet {
    /// What is predicted, numbers in standard deviations from a mean.
    pub fn target(&self, scale: &[[f64; 2]]) -> Target {
        let names = self.names.clone();
        match (self.kind, names.as_slice(), &self.of_interest) {
            (Kind::Classes, [attack, live], _) if self.attacks => {
                Target::FaceAntiSpoofing(FaceAntiSpoofing::new([attack.clone(), live.clone()]))
            }
            (Kind::Classes, ..) => Target::of_classes(names),
            (Kind::Labels, ..) => Target::Labels(Labels::new(names)),
            (Kind::Numbers, ..) => Target::Numbers(Numbers::new(names).scaled(scale.to_vec())),
            (Kind::Pixels, _, None) => Target::Pixels(PixelClasses::new(names)),
            (Kind::Pixels, _, Some(class)) => Target::Pixels(PixelClasses::new(names).of_interest(class.clone())),
        }
    }

    /// Mean and standard deviation of each number, as far as its truths are known: the squares of numbers far from 0 would lose their digits.
    pub fn scale(&self) -> Vec<[f64; 2]> {
        if self.kind != Kind::Numbers {
            return Vec::new();
        }
        let of = |number: usize| {
            let truths: Vec<f64> = self.truths.known().map(|truth| truth[number]).collect();
            let mean = mean(&truths);
            // Of equal values the mean is rounded, and the distances from it are no spread.
            let spread = standard_deviation(&truths).filter(|spread| spread.is_normal() && *spread > 1e-12 * mean.abs());
            [mean, spread.unwrap_or(1.0)]
        };
        (0..self.names.len()).map(of).collect()
    }

    /// The score: that of finished cells, of `predictions.toml`, or the first of the task.
    pub fn measured(&self) -> Measured {
        self.measure.clone().or_else(|| Measured::of(&self.target(&[]), None)).unwrap_or_default()
    }

    /// Takes over the score that a folder asks for; refuses one that there is not, or that contradicts.
    pub fn measure_by(&mut self, settings: &FolderSettings) -> Result<()> {
        if let Some(class) = &settings.of_interest {
            self.of_interest(class, settings)?;
        }
        let Some(name) = &settings.score else { return Ok(()) };
        if let Some(known) = self.measure.as_ref().filter(|known| known.name != *name) {
            let by = if self.is_finished { "the finished cells have" } else { "another folder asks for" };
            let problem = format!("`score = \"{name}\"`, but {by} `{}` for data {}", known.name, self.name);
            return Err(settings.error(problem));
        }
        let target = self.target(&[]);
        if self.measure.is_none() {
            self.measure = Some(Measured::of(&target, Some(name)).ok_or_else(|| {
                let heading = target.task().measures().iter().map(|m| m.name).filter(|name| target.task().score(name).is_some());
                let hint = hint(name, heading);
                settings.error(format!("`score = \"{name}\"` is no score of {} that a report can have; {hint}", self.kind.noun()))
            })?);
        }
        Ok(())
    }

    fn of_interest(&mut self, class: &str, settings: &FolderSettings) -> Result<()> {
        let problem = match self.of_interest.as_deref() {
            _ if self.kind != Kind::Pixels => format!("the data is of {}; only a segmentation has one", self.kind.noun()),
            _ if !self.names.iter().any(|name| name == class) => {
                format!("data {} has no such class; {}", self.name, hint(class, self.names.iter().map(String::as_str)))
            }
            Some(known) if known != class => format!("that of data {} is `{known}`", self.name),
            None if self.measure.is_some() => format!("the score of data {} is of all classes", self.name),
            _ => {
                self.of_interest = Some(class.into());
                return Ok(());
            }
        };
        Err(settings.error(format!("`of_interest = \"{class}\"`, but {problem}")))
    }
}

fn hint<'a>(name: &str, all: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(name, all.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", all.collect::<Vec<_>>().join(", ")),
    }
}
