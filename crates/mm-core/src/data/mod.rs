//! Data: what a data set holds ([`Schema`]), where its samples come from ([`Dataset`]) and what a model sees ([`Batch`]).
//!
//! Nothing here asks that inputs are vectors or that a data set fits in memory: a method sees only [`Dataset`] and
//! [`Batch`]. [`TableDataset`] is the in-memory data set of vectors and images.

mod augment;
mod batch;
mod card;
mod column;
mod ids;
mod join;
mod labels;
mod loader;
mod nearest;
mod number;
mod offset;
mod reader;
mod roles;
mod schema;
mod split;
mod standardize;
mod table;
mod table_text;
mod text;
mod toml_text;
mod view;

pub use augment::{AugmentConfig, Transform, augment, transform};
pub use batch::Batch;
pub use card::{DatasetCard, LoadedData};
pub use column::Column;
pub use ids::FileReport;
pub use join::{Join, Joined, ViewReport};
pub use labels::Unusable;
pub use loader::epoch_batches;
pub use nearest::nearest;
pub use schema::{InputKind, InputSpec, Schema, Target};
pub use split::{Amount, Part, Split, SplitSpec};
pub use standardize::{Standardizer, ViewStatistics};
pub use table::TableDataset;
pub use text::utf8;
pub use toml_text::{parse_table, parse_toml};
pub use view::{LabelSpec, NonFinite, Partial, ViewSpec};

use crate::error::Result;
use crate::modality::Subset;
use candle_core::Device;

/// A source of samples, addressed by row (`0..len`).
pub trait Dataset: Send + Sync {
    /// What a sample holds.
    fn schema(&self) -> &Schema;

    /// How many samples there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which modalities the sample has. Panics if `row >= len`.
    fn presence(&self, row: usize) -> Subset;

    /// Class of the sample. Panics if `row >= len`.
    fn label(&self, row: usize) -> u32;

    /// Puts samples together, in the order given; a row past the end is a typed error.
    fn batch(&self, rows: &[usize], device: &Device) -> Result<Batch>;

    /// Calls `visit(modality, values)` for each row and each modality that it has, in the order of the rows, with all the digits
    /// that the source has: the values of a batch are rounded to f32. A source that holds more overrides it.
    fn visit_values(&self, rows: &[usize], visit: &mut dyn FnMut(usize, &[f64])) -> Result<()> {
        // So many at a time that the data need not fit in memory.
        for chunk in rows.chunks(512) {
            let batch = self.batch(chunk, &Device::Cpu)?;
            for (m, input) in batch.inputs.iter().enumerate() {
                let Some(input) = input else { continue };
                let values: Vec<f64> = input.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect();
                let samples = values.chunks_exact(values.len() / chunk.len()).zip(batch.presence.subsets());
                samples.filter(|(_, s)| s.contains(m)).for_each(|(x, _)| visit(m, x));
            }
        }
        Ok(())
    }
}
