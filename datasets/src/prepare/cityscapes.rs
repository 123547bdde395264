//! Cityscapes with disparity: streets by a pair of cameras.

use super::disk::{found, names};
use super::error::{Error, Result};
use super::output::Output;
use super::{Reader, Request};

pub(super) const READER: Reader = Reader {
    name: "cityscapes",
    about: "5,000 street scenes by camera and disparity of a pair of cameras, 19 classes (Cityscapes)",
    licence: "for research and teaching, after registration",
    how: "Register at cityscapes-dataset.com, get leftImg8bit_trainvaltest.zip, gtFine_trainvaltest.zip and disparity_trainvaltest.zip, and unpack \
          them into one folder: it holds leftImg8bit/train/aachen/aachen_000000_000019_leftImg8bit.png, \
          gtFine/train/aachen/aachen_000000_000019_gtFine_labelIds.png and disparity/train/aachen/aachen_000000_000019_disparity.png",
    prepare,
};

const HEADER: [&str; 6] = ["id", "rgb", "disparity", "label", "city", "part"];

/// Cities of the training whose images choose the model. The published test has no labels to be had: the published validation is the test.
const VALIDATES: [&str; 2] = ["krefeld", "ulm"];

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    let root = request.root;
    let (images, truths) = (
        found(root.join("leftImg8bit"), "the pictures", READER.how)?,
        found(root.join("gtFine"), "the classes of the pixels", READER.how)?,
    );
    let (mut rows, mut absent) = (Vec::new(), 0);
    for split in ["train", "val"] {
        for city in names(&found(truths.join(split), "a part of the published split", READER.how)?)? {
            for name in names(&truths.join(split).join(&city))? {
                let Some(id) = name.strip_suffix("_gtFine_labelIds.png") else { continue };
                let mut row = vec![id.to_string()];
                let files = [
                    images.join(split).join(&city).join(format!("{id}_leftImg8bit.png")),
                    root.join("disparity").join(split).join(&city).join(format!("{id}_disparity.png")),
                ];
                for file in files {
                    absent += usize::from(!file.is_file());
                    row.push(if file.is_file() { output.place(&file)? } else { String::new() });
                }
                let part = match split {
                    "val" => "test",
                    _ if VALIDATES.contains(&city.as_str()) => "validation",
                    _ => "train",
                };
                row.extend([output.place(&truths.join(split).join(&city).join(&name))?, city.clone(), part.into()]);
                rows.push(row);
            }
        }
    }
    if rows.is_empty() {
        let path = truths.join("train/aachen/aachen_000000_000019_gtFine_labelIds.png");
        return Err(Error::Missing { path, what: "label maps".into(), how: READER.how.into() });
    }
    if absent > 0 {
        output.remark(format!("{absent} images are not there: their sensors count as absent"));
    }
    output.card("cityscapes.toml", include_str!("cards/cityscapes.toml"))?;
    output.table("samples.csv", &HEADER, &rows)
}
