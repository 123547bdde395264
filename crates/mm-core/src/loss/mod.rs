//! Losses that more than one method uses.

mod binary;
mod cross_entropy;
mod distillation;
mod gaussian;
mod pixel_cross_entropy;
mod segmentation;

pub use binary::{binary_cross_entropy_per_element, binary_cross_entropy_with_logits, binary_entropy, softened_binary_kl};
pub use cross_entropy::{cross_entropy, cross_entropy_per_sample};
pub use distillation::{entropy_per_sample, softened_kl};
pub use gaussian::{gaussian_kl, reparameterize};
pub use pixel_cross_entropy::pixel_cross_entropy;
pub use segmentation::{coarser_labels, soft_dice};
