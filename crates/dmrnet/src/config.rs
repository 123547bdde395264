//! Settings of the method.

use crate::{DenseDmrnet, DenseDmrnetModel, Dmrnet, DmrnetModel};
use mm_core::fusion::NetworkConfig;
use mm_core::missing::MissingPattern;
use mm_core::recipe::{Recipe, RecipeCost, Setup};
use mm_core::teacher::Teacher;
use mm_core::train::Method;
use mm_core::{Error, Modalities, Model, Presence, Result};
use serde::{Deserialize, Serialize};

/// Settings of DMRNet; the defaults are those recommended for vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DmrnetConfig {
    /// Encoders and trunk; the two distribution heads keep the shape of the trunk's feature.
    pub network: NetworkConfig,
    /// How sensors go missing in training.
    pub missing: MissingPattern,
    /// Weight of the KL term (1e-3 in all published runs).
    pub alpha: f64,
    /// Weight of the extra task loss of hard combinations; 0 turns it off.
    pub beta: f64,
    /// Epochs in which hard combinations are mined; from the next one on they get their extra loss.
    pub warm_up_epochs: usize,
    /// What ranks the combinations.
    pub mining: MiningScore,
    /// How many of the highest-ranked combinations are hard. Default: 1 for two modalities, 3 for three, else a quarter of
    /// all combinations, at most 16.
    pub hard_count: Option<usize>,
    /// Hard combinations by hand, such as `["depth", "depth+ir"]`, instead of mining.
    pub hard_combinations: Option<Vec<String>>,
    /// Which samples the extra loss acts on.
    pub supervision: HardSupervision,
    /// How the extra loss of drawn samples is summed; only with `supervision = "drawn"`.
    pub hard_loss: HardLoss,
    /// Batch normalisation behind each of the two distribution heads, as published.
    pub head_norm: bool,
    /// Keeps the log-variance within ± this value; none by default, as published.
    pub clamp_log_var: Option<f64>,
    /// The KL term without gradient, as in the published segmentation code (by mistake): it is logged and does nothing.
    pub kl_detached: bool,
}

impl Default for DmrnetConfig {
    fn default() -> Self {
        Self {
            network: NetworkConfig::default(),
            missing: MissingPattern::Uniform,
            alpha: 1e-3,
            beta: 1.0,
            warm_up_epochs: 6,
            mining: MiningScore::default(),
            hard_count: None,
            hard_combinations: None,
            supervision: HardSupervision::default(),
            hard_loss: HardLoss::default(),
            head_norm: true,
            clamp_log_var: None,
            kl_detached: false,
        }
    }
}

impl DmrnetConfig {
    /// What the published audio-visual code does: mining by variance, and its extra loss with its weight 0.2.
    pub fn published() -> Self {
        Self {
            beta: 0.2,
            mining: MiningScore::Variance,
            supervision: HardSupervision::Drawn,
            hard_loss: HardLoss::ReferenceBroadcast,
            ..Self::default()
        }
    }

    /// The published settings and network for face anti-spoofing with cameras at 112x112 (CASIA-SURF), without the fault of
    /// its extra loss.
    pub fn face_anti_spoofing() -> Self {
        Self { network: NetworkConfig::shared_resnet18(), beta: 0.7, supervision: HardSupervision::Drawn, ..Self::default() }
    }

    fn check(&self) -> Result<()> {
        self.network.validate()?;
        for (field, value) in [("alpha", self.alpha), ("beta", self.beta)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::config(field, format!("must be a number that is not negative, found {value}")));
            }
        }
        if self.hard_count == Some(0) {
            return Err(Error::config("hard_count", "must be at least 1; to turn the extra loss off set `beta = 0`"));
        }
        if self.hard_combinations.as_ref().is_some_and(Vec::is_empty) {
            return Err(Error::config("hard_combinations", "names no combination; to turn the extra loss off set `beta = 0`"));
        }
        if self.beta > 0.0 && self.hard_combinations.is_none() && self.warm_up_epochs == 0 {
            return Err(Error::config("warm_up_epochs", "mining needs at least 1 epoch before the extra loss begins"));
        }
        if self.hard_loss == HardLoss::ReferenceBroadcast && self.supervision != HardSupervision::Drawn {
            return Err(Error::config(
                "hard_loss",
                "`reference_broadcast` is a form of the loss of drawn samples: set `supervision = \"drawn\"`",
            ));
        }
        if let Some(limit) = self.clamp_log_var
            && !(limit > 0.0 && limit.is_finite())
        {
            return Err(Error::config("clamp_log_var", format!("must be a positive number, found {limit}")));
        }
        Ok(())
    }
}

