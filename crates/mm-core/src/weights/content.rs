//! The bytes of a tensor, in the memory they stay in.

use candle_core::safetensors::Load;
use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::io::Read;

/// The bytes of a tensor; of an f32 tensor in the memory that candle then takes over.
pub enum Content {
    Numbers(Vec<f32>),
    Bytes(Vec<u8>),
}

impl Content {
    /// Zeros, to be filled.
    pub fn zeros(dtype: Dtype, bytes: usize) -> Self {
        match dtype == Dtype::F32 && cfg!(target_endian = "little") {
            true => Self::Numbers(vec![0.0; bytes / size_of::<f32>()]),
            false => Self::Bytes(vec![0; bytes]),
        }
    }

    pub fn read(file: &mut impl Read, dtype: Dtype, bytes: usize) -> std::io::Result<Self> {
        let mut content = Self::zeros(dtype, bytes);
        file.read_exact(content.bytes_mut())?;
        Ok(content)
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Numbers(numbers) => bytemuck::cast_slice(numbers),
            Self::Bytes(bytes) => bytes,
        }
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Numbers(numbers) => bytemuck::cast_slice_mut(numbers),
            Self::Bytes(bytes) => bytes,
        }
    }

    /// As a tensor; types that candle lacks become wider ones: booleans bytes of 0 and 1, bytes with a sign 16-bit numbers.
    pub fn tensor(self, dtype: Dtype, shape: &[usize], device: &Device) -> candle_core::Result<Tensor> {
        match (self, dtype) {
            (Self::Numbers(numbers), _) => Tensor::from_vec(numbers, shape, device),
            (Self::Bytes(bytes), Dtype::BOOL) => Tensor::from_vec(bytes, shape, device),
            (Self::Bytes(bytes), Dtype::I8) => {
                Tensor::from_vec(bytes.into_iter().map(|byte| i16::from(byte as i8)).collect::<Vec<i16>>(), shape, device)
            }
            (Self::Bytes(bytes), _) => TensorView::new(dtype, shape.to_vec(), &bytes).map_err(candle_core::Error::wrap)?.load(device),
        }
    }

    /// The sum of its numbers in 64 bits; `None` for a type that candle does not compute with.
    pub fn sum(&self, dtype: Dtype) -> Option<f64> {
        // Piece by piece: in 64 bits, all at once may take eight times the memory.
        let pieces = self.bytes().chunks(SUMMED * dtype.bitsize() / 8);
        pieces.map(|piece| sum(dtype, piece)).sum()
    }
}

/// Numbers that are summed up in one piece.
const SUMMED: usize = 1 << 16;

fn sum(dtype: Dtype, bytes: &[u8]) -> Option<f64> {
    let numbers = Content::Bytes(bytes.to_vec()).tensor(dtype, &[bytes.len() * 8 / dtype.bitsize()], &Device::Cpu).ok()?;
    // From 8 bits to 64 at once the conversion never ends; 32 bits hold all such numbers.
    let numbers = if dtype == Dtype::F8_E4M3 { numbers.to_dtype(DType::F32).ok()? } else { numbers };
    Some(numbers.to_dtype(DType::F64).and_then(|numbers| numbers.to_vec1::<f64>()).ok()?.into_iter().sum())
}
