//! The program `mm`, by running it.

mod birds;
#[cfg(unix)]
mod changes;
mod data_check;
mod data_prepare;
mod export;
mod gaps;
mod machines;
mod newcomer;
mod output;
mod pixels;
mod predict;
mod predictions;
mod pretrained;
mod program;
#[cfg(not(feature = "mpi"))]
mod ranks;
mod report;
#[cfg(unix)]
mod resume;
mod sensors;
mod serve;
#[cfg(unix)]
mod shards;
mod stays;
mod targets;
mod threads;
mod train;
mod weights;
