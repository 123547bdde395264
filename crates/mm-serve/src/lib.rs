#![doc = include_str!("../README.md")]

mod app;
mod body;
mod decode;
mod describe;
mod error;
mod given;
mod metrics;
mod server;
mod settings;
mod worker;

pub use error::ServeError;
pub use server::{Server, end_signal};
pub use settings::Settings;
