//! How much memory a file may make us take, whatever it claims.

use super::error::{PthError, Result};

/// For any file; the zip crate alone reserves 26 MB for the 65,535 entries that a small archive may claim.
const BASE: u64 = 32 << 20;
/// For each byte of the file. Twice would do for any checkpoint of tensors; Python's lists take most, a few bytes an element.
const FACTOR: u64 = 16;

/// Memory that may still be taken; what is given back is not counted again.
#[derive(Debug, Clone)]
pub struct Budget {
    limit: u64,
    left: u64,
}

impl Budget {
    /// Of a file of this many bytes.
    pub fn of_file(length: u64) -> Self {
        let limit = BASE.saturating_add(length.saturating_mul(FACTOR));
        Self { limit, left: limit }
    }

    /// Counts what is about to be allocated.
    pub fn take(&mut self, bytes: u64) -> Result<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(PthError::TooLarge { limit: self.limit }),
        }
    }
}
