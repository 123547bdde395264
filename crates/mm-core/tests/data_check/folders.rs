//! Folders of files with mistakes.

use super::made::*;
use mm_core::data::check::{Flaw, Level};
use mm_core::data::{FileCard, Source};
use std::path::Path;

const CARD: &str = "name = \"p\"\nfolders = \".\"\n[[modality]]\nname = \"rgb\"\nkind = \"image\"\nchannels = \"rgb\"\nsize = [16, 16]\n";

/// Two classes of pictures of their own.
fn good(root: &Path) {
    for i in 0..16 {
        picture(root, &format!("rgb/{}/{i}.png", ["cat", "dog"][i as usize % 2]), i, [24, 24]);
    }
}

#[test]
fn what_is_in_order_is_not_complained_about() {
    let folder = tempfile::tempdir().unwrap();
    good(folder.path());
    write(folder.path(), "rgb/cat/.DS_Store", b"x");
    write(folder.path(), "rgb/dog/Thumbs.db", b"x");
    write(folder.path(), "rgb/.hidden/1.png", b"x");
    // A PNG that is called a JPEG is read by its content.
    std::fs::rename(folder.path().join("rgb/cat/0.png"), folder.path().join("rgb/cat/0.jpg")).unwrap();
    // Names with spaces and letters of other alphabets.
    std::fs::rename(folder.path().join("rgb/dog"), folder.path().join("rgb/große Hunde 犬")).unwrap();
    let check = check_card(folder.path(), CARD);
    silent(&check, Level::Error);
    silent(&check, Level::Warning);
    assert!(check.is_usable());
    assert_eq!((check.samples.clone(), check.parts.clone()), (vec![16], vec!["all".to_string()]));
    assert_eq!(check.classes.iter().map(|class| class.name.as_str()).collect::<Vec<_>>(), ["cat", "große Hunde 犬"]);
    assert_eq!(check.sensors[0].flaws[&Flaw::Ending], 1);
    assert!(check.examples.iter().all(|example| example.readings[0].as_ref().unwrap().picture.is_some()));
}

#[test]
fn files_that_cannot_be_read_are_all_named() {
    let folder = tempfile::tempdir().unwrap();
    good(folder.path());
    let png = std::fs::read(folder.path().join("rgb/cat/0.png")).unwrap();
    write(folder.path(), "rgb/cat/cut.png", &png[..png.len() / 2]);
    write(folder.path(), "rgb/cat/empty.png", b"");
    write(folder.path(), "rgb/dog/text.png", "these are my notes");
    write(folder.path(), "rgb/dog/movie.jpg", b"GIF89a........");
    write(folder.path(), "rgb/dog/notes.txt", "these are my notes");
    let check = check_card(folder.path(), CARD);
    let problems: Vec<&str> = check.sensors[0].unreadable.iter().map(|one| one.problem.as_str()).collect();
    assert_eq!(problems.len(), 5, "{problems:?}");
    for (file, what) in [
        ("cut.png", "damaged PNG"),
        ("empty.png", "empty (0 bytes)"),
        ("text.png", "it is a text"),
        ("movie.jpg", "it is a GIF image"),
        ("notes.txt", "whose files end in png"),
    ] {
        assert!(problems.iter().any(|problem| problem.contains(file) && problem.contains(what)), "{file}: {problems:?}");
    }
    tells(&check, Level::Error, &["rgb: 5 readings cannot be read"]);
    let lenient = check_card(folder.path(), &CARD.replace("folders", "on_corrupt = \"absent\"\nfolders"));
    tells(&lenient, Level::Warning, &["rgb: 5 readings cannot be read"]);
    // What is said to be left out is: the card that passes the check opens, and all its samples can be read.
    tells(&lenient, Level::Warning, &["samples: 4 samples without a reading that can be used", "cat/cut", "dog/text"]);
    silent(&lenient, Level::Error);
    let card = CARD.replace("folders", "on_corrupt = \"absent\"\nfolders");
    let data = FileCard::from_str(&card, folder.path().join("card.toml")).unwrap().open().unwrap();
    assert_eq!(data.len(), 16);
    assert!(
        (0..16).all(|row| data.read(row).is_ok()) && data.remarks().iter().any(|told| told.contains("4 samples have no other reading"))
    );
}

#[test]
fn values_that_are_not_finite_are_told_as_training_takes_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (i, class) in (0..16).map(|i| (i, ["run", "walk"][i % 2])) {
        let steps: String =
            (0..6).map(|step| format!("{},{}\n", step * i, if (i, step) == (3, 0) { f64::NAN } else { 0.5 * i as f64 })).collect();
        write(root, &format!("motion/{class}/{i}.csv"), steps);
    }
    // The first step is not among the four in the middle that a model would get, and the file is refused all the same.
    let card = "name = \"m\"\nfolders = \".\"\n[[modality]]\nname = \"motion\"\nkind = \"series\"\nchannels = 2\nsteps = 4\n";
    let said = ["motion: 1 of 16 readings hold a value that is NaN or infinite", "walk/3.csv"];
    tells(&check_card(root, card), Level::Error, &[&said[..], &["write on_corrupt = \"absent\" in the card"]].concat());
    let lenient = check_card(root, &format!("on_corrupt = \"absent\"\n{card}"));
    tells(&lenient, Level::Warning, &[&said[..], &["they count as absent"]].concat());
    tells(&lenient, Level::Warning, &["samples: 1 sample without a reading that can be used", "walk/3"]);
    silent(&lenient, Level::Error);
}

