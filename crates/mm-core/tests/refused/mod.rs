//! Data that must be refused, and what the message must hold.

use mm_core::Result;

#[track_caller]
pub fn fails<T: std::fmt::Debug>(result: Result<T>, expected: &[&str]) {
    let message = result.unwrap_err().to_string();
    for part in expected {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
}
