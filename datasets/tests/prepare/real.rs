//! Real data where it is at hand: excerpts beside the workspace, in `shared/data`.

use super::{labels, parts};
use mm_core::data::FileCard;
use mm_datasets::prepare::{Request, prepare};
use std::path::{Path, PathBuf};

/// A folder of the excerpts; none where there are no excerpts.
fn excerpt(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    let there = folder.is_dir();
    if !there {
        println!("{} is not there: skipped", folder.display());
    }
    there.then_some(folder)
}

#[test]
fn floods() {
    let Some(root) = excerpt("flood") else { return };
    let out = tempfile::tempdir().unwrap();
    let made = prepare("ombria", &Request { root: &root, mnist: None }, out.path()).unwrap();
    let open = |card: &Path| FileCard::from_path(card).unwrap().open().unwrap();
    let (unseen, same) = (open(&made.cards[0].path), open(&made.cards[1].path));
    assert_eq!((parts(&unseen), parts(&same)), ([208, 70, 75], [182, 26, 70]));
    let flooded: usize = (0..20).map(|row| labels(&unseen, row).iter().filter(|&&label| label == 2).count()).sum();
    assert!(flooded > 0 && flooded < 20 * 128 * 128);
}

#[test]
fn brains() {
    let Some(root) = excerpt("ms-mri") else { return };
    let out = tempfile::tempdir().unwrap();
    let made = prepare("mri-slices", &Request { root: &root, mnist: None }, out.path()).unwrap();
    let tests: Vec<usize> = made.cards.iter().map(|card| parts(&FileCard::from_path(&card.path).unwrap().open().unwrap())[2]).collect();
    assert_eq!(tests, [46, 47, 45]);
}

#[test]
fn household_things() {
    let Some(root) = excerpt("rgbd") else { return };
    let out = tempfile::tempdir().unwrap();
    let made = prepare("ycb-video", &Request { root: &root.join("ycb-video"), mnist: None }, out.path()).unwrap();
    let source = FileCard::from_path(&made.cards[0].path).unwrap().open().unwrap();
    assert_eq!(parts(&source), [6, 2, 2]);
    let labels: std::collections::BTreeSet<u16> = labels(&source, 0).into_iter().collect();
    assert_eq!(labels.into_iter().collect::<Vec<_>>(), [1, 9, 15, 22]);
}

/// A file as MATLAB lays it out, with the published split and classes. It was made by hand and names three of its 894 labels, so that all is read up to
/// the first label without a name.
#[test]
fn rooms_of_nyu() {
    let Some(root) = excerpt("rgbd") else { return };
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let copy = |from: &str, to: &str| std::fs::copy(root.join(from), folder.path().join(to)).map(drop).unwrap();
    copy("nyu_like.mat", "nyu_depth_v2_labeled.mat");
    copy("nyuv2-meta/splits.mat", "splits.mat");
    copy("nyuv2-meta/classMapping40.mat", "classMapping40.mat");
    let error = prepare("nyuv2", &Request { root: folder.path(), mnist: None }, out.path()).unwrap_err().to_string();
    assert!(error.contains("nyu_depth_v2_labeled.mat: frame 1 has a label") && error.contains("that has no name"), "{error}");
    let card = std::fs::read_to_string(out.path().join("nyuv2.toml")).unwrap();
    assert!(card.contains("classes = [\"wall\", \"floor\", \"cabinet\", \"bed\", \"chair\""), "{card}");
}
