//! Where a NaN or an infinity was found.

/// A value that became NaN or infinite.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NonFiniteError {
    /// A reading of a sample, where such readings are errors.
    #[error("sample {sample}, modality `{modality}`; mend the value, or mark the modality as absent there")]
    Reading {
        /// Number of the sample.
        sample: u64,
        /// The modality.
        modality: String,
    },
    /// A reading that a pipeline was given, where such readings are errors.
    #[error("reading `{modality}`; mend the value, or leave the sensor out")]
    Given {
        /// The modality.
        modality: String,
    },
    /// All readings of a batch: nothing is left to predict from.
    #[error("every reading of every sample of the batch holds a NaN or an infinity; no sensor is left to predict from")]
    EveryReading,
    /// A gradient.
    #[error("the gradient of parameter `{parameter}`; try a lower learning rate")]
    Gradient {
        /// The parameter.
        parameter: String,
    },
    /// A term of a loss.
    #[error(
        "loss term `{term}` is {value} at epoch {epoch}, step {step} (samples {}, ...); the last checkpoint is kept; try a lower learning rate or `clip_norm`",
        samples.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
    )]
    Loss {
        /// The term.
        term: String,
        /// Its value.
        value: f64,
        /// The epoch, counted from 0.
        epoch: usize,
        /// The step of the epoch, counted from 0.
        step: usize,
        /// Numbers of the first samples of the batch.
        samples: Vec<u64>,
    },
    /// A prediction for a sample of a data set.
    #[error(
        "the model's prediction from {combination} for sample {row} (row of the data set, counted from 0) is {values:?}; either its weights have diverged or a reading is far outside what it was trained on"
    )]
    Prediction {
        /// The combination.
        combination: String,
        /// The sample, counted from 0.
        row: usize,
        /// The first numbers of the prediction.
        values: Vec<f32>,
    },
    /// A prediction for readings that a pipeline was given.
    #[error("the prediction from {used}: a reading is far outside what the model was trained on")]
    Answer {
        /// The sensors that it is made from.
        used: String,
    },
}
