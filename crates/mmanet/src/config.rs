//! Settings of the method.

use crate::{DenseMmanet, Mmanet};
use mm_core::dense::DenseModel;
use mm_core::fusion::{FusionModel, NetworkConfig};
use mm_core::missing::MissingPattern;
use mm_core::recipe::{Recipe, RecipeCost, Setup};
use mm_core::teacher::{CachedTeacher, DEFAULT_CACHE_MIB, Teacher};
use mm_core::train::Method;
use mm_core::{Error, Modalities, Model, Presence, Result, Subset};
use serde::{Deserialize, Serialize};

/// Settings of MMANet; the defaults are those recommended for vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MmanetConfig {
    /// Deployment network; the teacher and the regularization branch have its shape.
    pub network: NetworkConfig,
    /// How sensors go missing in training.
    pub missing: MissingPattern,
    /// Weight of the margin-aware distillation (30 in the paper's face anti-spoofing, 4 to 10 in segmentation).
    pub lambda_mad: f64,
    /// Weight of the extra supervision of weak combinations (0.5 in the paper, for the regularization branch).
    pub lambda_mar: f64,
    /// Epochs of plain training before distillation and regularization begin; mining happens in them.
    pub begin_epoch: usize,
    /// How the margin weighs the distillation.
    pub weighting: Weighting,
    /// How combinations are ranked when weak ones are mined; where every pixel has a class, by their mean IoU whatever is set here.
    pub ranking: Ranking,
    /// How many of the highest-ranked combinations are weak. Default: 3 for three modalities, else a quarter of all proper
    /// subsets, at most 16; where every pixel has a class, 1.
    pub weak_count: Option<usize>,
    /// Weak combinations by hand, such as `["depth", "depth+ir"]`, instead of mining.
    pub weak_combinations: Option<Vec<String>>,
    /// What the extra supervision of weak combinations acts on.
    pub supervision: WeakSupervision,
    /// Keep the teacher's outputs per sample. Augmented batches are never cached.
    pub cache_teacher: bool,
    /// Memory for them in MiB; samples that find no place are asked for again, with the same bits.
    pub teacher_cache_mib: usize,
}

impl Default for MmanetConfig {
    fn default() -> Self {
        Self {
            network: NetworkConfig::default(),
            missing: MissingPattern::Uniform,
            lambda_mad: 10.0,
            lambda_mar: 1.0,
            begin_epoch: 5,
            weighting: Weighting::Sample,
            ranking: Ranking::PerSample,
            weak_count: None,
            weak_combinations: None,
            supervision: WeakSupervision::default(),
            cache_teacher: true,
            teacher_cache_mib: DEFAULT_CACHE_MIB,
        }
    }
}

impl MmanetConfig {
    /// The published settings and network for face anti-spoofing with cameras at 112x112 (CASIA-SURF).
    pub fn face_anti_spoofing() -> Self {
        Self {
            network: NetworkConfig::shared_resnet18(),
            lambda_mad: 30.0,
            lambda_mar: 0.5,
            weighting: Weighting::Reference,
            ranking: Ranking::SoftmaxTwice,
            supervision: WeakSupervision::Branch,
            ..Self::default()
        }
    }

    fn check(&self) -> Result<()> {
        self.network.validate()?;
        for (field, value) in [("lambda_mad", self.lambda_mad), ("lambda_mar", self.lambda_mar)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::config(field, format!("must be a number that is not negative, found {value}")));
            }
        }
        if self.weak_count == Some(0) {
            return Err(Error::config("weak_count", "must be at least 1; to turn the regularization off set `lambda_mar = 0`"));
        }
        if self.lambda_mar > 0.0 && self.weak_combinations.is_none() && self.begin_epoch < 2 {
            return Err(Error::config("begin_epoch", "mining needs at least 2 epochs of plain training before it"));
        }
        Ok(())
    }
}

impl MmanetConfig {
    /// Refuses settings that cannot work for these modalities.
    pub fn check_modalities(&self, modalities: &Modalities) -> Result<()> {
        if modalities.len() < 2 {
            return Err(Error::config("modalities", "MMANet with one modality is plain training: use two or more"));
        }
        let mut by_hand = self.weak_combinations.iter().flatten();
        by_hand.try_for_each(|name| modalities.parse(name).map(|_| ()))?;
        self.missing.check(modalities)
    }

    /// Refuses settings that have no meaning where every pixel has a class.
    pub(crate) fn check_dense(&self) -> Result<()> {
        match self.ranking {
            Ranking::PerSample => Ok(()),
            Ranking::Histogram | Ranking::SoftmaxTwice => Err(Error::config(
                "ranking",
                "where every pixel has a class, combinations are ranked by how far their mean IoU falls: leave `ranking` out",
            )),
        }
    }

