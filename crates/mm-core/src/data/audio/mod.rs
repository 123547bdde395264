//! Sounds: decoding, one rate, one length, spectra, random changes in training, corruptions for tests; plain functions on slices of samples.

mod augment;
mod corrupt;
mod decode;
mod error;
mod fourier;
mod front_end;
mod length;
pub mod noise;
mod resample;
mod settings;
mod spectrum;

pub use augment::Augment;
pub use corrupt::{SOUND_FAMILIES, corrupt_sound};
pub use decode::{MOST_SAMPLES, Sound, decode, read};
pub use error::AudioError;
pub use front_end::{AudioReading, FrontEnd, Wave};
pub use length::Length;
pub use resample::{resample, resampled_length};
pub use settings::{AudioSettings, Features};
pub use spectrum::{LogMel, Stft};
