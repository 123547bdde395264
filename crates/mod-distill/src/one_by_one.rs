//! A teacher whose output for a sample does not depend on the batch that the sample came in.

use candle_core::Tensor;
use mm_core::data::Batch;
use mm_core::fusion::Fused;
use mm_core::teacher::Teacher;
use mm_core::{Error, Presence, Result};

/// Teaches sample by sample. The last bits of a matrix product depend on its number of rows, and a cache keeps what the first
/// batch gave: a resumed run, whose first batches are others, would differ from an uninterrupted one. Behind a cache every sample
/// is taught once, so this costs one slower epoch.
pub(crate) struct OneByOne<T>(pub T);

impl<T: Teacher> Teacher for OneByOne<T> {
    fn teach(&self, batch: &Batch) -> Result<Fused> {
        if batch.is_empty() {
            return Err(Error::Data("a batch without samples".into()));
        }
        let taught = (0..batch.len()).map(|i| self.0.teach(&sample(batch, i)?)).collect::<Result<Vec<Fused>>>()?;
        let features: Vec<&Tensor> = taught.iter().map(|fused| &fused.feature).collect();
        let logits: Vec<&Tensor> = taught.iter().map(|fused| &fused.logits).collect();
        Ok(Fused { feature: Tensor::cat(&features, 0)?, logits: Tensor::cat(&logits, 0)? })
    }
}

/// Sample `i` as a batch of one.
fn sample(batch: &Batch, i: usize) -> Result<Batch> {
    let inputs = batch.inputs.iter().map(|input| input.as_ref().map(|t| t.narrow(0, i, 1)?.contiguous()).transpose());
    let inputs = inputs.collect::<candle_core::Result<_>>()?;
    let presence = Presence::new(batch.presence.subsets()[i..=i].to_vec());
    Batch::new(inputs, presence, batch.labels.narrow(0, i, 1)?, batch.rows[i..=i].to_vec())
}