#[test]
fn odd_forms_and_dead_sensors_are_told() {
    let folder = tempfile::tempdir().unwrap();
    good(folder.path());
    picture(folder.path(), "rgb/cat/large.png", 90, [80, 40]);
    deep_picture(folder.path(), "rgb/cat/deep.png", 91, 24);
    for (name, level) in [("black", 0), ("black2", 0), ("white", 255)] {
        image::RgbImage::from_pixel(24, 24, image::Rgb([level; 3])).save(folder.path().join(format!("rgb/dog/{name}.png"))).unwrap();
    }
    let check = check_card(folder.path(), CARD);
    tells(&check, Level::Remark, &["sizes differ: 24 high x 24 wide", "80 high x 40 wide (1)"]);
    tells(&check, Level::Warning, &["bit depths differ", "16 bit (1)", "deep.png"]);
    tells(&check, Level::Warning, &["colours differ", "grey (1)"]);
    tells(&check, Level::Warning, &["2 of 21 readings are nothing but zeros", "black.png", "black2.png"]);
    tells(&check, Level::Warning, &["1 of 21 readings have one value", "white.png"]);
    // Equal black images are dead, and no copies of each other.
    assert!(check.twins.is_empty(), "{:?}", check.twins);
}

#[test]
fn copies_are_found_across_parts() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for part in ["train", "valid", "test"] {
        for i in 0..6 {
            let seed = i + 10 * part.len() as u64 + part.as_bytes()[1] as u64 * 100;
            picture(root, &format!("rgb/{part}/{}/{i}.png", ["cat", "dog"][i as usize % 2]), seed, [48, 48]);
        }
    }
    silent(&check_card(root, CARD), Level::Error);
    assert!(check_card(root, CARD).twins.is_empty());
    // The same file under another name, the same pixels compressed otherwise, and a smaller, darker copy as JPEG.
    std::fs::copy(root.join("rgb/train/cat/0.png"), root.join("rgb/test/cat/copy.png")).unwrap();
    recompressed(&root.join("rgb/train/dog/1.png"), &root.join("rgb/valid/dog/again.png"));
    let small = image::open(root.join("rgb/train/cat/2.png")).unwrap().resize_exact(30, 30, image::imageops::FilterType::Triangle);
    small.brighten(-15).to_rgb8().save(root.join("rgb/test/cat/small.jpg")).unwrap();
    // And one that contradicts itself.
    std::fs::copy(root.join("rgb/train/cat/4.png"), root.join("rgb/train/dog/4.png")).unwrap();
    let check = check_card(root, CARD);
    tells(&check, Level::Error, &["samples are", "in several parts", "cat/0 (train, cat)", "cat/copy (test, cat)"]);
    tells(&check, Level::Error, &["dog/1 (train, dog)", "dog/again (validation, dog)"]);
    tells(&check, Level::Warning, &["under different labels", "cat/4 (train, cat)", "dog/4 (train, dog)"]);
    tells(&check, Level::Warning, &["look alike", "in different parts", "small.jpg (test, cat)"]);
    assert!(check.twins.iter().any(|set| set.near && set.members.iter().all(|member| member.picture.is_some())));
}

fn recompressed(from: &Path, to: &Path) {
    use image::codecs::png::{CompressionType, FilterType, PngEncoder};
    let (pixels, mut bytes) = (image::open(from).unwrap().to_rgb8(), Vec::new());
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::NoFilter);
    pixels.write_with_encoder(encoder).unwrap();
    assert_ne!(bytes, std::fs::read(from).unwrap());
    std::fs::write(to, bytes).unwrap();
}

