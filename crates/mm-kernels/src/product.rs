//! Matrix products: those of the `gemm` crate, at the level of vector instructions that is asked for.

use crate::error::{Result, check_length as check};
use crate::simd::Level;
use gemm::Parallelism;
use gemm_common::gemm::gemm_basic_generic;
use gemm_common::simd::{MixedSimd, Scalar};
use gemm_f32::microkernel::scalar::f32 as scalar;

/// A matrix operand: row-major, its rows `stride` numbers apart; read transposed if `transposed`.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    stride: usize,
    transposed: bool,
}

impl<'a> Operand<'a> {
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self { data, rows, columns, stride: columns, transposed: false }
    }

    /// Some columns of a wider matrix, whose rows have `stride` numbers: `data` begins with the first of them.
    pub fn columns_of(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        Self { data, rows, columns, stride, transposed: false }
    }

    pub fn t(self) -> Self {
        Self { transposed: true, ..self }
    }

    /// How many numbers lie between the first and the last that is read, both counted.
    fn span(&self) -> usize {
        self.rows.checked_sub(1).map_or(0, |before| before * self.stride + self.columns)
    }

    /// (rows, columns, row stride, column stride) as read.
    fn view(&self) -> (usize, usize, isize, isize) {
        let width = self.stride as isize;
        if self.transposed { (self.columns, self.rows, 1, width) } else { (self.rows, self.columns, width, 1) }
    }
}

/// `output = a b`, or `output += a b`; `output` is row-major.
pub(crate) fn matmul(a: Operand, b: Operand, output: &mut [f32], accumulate: bool) -> Result<()> {
    let (m, k, a_rs, a_cs) = a.view();
    let (k_b, n, b_rs, b_cs) = b.view();
    check("left operand", a.span(), a.data.len())?;
    check("right operand", b.span(), b.data.len())?;
    check("inner dimension", k, k_b)?;
    check("output", m * n, output.len())?;
    if m == 0 || n == 0 {
        return Ok(());
    }
    // Below this many multiply-adds a second thread costs more than it saves.
    let threads = rayon::current_num_threads();
    let parallelism = match threads > 1 && m * n * k > 4_000_000 {
        true => Parallelism::Rayon(threads),
        false => Parallelism::None,
    };
    let (to, a, b, width) = (output.as_mut_ptr(), a.data.as_ptr(), b.data.as_ptr(), n as isize);
    let level = Level::current();
    // SAFETY: the lengths of all three slices were checked against the shapes above, the strides stay inside them, and
    // `output` is borrowed mutably, so it does not overlap the inputs. `V3` exists only where the processor has its instructions.
    unsafe {
        // gemm chooses the processor's best level by itself; a lower one is asked of the functions that it chooses from, with the
        // operands in the order that it gives row-major outputs.
        macro_rules! at_level {
            ($simd:expr, $kernels:ident, $lanes:literal) => {
                gemm_basic_generic::<
                    _,
                    f32,
                    $lanes,
                    { $lanes * $kernels::MR_DIV_N },
                    { $kernels::NR },
                    { $kernels::MR_DIV_N },
                    { $kernels::H_M },
                    { $kernels::H_N },
                >(
                    $simd,
                    n,
                    m,
                    k,
                    to,
                    width,
                    1,
                    accumulate,
                    b,
                    b_rs,
                    b_cs,
                    a,
                    a_rs,
                    a_cs,
                    1.0,
                    1.0,
                    false,
                    false,
                    false,
                    |a, b, c| a * b + c,
                    &$kernels::UKR,
                    &$kernels::H_UKR,
                    false,
                    parallelism,
                )
            };
        }
        if level == Level::supported() {
            gemm::gemm(m, n, k, to, 1, width, accumulate, a, a_cs, a_rs, b, b_cs, b_rs, 1.0, 1.0, false, false, false, parallelism);
            return Ok(());
        }
        #[cfg(target_arch = "x86_64")]
        {
            use gemm_common::simd::V3;
            use gemm_f32::microkernel::fma::f32 as fma;
            if let Some(simd) = <V3 as MixedSimd<f32, f32, f32, f32>>::try_new().filter(|_| level == Level::Avx2) {
                at_level!(simd, fma, 8);
                return Ok(());
            }
        }
        at_level!(Scalar, scalar, 1);
    }
    Ok(())
}
