//! Tensors as views of storages: checked, and put in order.

use super::container::element_size;
use super::error::{PthError, Result, shown};
use super::values::{Storage, TensorValue};
use crate::weights::content::Content;

/// A tensor whose numbers all lie within its storage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct View {
    /// Number of the storage.
    pub storage: u32,
    /// Of the first number, in numbers.
    offset: usize,
    pub shape: Vec<usize>,
    /// How many numbers lie between neighbours, by dimension.
    strides: Vec<usize>,
}

impl View {
    /// Checks what a pickle says of the tensor `name`, whatever its numbers.
    pub fn new(name: &str, tensor: &TensorValue) -> Result<Self> {
        let problem = |problem: String| PthError::Tensor { name: shown(name), problem };
        let TensorValue { storage, offset, shape, strides, end } = tensor;
        // Sides other than 0 must have a product, too: whoever computes with the shape multiplies them.
        let count = shape.iter().filter(|&&n| n != 0).try_fold(1usize, |count, &n| count.checked_mul(n));
        if count.is_none_or(|count| count > isize::MAX as usize / size_of::<f64>()) {
            return Err(problem(format!("no machine has room for the shape {shape:?}")));
        }
        if shape.contains(&0) {
            return Ok(Self { storage: *storage, offset: 0, shape: shape.clone(), strides: vec![0; shape.len()] });
        }
        let reach = shape.iter().zip(strides).try_fold(0usize, |reach, (&n, &stride)| (n - 1).checked_mul(stride)?.checked_add(reach));
        let last = reach.and_then(|reach| (reach as u64).checked_add(*offset));
        match last.filter(|last| last < end) {
            // The storage ends within the machine's memory, as the container checks.
            Some(_) => Ok(Self { storage: *storage, offset: *offset as usize, shape: shape.clone(), strides: strides.clone() }),
            None => Err(problem(format!("shape {shape:?}, strides {strides:?} from {offset} reach beyond its {end} numbers"))),
        }
    }

    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// The first number and the one behind the last, within the storage; nothing between for a tensor without numbers.
    pub fn range(&self) -> std::ops::Range<usize> {
        if self.count() == 0 {
            return 0..0;
        }
        let reach: usize = self.shape.iter().zip(&self.strides).map(|(&n, &stride)| (n - 1) * stride).sum();
        self.offset..self.offset + reach + 1
    }

    /// Dimensions from the last to the first that lie behind each other without a gap: how many, and the numbers in them.
    fn in_order(&self) -> (usize, usize) {
        let (mut dimensions, mut numbers) = (0, 1);
        for (&n, &stride) in self.shape.iter().zip(&self.strides).rev() {
            if n != 1 && stride != numbers {
                break;
            }
            (dimensions, numbers) = (dimensions + 1, numbers * n);
        }
        (dimensions, numbers)
    }

    /// Whether it is its whole storage in order.
    pub fn is_whole(&self, storage: &Storage) -> bool {
        let (dimensions, numbers) = self.in_order();
        dimensions == self.shape.len() && numbers as u64 == storage.elements && self.count() as u64 == storage.elements
    }

    /// Its numbers in the order of its shape, the last dimension fastest.
    pub fn copy(&self, storage: &Storage, from: &Content) -> Content {
        let size = element_size(storage.dtype) as usize;
        let mut content = Content::zeros(storage.dtype, self.count() * size);
        if self.count() == 0 {
            return content;
        }
        let (dimensions, run) = self.in_order();
        let outer = self.shape.len() - dimensions;
        let (shape, strides) = (&self.shape[..outer], &self.strides[..outer]);
        let (from, mut at, mut index) = (from.bytes(), self.offset, vec![0; outer]);
        for piece in content.bytes_mut().chunks_exact_mut(run * size) {
            piece.copy_from_slice(&from[at * size..][..run * size]);
            // To the next place of the outer dimensions.
            for dimension in (0..outer).rev() {
                (index[dimension], at) = (index[dimension] + 1, at + strides[dimension]);
                if index[dimension] < shape[dimension] {
                    break;
                }
                (index[dimension], at) = (0, at - shape[dimension] * strides[dimension]);
            }
        }
        content
    }
}