impl DmrnetConfig {
    /// Refuses settings that cannot work for these modalities.
    pub fn check_modalities(&self, modalities: &Modalities) -> Result<()> {
        if modalities.len() < 2 {
            return Err(Error::config("modalities", "DMRNet with one modality has no combinations to tell apart: use two or more"));
        }
        let mut by_hand = self.hard_combinations.iter().flatten();
        by_hand.try_for_each(|name| modalities.parse(name).map(|_| ()))?;
        self.missing.check(modalities)
    }

    /// Refuses settings that have no meaning where every pixel has a class.
    pub(crate) fn check_dense(&self) -> Result<()> {
        match self.hard_loss {
            HardLoss::PerSample => Ok(()),
            HardLoss::ReferenceBroadcast => Err(Error::config(
                "hard_loss",
                "`reference_broadcast` is a fault of the published code for a class of a sample; where every pixel has a class use `per_sample`",
            )),
        }
    }

    /// Whether scores are still gathered in this epoch.
    pub(crate) fn mines_in(&self, epoch: usize) -> bool {
        self.beta > 0.0 && self.hard_combinations.is_none() && epoch < self.warm_up_epochs
    }

    /// Whether hard combinations get their extra loss in this epoch.
    pub(crate) fn supervises_in(&self, epoch: usize) -> bool {
        self.beta > 0.0 && epoch >= self.warm_up_epochs
    }
}

impl Recipe for DmrnetConfig {
    const FAMILY: &'static str = "dmrnet";
    type Model = DmrnetModel;
    type Method = Dmrnet;

    fn model(&self, setup: &Setup) -> Result<DmrnetModel> {
        DmrnetModel::new(self, setup)
    }

    fn method(&self, setup: &Setup, _teacher: Option<Box<dyn Teacher>>) -> Result<Dmrnet> {
        Dmrnet::new(self.clone(), setup)
    }

    fn dense_model(&self, setup: &Setup) -> Result<Box<dyn Model>> {
        Ok(Box::new(DenseDmrnetModel::new(self, setup)?))
    }

    fn dense_method(&self, setup: &Setup, _teacher: Option<Box<dyn Teacher>>) -> Result<Box<dyn Method>> {
        Ok(Box::new(DenseDmrnet::new(self.clone(), setup)?))
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
        let mines = self.beta > 0.0 && self.hard_combinations.is_none() && self.mining == MiningScore::PerSampleKl;
        match mines && !validation.subsets().contains(&modalities.full()) {
            true => Err(Error::config(
                "mining",
                format!(
                    "`per_sample_kl` compares with the full combination, but none of the {} validation samples has all modalities; give \
                     complete ones, use `training_loss`, or name `hard_combinations`",
                    validation.len()
                ),
            )),
            false => Ok(()),
        }
    }

    fn begins(&self) -> Option<(&'static str, usize)> {
        (self.beta > 0.0).then_some(("warm_up_epochs", self.warm_up_epochs))
    }

    fn cost(&self, modalities: &Modalities) -> Result<RecipeCost> {
        Ok(RecipeCost { step: 2.0, ..RecipeCost::of_one_network(modalities) })
    }
}

/// What ranks the combinations when hard ones are mined; the largest are hard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MiningScore {
    /// Mean task loss of the training samples that drew the combination in the warm-up: free, and needs no held-out samples.
    #[default]
    TrainingLoss,
    /// Mean over held-out samples of KL(p_full ‖ p_c) at the end of the warm-up.
    PerSampleKl,
    /// Mean predicted variance of the training samples that drew the combination in the warm-up: the published score (Eq. 10).
    Variance,
}

/// Which samples the extra loss of hard combinations acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HardSupervision {
    /// The samples that happened to draw a hard combination: the published form (Eq. 11-12).
    Drawn,
    /// Every sample, with a second combination drawn from the hard ones.
    #[default]
    Redraw,
}

/// How the extra loss of drawn samples is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HardLoss {
    /// The loss of hard samples, over the batch size: the paper's text.
    #[default]
    PerSample,
    /// The number of hard samples times the mean loss of all samples: what the published code computes.
    ReferenceBroadcast,
}
