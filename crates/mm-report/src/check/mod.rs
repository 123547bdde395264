//! The findings on a data set ([`mm_core::data::check`]) for people: as text, and as a page for a browser.

mod html;
mod text;

pub use html::page;
pub use text::text;

use crate::words::count;
use mm_core::data::check::{Check, Level, Predicted};

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

/// A share in percent; `0` is none at all.
fn share(part: u64, of: u64) -> String {
    match part {
        0 => "0".into(),
        part => format!("{:.2}", 100.0 * part as f64 / of.max(1) as f64),
    }
}

/// How many classes there are, of samples or of pixels, or labels or numbers.
fn classes(check: &Check) -> String {
    match &check.predicted {
        Some(Predicted::Labels(labels)) => return count(labels.len(), "label"),
        Some(Predicted::Numbers(numbers)) => return count(numbers.len(), "number"),
        _ => {}
    }
    match check.pixels.as_ref().map_or(check.classes.len(), |pixels| pixels.classes.len()) {
        1 => "1 class".into(),
        classes => format!("{classes} classes"),
    }
}
