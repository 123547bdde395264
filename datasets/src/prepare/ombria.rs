//! OMBRIA: floods seen by radar (Sentinel-1) and camera (Sentinel-2) before and after, with the flooded pixels.

use super::disk::{found, names, text};
use super::error::{Error, Result};
use super::output::Output;
use super::{Reader, Request, png_files};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(super) const READER: Reader = Reader {
    name: "ombria",
    about: "floods seen by radar (Sentinel-1) and camera (Sentinel-2), before and after (OMBRIA)",
    licence: "none stated; modified Copernicus Sentinel data, flood maps (c) European Union",
    how: "Clone github.com/geodrak/OMBRIA. Its folder holds OmbriaS1/train/BEFORE/S1_before_0001.png, AFTER/S1_after_0001.png and \
          MASK/S1_mask_0001.png, the same in OmbriaS2 and in `test`, and floods that training never sees in 2021. Or give a folder of your own with \
          s1_before, s1_after, s2_before, s2_after and flood, a PNG file of the same name in each, and manifest.csv with the columns sample, event \
          and split (train, test, event)",
    prepare,
};

const HEADER: [&str; 11] =
    ["id", "s1_before", "s1_after", "s2_before", "s2_after", "flood", "event", "part", "same_floods", "both", "floods"];
const SENSORS: [&str; 4] = ["s1_before", "s1_after", "s2_before", "s2_after"];

/// A tile: where its four images and its mask are.
struct Tile {
    event: String,
    split: String,
    images: [Option<PathBuf>; 4],
    mask: PathBuf,
}

/// By their names.
type Tiles = BTreeMap<String, Tile>;

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    let root = request.root;
    let tiles = match root.join("manifest.csv").is_file() {
        true => listed(root)?,
        false => published(root, output)?,
    };
    let Some(first) = tiles.values().next() else {
        let path = root.join("OmbriaS1/train/MASK");
        return Err(Error::Missing { path, what: "tiles that have a mask".into(), how: READER.how.into() });
    };
    let [height, width] = png_files::size(&first.mask)?;
    // Flooded is 1, or 255 as in pictures: what the first mask with a flood says.
    let mut flooded = 0;
    for tile in tiles.values() {
        flooded = png_files::largest(&tile.mask)?;
        if flooded > 0 {
            break;
        }
    }
    if flooded == 0 {
        return Err(Error::content(&first.mask, "is 0 everywhere, as all other masks are: nothing is flooded"));
    }
    let (mut rows, mut absent, mut training) = (Vec::new(), 0, 0);
    for (id, tile) in &tiles {
        let mut row = vec![id.clone()];
        for image in &tile.images {
            absent += usize::from(image.is_none());
            row.push(image.as_deref().map(|image| output.place(image)).transpose()?.unwrap_or_default());
        }
        training += usize::from(tile.split == "train");
        let [unseen, same] = match tile.split.as_str() {
            "train" => ["train", if training % 8 == 0 { "validation" } else { "train" }],
            "test" => ["validation", "test"],
            _ => ["test", ""],
        };
        let (both, floods) = (if tile.split == "train" { "train" } else { "test" }, if tile.split == "event" { "unseen" } else { "of the training" });
        row.extend([output.place(&tile.mask)?, tile.event.clone(), unseen.into(), same.into(), both.into(), floods.into()]);
        rows.push(row);
    }
    if absent > 0 {
        output.remark(format!("{absent} images are not there: their sensors count as absent"));
    }
    let card = |name: &str, about: &str, [part, group]: [&str; 2], manifest: &str| {
        include_str!("cards/ombria.toml")
            .replace("NAME", name)
            .replace("ABOUT", about)
            .replace("PART", part)
            .replace("GROUP", group)
            .replace("MANIFEST", manifest)
            .replace("[256, 256]", &format!("[{height}, {width}]"))
            .replace("[0, 255]", &format!("[0, {flooded}]"))
    };
    let about = "The test are floods that training never sees; models are chosen by other tiles of the floods of the training.";
    let unseen = rows.iter().any(|row| row[7] == "test");
    if unseen {
        output.card("ombria.toml", &card("ombria", about, ["part", "event"], "samples.csv"))?;
        output.table("samples.csv", &HEADER, &rows)?;
    } else {
        output.remark("there are no tiles of unseen floods (folder 2021): only the card of the same floods is written".into());
    }
    rows.retain(|row| !row[8].is_empty());
    if rows.iter().any(|row| row[8] == "test") {
        let about = "The test are other tiles of the floods of the training, some of which overlap with it; models are chosen by every eighth tile of the training.";
        output.card("ombria-same-floods.toml", &card("ombria-same-floods", about, ["same_floods", "event"], "samples-same-floods.csv"))?;
        output.table("samples-same-floods.csv", &HEADER, &rows)?;
        if unseen {
            let about = "The test are all tiles that are not for training, in two groups: other tiles of the floods of the training, some of which \
                         overlap with it, and floods that training never sees. No tile chooses a model.";
            output.card("ombria-both.toml", &card("ombria-both", about, ["both", "floods"], "samples.csv"))?;
        }
    }
    Ok(())
}

