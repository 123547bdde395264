//! Data that must be refused, and what the message must hold.

use mm_core::Result;
use mm_core::data::LoadedData;

#[track_caller]
pub fn fails(result: Result<LoadedData>, expected: &[&str]) {
    let message = result.unwrap_err().to_string();
    for part in expected {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
}
