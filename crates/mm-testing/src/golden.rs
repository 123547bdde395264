//! Inputs and outputs of golden values.

use candle_core::{DType, Device, Tensor};

/// The integer hash that describes inputs of golden values.
pub fn fill_hash(key: u64, i: u64) -> u64 {
    let mut z = key.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add((i + 1).wrapping_mul(0xD1B5_4A32_D192_ED03));
    z ^= z >> 30;
    z = z.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^= z >> 27;
    z = z.wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The hash in `[-1, 1)` times scale plus offset, rounded to f32.
pub fn fill_values(key: u64, count: usize, scale: f64, offset: f64) -> Vec<f32> {
    let value = |i: u64| (offset + scale * (2.0 * (fill_hash(key, i) >> 40) as f64 / 16_777_216.0 - 1.0)) as f32;
    (0..count as u64).map(value).collect()
}

/// [`fill_values`] as an f64 tensor of this shape on the CPU.
pub fn fill(key: u64, shape: &[usize], scale: f64, offset: f64) -> Tensor {
    let values = fill_values(key, shape.iter().product(), scale, offset);
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap()
}

/// Each number within `tolerance` of what is expected, relative to the largest expected one (at least 1e-3).
#[track_caller]
pub fn assert_close(found: &Tensor, expected: &[f64], tolerance: f64) {
    let found = found.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() <= tolerance * scale, "{found:?}\nexpected {expected:?}");
    }
}
