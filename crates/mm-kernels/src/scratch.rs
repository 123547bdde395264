//! Working memory that is kept between calls, so that a kernel in steady state allocates nothing.
//!
//! Compiled with `--cfg exact_scratch` it is what a sanitizer wants instead: every buffer is allocated for its call, ends
//! with its last number and starts as NaN, so that reading or writing past it, or reading what was never written, shows.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

/// Numbers of a cache line.
const LINE: usize = if cfg!(exact_scratch) { 1 } else { 16 };

#[derive(Clone, Copy)]
#[cfg_attr(not(exact_scratch), repr(C, align(64)))]
#[cfg_attr(exact_scratch, repr(C))]
struct Line([f32; LINE]);

/// What a new buffer holds.
const UNSPECIFIED: Line = Line([if cfg!(exact_scratch) { f32::NAN } else { 0.0 }; LINE]);

static POOL: Mutex<Vec<Vec<Line>>> = Mutex::new(Vec::new());

/// A cache-line-aligned buffer; one that was borrowed from the pool goes back when dropped.
pub(crate) struct Scratch {
    memory: Memory,
    length: usize,
}

enum Memory {
    Pooled(Vec<Line>),
    Own(Vec<Line>),
    /// Numbers that are aligned though nobody asked for it.
    Plain(Vec<f32>),
}

/// Where what fills a buffer has it from: [`take`], [`take_zeroed`] or [`own`].
pub(crate) type Room = fn(usize) -> Scratch;

/// A buffer of `length` zeros that is no larger than it must be and stays out of the pool: for what outlives a call.
///
/// Large blocks often are aligned anyway. Asked for it, an allocator of size classes takes the class above for the sizes that weights have.
pub(crate) fn own(length: usize) -> Scratch {
    let plain = vec![0.0f32; length];
    if plain.as_ptr().cast::<Line>().is_aligned() {
        return Scratch { memory: Memory::Plain(plain), length };
    }
    drop(plain);
    Scratch { memory: Memory::Own(vec![Line([0.0; LINE]); length.div_ceil(LINE)]), length }
}

/// A buffer of `length` numbers with unspecified contents.
pub(crate) fn take(length: usize) -> Scratch {
    let needed = length.div_ceil(LINE);
    let mut pool = POOL.lock().unwrap_or_else(|e| e.into_inner());
    // The smallest buffer that is large enough, else the largest, which then grows.
    let fitting = (0..pool.len()).filter(|&i| pool[i].len() >= needed).min_by_key(|&i| pool[i].len());
    let chosen = fitting.or_else(|| (0..pool.len()).max_by_key(|&i| pool[i].len()));
    let mut lines = chosen.map(|i| pool.swap_remove(i)).unwrap_or_default();
    drop(pool);
    if lines.len() < needed {
        // Not `resize`: the old contents need no copy.
        lines = Vec::new();
        lines.resize(needed, UNSPECIFIED);
    }
    Scratch { memory: if cfg!(exact_scratch) { Memory::Own(lines) } else { Memory::Pooled(lines) }, length }
}

/// A buffer of `length` zeros.
pub(crate) fn take_zeroed(length: usize) -> Scratch {
    let mut scratch = take(length);
    scratch.fill(0.0);
    scratch
}

/// Frees the working memory that no running kernel holds.
pub fn release_scratch() {
    POOL.lock().unwrap_or_else(|e| e.into_inner()).clear();
}

impl Deref for Scratch {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match &self.memory {
            // SAFETY: `Line` is `LINE` floats without padding, and `length <= LINE * lines.len()`.
            Memory::Pooled(lines) | Memory::Own(lines) => unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), self.length) },
            Memory::Plain(numbers) => numbers,
        }
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        match &mut self.memory {
            // SAFETY: as in `deref`, and `self` is borrowed mutably.
            Memory::Pooled(lines) | Memory::Own(lines) => unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), self.length) },
            Memory::Plain(numbers) => numbers,
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Memory::Pooled(lines) = &mut self.memory {
            POOL.lock().unwrap_or_else(|e| e.into_inner()).push(std::mem::take(lines));
        }
    }
}
