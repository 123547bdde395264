//! When a row was.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// A time as a number: itself, or seconds where it is a date (`2024-01-31`, `2024-01-31 10:00:00.5`, also with `T`, `Z` or an offset)
/// or hours and minutes (`26:15`, `26:15:30`). `None` where it is none of these.
pub(in crate::data) fn time_of(text: &str, decimal_comma: bool) -> Option<f64> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|x| x.is_finite());
    if let Some(value) = number(text) {
        return Some(value);
    }
    if decimal_comma && let Some(value) = number(&text.replacen(',', ".", 1)) {
        return Some(value);
    }
    hours_and_minutes(text).or_else(|| seconds_of_date(text))
}

/// Hours and minutes, without a date.
pub(super) const CLOCK: &str = "a time of day";

/// How a time is written, in words.
pub(super) fn form_of(text: &str) -> &'static str {
    match () {
        _ if hours_and_minutes(text).is_some() => CLOCK,
        _ if text.replacen(',', ".", 1).parse::<f64>().is_ok() => "a number",
        _ => "a date",
    }
}

fn hours_and_minutes(text: &str) -> Option<f64> {
    let parts: Vec<&str> = text.split(':').collect();
    let (hours, minutes, seconds) = match parts[..] {
        [hours, minutes] => (hours, minutes, "0"),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds: f64 = seconds.parse().ok()?;
    (minutes < 60 && (0.0..60.0).contains(&seconds)).then(|| f64::from(hours) * 3600.0 + f64::from(minutes) * 60.0 + seconds)
}

fn seconds_of_date(text: &str) -> Option<f64> {
    let of = |at: Timestamp| Some(at.as_second() as f64 + f64::from(at.subsec_nanosecond()) * 1e-9);
    // Programs write the offset with a space before it, too.
    let joined = text.rsplit_once(' ').filter(|(_, offset)| offset.starts_with(['+', '-'])).map(|(at, offset)| format!("{at}{offset}"));
    if let Ok(at) = joined.as_deref().unwrap_or(text).parse::<Timestamp>() {
        return of(at);
    }
    let without_zone = text.parse::<DateTime>().or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)));
    of(without_zone.ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
}
