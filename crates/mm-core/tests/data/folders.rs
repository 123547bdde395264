//! Folders of files as a source: what is found, what is refused, and that memory stays bounded.

use mm_core::data::kinds::{Image, Kind, Vector, Video};
use mm_core::data::{Folders, Source, SplitSpec, Values};
use mm_core::{Error, Subset};
use mm_testing::photos;
use std::path::Path;

fn open(root: &Path) -> mm_core::Result<mm_core::data::FileSource> {
    Folders::new(root).modality("rgb", Image::rgb(16)).modality("depth", Image::gray(16)).modality("ir", Image::gray(12)).open()
}

#[test]
fn files_of_one_name_are_one_sample() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path(), 35);
    let data = open(folder.path()).unwrap();
    assert_eq!((data.len(), data.schema().target.class_names()), (35, ["bar", "cross", "disc"].map(String::from).as_slice()));
    let row = |id: &str| (0..data.len()).find(|&row| data.meta(row).id == Some(id)).unwrap();
    assert_eq!(data.meta(row("bar/0004")).presence, Subset::from_bits(0b101).unwrap());
    assert_eq!(data.meta(row("disc/0006")).presence, Subset::from_bits(0b011).unwrap());
    assert_eq!(data.meta(row("bar/0034")).presence, Subset::single(0));
    let sample = data.read(row("disc/0000")).unwrap();
    let shapes: Vec<_> = sample.readings.iter().map(|r| r.as_ref().unwrap().shape.clone()).collect();
    assert_eq!(shapes, [vec![3, 16, 16], vec![1, 16, 16], vec![1, 12, 12]]);
    let Values::F32(values) = &sample.readings[1].as_ref().unwrap().values else { panic!("images are f32") };
    // Dark around a bright disc.
    assert!(values.iter().all(|x| (0.0..=1.0).contains(x)) && values[8 * 16 + 8] > values[0] + 0.2);
    let batch = data.batch(&[0, 34, 7], &candle_core::Device::Cpu).unwrap();
    assert_eq!(batch.inputs().reading("rgb").unwrap().unwrap().values.dims(), [3, 3, 16, 16]);
    assert!(data.read(35).is_err());
    let split = SplitSpec::default().draw(&data, 3).unwrap();
    assert_eq!(split.train.len() + split.validation.len() + split.test.len(), 35);
}

#[test]
fn parts_are_folders_too() {
    let folder = tempfile::tempdir().unwrap();
    for (part, count) in [("train", 4), ("test", 2)] {
        for i in 0..count {
            let path = folder.path().join("thermo").join(part).join(["cold", "warm"][i % 2]);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join(format!("{part}{i}.txt")), format!("{i}.5, 2\n-3")).unwrap();
        }
    }
    let open = || Folders::new(folder.path()).modality("thermo", Vector::new(3)).open();
    let data = open().unwrap();
    let split = SplitSpec::default().draw(&data, 0).unwrap();
    assert_eq!((split.train.len(), split.test.len()), (4, 2));
    assert_eq!(data.read(split.test[0]).unwrap().readings[0].as_ref().unwrap().values.to_f64(), [0.5, 2.0, -3.0]);
    std::fs::create_dir_all(folder.path().join("thermo/hot")).unwrap();
    std::fs::write(folder.path().join("thermo/hot/1.txt"), "1 2 3").unwrap();
    assert!(open().err().unwrap().to_string().contains("others do not"));
}

