//! Settings of the method.

use crate::dense_method::{DenseModDistill, DenseStudent};
use crate::{CrossFusionConfig, TranslationConfig};
use crate::{ModDistill, ModDistillModel};
use mm_core::fusion::{NetworkConfig, TrunkConfig};
use mm_core::missing::MissingPattern;
use mm_core::recipe::{Recipe, RecipeCost, Setup};
use mm_core::teacher::{DEFAULT_CACHE_MIB, Teacher};
use mm_core::train::Method;
use mm_core::{Error, Modalities, Model, Presence, Result, Subset};
use serde::{Deserialize, Serialize};

/// Aligned pixels at most: a matrix of 16,384 x 16,384 takes a gigabyte.
const MOST_PIXELS: usize = 8192;

/// Settings of one-stage modality distillation; only `available` has no default that works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModDistillConfig {
    /// The modalities that are there at prediction, by name; all others are privileged: only the teacher sees them.
    pub available: Vec<String>,
    /// Architecture of both branches (own and restored); the teacher's fused feature must have the shape of theirs.
    pub network: NetworkConfig,
    /// How own and restored features are fused.
    pub translation: TranslationConfig,
    /// The part behind the fusion.
    pub trunk: TrunkConfig,
    /// Which modalities the teacher sees.
    pub teacher: TeacherView,
    /// How the restored feature and prediction are aligned with the teacher's.
    pub adaptation: Adaptation,
    /// Weight of the feature discrepancy (factorised form).
    pub alpha: f64,
    /// Weight of the softened KL term (factorised form), which holds the factor T².
    pub beta: f64,
    /// Temperature of the softened KL term (factorised form).
    pub temperature: f64,
    /// Bandwidth of the kernel on predictions (joint form).
    pub prediction_bandwidth: f64,
    /// Where every pixel has a class: pixels of a map, of all samples together, whose features are aligned in a step. The memory grows with
    /// the square.
    pub mmd_pixels: usize,
    /// How the terms are weighed against each other.
    pub balance: Balance,
    /// Weight of the joint adaptation.
    pub lambda_ja: f64,
    /// Weight of the reconstruction.
    pub lambda_rec: f64,
    /// Weight of the cross entropy of the restored branch alone.
    pub lambda_r: f64,
    /// Share of the run in which `lambda_ja` rises from 0, as `2 / (1 + exp(-10 p)) - 1`; 0: it does not.
    pub warm_up: f64,
    /// Ablation: first transfer (the first half of the epochs), then fusion with the restored branch frozen.
    pub two_stage: bool,
    /// Ablation: concatenation and a linear layer in place of cross translation.
    pub no_ctn: bool,
    /// Ablation: no joint adaptation, so the teacher is not asked.
    pub no_ja: bool,
    /// Every sample trains with a random combination of the available modalities, and every combination that holds one of
    /// them can be predicted; `available` may then name all modalities, or be empty to mean all. The restored branch completes
    /// what is missing from the mean of the present encoders' features, which must have one width.
    pub robust: bool,
    /// How available modalities go missing in training; for `robust`, which alone can do without some.
    pub missing: MissingPattern,
    /// Keep the teacher's outputs per sample. Augmented batches are never cached.
    pub cache_teacher: bool,
    /// Memory for them in MiB; samples that find no place are asked for again, with the same bits.
    pub teacher_cache_mib: usize,
}

impl Default for ModDistillConfig {
    fn default() -> Self {
        Self {
            available: Vec::new(),
            network: NetworkConfig::default(),
            translation: TranslationConfig::default(),
            trunk: TrunkConfig::Mlp { widths: vec![128] },
            teacher: TeacherView::Full,
            adaptation: Adaptation::Factorised,
            alpha: 2.0,
            beta: 1.0,
            temperature: 2.0,
            prediction_bandwidth: 1.68 * 1.68,
            mmd_pixels: 256,
            balance: Balance::Fixed,
            lambda_ja: 1.0,
            lambda_rec: 0.1,
            lambda_r: 0.0,
            warm_up: 0.1,
            two_stage: false,
            no_ctn: false,
            no_ja: false,
            robust: false,
            missing: MissingPattern::Uniform,
            cache_teacher: true,
            teacher_cache_mib: DEFAULT_CACHE_MIB,
        }
    }
}

