//! Lists of faces by camera, depth and infrared, live or an attack, as CASIA-SURF and CeFA have them.

use super::disk::{found, lines, names, text};
use super::error::{Error, Result};
use super::output::Output;
use std::path::{Path, PathBuf};

/// The sensors, and the folders of their pictures.
const FOLDERS: [&str; 3] = ["color", "depth", "ir"];
/// The columns of the table.
pub(super) const HEADER: [&str; 7] = ["id", "rgb", "depth", "ir", "label", "person", "part"];

/// Adds the samples of a list to the rows.
///
/// Lines are `rgb depth ir label` with label 1 for live (the challenge's lists), or `path label` with label 0 for live (the lists that the makers
/// published later), where the path is that of a picture in a folder `color` beside `depth` and `ir`, or the folder itself: each picture in it is a
/// sample then. Pictures that are not there are absent sensors; the number of them is returned.
pub(super) fn add(rows: &mut Vec<Vec<String>>, list: &Path, part: &str, root: &Path, output: &Output, how: &str) -> Result<usize> {
    let mut absent = 0;
    for (line, entry) in lines(&text(list)?) {
        let wrong = |problem: &str| Error::line(list, line, format!("`{entry}`: {problem}"));
        let fields: Vec<&str> = entry.split_whitespace().collect();
        let samples: Vec<([PathBuf; 3], &str)> = match fields[..] {
            [rgb, depth, ir, label] => {
                let live = match label {
                    "1" => "live",
                    "0" => "attack",
                    _ => return Err(wrong("in a list of three pictures the label is 1 (live) or 0 (attack)")),
                };
                vec![([rgb, depth, ir].map(|path| below(root, path)), live)]
            }
            [path, label] => {
                let live = match label {
                    "0" => "live",
                    "1" => "attack",
                    _ => return Err(wrong("in a list of one picture the label is 0 (live) or 1 (attack)")),
                };
                let pictures = match below(root, path) {
                    folder if path.ends_with("/color") => {
                        let folder = found(folder, "the pictures of a film", how)?;
                        names(&folder)?.into_iter().map(|name| folder.join(name)).collect()
                    }
                    picture => vec![picture],
                };
                let beside = |picture: PathBuf| three(&picture).ok_or_else(|| wrong("expected a picture in a folder `color`"));
                pictures.into_iter().map(|picture| Ok((beside(picture)?, live))).collect::<Result<_>>()?
            }
            _ => return Err(wrong("expected `rgb depth ir label` or `path label`")),
        };
        for (pictures, label) in samples {
            let id = pictures[0].strip_prefix(root).unwrap_or(&pictures[0]).display().to_string();
            let person = person(&id);
            let mut row = vec![id];
            for picture in &pictures {
                let there = picture.is_file();
                absent += usize::from(!there);
                row.push(if there { output.place(picture)? } else { String::new() });
            }
            row.extend([label.to_string(), person, part.to_string()]);
            rows.push(row);
        }
    }
    Ok(absent)
}

/// A path of a list: lists name files from the root, or from the folder that the root is, such as `CASIA_SURF`.
fn below(root: &Path, path: &str) -> PathBuf {
    let path = Path::new(path);
    let mut parts = path.components();
    match parts.next().map(|first| first.as_os_str()) == root.file_name() && !root.join(path).exists() {
        true => root.join(parts.as_path()),
        false => root.join(path),
    }
}

/// The pictures of one moment: `color/0001.jpg` has `depth/0001.jpg` and `ir/0001.jpg` beside its folder.
fn three(color: &Path) -> Option<[PathBuf; 3]> {
    let (name, folder) = (color.file_name()?, color.parent()?);
    let film = folder.parent().filter(|_| folder.file_name().is_some_and(|folder| folder == FOLDERS[0]))?;
    Some(FOLDERS.map(|sensor| film.join(sensor).join(name)))
}

/// Who is seen: the folder called like `CLKJ_AS0005` (CASIA-SURF) or `AF-120` (CeFA), or three digits (masks); else the picture's own folder.
fn person(path: &str) -> String {
    let folders: Vec<&str> = path.split('/').collect();
    let named = |folder: &&&str| {
        let digits = folder.chars().rev().take_while(char::is_ascii_digit).count();
        folder.starts_with("CLKJ_") || digits == 3 && (folder.len() == 3 || matches!(folder.split('-').next(), Some("AF" | "CA" | "EA")))
    };
    let own = folders.iter().rev().nth(1).copied().unwrap_or_default();
    folders.iter().find(named).map_or(own, |folder| folder).to_string()
}

/// The lists of a protocol as its makers publish them: `BEGIN_image_train.txt`, `_dev.txt`, `_test.txt`, of pictures or else of films, in the folder or
/// in its folder `protocol`. `None` where there is none of them; some without the others are an error.
pub(super) fn protocol(root: &Path, begin: &str, how: &str) -> Result<Option<[(&'static str, PathBuf); 3]>> {
    let parts = [("train", "train"), ("validation", "dev"), ("test", "test")];
    let lists = parts.map(|(part, name)| {
        let image = format!("{begin}_image_{name}.txt");
        let places = [image.clone(), format!("{begin}_video_{name}.txt")]
            .into_iter()
            .flat_map(|name| [root.join(&name), root.join("protocol").join(name)]);
        (part, places.into_iter().find(|path| path.is_file()).unwrap_or_else(|| root.join(image)))
    });
    let there = lists.iter().filter(|(_, list)| list.is_file()).count();
    match (there, lists.iter().find(|(_, list)| !list.is_file())) {
        (0, _) => Ok(None),
        (_, Some((_, list))) => Err(Error::Missing { path: list.clone(), what: "a list of the published split".into(), how: how.into() }),
        (_, None) => Ok(Some(lists)),
    }
}