#[test]
fn frames_are_in_the_order_in_which_people_count() {
    let folder = tempfile::tempdir().unwrap();
    // Each frame is as bright as its place says.
    let names = ["G2.png", "f.png", "f1.png", "f002.png", "f2.png", "f2b.png", "f9.png", "f10.png", "f99999999999999999999.png"];
    for (place, name) in names.iter().enumerate() {
        image::GrayImage::from_pixel(1, 1, image::Luma([place as u8])).save(folder.path().join(name)).unwrap();
    }
    // What macOS leaves beside a file on foreign disks, and a hidden image: no frames.
    std::fs::write(folder.path().join("._frame1.jpg"), b"no image").unwrap();
    image::GrayImage::from_pixel(1, 1, image::Luma([200])).save(folder.path().join(".frame0.png")).unwrap();
    let film = Video::new(names.len(), Image::gray(1)).unwrap().read(folder.path()).unwrap().values.into_f32();
    assert_eq!(film.iter().map(|level| (level * 255.0).round() as usize).collect::<Vec<_>>(), (0..names.len()).collect::<Vec<_>>());
}

#[test]
fn what_is_no_reading_is_named() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path(), 6);
    let message = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = open(folder.path()).and_then(|data| (0..data.len()).try_for_each(|row| data.read(row).map(drop))).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(error, Error::File { .. } | Error::Image { .. }), "{error:?}");
        error.to_string()
    };
    let said = message("rgb/disc/0100.png", b"no image");
    assert!(said.contains("0100.png") && said.contains("no image that can be read"), "{said}");
    assert!(message("rgb/disc/notes.pdf", b"%PDF").contains("whose files end in png, jpg, jpeg, tif, tiff"));
    assert!(message("rgb/disc/0000.png", b"").contains("the same reading"));
    let empty = tempfile::tempdir().unwrap();
    assert!(open(empty.path()).is_err());
    std::fs::create_dir_all(empty.path().join("rgb/cat")).unwrap();
    assert!(Folders::new(empty.path()).modality("rgb", Image::rgb(8)).open().err().unwrap().to_string().contains("holds no sample"));
}

/// A picture that claims to be enormous is refused before it is decoded, and damaged ones give an error.
#[test]
fn damaged_images_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path(), 2);
    use rand::RngExt;
    for (name, kind) in [("rgb/disc/0000.jpg", Image::rgb(8)), ("rgb/bar/0001.png", Image::rgb(8)), ("depth/disc/0000.png", Image::gray(8))]
    {
        let bytes = std::fs::read(folder.path().join(name)).unwrap();
        for case in 0..400 {
            let mut random = mm_core::rng::stream(1, name, &[case]);
            let mut damaged = bytes.clone();
            match case % 3 {
                0 => damaged.truncate(random.random_range(0..bytes.len())),
                _ => (0..4).for_each(|_| damaged[random.random_range(0..bytes.len())] = random.random()),
            }
            if let Err(error) = kind.decode(&damaged, Path::new(name)) {
                assert!(error.to_string().contains(name), "{error}");
            }
        }
    }
    // A header of 60,000 x 60,000 pixels.
    let mut header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    header.extend([0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60, 16, 2, 0, 0, 0, 0, 0, 0, 0]);
    assert!(Image::rgb(8).decode(&header, Path::new("huge.png")).is_err());
}

/// Read as text, `M\xfcller` and `M\xf6ller` would be one name.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8_are_errors() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path(), 6);
    for (place, name) in [("rgb/disc", &b"M\xfcller.png"[..]), ("depth/disc", b"M\xf6ller.png"), ("rgb", b"gr\xfcn")] {
        let path = folder.path().join(place).join(std::ffi::OsStr::from_bytes(name));
        match place {
            "rgb" => std::fs::create_dir(&path).unwrap(),
            _ => std::fs::write(&path, "").unwrap(),
        }
        let error = open(folder.path()).err().unwrap().to_string();
        let shown = name.escape_ascii().to_string().to_lowercase();
        assert!(error.to_lowercase().contains(&shown) && error.contains("is not UTF-8") && error.contains("rename it"), "{error}");
        match place {
            "rgb" => std::fs::remove_dir(&path).unwrap(),
            _ => std::fs::remove_file(&path).unwrap(),
        }
    }
    open(folder.path()).unwrap();
}
