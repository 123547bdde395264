//! Layers and encoders.

mod backward;
mod bert;
mod candle_defects;
mod cnn;
mod conv_chain;
mod conv_norm;
mod gaussian;
mod image_fusion;
mod image_layers;
mod resnet;
mod series;
