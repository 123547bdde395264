//! Weights of ours and of others.

mod files;
mod foreign;
mod imported;
mod pretrained;
