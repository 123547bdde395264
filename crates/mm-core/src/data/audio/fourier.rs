//! Fourier transforms of real numbers.

use rustfft::{Fft, FftPlannerScalar, num_complex::Complex32};
use std::cell::RefCell;
use std::f64::consts::TAU;
use std::sync::Arc;

thread_local! {
    // The scalar one: others round differently from one processor to the next.
    static PLANNER: RefCell<FftPlannerScalar<f32>> = RefCell::new(FftPlannerScalar::new());
}

/// The transform of `n` real numbers, `X[k] = sum over j of x[j] exp(-2πi j k / n)`, for k up to n / 2; the others are their conjugates.
///
/// Of an even n, pairs of neighbours are complex numbers: their transform Z, half as long, holds that of the even and that of the odd places,
/// `E[k] = (Z[k] + conj Z[n/2 - k]) / 2` and `O[k] = (Z[k] - conj Z[n/2 - k]) / 2i`, and `X[k] = E[k] + exp(-2πi k / n) O[k]`.
#[derive(Clone)]
pub(super) struct RealFft {
    n: usize,
    complex: Arc<dyn Fft<f32>>,
    /// `exp(-2πi k / n)` for k from 1 to below n / 4; empty where n is odd.
    turns: Vec<Complex32>,
}

/// What a transform works in.
pub(super) struct Workspace {
    packed: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl RealFft {
    /// Of `n` numbers, at least one. Plans that this thread has made before are found again.
    pub fn forward(n: usize) -> Self {
        let complex = if n.is_multiple_of(2) { n / 2 } else { n };
        Self { n, complex: PLANNER.with(|planner| planner.borrow_mut().plan_fft_forward(complex)), turns: turns(n) }
    }

    /// Numbers of a spectrum: `n / 2 + 1`.
    pub fn bins(&self) -> usize {
        self.n / 2 + 1
    }

    pub fn workspace(&self) -> Workspace {
        let scratch = self.complex.get_outofplace_scratch_len().max(self.complex.get_inplace_scratch_len());
        Workspace { packed: vec![Complex32::ZERO; self.complex.len()], scratch: vec![Complex32::ZERO; scratch] }
    }

    /// Of the first n of these numbers into the first n / 2 + 1 of a spectrum.
    pub fn process(&self, numbers: &[f32], spectrum: &mut [Complex32], Workspace { packed, scratch }: &mut Workspace) {
        let half = self.complex.len();
        if half == self.n {
            packed.iter_mut().zip(numbers).for_each(|(z, x)| *z = Complex32::new(*x, 0.0));
            self.complex.process_with_scratch(packed, scratch);
            spectrum[..self.bins()].copy_from_slice(&packed[..self.bins()]);
            // Rounding aside, their sum is real.
            spectrum[0].im = 0.0;
            return;
        }
        packed.iter_mut().zip(numbers.chunks_exact(2)).for_each(|(z, pair)| *z = Complex32::new(pair[0], pair[1]));
        self.complex.process_outofplace_with_scratch(packed, &mut spectrum[..half], scratch);
        let first = spectrum[0];
        spectrum[0] = Complex32::new(first.re + first.im, 0.0);
        spectrum[half] = Complex32::new(first.re - first.im, 0.0);
        for (k, turn) in (1..).zip(&self.turns) {
            let (turn, sum, difference) = (turn * 0.5, spectrum[k] + spectrum[half - k], spectrum[k] - spectrum[half - k]);
            let (re, im) = (sum.im * turn.re + difference.re * turn.im, sum.im * turn.im - difference.re * turn.re);
            spectrum[k] = Complex32::new(0.5 * sum.re + re, 0.5 * difference.im + im);
            spectrum[half - k] = Complex32::new(0.5 * sum.re - re, im - 0.5 * difference.im);
        }
        if half.is_multiple_of(2) {
            spectrum[half / 2] = spectrum[half / 2].conj();
        }
    }
}

/// Filters numbers, an even count of them: multiplies the part of each frequency k, of n / 2 + 1, by `factor(k)`.
pub(super) fn filter(numbers: &mut [f32], factor: impl Fn(usize) -> f64) {
    let forward = RealFft::forward(numbers.len());
    let (mut spectrum, mut workspace) = (vec![Complex32::ZERO; forward.bins()], forward.workspace());
    forward.process(numbers, &mut spectrum, &mut workspace);
    // Both ways together multiply by the count.
    spectrum.iter_mut().enumerate().for_each(|(k, x)| *x *= (factor(k) / numbers.len() as f64) as f32);
    let half = numbers.len() / 2;
    let (first, last) = (spectrum[0], spectrum[half]);
    spectrum[0] = Complex32::new(first.re + last.re, first.re - last.re);
    for (k, turn) in (1..).zip(forward.turns.iter().map(Complex32::conj)) {
        let (sum, difference) = (spectrum[k] + spectrum[half - k], spectrum[k] - spectrum[half - k]);
        let (re, im) = (sum.im * turn.re + difference.re * turn.im, sum.im * turn.im - difference.re * turn.re);
        spectrum[k] = Complex32::new(sum.re - re, difference.im - im);
        spectrum[half - k] = Complex32::new(sum.re + re, -im - difference.im);
    }
    if half.is_multiple_of(2) {
        spectrum[half / 2] = (spectrum[half / 2] + spectrum[half / 2]).conj();
    }
    let back = PLANNER.with(|planner| planner.borrow_mut().plan_fft_inverse(half));
    let mut pairs = workspace.packed;
    back.process_outofplace_with_scratch(&mut spectrum[..half], &mut pairs, &mut vec![Complex32::ZERO; back.get_outofplace_scratch_len()]);
    numbers.chunks_exact_mut(2).zip(pairs).for_each(|(pair, z)| pair.copy_from_slice(&[z.re, z.im]));
}

/// `exp(-2πi k / n)` for k from 1 to below n / 4.
fn turns(n: usize) -> Vec<Complex32> {
    let step = -TAU / n as f64;
    let turn = |k: usize| Complex32::new((step * k as f64).cos() as f32, (step * k as f64).sin() as f32);
    if n.is_multiple_of(2) { (1..n.div_ceil(4)).map(turn).collect() } else { Vec::new() }
}