impl ModDistillConfig {
    /// The defaults for these available modalities.
    pub fn available<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        Self { available: names.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// The published network for small patches (a [`crate::CrossFusion`] whose second encoder is the restored branch) for these
    /// available modalities; its teacher is a [`crate::CrossFusion`] of default settings.
    pub fn patches<S: Into<String>>(names: impl IntoIterator<Item = S>) -> Self {
        let CrossFusionConfig { network, width, .. } = CrossFusionConfig::default();
        Self {
            trunk: network.trunk.clone(),
            network: NetworkConfig { trunk: TrunkConfig::Sum, ..network },
            translation: TranslationConfig { convolution: Some(width), ..TranslationConfig::published() },
            ..Self::available(names)
        }
    }

    /// The combination of the available modalities (see [`ModDistillConfig::robust`] for what is refused).
    pub fn available_subset(&self, modalities: &Modalities) -> Result<Subset> {
        if self.available.is_empty() {
            return match self.robust {
                true => Ok(modalities.full()),
                false => Err(Error::config(
                    "available",
                    format!(
                        "name the modalities that are there at prediction; there are: {}. In a plan: `options = {{ available = [{:?}] }}`, \
                         for `mm train`: `--option 'available=[{:?}]'`; `robust=true` in its place expects any combination",
                        modalities.names().join(", "),
                        modalities.names()[0],
                        modalities.names()[0]
                    ),
                )),
            };
        }
        let available = modalities.parse(&self.available.join("+"))?;
        if available == modalities.full() && !self.robust {
            return Err(Error::config("available", "names every modality: none is left to distil from; leave one out, or set `robust`"));
        }
        Ok(available)
    }

    /// Whether a model that reads `available` predicts for (and trains on) a sample of this combination.
    pub(crate) fn can_use(&self, combination: Subset, available: Subset) -> bool {
        match self.robust {
            true => combination.intersection(available).is_some(),
            false => available.is_subset_of(combination),
        }
    }

    /// What the teacher sees of these modalities.
    pub fn teacher_subset(&self, modalities: &Modalities) -> Result<Subset> {
        let available = self.available_subset(modalities)?;
        match self.teacher {
            TeacherView::Full => Ok(modalities.full()),
            TeacherView::Privileged => Subset::from_bits(modalities.full().bits() & !available.bits())
                .map_err(|_| Error::config("teacher", "there is no privileged modality when all are available: use \"full\"")),
        }
    }
}

impl Recipe for ModDistillConfig {
    const FAMILY: &'static str = "mod-distill";
    type Model = ModDistillModel;
    type Method = ModDistill;

    fn model(&self, setup: &Setup) -> Result<ModDistillModel> {
        self.validate()?;
        ModDistillModel::new(self, setup)
    }

    fn method(&self, setup: &Setup, teacher: Option<Box<dyn Teacher>>) -> Result<ModDistill> {
        ModDistill::new(self.clone(), setup, Self::need(teacher)?)
    }

    fn dense_model(&self, setup: &Setup) -> Result<Box<dyn Model>> {
        self.validate()?;
        Ok(DenseStudent::new(self, setup, None)?.into_model())
    }

    fn dense_method(&self, setup: &Setup, teacher: Option<Box<dyn Teacher>>) -> Result<Box<dyn Method>> {
        Ok(Box::new(DenseModDistill::new(self.clone(), setup, Self::need(teacher)?)?))
    }

    fn network(&self) -> &NetworkConfig {
        &self.network
    }

    fn network_mut(&mut self) -> &mut NetworkConfig {
        &mut self.network
    }