/// A folder a sensor, and a table.
fn listed(root: &Path) -> Result<Tiles> {
    let table = root.join("manifest.csv");
    let text = text(&table)?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let wrong = |error: csv::Error| Error::content(&table, error.to_string());
    let header = reader.headers().map_err(wrong)?.clone();
    let column = |name: &str| {
        header.iter().position(|column| column == name).ok_or_else(|| Error::line(&table, 1, format!("has no column `{name}`. {}", READER.how)))
    };
    let (sample, event, split) = (column("sample")?, column("event")?, column("split")?);
    let mut tiles = Tiles::new();
    for (line, record) in (2..).zip(reader.records()) {
        let record = record.map_err(wrong)?;
        let cell = |at: usize| record.get(at).unwrap_or_default().to_string();
        let (id, split) = (cell(sample), cell(split));
        if !["train", "test", "event"].contains(&split.as_str()) {
            return Err(Error::line(&table, line, format!("the split `{split}` is none of train, test and event")));
        }
        if id.contains(['/', '\\']) {
            return Err(Error::line(&table, line, format!("the sample `{id}` is no name of a file")));
        }
        let file = |folder: &str| root.join(folder).join(format!("{id}.png"));
        let mask = found(file("flood"), "the flooded pixels of a tile", READER.how)?;
        let images = SENSORS.map(file).map(|image| image.is_file().then_some(image));
        tiles.insert(id.clone(), Tile { event: cell(event), split, images, mask });
    }
    Ok(tiles)
}

/// The folders as they are published. Tiles without a mask of either satellite are left out.
fn published(root: &Path, output: &mut Output) -> Result<Tiles> {
    let mut tiles = Tiles::new();
    for split in ["train", "test"] {
        let folders = ["OmbriaS1", "OmbriaS2"].map(|satellite| root.join(satellite).join(split));
        let pair = Pair { folders, words: ["S1_before", "S1_after", "S2_before", "S2_after"], masks: ["S1_mask", "S2_mask"] };
        pair.add(&mut tiles, split, "before 2021", split)?;
    }
    let unseen = root.join("2021");
    if unseen.is_dir() {
        for event in names(&unseen)? {
            let folders = ["Sentinel1", "Sentinel2"].map(|satellite| unseen.join(&event).join(satellite));
            let pair = Pair { folders, words: ["imbefore", "imafter", "imbefore", "imafter"], masks: ["gt", "gt"] };
            let event = event.to_lowercase();
            pair.add(&mut tiles, "event", &format!("{event} 2021"), &event)?;
        }
    }
    output.remark(format!("{} tiles have a mask", tiles.len()));
    Ok(tiles)
}

/// The folders of two satellites, with BEFORE, AFTER and MASK in each, and how the names of files begin there.
struct Pair {
    folders: [PathBuf; 2],
    words: [&'static str; 4],
    masks: [&'static str; 2],
}

impl Pair {
    fn add(&self, tiles: &mut Tiles, split: &str, event: &str, begin: &str) -> Result<()> {
        for (folder, word) in self.folders.iter().zip(self.masks) {
            let masks = found(folder.join("MASK"), "the flooded pixels", READER.how)?;
            for name in names(&masks)? {
                let number = name.strip_prefix(word).and_then(|rest| rest.strip_prefix('_')?.strip_suffix(".png"));
                let Some(number) = number else { continue };
                let image = |at: usize| {
                    let place = ["BEFORE", "AFTER"][at % 2];
                    let path = self.folders[at / 2].join(place).join(format!("{}_{number}.png", self.words[at]));
                    path.is_file().then_some(path)
                };
                let (event, split) = (event.to_string(), split.to_string());
                let tile = Tile { event, split, images: [0, 1, 2, 3].map(image), mask: masks.join(&name) };
                // The masks of both satellites are of the same map: the radar's comes first.
                tiles.entry(format!("{begin}-{number}")).or_insert(tile);
            }
        }
        Ok(())
    }
}
