//! MVSA-Single: posts of a text and a picture, positive, neutral or negative.

use super::disk::{found, lines, text};
use super::error::{Error, Result};
use super::output::Output;
use super::{Reader, Request};
use serde::Deserialize;
use std::path::Path;

pub(super) const READER: Reader = Reader {
    name: "mvsa-single",
    about: "posts of a text and a picture, positive, neutral or negative (MVSA-Single)",
    licence: "for research; ask its makers",
    how: "Ask for it at mcrlab.net/research/mvsa-sentiment-analysis-on-multi-view-social-data. The folder holds either train.jsonl, dev.jsonl and \
          test.jsonl (lines with text, img and label, the split of github.com/QingyangZhang/QMF), or what its makers give: labelResultAll.txt and data/1.jpg, \
          data/1.txt and so on",
    prepare,
};

const CLASSES: [&str; 3] = ["positive", "neutral", "negative"];

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    let published = request.root.join("train.jsonl").is_file();
    let rows = if published { published_split(request.root, output)? } else { original(request.root, output)? };
    match published {
        true => output.card("mvsa-single.toml", include_str!("cards/mvsa-single.toml"))?,
        false => output.card("mvsa-single.toml", &include_str!("cards/mvsa-single.toml").replace("part = \"part\"\n", ""))?,
    }
    let header: &[&str] = if published { &["id", "text", "image", "label", "part"] } else { &["id", "text", "image", "label"] };
    output.table("samples.csv", header, &rows)
}

/// A post as `train.jsonl` and the like have it.
#[derive(Deserialize)]
struct Post {
    text: Option<String>,
    img: Option<String>,
    label: String,
}

fn published_split(root: &Path, output: &mut Output) -> Result<Vec<Vec<String>>> {
    let (mut rows, mut unseen) = (Vec::new(), 0);
    for (file, part) in [("train", "train"), ("dev", "validation"), ("test", "test")] {
        let list = found(root.join(format!("{file}.jsonl")), "the published split", READER.how)?;
        for (line, json) in lines(&text(&list)?) {
            let post: Post = serde_json::from_str(json).map_err(|e| Error::line(&list, line, format!("expected text, img and label: {e}")))?;
            if !CLASSES.contains(&post.label.as_str()) {
                return Err(Error::line(&list, line, format!("`{}` is none of {}", post.label, CLASSES.join(", "))));
            }
            let image = match post.img.map(|image| root.join(image)).filter(|path| path.is_file()) {
                Some(path) => output.place(&path)?,
                // The reference shows a grey picture to the network instead.
                None => String::new(),
            };
            unseen += usize::from(image.is_empty());
            rows.push(vec![format!("{file}-{line}"), on_one_line(&post.text.unwrap_or_default()), image, post.label, part.into()]);
        }
    }
    if unseen > 0 {
        output.remark(format!("{unseen} posts have no picture: it counts as absent there"));
    }
    Ok(rows)
}

/// The table of its makers: a label of the text and one of the picture, which are joined as the literature does.
fn original(root: &Path, output: &mut Output) -> Result<Vec<Vec<String>>> {
    let list = found(root.join("labelResultAll.txt"), "the labels (or train.jsonl, dev.jsonl and test.jsonl)", READER.how)?;
    let (mut rows, mut at_odds) = (Vec::new(), 0);
    for (line, entry) in lines(&text(&list)?).skip(1) {
        let wrong = || Error::line(&list, line, format!("`{entry}`: expected a number and two labels, such as 1<tab>neutral,positive"));
        let (id, labels) = entry.split_once(char::is_whitespace).ok_or_else(wrong)?;
        let (of_text, of_image) = labels.trim().split_once(',').ok_or_else(wrong)?;
        if id.parse::<u32>().is_err() || !CLASSES.contains(&of_text) || !CLASSES.contains(&of_image) {
            return Err(wrong());
        }
        // Neutral gives way to the other; positive and negative contradict each other, and such posts are left out.
        let label = match (of_text, of_image) {
            (a, b) if a == b => a,
            ("neutral", other) | (other, "neutral") => other,
            _ => {
                at_odds += 1;
                continue;
            }
        };
        let path = found(root.join(format!("data/{id}.txt")), "the text of a post", READER.how)?;
        let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
        let image = output.place(&found(root.join(format!("data/{id}.jpg")), "the picture of a post", READER.how)?)?;
        rows.push(vec![id.into(), on_one_line(&String::from_utf8_lossy(&bytes)), image, label.into()]);
    }
    if at_odds > 0 {
        output.remark(format!("{at_odds} posts with a positive and a negative label are left out, as the literature does"));
    }
    output.remark("without train.jsonl, dev.jsonl and test.jsonl the split is drawn by the seed: it is not the published one".into());
    Ok(rows)
}

/// Line breaks would be hard to read in a table, and say nothing.
fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
