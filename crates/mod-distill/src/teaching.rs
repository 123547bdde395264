//! What only training has: the teacher, the restored branch's own head, and which samples can be taught.

use crate::ModDistillConfig;
use crate::adaptation::adapt;
use crate::balance::Uncertainties;
use candle_core::{D, DType, Tensor};
use mm_core::data::Inputs;
use mm_core::fusion::pool;
use mm_core::model::Output;
use mm_core::nn::Linear;
use mm_core::task::Task;
use mm_core::teacher::Teacher;
use mm_core::{Error, Presence, Result, Subset};
use serde::{Deserialize, Serialize};

/// Below so many samples a discrepancy of distributions means little.
pub(crate) const FEW: usize = 8;

/// The parts that are not deployed.
pub(crate) struct Teaching {
    pub teacher: Box<dyn Teacher>,
    pub teacher_sees: Subset,
    /// Prediction of the restored branch alone: `restored_head.*`.
    pub head: Linear,
    pub uncertainties: Option<Uncertainties>,
    /// Of this epoch.
    pub counts: Counts,
}

/// What was not as good as it could be.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Batches that were aligned on fewer than [`FEW`] samples.
    pub thin_batches: usize,
    /// Samples that the teacher had no finite output for.
    pub not_finite: usize,
}

/// The samples of a batch that have all that the teacher sees.
pub(crate) struct Complete {
    pub rows: Vec<u32>,
    pub batch: usize,
}

impl Complete {
    /// By what each sample has.
    pub fn new(presence: &Presence, teacher_sees: Subset) -> Self {
        let has_all = (0u32..).zip(presence.subsets()).filter(|(_, has)| teacher_sees.is_subset_of(**has));
        Self { rows: has_all.map(|(row, _)| row).collect(), batch: presence.len() }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Their rows of `[batch, ..]`.
    pub fn of(&self, tensor: &Tensor) -> Result<Tensor> {
        if self.rows.len() == self.batch {
            return Ok(tensor.clone());
        }
        Ok(tensor.index_select(&Tensor::from_slice(&self.rows, self.rows.len(), tensor.device())?, 0)?)
    }

    /// The samples with the modalities that the teacher sees.
    pub fn inputs(&self, inputs: &Inputs, teacher_sees: Subset) -> Result<Inputs> {
        let presence = Presence::uniform(teacher_sees, self.rows.len());
        if self.rows.len() == self.batch {
            return inputs.with_presence(presence);
        }
        let positions: Vec<usize> = self.rows.iter().map(|&row| row as usize).collect();
        inputs.select(&positions)?.with_presence(presence)
    }
}

impl Teaching {
    /// Feature (pooled) and prediction of the restored branch alone.
    pub fn restored(&self, restored: &Tensor) -> Result<Output> {
        let feature = pool(restored)?;
        Ok(Output::with_feature(self.head.forward(&feature)?, feature))
    }

    /// The joint adaptation on the complete samples, `None` if there is nothing to align with.
    ///
    /// Samples that the teacher has no finite output for are left out: a privileged sensor that broke must not reach the
    /// deployed branches.
    pub fn adaptation(
        &mut self,
        config: &ModDistillConfig,
        task: &dyn Task,
        inputs: &Inputs,
        complete: &Complete,
        restored: &Output,
    ) -> Result<Option<Tensor>> {
        self.counts.thin_batches += usize::from(complete.rows.len() < FEW);
        if complete.is_empty() {
            return Ok(None);
        }
        let privileged = self.teacher.teach(&complete.inputs(inputs, self.teacher_sees)?)?.detach();
        let privileged = Output::with_feature(privileged.prediction.clone(), pool(privileged.feature()?)?);
        let finite = finite_rows(&privileged)?;
        let (r, p) = (&restored.feature()?.dims()[1..], &privileged.feature()?.dims()[1..]);
        if r != p {
            return Err(Error::shape("restored feature", format!("{p:?}, as the teacher's; give both the same `network`"), r));
        }
        let (z_r, z_p) = (&restored.prediction.dims()[1..], &privileged.prediction.dims()[1..]);
        if z_r != z_p {
            return Err(Error::shape("teacher's prediction", format!("{z_r:?}, as the student's"), z_p));
        }
        let select = |output: &Output, rows: &Complete| -> Result<Output> {
            Ok(Output::with_feature(rows.of(&output.prediction)?, rows.of(output.feature()?)?))
        };
        let (mut restored, mut privileged) = (select(restored, complete)?, privileged);
        if finite.rows.len() < finite.batch {
            self.counts.not_finite += finite.batch - finite.rows.len();
            if finite.is_empty() {
                return Ok(None);
            }
            (restored, privileged) = (select(&restored, &finite)?, select(&privileged, &finite)?);
        }
        adapt(config, task, &restored, &privileged).map(Some)
    }

    /// As [`Counts::remarks`].
    pub fn remarks(&self) -> Vec<String> {
        self.counts.remarks()
    }
}

impl Counts {
    /// What an epoch's counts say, if anything.
    pub fn remarks(&self) -> Vec<String> {
        let Self { thin_batches, not_finite } = self;
        let mut remarks = Vec::new();
        if *thin_batches > 0 {
            remarks.push(format!(
                "{thin_batches} batches had fewer than {FEW} samples with all that the teacher sees: distributions of so few say little"
            ));
        }
        if *not_finite > 0 {
            remarks.push(format!("{not_finite} samples were not aligned: the teacher's output for them is NaN or infinite"));
        }
        remarks
    }
}

/// The rows whose feature and prediction are all finite.
pub(crate) fn finite_rows(output: &Output) -> Result<Complete> {
    let sum = |t: &Tensor| t.flatten_from(1)?.to_dtype(DType::F64)?.sum(D::Minus1);
    let sums = (sum(output.feature()?)? + sum(&output.prediction)?)?.to_vec1::<f64>()?;
    let rows = (0u32..).zip(&sums).filter(|(_, sum)| sum.is_finite()).map(|(row, _)| row).collect();
    Ok(Complete { rows, batch: sums.len() })
}
