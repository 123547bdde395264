//! Training, checkpoints, evaluation and statistics.

mod available;
mod checkpoint;
mod class_weights;
mod evaluation;
mod frozen;
mod half_precision;
mod mixup;
mod pixels;
mod scores;
mod statistics;
mod targets;
mod teacher;

#[path = "../damage/mod.rs"]
mod damage;
