//! Training, checkpoints, evaluation and statistics.

mod available;
mod checkpoint;
mod class_weights;
mod clip;
mod constant;
mod device;
mod evaluated;
mod evaluation;
mod frozen;
mod half_precision;
mod mixup;
mod pixels;
mod placements;
mod ranking;
mod schedule;
mod scores;
mod statistics;
mod targets;
mod teacher;
mod threshold;
mod weight_average;

#[path = "../damage/mod.rs"]
mod damage;
