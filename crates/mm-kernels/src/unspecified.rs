//! Memory for what a kernel writes as a whole.

/// `length` numbers that are not set: whatever was there. For the output of a kernel that overwrites all of it, as those of this crate do;
/// setting it to zero before takes a tenth of a training step of an image network, on one thread while the others wait.
///
/// In a debug build and under a sanitizer they are NaN, so that one that is never written shows.
pub fn unspecified(length: usize) -> Vec<f32> {
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(any(debug_assertions, exact_scratch, miri))))]
    {
        let mut numbers = Vec::<f32>::with_capacity(length);
        // SAFETY: the capacity is there, any bits are an `f32`, and memory that an assembly block may have written counts as initialised: the
        // compiler cannot know that this one leaves it as it is.
        unsafe {
            std::arch::asm!("/* {0} */", in(reg) numbers.as_mut_ptr(), options(nostack, preserves_flags));
            numbers.set_len(length);
        }
        numbers
    }
    #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(any(debug_assertions, exact_scratch, miri)))))]
    vec![f32::NAN; length]
}
