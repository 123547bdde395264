//! A source as a model sees it: standardized.

use super::kinds::Kind;
use super::{Change, Meta, Sample, SampleKey, Schema, Source, Standardizer, TableDataset, TargetValue, Transform};
use crate::error::Result;
use crate::modality::Subset;
use std::sync::Arc;

/// A source whose readings are standardized: a table at once, anything else as it is read.
pub struct Standardized<'a>(Form<'a>);

enum Form<'a> {
    Table(Box<TableDataset>),
    Read(AsRead<'a>),
}

impl<'a> Standardized<'a> {
    /// With the statistics of a standardizer, which must be of such data.
    pub fn new(source: &'a dyn Source, standardizer: &'a Standardizer) -> Result<Self> {
        standardizer.check(source.schema())?;
        let schema = standardizer.schema(source.schema());
        match source.as_table() {
            Some(table) => {
                let mut table = table.clone().with_schema(schema);
                standardizer.apply(&mut table)?;
                Ok(Self(Form::Table(Box::new(table))))
            }
            None => Ok(Self(Form::Read(AsRead { source, standardizer, schema }))),
        }
    }

    /// Whose scores predict the second of two classes from a probability on, as [`Schema::deciding_at`] says.
    pub fn deciding_at(self, threshold: Option<f64>) -> Result<Self> {
        Ok(Self(match self.0 {
            Form::Table(table) => {
                let schema = table.schema().clone().deciding_at(threshold)?;
                Form::Table(Box::new(table.with_schema(schema)))
            }
            Form::Read(read) => Form::Read(AsRead { schema: read.schema.deciding_at(threshold)?, ..read }),
        }))
    }

    /// The source.
    pub fn source(&self) -> &dyn Source {
        match &self.0 {
            Form::Table(table) => &**table,
            Form::Read(source) => source,
        }
    }
}

/// Standardizes each sample when it is read.
struct AsRead<'a> {
    source: &'a dyn Source,
    standardizer: &'a Standardizer,
    schema: Schema,
}

impl AsRead<'_> {
    fn standardize(&self, mut sample: Sample, row: usize) -> Result<Sample> {
        // Nothing is drawn.
        let key = SampleKey { seed: 0, epoch: 0, id: row as u64 };
        Transform::apply(self.standardizer, &mut sample, self.source.schema(), key)?;
        Ok(sample)
    }
}

impl Source for AsRead<'_> {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn len(&self) -> usize {
        self.source.len()
    }

    fn meta(&self, row: usize) -> Meta<'_> {
        self.source.meta(row)
    }

    fn read(&self, row: usize) -> Result<Sample> {
        self.standardize(self.source.read(row)?, row)
    }

    fn target(&self, row: usize) -> Result<TargetValue> {
        self.source.target(row)
    }

    fn augments(&self) -> bool {
        self.source.augments()
    }

    fn read_augmented(&self, row: usize, key: SampleKey) -> Result<Sample> {
        self.standardize(self.source.read_augmented(row, key)?, row)
    }

    fn read_changed(&self, row: usize, wanted: Subset, change: &Change) -> Result<Sample> {
        self.standardize(self.source.read_changed(row, wanted, change)?, row)
    }

    fn kinds(&self) -> Vec<Option<Arc<dyn Kind>>> {
        self.source.kinds()
    }
}
