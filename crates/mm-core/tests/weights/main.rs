//! Weights of ours and of others.

mod advice;
mod files;
mod foreign;
mod imported;
mod pretrained;
