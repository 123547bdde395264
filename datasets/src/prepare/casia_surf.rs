//! CASIA-SURF: faces by camera, depth and infrared, live or an attack.

use super::disk::found;
use super::error::Result;
use super::output::Output;
use super::{Reader, Request, faces};

pub(super) const READER: Reader = Reader {
    name: "casia-surf",
    about: "faces by camera, depth and infrared, live or an attack (CASIA-SURF)",
    licence: "for research, under an agreement with its makers",
    how: "Sign the agreement at sites.google.com/view/face-anti-spoofing-challenge and unpack what its makers send. The folder holds the lists train_list.txt, \
          val_private_list.txt and test_private_list.txt (lines `rgb depth ir label`), or those of github.com/liuajian/CASIA-FAS-Dataset: \
          CASIA_SURF@p1_image_train.txt, CASIA_SURF@p1_image_dev.txt and CASIA_SURF@p1_image_test.txt or CASIA_SURF@p1_video_test.txt, here or in `protocol`",
    prepare,
};

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    let root = request.root;
    let challenge = [("train", "train_list.txt"), ("validation", "val_private_list.txt"), ("test", "test_private_list.txt")];
    let lists = match faces::protocol(root, "CASIA_SURF@p1", READER.how)? {
        Some(lists) => lists,
        None => challenge.map(|(part, list)| (part, root.join(list))),
    };
    let (mut rows, mut absent) = (Vec::new(), 0);
    for (part, list) in lists {
        absent += faces::add(&mut rows, &found(list, "a list of the published split", READER.how)?, part, root, output, READER.how)?;
    }
    if absent > 0 {
        output.remark(format!("{absent} pictures are not there: their sensors count as absent"));
    }
    output.card("casia-surf.toml", include_str!("cards/casia-surf.toml"))?;
    output.table("samples.csv", &faces::HEADER, &rows)
}
