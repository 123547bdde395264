//! Pieces of several sections.

use crate::analysis::Difference;
use crate::words::{Words, p_value};
use maud::{Markup, html};
use mm_core::statistics::Verdict;

/// A table in a box of its own that scrolls.
pub fn table(label: &str, content: Markup) -> Markup {
    html! { div.scroll role="region" aria-label=(label) tabindex="0" { table { (content) } } }
}

/// A plain list.
pub fn list(items: &[String]) -> Markup {
    html! { ul { @for item in items { li { (item) } } } }
}

/// A verdict as a small label, with the difference behind it.
pub fn chip(compared: &Difference, words: Words) -> Markup {
    let (class, sign) = match compared.verdict {
        Verdict::Better => ("better", "▲"),
        Verdict::Worse => ("worse", "▼"),
        Verdict::NoDifferenceFound => ("none", "≈"),
    };
    let title = format!("{}, corrected p {}", words.finding(compared), p_value(compared.adjusted_p));
    html! { span class={ "chip " (class) } title=(title) { span aria-hidden="true" { (sign) } " " (compared.verdict) } }
}

/// A cell with a difference and its verdict; a dash where nothing was compared.
pub fn compared(value: Option<&Difference>, words: Words) -> Markup {
    html! {
        @match value {
            Some(c) => td { span.number { (words.difference(c)) } " " (chip(c, words)) },
            None => td.muted { "–" },
        }
    }
}

/// A cell with a number and what belongs to it in smaller type.
pub fn number(main: &str, small: &str) -> Markup {
    html! { td.number { (main) @if !small.is_empty() { " " small { (small) } } } }
}