#[test]
fn odd_folders_are_named() {
    let folder = tempfile::tempdir().unwrap();
    good(folder.path());
    picture(folder.path(), "rgb/Cat/1.png", 50, [24, 24]);
    picture(folder.path(), "rgb/bird/1.png", 51, [24, 24]);
    picture(folder.path(), "rgb/lost.png", 52, [24, 24]);
    picture(folder.path(), "rgb/dog/more/1.png", 53, [24, 24]);
    std::fs::create_dir_all(folder.path().join("rgb/empty")).unwrap();
    let check = check_card(folder.path(), CARD);
    tells(&check, Level::Warning, &["classes have one sample only: Cat, bird"]);
    tells(&check, Level::Warning, &["classes that look alike: Cat, cat"]);
    tells(&check, Level::Error, &["lost.png", "beside the folders of the classes"]);
    tells(&check, Level::Remark, &["folders inside the folders of classes are not read", "more"]);
    tells(&check, Level::Remark, &["folders of classes are empty"]);
    std::fs::remove_file(folder.path().join("rgb/lost.png")).unwrap();
    let check = check_card(folder.path(), CARD);
    // A class of one sample cannot be in training and test.
    tells(&check, Level::Error, &["parts:", "`Cat` has 1 sample, but"]);
    std::fs::create_dir_all(folder.path().join("rgb/train/cat")).unwrap();
    picture(folder.path(), "rgb/train/cat/1.png", 54, [24, 24]);
    tells(&check_card(folder.path(), CARD), Level::Error, &["in a folder of a part", "Cat, bird, cat, dog"]);
    let none = check_card(folder.path(), &CARD.replace("\"rgb\"\nkind", "\"rgbs\"\nkind"));
    tells(&none, Level::Error, &["has no folder `rgbs`", "did you mean `rgb`?"]);
}

#[test]
fn sounds_of_different_forms_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let card = "name = \"s\"\nfolders = \".\"\n[[modality]]\nname = \"mic\"\nkind = \"audio\"\nrate = 8000\nseconds = 0.5\n";
    for i in 0..12 {
        write(root, &format!("mic/{}/{i}.wav", ["a", "b"][i as usize % 2]), wav(&noise(i, 4000), 8000, 1));
    }
    let good = check_card(root, card);
    silent(&good, Level::Error);
    silent(&good, Level::Warning);
    let lengths = good.sensors[0].lengths.unwrap();
    assert_eq!((lengths.least, lengths.median, lengths.most, lengths.unit), (0.5, 0.5, 0.5, "seconds"));
    let picture = good.examples[0].readings[0].as_ref().unwrap().picture.as_ref().unwrap();
    assert!(mm_core::data::image::decode(picture).unwrap().width > 30, "a spectrogram");

    write(root, "mic/a/stereo.wav", wav(&noise(20, 4000), 8000, 2));
    write(root, "mic/a/fast.wav", wav(&noise(21, 12_000), 44_100, 1));
    write(root, "mic/a/slow.wav", wav(&noise(22, 900), 2000, 1));
    write(root, "mic/a/zero.wav", wav(&[0.0; 4000], 8000, 1));
    write(root, "mic/a/quiet.wav", wav(&noise(23, 4000).iter().map(|x| x * 0.001).collect::<Vec<_>>(), 8000, 1));
    write(root, "mic/b/loud.wav", wav(&noise(24, 4000).iter().map(|x| (x * 8.0).clamp(-1.0, 1.0)).collect::<Vec<_>>(), 8000, 1));
    write(root, "mic/b/long.wav", wav(&noise(25, 9000), 8000, 1));
    let cut = wav(&noise(26, 4000), 8000, 1);
    write(root, "mic/b/cut.wav", &cut[..3000]);
    picture_as(root, "mic/b/picture.wav");
    let check = check_card(root, card);
    tells(&check, Level::Warning, &["sample rates differ", "8000 Hz", "44100 Hz (1)", "2000 Hz (1)"]);
    tells(&check, Level::Warning, &["channels differ", "stereo (1)", "stereo.wav"]);
    tells(&check, Level::Warning, &["nothing but zeros", "zero.wav"]);
    tells(&check, Level::Warning, &["silent", "quiet.wav"]);
    tells(&check, Level::Warning, &["clipped", "loud.wav"]);
    tells(&check, Level::Remark, &["longer than what a model gets", "long.wav"]);
    tells(&check, Level::Remark, &["less than half as large", "slow.wav"]);
    tells(&check, Level::Error, &["2 readings cannot be read", "picture.wav", "it is a PNG image", "cut.wav"]);
}

fn picture_as(root: &Path, name: &str) {
    picture(root, "aside.png", 1, [8, 8]);
    std::fs::rename(root.join("aside.png"), root.join(name)).unwrap();
}

/// Names that differ in case only do not find each other.
#[test]
fn names_of_another_case_are_told() {
    let folder = tempfile::tempdir().unwrap();
    good(folder.path());
    for i in 0..16 {
        let name = if i == 4 { "ir/cat/A.png".into() } else { format!("ir/{}/{i}.png", ["cat", "dog"][i as usize % 2]) };
        deep_picture(folder.path(), &name, 100 + i, 24);
    }
    std::fs::rename(folder.path().join("rgb/cat/4.png"), folder.path().join("rgb/cat/a.png")).unwrap();
    let card = format!("{CARD}[[modality]]\nname = \"ir\"\nkind = \"image\"\nchannels = \"gray\"\nsize = [16, 16]\n");
    let check = check_card(folder.path(), &card);
    tells(&check, Level::Warning, &["differ in upper and lower case only", "cat/A and cat/a"]);
    assert_eq!(check.combinations[0].name, "rgb+ir");
    assert_eq!(check.combinations.iter().map(|c| c.samples[0]).collect::<Vec<_>>(), [15, 1, 1]);
}
