use super::{Bench, mnist_package, parts, row, sensors};
use mm_core::data::{Source, Values};
use mm_datasets::prepare::Error;

fn recordings(bench: &Bench) {
    for speaker in ["jackson", "theo", "lucas"] {
        for digit in 0..10 {
            for take in [0, 4, 5] {
                bench.sound(&format!("recordings/{digit}_{speaker}_{take}.wav"), 8000);
            }
        }
    }
}

#[test]
fn recorded_digits_get_images_of_their_digit_and_two_splits() {
    let bench = Bench::new();
    recordings(&bench);
    mnist_package(&bench, 9);
    bench.write("recordings/README.txt", "not a recording");
    let made = bench.prepare("fsdd").unwrap();
    assert_eq!(made.cards.iter().map(|card| (card.samples, card.classes)).collect::<Vec<_>>(), [(90, 10), (90, 10)]);
    assert!(made.remarks[0].contains("1 of 91 files"), "{:?}", made.remarks);
    let official = bench.open("fsdd.toml");
    // Takes 0 and 4 of three speakers and ten digits.
    assert_eq!(parts(&official), [30, 0, 60]);
    let speakers = bench.open("fsdd-speakers.toml");
    assert_eq!(parts(&speakers), [30, 0, 60]);
    assert_eq!(speakers.meta(row(&speakers, "7_theo_5")).group, Some("theo"));
    let mut used = std::collections::HashSet::new();
    for row in 0..official.len() {
        let sample = official.read(row).unwrap();
        let class = official.meta(row).class.unwrap();
        let Values::F32(pixels) = &sample.readings[0].as_ref().unwrap().values else { panic!("pixels are f32") };
        let number = (pixels[0] * 255.0).round() as u32;
        assert_eq!(number / 10, class, "an image of another digit");
        assert!(used.insert(number), "image {number} twice");
        assert_eq!(sample.readings[1].as_ref().unwrap().shape, [1, 40, 63]);
    }
}

#[test]
fn it_can_be_made_again_and_never_over_files_of_the_user() {
    let bench = Bench::new();
    recordings(&bench);
    mnist_package(&bench, 9);
    bench.prepare("fsdd").unwrap();
    let first = std::fs::read(bench.out().join("samples.csv")).unwrap();
    bench.prepare("fsdd").unwrap();
    assert_eq!(std::fs::read(bench.out().join("samples.csv")).unwrap(), first);
    // Other data are written over what is as it was written, and over nothing else.
    std::fs::remove_file(bench.root().join("recordings/0_jackson_0.wav")).unwrap();
    bench.prepare("fsdd").unwrap();
    assert_ne!(std::fs::read(bench.out().join("samples.csv")).unwrap(), first);
    for name in ["samples.csv", "fsdd.toml"] {
        let path = bench.out().join(name);
        let ours = std::fs::read(&path).unwrap();
        std::fs::write(&path, "name = \"edited\"").unwrap();
        let error = bench.prepare("fsdd").unwrap_err();
        assert!(matches!(&error, Error::Occupied { path } if path.ends_with(name)), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"name = \"edited\"");
        std::fs::write(&path, ours).unwrap();
    }
    bench.prepare("fsdd").unwrap();
    std::fs::remove_dir_all(bench.out()).unwrap();
    std::fs::create_dir(bench.out()).unwrap();
    std::fs::write(bench.out().join("fsdd.toml"), "name = \"mine\"").unwrap();
    let error = bench.prepare("fsdd").unwrap_err();
    assert!(matches!(&error, Error::Occupied { path } if path.ends_with("fsdd.toml")), "{error}");
    assert_eq!(std::fs::read(bench.out().join("fsdd.toml")).unwrap(), b"name = \"mine\"");
}

#[test]
fn a_manifest_beside_its_files_can_be_moved_with_them() {
    let bench = Bench::new();
    recordings(&bench);
    mnist_package(&bench, 9);
    let (root, mnist) = (bench.root(), bench.root().join("package"));
    let request = mm_datasets::prepare::Request { root: &root, mnist: Some(&mnist) };
    mm_datasets::prepare::prepare("fsdd", &request, &root).unwrap();
    let moved = bench.folder.path().join("moved");
    std::fs::rename(&root, &moved).unwrap();
    let source = mm_core::data::FileCard::from_path(moved.join("fsdd.toml")).unwrap().open().unwrap();
    assert_eq!(sensors(&source, 0), "image+sound");
    source.read(0).unwrap();
}

#[test]
fn too_few_images_are_an_error() {
    let bench = Bench::new();
    recordings(&bench);
    mnist_package(&bench, 8);
    let error = bench.prepare("fsdd").unwrap_err();
    assert!(error.to_string().contains("more recordings of the digit 0 than images"), "{error}");
}

#[test]
fn the_table_of_pairs_opens() {
    let shared = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/av-digits");
    if !shared.is_dir() {
        println!("skipped: there is no {}", shared.display());
        return;
    }
    let bench = Bench::new();
    let made =
        mm_datasets::prepare::prepare("av-digits", &mm_datasets::prepare::Request { root: &shared, mnist: None }, &bench.out()).unwrap();
    assert_eq!(made.cards[0].samples, 3000);
    let (official, speakers) = (bench.open("av-digits.toml"), bench.open("av-digits-speakers.toml"));
    assert_eq!((parts(&official), parts(&speakers)), ([2700, 0, 300], [2000, 0, 1000]));
    let last = speakers.read(2999).unwrap();
    assert_eq!(last.readings[0].as_ref().unwrap().shape, [1, 28, 28]);
}