    /// The teacher, with its answers kept if the settings say so.
    pub(crate) fn cached(&self, teacher: impl Teacher + 'static) -> Box<dyn Teacher> {
        match self.cache_teacher {
            true => Box::new(CachedTeacher::with_budget(Box::new(teacher), self.teacher_cache_mib)),
            false => Box::new(teacher),
        }
    }

    /// Whether weak combinations are still to be found when this epoch ends.
    pub(crate) fn mines_in(&self, epoch: usize) -> bool {
        self.lambda_mar > 0.0 && self.weak_combinations.is_none() && epoch < self.begin_epoch
    }

    /// Whether an epoch in which they are adds to the distances: counted from 1 as in the paper, epochs 2 to `begin_epoch - 1` (or the last
    /// one before the beginning).
    pub(crate) fn measures_in(&self, epoch: usize) -> bool {
        let begin = self.begin_epoch;
        (epoch >= 1 && epoch + 1 < begin) || begin == 2 && epoch == 1
    }
}

impl Recipe for MmanetConfig {
    const FAMILY: &'static str = "mmanet";
    type Model = FusionModel;
    type Method = Mmanet;

    fn model(&self, setup: &Setup) -> Result<FusionModel> {
        FusionModel::new(&self.network, setup.schema(), setup.parameters())
    }

    fn method(&self, setup: &Setup, teacher: Option<Box<dyn Teacher>>) -> Result<Mmanet> {
        Mmanet::new(self.clone(), setup, Self::need(teacher)?)
    }

    fn dense_model(&self, setup: &Setup) -> Result<Box<dyn Model>> {
        let (schema, dense) = (setup.schema(), self.network.dense.clone().unwrap_or_default());
        Ok(Box::new(DenseModel::new(&dense, schema, schema.target.classes(), setup.parameters())?))
    }

    fn dense_method(&self, setup: &Setup, teacher: Option<Box<dyn Teacher>>) -> Result<Box<dyn Method>> {
        Ok(Box::new(DenseMmanet::new(self.clone(), setup, Self::need(teacher)?)?))
    }

    fn network(&self) -> &NetworkConfig {
        &self.network
    }

    fn network_mut(&mut self) -> &mut NetworkConfig {
        &mut self.network
    }

    fn validate(&self) -> Result<()> {
        self.check()
    }

    fn check_samples(&self, modalities: &Modalities, train: &Presence, validation: &Presence) -> Result<()> {
        self.check_modalities(modalities)?;
        self.missing.check_samples(train, modalities)?;
        let mines = self.lambda_mar > 0.0 && self.weak_combinations.is_none();
        match mines && !validation.subsets().contains(&modalities.full()) {
            true => Err(Error::config(
                "weak_combinations",
                format!(
                    "MMANet mines weak combinations by what they predict beside the full one, but none of the {} validation samples has all of \
                     {}; give complete ones, name the weak combinations (`weak_combinations = [\"{}\"]`), or do without (`lambda_mar = 0`)",
                    validation.len(),
                    modalities.format(modalities.full()),
                    modalities.names()[0]
                ),
            )),
            false => Ok(()),
        }
    }

    fn teacher_sees(&self, modalities: &Modalities) -> Result<Option<Subset>> {
        Ok(Some(modalities.full()))
    }

    fn begins(&self) -> Option<(&'static str, usize)> {
        (self.lambda_mad > 0.0 || self.lambda_mar > 0.0).then_some(("begin_epoch", self.begin_epoch))
    }

    fn cost(&self, modalities: &Modalities) -> Result<RecipeCost> {
        Ok(RecipeCost { step: 2.0, ..RecipeCost::of_one_network(modalities) })
    }
}

/// Which sample's margin weighs an entry of the similarity difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// Row `i` by the margin of sample `i`: the meaning of the paper's text.
    #[default]
    Sample,
    /// Column `j` by the margin of partner `j`: what the published classification code does.
    Reference,
}

/// How far a combination's predictions are from those of the full combination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ranking {
    /// Mean over samples of KL(p_full ‖ p_c): also sees which samples moved.
    #[default]
    PerSample,
    /// KL of the smoothed histograms of predicted classes.
    Histogram,
    /// As the published code: KL of the softmax of the histograms.
    SoftmaxTwice,
}

/// What the extra supervision of weak combinations acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeakSupervision {
    /// The regularization branch, on the samples that happen to have a weak combination (Eq. 14): the published form.
    Branch,
    /// The deployment network itself, on every sample with a second combination drawn from the weak ones: ours, and the
    /// better one on the six-view numerals (docs/src/notes/mmanet.md).
    #[default]
    Redraw,
    /// Both, each with weight `lambda_mar`.
    Both,
}
