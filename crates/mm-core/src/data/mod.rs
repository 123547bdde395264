//! Data: what a data set holds ([`Schema`]), where its samples come from ([`Source`]), how they become batches ([`Loader`]) and what a
//! model sees of them ([`Inputs`]).
//!
//! Nothing here asks that inputs are vectors or that a data set fits in memory: a method sees only batches. [`TableDataset`] is
//! the source of vectors and images in memory, [`Folders`] that of files in folders.

pub mod audio;
mod augment;
mod batch;
mod begins;
mod bundle;
mod card;
pub mod check;
mod column;
mod error;
mod file_card;
mod files;
mod folders;
mod ids;
pub mod image;
mod inputs;
mod join;
pub mod kinds;
mod labels;
mod listing;
mod loader;
mod manifest;
mod names;
mod number;
pub mod numpy;
mod offset;
mod parquet;
mod read_as;
mod reader;
mod roles;
mod sample;
mod schema;
mod series_text;
mod source;
mod split;
mod standardize;
mod standardized;
mod table;
mod table_text;
mod text;
mod toml_text;
mod transform;
mod view;

pub use crate::task::Target;
pub use augment::AugmentConfig;
pub use batch::{Batch, Targets};
pub use bundle::Bundle;
pub use card::{DatasetCard, LoadedData, TaskKind};
pub use column::Column;
pub use error::DataError;
pub use file_card::FileCard;
pub use files::{FileRow, FileSource, OnCorrupt};
pub use folders::Folders;
pub use ids::{FileReport, Likeness};
pub use inputs::{Inputs, Reading};
pub use join::{Join, Joined, ViewReport};
pub use labels::Unusable;
pub use loader::{Loader, Loading, Shard, epoch_batches};
pub use manifest::{Manifest, ManifestColumns, ManifestRow, ManifestRows, RowSensor};
pub use names::nearest;
pub use parquet::{LeftOut, ParquetTable};
pub(crate) use sample::reading;
pub use sample::{Array, Sample, TargetValue, Values, collate};
pub use schema::{InputKind, InputSpec, Schema};
pub use source::{Change, Meta, Source};
pub use split::{Amount, Part, Split, SplitSpec};
pub use standardize::{Standardizer, ViewStatistics};
pub use standardized::Standardized;
pub use table::TableDataset;
pub use text::utf8;
pub use toml_text::{parse_table, parse_toml};
pub use transform::{SampleKey, Transform};
pub use view::{LabelSpec, NonFinite, Partial, ViewSpec};
