//! The findings on a data set ([`mm_core::data::check`]) for people: as text, and as a page for a browser.

mod html;
mod text;

pub use html::page;
pub use text::text;

use mm_core::data::check::Level;

/// The word for a level.
fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Remark => "remark",
    }
}

/// A number with two digits behind the point at most.
fn short(x: f64) -> String {
    format!("{}", (x * 100.0).round() / 100.0)
}
