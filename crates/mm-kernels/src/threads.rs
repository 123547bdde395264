//! Splitting work over threads. Each task writes its own part and no sum crosses tasks, so the bits of a
//! result do not depend on the number of threads.

use crate::crew;
use crate::simd::{Level, vectorize};
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

/// Work in multiply-adds below which a second thread costs more than it saves.
const WORTH_A_THREAD: usize = 100_000;

/// Moving a number takes as long as so many multiply-adds.
pub(crate) const MOVED: usize = 8;

/// Work from which on it pays to wake a thread that sleeps.
const WORTH_WAKING: usize = 400_000;

/// Calls `task(0..tasks)`, over as many threads as rayon has if `work` is large enough.
pub(crate) fn for_each(tasks: usize, work: usize, task: impl Fn(usize) + Sync + Send) {
    let threads = if tasks <= 1 || work < WORTH_A_THREAD { 1 } else { rayon::current_num_threads() };
    if threads == 1 {
        (0..tasks).for_each(task);
    } else if !crew::for_each(tasks, threads - 1, work >= WORTH_WAKING, &task) {
        (0..tasks).into_par_iter().with_max_len(1).for_each(task);
    }
}

/// Numbers of a buffer that one task goes through.
const PIECE: usize = 1 << 15;

/// Calls `work`, compiled for the current level, with pieces of `target` and the same pieces of two buffers as long. It must be
/// `#[inline(always)]`, as for [`vectorize`].
pub(crate) fn in_pieces(target: &mut [f32], others: [&[f32]; 2], work: impl Fn(&mut [f32], [&[f32]; 2]) + Sync) {
    let level = Level::current();
    let length = target.len();
    let shared = Shared::new(target);
    for_each(length.div_ceil(PIECE), MOVED * length, |piece| {
        let (at, count) = (piece * PIECE, PIECE.min(length - piece * PIECE));
        // SAFETY: pieces are disjoint.
        let target = unsafe { shared.range(at, count) };
        let others = others.map(|other| &other[at..at + count]);
        vectorize(
            level,
            #[inline(always)]
            || work(target, others),
        );
    });
}

/// A mutable slice whose disjoint parts are written by different tasks.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    start: *mut f32,
    length: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: access goes through `range` and `pointer`, whose callers promise that tasks touch disjoint parts.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(crate) fn new(slice: &'a mut [f32]) -> Self {
        Self { start: slice.as_mut_ptr(), length: slice.len(), borrow: PhantomData }
    }

    /// Elements `at..at + length`; panics if that is out of bounds.
    ///
    /// # Safety
    /// While the result lives nothing else may touch these elements.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn range(&self, at: usize, length: usize) -> &'a mut [f32] {
        assert!(at <= self.length && length <= self.length - at, "range inside the shared slice");
        // SAFETY: in bounds by the assertion; alone by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(at), length) }
    }

    /// Adds elements `at..at + count` of every further one of `parts` stretches of `length` to those of the first, in order, and returns them.
    ///
    /// # Safety
    /// While the result lives nothing else may touch these elements of any stretch.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn add_up(&self, parts: usize, length: usize, at: usize, count: usize) -> &'a mut [f32] {
        // SAFETY: the caller's promise.
        let sums = unsafe { self.range(at, count) };
        for part in 1..parts {
            // SAFETY: as above; stretches are disjoint, as `at + count` is inside one.
            let of_part = unsafe { self.range(part * length + at, count) };
            sums.iter_mut().zip(of_part).for_each(|(sum, of_part)| *sum += *of_part);
        }
        sums
    }

    /// Elements `at..at + length`, of which a task may own only some; panics if they are out of bounds.
    pub(crate) fn part(&self, at: usize, length: usize) -> Self {
        assert!(at <= self.length && length <= self.length - at, "part inside the shared slice");
        Self { start: self.start.wrapping_add(at), length, borrow: PhantomData }
    }

    /// The first element.
    pub(crate) fn pointer(&self) -> *mut f32 {
        self.start
    }
}

/// Calls `task` with each part, as [`for_each`] does.
pub(crate) fn for_each_of<T: Send>(parts: Vec<T>, work: usize, task: impl Fn(T) + Sync + Send) {
    let parts: Vec<Mutex<Option<T>>> = parts.into_iter().map(|part| Mutex::new(Some(part))).collect();
    for_each(parts.len(), work, |number| {
        let part = parts[number].lock().unwrap_or_else(PoisonError::into_inner).take();
        part.into_iter().for_each(&task);
    });
}
