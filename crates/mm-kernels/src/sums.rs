//! Sums that stay close to f64: 16 lanes of f32 over a block, blocks in f64.

/// Numbers summed in f32 before the lanes go to f64: 64 a lane.
const BLOCK: usize = 1024;

/// The sums of the `N` numbers `f` makes of the elements of `M` slices, of the first one's length. The order is fixed.
///
/// Always inlined, so inside [`vectorize`](crate::simd::vectorize) it is vectorised.
#[inline(always)]
pub(crate) fn sums<const M: usize, const N: usize>(inputs: [&[f32]; M], f: impl Fn([f32; M]) -> [f32; N]) -> [f64; N] {
    let mut sums = Sums::default();
    sums.add(inputs, f);
    sums.finish()
}

/// Sums over many slices, such as the planes of a channel: short ones share a block, since emptying the lanes takes as long as
/// adding a hundred numbers.
pub(crate) struct Sums<const N: usize> {
    total: [f64; N],
    lanes: [[f32; 16]; N],
    /// Numbers in the lanes, each slice rounded up to whole rows of lanes.
    held: usize,
}

impl<const N: usize> Default for Sums<N> {
    fn default() -> Self {
        Self { total: [0.0; N], lanes: [[0.0; 16]; N], held: 0 }
    }
}

impl<const N: usize> Sums<N> {
    /// Adds what `f` makes of the elements of slices of the first one's length.
    #[inline(always)]
    pub(crate) fn add<const M: usize>(&mut self, inputs: [&[f32]; M], f: impl Fn([f32; M]) -> [f32; N]) {
        let length = inputs[0].len();
        let inputs = inputs.map(|x| &x[..length]);
        let mut start = 0;
        while start < length {
            let end = (start + BLOCK - self.held).min(length);
            let block = inputs.map(|x| x[start..end].as_chunks::<16>());
            let mut lanes = self.lanes;
            for i in 0..block[0].0.len() {
                let chunk = block.map(|(chunks, _)| &chunks[i]);
                for l in 0..16 {
                    let terms = f(chunk.map(|x| x[l]));
                    for (lane, term) in lanes.iter_mut().zip(terms) {
                        lane[l] += term;
                    }
                }
            }
            let rest = block[0].1.len();
            if rest > 0 {
                let mut last = [[0.0f32; 16]; M];
                last.iter_mut().zip(&block).for_each(|(last, (_, x))| last[..rest].copy_from_slice(x));
                for l in 0..16 {
                    let terms = f(std::array::from_fn(|m| last[m][l]));
                    for (lane, term) in lanes.iter_mut().zip(terms) {
                        lane[l] += if l < rest { term } else { 0.0 };
                    }
                }
            }
            self.lanes = lanes;
            self.held += (end - start).next_multiple_of(16);
            if self.held >= BLOCK {
                self.empty();
            }
            start = end;
        }
    }

    #[inline(always)]
    fn empty(&mut self) {
        for (total, lanes) in self.total.iter_mut().zip(&mut self.lanes) {
            *total += lanes.iter().map(|&x| f64::from(x)).sum::<f64>();
            *lanes = [0.0; 16];
        }
        self.held = 0;
    }

    /// The sums of all that was added.
    #[inline(always)]
    pub(crate) fn finish(mut self) -> [f64; N] {
        self.empty();
        self.total
    }
}
