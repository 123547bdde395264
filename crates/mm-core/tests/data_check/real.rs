//! Real data, where they are.

use super::made::*;
use mm_core::data::check::Level;
use std::path::PathBuf;

fn shared(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if !path.exists() {
        println!("skipped: {} is not here", path.display());
    }
    path.exists().then_some(path)
}

/// Digits seen and spoken: nothing is wrong with them, and no two of 3,000 written digits are taken for copies across the split.
#[test]
fn spoken_and_written_digits_are_in_order() {
    use std::io::Read;
    let Some(data) = shared("av-digits") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(std::fs::File::open(data.join("images-idx3-ubyte.gz")).unwrap()).read_to_end(&mut bytes).unwrap();
    let text = std::fs::read_to_string(data.join("pairs.csv")).unwrap();
    let mut rows = String::from("id,image,sound,sound.start,sound.length,digit,speaker,official_split\n");
    for line in text.lines().skip(1) {
        let f: Vec<&str> = line.split(',').collect();
        let at: usize = f[0].parse().unwrap();
        let pixels = bytes[16 + 784 * at..][..784].to_vec();
        let name = format!("img/{at}.png");
        std::fs::create_dir_all(folder.path().join("img")).unwrap();
        image::GrayImage::from_raw(28, 28, pixels).unwrap().save(folder.path().join(&name)).unwrap();
        let sound = data.join(format!("{}.flac", f[2]));
        rows += &format!("{at},{name},{},{},{},{},{},{}\n", sound.display(), f[4], f[5], f[1], f[2], f[6]);
    }
    write(folder.path(), "pairs.csv", rows);
    let (check, card) = check_guess(&folder.path().join("pairs.csv"), folder.path());
    for line in ["label = \"digit\"", "part = \"official_split\"", "channels = \"gray\"", "size = [28, 28]", "rate = 8000"] {
        assert!(card.contains(line), "{card}");
    }
    assert!(!card.contains("group ="), "a speaker is in both parts");
    assert_eq!((check.samples.clone(), check.classes.len()), (vec![2700, 300], 10));
    silent(&check, Level::Error);
    assert!(check.sensors.iter().all(|sensor| sensor.present == 3000 && sensor.unreadable.is_empty()));
    println!("{}", said(&check));
}

#[test]
fn floods_are_read_whole() {
    let Some(data) = shared("flood") else { return };
    let modality = |name: &str, channels: &str| {
        format!("[[modality]]\nname = \"{name}\"\nkind = \"image\"\nchannels = \"{channels}\"\nsize = [64, 64]\n")
    };
    let sensors = [("s1_before", "gray"), ("s1_after", "gray"), ("s2_before", "rgb"), ("s2_after", "rgb")];
    let sensors: String = sensors.iter().map(|(name, channels)| modality(name, channels)).collect();
    let card = format!("name = \"flood\"\nmanifest = {:?}\nlabel = \"event\"\nid = \"sample\"\n{sensors}", data.join("manifest.csv"));
    let folder = tempfile::tempdir().unwrap();
    let check = check_card(folder.path(), &card);
    assert!(check.sensors.iter().all(|sensor| sensor.unreadable.is_empty()), "{}", said(&check));
    assert!(check.samples[0] > 300);
    println!("{}", said(&check));
}
