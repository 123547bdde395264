//! Tables with a row a step ("long" tables) made into series: a row a series, its values in arrays of NumPy.

mod grid;
mod read;
mod sensors;
mod series;
mod time;
mod write;

pub(super) use time::time_of;
pub use write::{LongSensor, SeriesMade};

use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What becomes of a step in which a channel has no value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fill {
    /// It is an error.
    #[default]
    None,
    /// The value before it; in front of the first value, that one.
    Last,
    /// On a straight line from the value before to the one behind; outside of them, the nearest.
    Linear,
}

/// How the rows of a table become series.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LongTable {
    /// Columns whose values together say which series a row is of.
    pub id: Vec<String>,
    /// Column of the time, in numbers, dates or `h:mm`; without it a series has its rows in the order of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Column of the label. Where it changes within an id, each stretch of one label is a series.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Column, the same in all rows of a series, whose samples stay in one part: a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Length of a step in the unit of the time (of dates: seconds): a channel has the mean of its values in it. Without it each row is a step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<f64>,
    /// What becomes of empty cells.
    pub fill: Fill,
    /// Whether each channel is followed, behind all of its sensor, by one that is 1 where it was measured and 0 where it was filled.
    pub measured: bool,
    /// Cells that stand for no value, such as `-999`.
    pub missing: Vec<String>,
    /// Steps of the windows that the card cuts from the series; without it each series is a sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// Steps from the beginning of a window to that of the next; without it they follow each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stride: Option<usize>,
    /// Whether a table may lack the column of the label: one to predict from.
    #[serde(skip)]
    pub label_optional: bool,
    /// Columns that are left out.
    pub ignore: Vec<String>,
    /// Sensors and their columns. Without any, columns of one name (`acc_x`, `acc_y`) that are empty in the same rows are a sensor.
    pub sensors: Vec<LongSensor>,
}

impl LongTable {
    /// The settings in a file, as [`LongTable::write`] leaves them beside the series.
    pub fn from_file(path: &Path) -> Result<Self> {
        let settings = super::parse_toml(path, &super::text::read_text(path)?)?;
        Ok(Self { label_optional: true, ..settings })
    }
}