    fn validate(&self) -> Result<()> {
        self.network.validate()?;
        self.trunk.validate()?;
        let weights = [
            ("alpha", self.alpha),
            ("beta", self.beta),
            ("lambda_ja", self.lambda_ja),
            ("lambda_rec", self.lambda_rec),
            ("lambda_r", self.lambda_r),
        ];
        for (field, value) in weights {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::config(field, format!("must be a number that is not negative, found {value}")));
            }
        }
        for (field, value) in [("temperature", self.temperature), ("prediction_bandwidth", self.prediction_bandwidth)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::config(field, format!("must be a positive number, found {value}")));
            }
        }
        if !(2..=MOST_PIXELS).contains(&self.mmd_pixels) {
            return Err(Error::config("mmd_pixels", format!("must lie between 2 and {MOST_PIXELS}, found {}", self.mmd_pixels)));
        }
        if !(0.0..=1.0).contains(&self.warm_up) {
            return Err(Error::config("warm_up", format!("is a share of the run, 0 to 1, found {}", self.warm_up)));
        }
        if self.two_stage && (self.no_ja || self.lambda_ja == 0.0) {
            return Err(Error::config(
                "two_stage",
                "its first stage is the joint adaptation alone: it needs `lambda_ja` above 0 and not `no_ja`",
            ));
        }
        if self.robust && !self.no_ctn && self.translation.convolution.is_some() {
            return Err(Error::config(
                "translation.convolution",
                "reads maps, but `robust` restores pooled features: set only one of them",
            ));
        }
        if !self.robust && self.missing != MissingPattern::Uniform {
            return Err(Error::config(
                "missing",
                "all available modalities are there in training, unless `robust` is set: set it, or leave this out",
            ));
        }
        if self.two_stage && self.robust {
            return Err(Error::config(
                "two_stage",
                "freezes the restored branch, which shares its encoders with the own one in `robust` mode",
            ));
        }
        Ok(())
    }

    /// Refuses training samples that lack what the model reads (one of the available modalities, or in `robust` mode all), and those that
    /// the teacher can say nothing about, if they are all.
    ///
    /// Training refuses the former as well, but only when it meets the first.
    fn check_samples(&self, modalities: &Modalities, presence: &Presence, _validation: &Presence) -> Result<()> {
        let available = self.available_subset(modalities)?;
        let teacher_sees = self.teacher_subset(modalities)?;
        let unusable = presence.subsets().iter().filter(|has| !self.can_use(**has, available)).count();
        if unusable > 0 {
            return Err(Error::config(
                "available",
                format!(
                    "{unusable} of {} training samples {} {}: leave them out{}",
                    presence.len(),
                    if self.robust { "have none of" } else { "do not have all of" },
                    modalities.format(available),
                    // With one alone, who lacks it has nothing left.
                    if self.robust || available.len() == 1 { "" } else { ", or set `robust`" }
                ),
            ));
        }
        if self.robust {
            let usable = presence.subsets().iter().filter_map(|has| has.intersection(available)).collect();
            self.missing.check_samples(&Presence::new(usable), modalities)?;
        }
        let taught = presence.subsets().iter().any(|has| teacher_sees.is_subset_of(*has));
        match taught || self.no_ja || self.lambda_ja == 0.0 {
            true => Ok(()),
            false => Err(Error::config(
                "teacher",
                format!(
                    "sees {}, which none of the {} training samples has: nothing could be distilled; give such samples, another `teacher`, or \
                     do without (`no_ja = true`)",
                    modalities.format(teacher_sees),
                    presence.len()
                ),
            )),
        }
    }

    fn teacher_sees(&self, modalities: &Modalities) -> Result<Option<Subset>> {
        self.teacher_subset(modalities).map(Some)
    }

    fn cost(&self, modalities: &Modalities) -> Result<RecipeCost> {
        // The absent features are restored behind the encoders.
        Ok(RecipeCost { step: 2.5, fuse: 8.0, ..RecipeCost::of_one_network(modalities) })
    }
}

/// Which modalities the teacher sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TeacherView {
    /// All of them.
    #[default]
    Full,
    /// Only the privileged ones; train the teacher on them alone.
    Privileged,
}

/// How the restored branch is aligned with the teacher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adaptation {
    /// Feature discrepancy plus softened KL of predictions: P(X, Y) = P(X) P(Y|X), as in the authors' code.
    #[default]
    Factorised,
    /// One discrepancy with the product of a kernel on features and one on predictions (joint adaptation networks).
    Joint,
}

/// How the terms of the loss are weighed against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// By the `lambda_*` settings.
    #[default]
    Fixed,
    /// By learned uncertainties (Kendall et al. 2018): each weighted term `L_i` counts as `exp(-s_i) L_i + s_i`.
    Uncertainty,
}
