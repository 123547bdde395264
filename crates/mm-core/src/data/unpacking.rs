//! How much the readers of files may unpack.

use std::cell::Cell;

thread_local! {
    static MOST: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// Does some work on this thread with a lower bound for what one file may become in memory than the readers have by themselves: `bytes` of
/// pixels, of samples, or of an entry of an archive. A program that reads files of strangers sets it; others need not.
///
/// The bound is this thread's: of work that is handed on to other threads it knows nothing.
pub fn unpacking_at_most<T>(bytes: u64, work: impl FnOnce() -> T) -> T {
    /// Puts back what was there, also where the work panics.
    struct Before(u64);
    impl Drop for Before {
        fn drop(&mut self) {
            MOST.set(self.0);
        }
    }
    let _before = Before(MOST.replace(bytes));
    work()
}

/// The bound of this thread, or the reader's own where that is lower.
pub(crate) fn most_bytes(own: u64) -> u64 {
    MOST.get().min(own)
}
