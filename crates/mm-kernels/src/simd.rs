//! Which vector instructions a kernel uses, chosen when the program runs.

use crate::error::{Error, Result};
use std::cell::Cell;
use std::sync::OnceLock;

/// A set of vector instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Plain Rust, on any processor.
    Portable,
    /// AVX2 and FMA, 8 lanes.
    Avx2,
    /// AVX-512F, 16 lanes.
    Avx512,
}

thread_local! {
    static FORCED: Cell<Option<Level>> = const { Cell::new(None) };
}

/// The environment variable that lowers the level: `portable`, `avx2` or `avx512`, read once.
pub const VARIABLE: &str = "MM_KERNELS_SIMD";

impl Level {
    /// All levels, the lowest first.
    pub const ALL: [Level; 3] = [Level::Portable, Level::Avx2, Level::Avx512];

    /// Its name in the environment variable [`VARIABLE`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// The best level of this processor, or the lower one that [`VARIABLE`] names. What that cannot mean is said once on
    /// standard error, and then left aside; [`Level::from_environment`] makes it an error.
    pub fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| {
            Self::from_environment().unwrap_or_else(|problem| {
                eprintln!("warning: {problem}; {} is used", Self::supported().name());
                Self::supported()
            })
        })
    }

    /// The level that [`VARIABLE`] names, where it is set; the best of this processor otherwise.
    pub fn from_environment() -> Result<Self> {
        let Some(asked) = std::env::var_os(VARIABLE).filter(|asked| !asked.is_empty()) else { return Ok(Self::supported()) };
        let problem = |problem| {
            let asked = asked.to_string_lossy().into_owned();
            Err(Error::Level { variable: VARIABLE, asked, problem, here: Self::names_here() })
        };
        match Self::ALL.into_iter().find(|level| asked == level.name()) {
            Some(level) if level <= Self::supported() => Ok(level),
            Some(_) => problem("this processor has no such instructions"),
            None => problem("there is no such level"),
        }
    }

    /// The names of the levels that this processor has.
    fn names_here() -> String {
        let here = Self::ALL.into_iter().filter(|level| *level <= Self::supported());
        here.map(Self::name).collect::<Vec<_>>().join(", ")
    }

    /// The best level of this processor, whatever is asked for.
    pub fn supported() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return if is_x86_feature_detected!("avx512f") { Level::Avx512 } else { Level::Avx2 };
        }
        Level::Portable
    }

    /// The level kernels called from this thread use: [`best`](Self::best), or what [`with_level`] forces.
    pub fn current() -> Self {
        FORCED.get().unwrap_or_else(Self::best)
    }
}

/// Runs `f` with the kernels that this thread calls kept at or below `level`: for tests that compare levels.
pub fn with_level<R>(level: Level, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<Level>);
    impl Drop for Restore {
        fn drop(&mut self) {
            FORCED.set(self.0);
        }
    }
    let _restore = Restore(FORCED.replace(Some(level.min(Level::supported()))));
    f()
}

/// Runs `f` with the instructions of [`Level::Avx2`]. `f` must be `#[inline(always)]`, and so must all that it calls.
///
/// # Safety
/// The processor has them.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
pub(crate) fn avx2<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Runs `f` with the instructions of [`Level::Avx512`], as [`avx2`] does.
///
/// # Safety
/// The processor has them.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f")]
pub(crate) fn avx512<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Runs `f`, compiled for `level`. `f` must be `#[inline(always)]`, or it keeps the baseline instructions.
#[inline]
pub(crate) fn vectorize<R>(level: Level, f: impl FnOnce() -> R) -> R {
    match level {
        // SAFETY: a `Level` above `Portable` is made only where the processor has its features.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { avx2(f) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { avx512(f) },
        _ => f(),
    }
}

