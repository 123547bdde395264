//! Data for the cards and plans of the documentation.

use std::collections::BTreeMap;
use std::path::Path;
use toml::{Table, Value};

const SAMPLES: usize = 90;

/// Two vectors, and everything that a part of a card leaves out.
const CARD: &str = r#"
name = "card"
label = "kind"
[[view]]
modality = "left"
file = "left.csv"
[[view]]
modality = "right"
file = "right.csv"
"#;

/// Three images of one size, for the networks that the documentation shows.
const IMAGES: &str = r#"
name = "images"
label = "kind"
[[view]]
modality = "rgb"
file = "rgb.csv"
shape = [3, 16, 16]
[[view]]
modality = "depth"
file = "depth.csv"
shape = [1, 16, 16]
[[view]]
modality = "ir"
file = "ir.csv"
shape = [1, 16, 16]
"#;

/// A plan on [`IMAGES`].
const PLAN: &str = r#"
name = "plan"
seeds = [0]
[[data]]
name = "images"
card = "images.toml"
[[runs]]
method = "modality-dropout"
"#;

/// A card with this part in it.
pub fn card_with(part: &str) -> Result<Table, toml::de::Error> {
    Ok(merged(CARD.parse()?, part.parse()?))
}

/// A plan with this part in it, and the data that it names.
pub fn plan_with(part: &str, folder: &Path) -> Result<Table, toml::de::Error> {
    let images: Table = IMAGES.parse()?;
    std::fs::write(folder.join("images.toml"), IMAGES).unwrap();
    write(&images, folder);
    Ok(merged(PLAN.parse()?, part.parse()?))
}

/// The part's fields replace those of the whole.
fn merged(mut whole: Table, part: Table) -> Table {
    whole.extend(part);
    whole
}

fn text<'a>(table: &'a Table, key: &str) -> Option<&'a str> {
    table.get(key).and_then(Value::as_str)
}

/// Writes the files that a card names, with the columns that it asks for.
pub fn write(card: &Table, folder: &Path) {
    let mut files: BTreeMap<&str, Vec<(String, Column)>> = BTreeMap::new();
    let join_by_id = text(card, "join") == Some("id");
    let keys = [("id", Column::Id), ("group", Column::Group), ("part", Column::Part)];
    let views: Vec<&Table> = card["view"].as_array().unwrap().iter().map(|view| view.as_table().unwrap()).collect();
    for (number, view) in views.iter().enumerate() {
        let columns = files.entry(text(view, "file").unwrap()).or_default();
        let mut add = |name: &str, column| {
            if !columns.iter().any(|(known, _)| known == name) {
                columns.push((name.to_string(), column));
            }
        };
        for (key, column) in keys {
            let named = text(view, key).or(text(card, key));
            named.filter(|_| key != "id" || join_by_id).into_iter().for_each(|name| add(name, column));
        }
        // A label that the card names is in the first file, as people have it.
        text(view, "label").or(text(card, "label").filter(|_| number == 0)).into_iter().for_each(|name| add(name, Column::Label));
        match (view.get("columns"), view.get("shape")) {
            (Some(columns), _) => columns.as_array().unwrap().iter().for_each(|name| add(name.as_str().unwrap(), Column::Feature)),
            (None, Some(shape)) => {
                let count: i64 = shape.as_array().unwrap().iter().map(|n| n.as_integer().unwrap()).product();
                (0..count).for_each(|i| add(&format!("pixel_{i}"), Column::Feature));
            }
            (None, None) => (0..3).for_each(|i| add(&format!("{}_{i}", text(view, "modality").unwrap()), Column::Feature)),
        }
    }
    if let Some(labels) = card.get("labels").and_then(Value::as_table) {
        let id = text(labels, "id").or(text(card, "id")).filter(|_| join_by_id);
        let columns = files.entry(text(labels, "file").unwrap()).or_default();
        columns.extend(id.map(|id| (id.to_string(), Column::Id)));
        columns.push((text(labels, "column").unwrap().to_string(), Column::Label));
    }
    let delimiter = text(card, "delimiter").unwrap_or(",");
    for (file, columns) in files {
        let header: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        let line = |i| columns.iter().enumerate().map(|(c, (_, column))| column.cell(i, c)).collect::<Vec<_>>().join(delimiter);
        let lines: Vec<String> = [header.join(delimiter)].into_iter().chain((0..SAMPLES).map(line)).collect();
        let mut content = lines.join("\n");
        if text(card, "decimal") == Some(",") {
            content = content.replace('.', ",");
        }
        let path = folder.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

#[derive(Clone, Copy)]
enum Column {
    Id,
    Label,
    Group,
    Part,
    Feature,
}

impl Column {
    /// The cell of sample `i` in column `c`.
    fn cell(self, i: usize, c: usize) -> String {
        match self {
            Self::Id => format!("s{i:03}"),
            Self::Label => ["oak", "elm", "ash"][i % 3].into(),
            Self::Group => format!("g{}", i / 3),
            Self::Part => ["train", "train", "validation", "test"][i / 3 % 4].into(),
            Self::Feature => format!("{:.3}", ((i * 7 + c * 13) % 17) as f64 * 0.05 + f64::from(u8::from(i % 3 == c % 3))),
        }
    }
}
