//! Numbers that are normal together: the mean of those that are absent given those that are there.

/// A normal distribution of many numbers.
pub(crate) struct Normal {
    mean: Vec<f64>,
    /// `[width, width]`.
    covariance: Vec<f64>,
    /// Its inverse.
    precision: Vec<f64>,
}

/// What the conditional mean of some numbers given all others takes.
pub(crate) struct Given {
    present: Vec<usize>,
    absent: Vec<usize>,
    /// The Cholesky factor of the covariance of the present numbers, or, where these are more, of the precision of the absent ones.
    factor: Vec<f64>,
}

impl Normal {
    /// From mean and covariance, with `ridge` mean variances added to each variance, or as much more as makes the covariance positive definite.
    /// `None` where nothing varies.
    pub fn new(mean: &[f32], covariance: &[f32], ridge: f64) -> Option<Self> {
        let width = mean.len();
        let scale = (0..width).map(|i| f64::from(covariance[i * width + i])).sum::<f64>() / width as f64;
        let mut ridge = ridge * scale;
        while scale > 0.0 && ridge.is_finite() {
            let mut with_ridge: Vec<f64> = covariance.iter().map(|x| f64::from(*x)).collect();
            (0..width).for_each(|i| with_ridge[i * width + i] += ridge);
            let mut factor = with_ridge.clone();
            if cholesky(&mut factor, width) {
                let mut precision = vec![0.0; width * width];
                for (i, column) in precision.chunks_exact_mut(width).enumerate() {
                    column[i] = 1.0;
                    substitute(&factor, width, column);
                }
                return Some(Self { mean: mean.iter().map(|x| f64::from(*x)).collect(), covariance: with_ridge, precision });
            }
            ridge *= 10.0;
        }
        None
    }

    /// What it takes to fill all numbers but those at the positions `present`, ascending.
    pub fn given(&self, present: Vec<usize>) -> Given {
        let width = self.mean.len();
        let absent: Vec<usize> = (0..width).filter(|i| present.binary_search(i).is_err()).collect();
        let (matrix, block) = if present.len() <= absent.len() { (&self.covariance, &present) } else { (&self.precision, &absent) };
        let mut factor: Vec<f64> = block.iter().flat_map(|&i| block.iter().map(move |&j| matrix[i * width + j])).collect();
        // A block of a positive definite matrix is one, up to rounding.
        let definite = cholesky(&mut factor, block.len());
        Given { present, absent, factor: if definite { factor } else { Vec::new() } }
    }

    /// Fills the absent numbers of a row.
    pub fn fill(&self, row: &mut [f32], given: &Given) {
        let Given { present, absent, factor } = given;
        let width = self.mean.len();
        let distances: Vec<f64> = present.iter().map(|&a| f64::from(row[a]) - self.mean[a]).collect();
        let product = |matrix: &[f64], b: usize, x: &[f64]| present.iter().zip(x).map(|(&a, x)| matrix[b * width + a] * x).sum::<f64>();
        let filled: Vec<f64> = match present.len() <= absent.len() {
            _ if factor.is_empty() => vec![0.0; absent.len()],
            true => {
                let mut x = distances;
                substitute(factor, present.len(), &mut x);
                absent.iter().map(|&b| product(&self.covariance, b, &x)).collect()
            }
            false => {
                let mut x: Vec<f64> = absent.iter().map(|&b| -product(&self.precision, b, &distances)).collect();
                substitute(factor, absent.len(), &mut x);
                x
            }
        };
        absent.iter().zip(filled).for_each(|(&b, distance)| row[b] = (self.mean[b] + distance) as f32);
    }
}

impl Given {
    /// Memory that it takes.
    pub fn bytes(&self) -> usize {
        8 * (self.factor.len() + self.present.len() + self.absent.len())
    }
}

