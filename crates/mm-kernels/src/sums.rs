//! Sums that stay close to f64: 16 lanes of f32 over a block, blocks in f64.

/// Numbers summed in f32 before the lanes go to f64: 64 a lane.
const BLOCK: usize = 1024;

/// The sums of the `N` numbers `f` makes of the elements of `M` slices, of the first one's length. The order is fixed.
///
/// Always inlined, so inside [`vectorize`](crate::simd::vectorize) it is vectorised.
#[inline(always)]
pub(crate) fn sums<const M: usize, const N: usize>(inputs: [&[f32]; M], f: impl Fn([f32; M]) -> [f32; N]) -> [f64; N] {
    let length = inputs[0].len();
    let inputs = inputs.map(|x| &x[..length]);
    let mut total = [0.0f64; N];
    for start in (0..length).step_by(BLOCK) {
        let block = inputs.map(|x| x[start..(start + BLOCK).min(length)].as_chunks::<16>());
        let mut lanes = [[0.0f32; 16]; N];
        for i in 0..block[0].0.len() {
            let chunk = block.map(|(chunks, _)| &chunks[i]);
            for l in 0..16 {
                let terms = f(chunk.map(|x| x[l]));
                for (lane, term) in lanes.iter_mut().zip(terms) {
                    lane[l] += term;
                }
            }
        }
        for l in 0..block[0].1.len() {
            let terms = f(block.map(|(_, rest)| rest[l]));
            for (lane, term) in lanes.iter_mut().zip(terms) {
                lane[l] += term;
            }
        }
        for (total, lanes) in total.iter_mut().zip(lanes) {
            *total += lanes.iter().map(|&x| f64::from(x)).sum::<f64>();
        }
    }
    total
}
