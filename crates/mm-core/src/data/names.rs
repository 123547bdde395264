//! Names in messages: some of many, and "Did you mean ...?", those nearest to one that does not exist.

use std::borrow::Borrow;

/// What of `candidates` was probably meant: the only one that begins with `name`, or the nearest, if one is near enough to be a slip.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (wanted, candidates) = (name.to_lowercase(), Vec::from_iter(candidates));
    let mut begun = candidates.iter().filter(|c| c.to_lowercase().starts_with(&wanted));
    match (begun.next(), begun.next()) {
        // Two letters begin too much.
        (Some(only), None) if wanted.chars().count() > 2 => Some(*only),
        _ => slip(name, candidates),
    }
}

/// The nearest of `candidates`, if one is near enough to be a slip: at most a third of the letters wrong (rounded up), and not all.
pub(super) fn slip<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = name.to_lowercase();
    let distances = candidates.into_iter().map(|c| (edit_distance(&wanted, &c.to_lowercase()), c));
    let (distance, candidate) = distances.min_by_key(|(distance, _)| *distance)?;
    let letters = wanted.chars().count();
    (distance <= letters.div_ceil(3) && distance < letters).then_some(candidate)
}

/// A sentence to add to a message: the nearest name, or what there is (at most eight names).
pub(super) fn suggestion<'a>(name: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(near) = nearest(name, candidates.clone()) {
        return format!("did you mean `{near}`?");
    }
    let mut shown: Vec<&str> = candidates.take(9).collect();
    let more = shown.len() > 8;
    shown.truncate(8);
    format!("there are: {}{}", shown.join(", "), if more { ", ..." } else { "" })
}

/// The place of a class in a list: the one of that text, else the only one that says the same, as programs write numbers and truths in
/// several ways (`0` and `0.0`, `true` and `True`).
///
/// ```
/// let classes = ["0".to_string(), "1".to_string()];
/// assert_eq!(mm_core::data::class_position(&classes, "1.0"), Some(1));
/// ```
pub fn class_position(classes: &[String], text: &str) -> Option<usize> {
    classes.iter().position(|class| class == text).or_else(|| {
        let said = Said::of(text)?;
        let mut same = (0..classes.len()).filter(|&at| Said::of(&classes[at]) == Some(said));
        same.next().filter(|_| same.next().is_none())
    })
}

/// What the text of a class says that can be written in another way.
#[derive(Clone, Copy, PartialEq)]
enum Said {
    Number(f64),
    Truth(bool),
}

impl Said {
    fn of(text: &str) -> Option<Self> {
        let number = || text.parse().ok().filter(|x: &f64| x.is_finite()).map(Self::Number);
        text.to_lowercase().parse().ok().map(Self::Truth).or_else(number)
    }
}

/// Levenshtein distance in characters; very long names are compared by their first 64.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// Up to `most` names, and how many more.
pub(super) fn some<S: Borrow<str>>(names: &[S], most: usize) -> String {
    let more = names.len().saturating_sub(most);
    let shown = names[..names.len() - more].join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}