/// Calls `$function::<V>` with the vector type of a level, with its instructions on. The function and all that it calls must be
/// `#[inline(always)]`, closures too: what is not inlined calls a function for each instruction (`tests/inlined.rs` looks for them).
macro_rules! at_level {
    ($level:expr, $function:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: the function's own conditions are met by the code around this macro; a `Level` above `Portable` is made only
        // where the processor has its features.
        match $level {
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Level::Avx512 => unsafe {
                $crate::simd::avx512(#[inline(always)] || $function::<$crate::simd::x86::__m512>($($argument),*))
            },
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Level::Avx2 => unsafe {
                $crate::simd::avx2(#[inline(always)] || $function::<$crate::simd::x86::__m256>($($argument),*))
            },
            _ => unsafe { $function::<$crate::simd::Lanes8>($($argument),*) },
        }
    };
}
pub(crate) use at_level;

/// A vector of `f32` lanes.
///
/// # Safety
/// `load` reads and `store` writes `LANES` numbers at any alignment. All methods may be called only inside
/// [`vectorize`] at a level that has the vector's instructions.
pub(crate) trait Vector: Copy {
    const LANES: usize;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    unsafe fn splat(x: f32) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn mul(self, other: Self) -> Self;
    /// `self * b + c`.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// Zero where a lane is negative; NaN stays NaN.
    unsafe fn relu(self) -> Self;
    /// Zero where the gate's lane is not positive.
    unsafe fn where_positive(self, gate: Self) -> Self;
}

/// Eight lanes in plain Rust.
#[derive(Clone, Copy)]
pub(crate) struct Lanes8([f32; 8]);

impl Lanes8 {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Vector for Lanes8 {
    const LANES: usize = 8;
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller promises `LANES` readable numbers.
        Self(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller promises `LANES` writable numbers.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; 8])
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        self.zip(b, |x, y| x * y).zip(c, |x, y| x + y)
    }
    #[inline(always)]
    unsafe fn relu(self) -> Self {
        self.zip(self, |x, _| if x < 0.0 { 0.0 } else { x })
    }
    #[inline(always)]
    unsafe fn where_positive(self, gate: Self) -> Self {
        self.zip(gate, |x, gate| if gate > 0.0 { x } else { 0.0 })
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! x86_vector {
    ($type:ty, $lanes:literal, $load:ident, $store:ident, $splat:ident, $add:ident, $sub:ident, $mul:ident, $fma:ident, $max:ident, $gate:ident) => {
        // SAFETY (all methods): the trait's contract gives readable or writable memory and the instructions.
        impl Vector for $type {
            const LANES: usize = $lanes;
            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                unsafe { x86::$load(from) }
            }
            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                unsafe { x86::$store(to, self) }
            }
            #[inline(always)]
            unsafe fn splat(x: f32) -> Self {
                unsafe { x86::$splat(x) }
            }
            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                unsafe { x86::$add(self, other) }
            }
            #[inline(always)]
            unsafe fn sub(self, other: Self) -> Self {
                unsafe { x86::$sub(self, other) }
            }
            #[inline(always)]
            unsafe fn mul(self, other: Self) -> Self {
                unsafe { x86::$mul(self, other) }
            }
            #[inline(always)]
            unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                unsafe { x86::$fma(self, b, c) }
            }
            #[inline(always)]
            unsafe fn relu(self) -> Self {
                // The instruction returns its second operand where one is NaN.
                unsafe { x86::$max(x86::$splat(0.0), self) }
            }
            #[inline(always)]
            unsafe fn where_positive(self, gate: Self) -> Self {
                unsafe { $gate(self, gate) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
pub(crate) use std::arch::x86_64 as x86;

#[cfg(target_arch = "x86_64")]
x86_vector!(
    x86::__m256,
    8,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_set1_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_fmadd_ps,
    _mm256_max_ps,
    gate_256
);
#[cfg(target_arch = "x86_64")]
x86_vector!(
    x86::__m512,
    16,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_set1_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_fmadd_ps,
    _mm512_max_ps,
    gate_512
);

/// # Safety
/// As the methods of [`Vector`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn gate_256(x: x86::__m256, gate: x86::__m256) -> x86::__m256 {
    // SAFETY: the caller's promise.
    unsafe { x86::_mm256_and_ps(x, x86::_mm256_cmp_ps::<{ x86::_CMP_GT_OQ }>(gate, x86::_mm256_setzero_ps())) }
}

/// # Safety
/// As the methods of [`Vector`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn gate_512(x: x86::__m512, gate: x86::__m512) -> x86::__m512 {
    // SAFETY: the caller's promise.
    unsafe { x86::_mm512_maskz_mov_ps(x86::_mm512_cmp_ps_mask::<{ x86::_CMP_GT_OQ }>(gate, x86::_mm512_setzero_ps()), x) }
}