/// Replaces a symmetric matrix `[n, n]` by its lower Cholesky factor; whether it is positive definite.
fn cholesky(matrix: &mut [f64], n: usize) -> bool {
    for i in 0..n {
        let (above, row) = matrix.split_at_mut(i * n);
        for j in 0..i {
            let other = &above[j * n..][..=j];
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let rest = row[i] - dot(&row[..i], &row[..i]);
        if !(rest > 0.0 && rest.is_finite()) {
            return false;
        }
        row[i] = rest.sqrt();
    }
    true
}

/// Solves `L Lᵀ x = b` in place.
fn substitute(factor: &[f64], n: usize, x: &mut [f64]) {
    for i in 0..n {
        let row = &factor[i * n..][..=i];
        x[i] = (x[i] - dot(&row[..i], &x[..i])) / row[i];
    }
    for i in (0..n).rev() {
        let row = &factor[i * n..][..=i];
        x[i] /= row[i];
        let value = x[i];
        x[..i].iter_mut().zip(row).for_each(|(x, l)| *x -= l * value);
    }
}

/// The dot product of two rows of one length.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Sums that do not wait for each other: the order of additions is kept, and one of them takes as long as many products.
    const LANES: usize = 8;
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        (0..LANES).for_each(|lane| sums[lane] += a[lane] * b[lane]);
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_by_hand() {
        let mut matrix = [4.0, 2.0, 2.0, 3.0];
        assert!(cholesky(&mut matrix, 2));
        let mut x = [10.0, 8.0];
        substitute(&matrix, 2, &mut x);
        assert!((x[0] - 1.75).abs() < 1e-12 && (x[1] - 1.5).abs() < 1e-12, "{x:?}");
        assert!(!cholesky(&mut [1.0, 2.0, 2.0, 1.0], 2));
    }

    /// With lanes and a rest: the factor gives the matrix back.
    #[test]
    fn a_factor_of_many_numbers() {
        let n = 29usize;
        let matrix: Vec<f64> = (0..n * n).map(|k| if k / n == k % n { 4.0 } else { 1.0 / (1 + (k / n).abs_diff(k % n)) as f64 }).collect();
        let mut factor = matrix.clone();
        assert!(cholesky(&mut factor, n));
        for (i, j) in (0..n).flat_map(|i| (0..=i).map(move |j| (i, j))) {
            let product: f64 = (0..=j).map(|k| factor[i * n + k] * factor[j * n + k]).sum();
            assert!((product - matrix[i * n + j]).abs() < 1e-12, "{i} {j}");
        }
        assert_eq!(dot(&[1.0; 21], &[2.0; 21]), 42.0);
    }

    /// From either side, by covariance of the present or by precision of the absent: `Σ_ba / Σ_aa (x - μ)` of two numbers, and that of three as
    /// numpy has it: `S[[0], 1:] @ inv(S[1:, 1:]) @ (x - m)`.
    #[test]
    fn conditional_means_by_hand() {
        let normal = Normal::new(&[1.0, 2.0], &[4.0, 2.0, 2.0, 3.0], 1e-12).expect("positive definite");
        let mut row = [3.0, f32::NAN];
        normal.fill(&mut row, &normal.given(vec![0]));
        assert!((row[1] - 3.0).abs() < 1e-5 && row[0] == 3.0, "{row:?}");
        let normal = Normal::new(&[0.0, 0.0, 1.0], &[2.0, 1.0, 0.5, 1.0, 3.0, 0.0, 0.5, 0.0, 1.0], 1e-12).expect("positive definite");
        let mut row = [f32::NAN, 3.0, 2.0];
        normal.fill(&mut row, &normal.given(vec![1, 2]));
        assert!((row[0] - 1.5).abs() < 1e-5, "{row:?}");
        let mut row = [f32::NAN, 3.0, f32::NAN];
        normal.fill(&mut row, &normal.given(vec![1]));
        assert!((row[0] - 1.0).abs() < 1e-5 && (row[2] - 1.0).abs() < 1e-5, "{row:?}");
        assert!(Normal::new(&[0.0; 2], &[0.0; 4], 0.1).is_none());
        // Not that of any numbers: more ridge makes it one.
        assert!(Normal::new(&[0.0; 2], &[1.0, 2.0, 2.0, 1.0], 0.1).is_some());
    }
}
