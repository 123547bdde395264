//! Training, checkpoints, evaluation and statistics.

mod checkpoint;
mod class_weights;
mod evaluation;
mod frozen;
mod half_precision;
mod scores;
mod statistics;
mod teacher;

#[path = "../damage/mod.rs"]
mod damage;
