//! Columns of words: each category a number, 1 where a cell is it and 0 elsewhere.

use super::names::some;

/// How many categories an error names.
const NAMED: usize = 8;

/// What a number is called that says whether the cell of a column is a category.
pub(super) fn name(column: &str, category: &str) -> String {
    format!("{column}={category}")
}

/// The columns that a number may be of, each with its category: of `a=b=c` both `a` and `a=b`.
pub(super) fn stems(variable: &str) -> impl Iterator<Item = (&str, &str)> {
    variable.match_indices('=').map(|(at, _)| (&variable[..at], &variable[at + 1..]))
}

/// Which of the categories a cell is: the same text, or the same number.
pub(super) fn position<S: AsRef<str>>(categories: &[S], text: &str) -> Option<usize> {
    let text = text.trim();
    let same = |category: &S| category.as_ref() == text;
    let equal = |x: f64| categories.iter().position(|category| category.as_ref().parse::<f64>().is_ok_and(|y| x == y));
    categories.iter().position(same).or_else(|| equal(text.parse().ok()?))
}

/// What is wrong with a cell that is none of them, and where more could be named.
pub(super) fn unknown<S: AsRef<str>>(categories: &[S], text: &str, column: &str, in_card: bool) -> String {
    let shown: String = text.chars().take(40).collect();
    let known: Vec<&str> = categories.iter().map(AsRef::as_ref).collect();
    let advice = match in_card {
        true => format!("add it to `categories` of the card, or to `missing` if it says that nothing is known: missing = [{shown:?}]"),
        false => "the model knows no other: write one of them, or leave the cell empty".into(),
    };
    format!("`{shown}` is none of the categories of `{column}` ({}); {advice}", some(&known, NAMED))
}
