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

/// Largest resident set of this process so far, where the system tells.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}
