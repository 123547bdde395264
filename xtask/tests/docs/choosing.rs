//! The figures of the page that recommends methods are those of the tables that they come from.

use super::pages::root;

/// Columns of the page's table, each with the page, the heading and the column it is from.
const SOURCES: [(&str, &str, &str, &str); 6] = [
    ("digits, new speakers", "docs/src/notes/av-digits.md", "## Speakers that training never heard", "mean over the three"),
    ("digits, known speakers", "docs/src/notes/av-digits.md", "## The published split", "mean over the three"),
    ("watch, new people", "benchmarks/results/smartwatch.md", "### Summary", "Mean"),
    ("rooms, pixels", "benchmarks/results/segmentation.md", "### Summary", "Mean"),
    ("intensive care", "docs/src/notes/icu2012.md", "# Intensive care: figures", "AUROC"),
    ("six panels fewer", "docs/src/notes/icu2012.md", "# Intensive care: figures", "6 more"),
];

/// The first table behind a heading, as rows of cells; the first row names the columns.
fn table(page: &str, heading: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
    let behind = text.lines().skip_while(|line| *line != heading).skip_while(|line| !line.starts_with('|'));
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_string()).collect();
    let rows: Vec<Vec<String>> = behind.take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(rows.len() > 2, "{page}: no table behind `{heading}`");
    rows
}

/// The number that a cell begins with.
fn number(cell: &str) -> &str {
    cell.split_whitespace().next().unwrap_or_default()
}

#[test]
fn figures_are_those_of_their_tables() {
    let ours = table("docs/src/choosing.md", "## On other data");
    let mut compared = 0;
    for (column, page, heading, of) in SOURCES {
        let at = |rows: &[Vec<String>], name: &str| {
            rows[0].iter().position(|cell| cell == name).unwrap_or_else(|| panic!("no column `{name}`: {:?}", rows[0]))
        };
        let theirs = table(page, heading);
        let (here, there) = (at(&ours, column), at(&theirs, of));
        for row in ours.iter().skip(2).filter(|row| row[here] != "–") {
            let method = row[0].trim_matches('`');
            let source = theirs.iter().find(|other| other[0].split('`').any(|part| part == method) && !other[0].contains(','));
            let source = source.unwrap_or_else(|| panic!("{page} has no row `{method}`"));
            assert_eq!(number(&row[here]), number(&source[there]), "{column}: {method}");
            compared += 1;
        }
    }
    assert!(compared > 50, "{compared}");
}
