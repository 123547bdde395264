//! Memory of this process.

use cap::Cap;
use mimalloc::MiMalloc;

/// Counts what is allocated; the cost is an addition an allocation.
#[global_allocator]
static ALLOCATOR: Cap<MiMalloc> = Cap::new(MiMalloc, usize::MAX);

/// Bytes that are allocated now.
pub fn allocated_bytes() -> u64 {
    ALLOCATOR.allocated() as u64
}
