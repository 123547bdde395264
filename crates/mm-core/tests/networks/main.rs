//! Layers and encoders.

mod bert;
mod candle_defects;
mod cnn;
mod image_fusion;
mod image_layers;
mod resnet;
mod text;

#[path = "../damage/mod.rs"]
mod damage;
#[path = "../word_pieces/mod.rs"]
mod word_pieces;
