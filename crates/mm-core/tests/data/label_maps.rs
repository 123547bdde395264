//! Files that hold a class for each pixel, and samples that name them.

use crate::damage::damage;
use candle_core::Device;
use mm_core::data::kinds::Origin;
use mm_core::data::{AugmentConfig, FileCard, LabelMaps, Loader, PixelLabels, Source, SplitSpec, Target, Transform};
use mm_core::rng;
use std::path::Path;

/// A PNG file of numbers.
fn png(width: u32, height: u32, color: png::ColorType, depth: png::BitDepth, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == png::ColorType::Indexed {
        encoder.set_palette((0..=255u8).flat_map(|i| [i, 255 - i, 7]).collect::<Vec<u8>>());
    }
    encoder.write_header().unwrap().write_image_data(data).unwrap();
    bytes
}

fn grey(width: u32, height: u32, data: &[u8]) -> Vec<u8> {
    png(width, height, png::ColorType::Grayscale, png::BitDepth::Eight, data)
}

fn decode(maps: &LabelMaps, bytes: &[u8]) -> Result<PixelLabels, String> {
    maps.decode(bytes, Path::new("street/0001.png")).map_err(|error| error.to_string())
}

fn labels(maps: &LabelMaps, bytes: &[u8]) -> Vec<u16> {
    decode(maps, bytes).unwrap().labels().to_vec()
}

#[test]
fn numbers_become_labels() {
    let maps = LabelMaps::new(["road", "car"]);
    assert_eq!(labels(&maps, &grey(3, 1, &[0, 1, 255])), [1, 2, 0]);
    let own = LabelMaps { values: Some(vec![7, 26]), void: vec![0, 3], ..maps.clone() };
    assert_eq!(labels(&own, &grey(4, 1, &[7, 26, 0, 3])), [1, 2, 0, 0]);
    // The numbers of a palette count, not its colours; a pixel may have any number of bits.
    let few = |depth, data: &[u8]| labels(&maps, &png(3, 2, png::ColorType::Indexed, depth, data));
    assert_eq!(few(png::BitDepth::Eight, &[0, 1, 1, 1, 0, 0]), [1, 2, 2, 2, 1, 1]);
    assert_eq!(few(png::BitDepth::Four, &[0x01, 0x10, 0x10, 0x00]), [1, 2, 2, 2, 1, 1]);
    assert_eq!(few(png::BitDepth::Two, &[0b0001_0100, 0b0100_0000]), [1, 2, 2, 2, 1, 1]);
    assert_eq!(few(png::BitDepth::One, &[0b0110_0000, 0b1000_0000]), [1, 2, 2, 2, 1, 1]);
    let wide = LabelMaps { values: Some(vec![1000, 256]), void: vec![65_535], ..maps };
    let bytes = png(3, 1, png::ColorType::Grayscale, png::BitDepth::Sixteen, &[3, 232, 1, 0, 255, 255]);
    assert_eq!(labels(&wide, &bytes), [1, 2, 0]);
}

#[test]
fn maps_are_written_as_they_are_read() {
    for classes in [3u16, 300] {
        let names: Vec<String> = (0..classes).map(|k| format!("c{k}")).collect();
        let labels: Vec<u16> = (0..12).map(|i| if i == 5 { 0 } else { 1 + i * 7 % classes }).chain([classes; 4]).collect();
        let map = PixelLabels::new(4, 4, labels).unwrap();
        let maps = LabelMaps { void: vec![if classes > 255 { 65_535 } else { 255 }], ..LabelMaps::new(names) };
        assert_eq!(decode(&maps, &map.to_png().unwrap()).unwrap(), map);
    }
}

/// As images: a photograph and the map that was drawn on it may both be stored on their side.
#[test]
fn maps_are_turned_as_they_say() {
    let maps = LabelMaps::new(["road", "car", "person"]);
    // The first row is seen on the right.
    let exif = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let mut bytes = Vec::new();
    let mut info = png::Info::with_size(3, 2);
    (info.color_type, info.bit_depth) = (png::ColorType::Grayscale, png::BitDepth::Eight);
    info.exif_metadata = Some(exif.as_slice().into());
    let encoder = png::Encoder::with_info(&mut bytes, info).unwrap();
    encoder.write_header().unwrap().write_image_data(&[0, 1, 2, 255, 0, 1]).unwrap();
    let map = decode(&maps, &bytes).unwrap();
    assert_eq!((map.height(), map.width(), map.labels()), (3, 2, [0, 1, 1, 2, 2, 3].as_slice()));
}

#[test]
fn sizes_take_the_nearest_pixel() {
    let maps = LabelMaps { size: Some([1, 2]), ..LabelMaps::new(["a", "b", "c", "d"]) };
    assert_eq!(labels(&maps, &grey(4, 2, &[0, 1, 2, 3, 3, 2, 1, 0])), [3, 1]);
    let larger = LabelMaps { size: Some([2, 4]), ..maps };
    assert_eq!(labels(&larger, &grey(2, 1, &[0, 3])), [1, 1, 4, 4, 1, 1, 4, 4]);
}

#[test]
fn what_is_no_label_map_is_refused_by_name() {
    let maps = LabelMaps::new(["road", "car"]);
    let refused = |bytes: &[u8], parts: &[&str]| {
        let problem = decode(&maps, bytes).unwrap_err();
        let all = parts.iter().chain(&["street/0001.png"]).all(|part| problem.contains(part));
        assert!(all, "{problem}");
    };
    refused(&grey(2, 2, &[0, 1, 5, 0]), &["pixel (1, 0) is 5", "(0, 1)", "void"]);
    refused(&png(1, 1, png::ColorType::Rgb, png::BitDepth::Eight, &[1, 2, 3]), &["colours", "number of its class"]);
    refused(&png(1, 1, png::ColorType::GrayscaleAlpha, png::BitDepth::Eight, &[1, 2]), &["transparency", "without the alpha channel"]);
    refused(b"\xff\xd8\xff\xe0 a photo", &["is no PNG file but a JPEG image", "from the original"]);
    refused(b"II*\0 a scan", &["is no PNG file but a TIFF image", "save it as PNG"]);
    refused(b"", &["is no PNG file"]);
    refused(&grey(2, 2, &[0; 4])[..40], &["damaged"]);
    // A file of a few bytes may claim any size.
    let mut large = grey(2, 2, &[0; 4]);
    large[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    assert!(decode(&maps, &large).is_err());
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let maps = LabelMaps::new(["road", "car"]);
    let problem = |maps: LabelMaps| maps.validate().unwrap_err().to_string();
    assert!(problem(LabelMaps { values: Some(vec![1]), ..maps.clone() }).contains("1 numbers for 2 classes"));
    assert!(problem(LabelMaps { values: Some(vec![4, 4]), ..maps.clone() }).contains("4 is the number of two classes"));
    assert!(problem(LabelMaps { void: vec![1], ..maps.clone() }).contains("1 is void and the number of `car`"));
    assert!(problem(LabelMaps::new(["road", " "])).contains("the name of class 2 of 2 is empty"));
    assert!(problem(LabelMaps { size: Some([0, 4]), ..maps.clone() }).contains("pixels.size"));
    assert!(maps.clone().sized(&[], &[]).unwrap_err().to_string().contains("height and width"));
    assert!(maps.read(&Origin::Text("x".into())).is_err());
}

#[test]
fn damaged_label_maps_are_read_or_refused() {
    let maps = LabelMaps::new(["road", "car"]);
    let files = [
        grey(16, 9, &[1; 144]),
        png(16, 9, png::ColorType::Indexed, png::BitDepth::Two, &[0b0001_0100; 36]),
        png(5, 4, png::ColorType::Grayscale, png::BitDepth::Sixteen, &[0; 40]),
    ];
    let mut random = rng::stream(0, "label maps", &[]);
    for round in 0..10_000 {
        let bytes = damage(&files[round % files.len()], &mut random);
        if let Ok(labels) = maps.decode(&bytes, Path::new("x.png")) {
            assert_eq!(labels.labels().len(), labels.height() * labels.width());
        }
    }
}

/// Four samples of one image and its label map; the last one has no label map.
fn street(folder: &Path, maps: &[&[u8]]) -> FileCard {
    std::fs::create_dir(folder.join("street")).unwrap();
    let mut table = String::from("rgb,label,part\n");
    for (i, map) in maps.iter().enumerate() {
        let picture = image::RgbImage::from_fn(4, 2, |x, y| image::Rgb([x as u8 * 40, y as u8 * 90, i as u8]));
        picture.save(folder.join(format!("street/{i}.png"))).unwrap();
        std::fs::write(folder.join(format!("street/{i}_labels.png")), map).unwrap();
        table += &format!("street/{i}.png,street/{i}_labels.png,{}\n", if i == 0 { "test" } else { "train" });
    }
    std::fs::write(folder.join("samples.csv"), table).unwrap();
    let card = "name = 'street'\nmanifest = 'samples.csv'\n[pixels]\nclasses = ['road', 'car']\n
        [[modality]]\nname = 'rgb'\nkind = 'image'\nchannels = 'rgb'\nsize = [2, 4]\n";
    FileCard::from_str(card, folder.join("card.toml")).unwrap()
}

#[test]
fn a_manifest_names_label_maps() {
    let folder = tempfile::tempdir().unwrap();
    let map = grey(4, 2, &[0, 0, 1, 1, 255, 0, 1, 1]);
    let source = street(folder.path(), &[&map, &map, &map]).open().unwrap();
    let Target::Pixels(classes) = &source.schema().target else { panic!("pixels") };
    assert_eq!(classes.names(), ["road", "car"]);
    assert_eq!(source.meta(0).class, None);
    let batch = source.batch(&[0, 2], &Device::Cpu).unwrap();
    let expected = vec![vec![1u32, 1, 2, 2], vec![0, 1, 2, 2]];
    assert_eq!(batch.targets().values().to_vec3::<u32>().unwrap(), [expected.clone(), expected]);

    // In training, labels are turned with their images.
    let flip: Vec<Box<dyn Transform>> = vec![Box::new(AugmentConfig { flip: 1.0, ..AugmentConfig::OFF })];
    let plain = source.batch(&[1], &Device::Cpu).unwrap();
    let loader = Loader::new(&source, &[1], 1, 0).transforms(&flip);
    let flipped = loader.epoch(0, 0, |batches| batches.next().unwrap().unwrap());
    assert_eq!(flipped.targets().values().to_vec3::<u32>().unwrap(), [vec![vec![2u32, 2, 1, 1], vec![2, 2, 1, 0]]]);
    let first = |batch: &mm_core::data::Batch| batch.inputs().at(0).unwrap().values.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (plain, flipped) = (first(&plain), first(&flipped));
    let mirrored: Vec<f32> = plain.chunks_exact(4).flat_map(|row| row.iter().rev()).copied().collect();
    assert_eq!(flipped, mirrored);
}

#[test]
fn a_map_that_is_wrong_is_named_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (grey(4, 2, &[0; 8]), grey(4, 2, &[9; 8]));
    let card = street(folder.path(), &[&good, &bad]);
    let problem = card.open().unwrap().batch(&[1], &Device::Cpu).unwrap_err().to_string();
    assert!(problem.contains("1_labels.png") && problem.contains("pixel (0, 0) is 9"), "{problem}");
    // A file that is not there, and a row without one.
    std::fs::write(folder.path().join("samples.csv"), "rgb,label\nstreet/0.png,street/7.png\nstreet/1.png,\n").unwrap();
    let problem = card.open().err().unwrap().to_string();
    assert!(problem.contains("street/7.png") && problem.contains(":2"), "{problem}");
    std::fs::write(folder.path().join("samples.csv"), "rgb,label\nstreet/0.png,street/0_labels.png\nstreet/1.png,\n").unwrap();
    let problem = card.open().err().unwrap().to_string();
    assert!(problem.contains(":3") && problem.contains("missing_label"), "{problem}");
    let text =
        "name = 'x'\nmanifest = 'samples.csv'\nclasses = ['a']\n[pixels]\nclasses = ['a']\n[[modality]]\nname = 'rgb'\nkind = 'image'\n";
    assert!(FileCard::from_str(text, folder.path().join("card.toml")).unwrap_err().to_string().contains("[pixels]"));
}

/// Sensors and label maps of three sizes, and what a card may say of it.
#[test]
fn sensors_of_other_sizes_are_brought_to_that_of_the_card() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for name in ["rgb", "depth", "labels"] {
        std::fs::create_dir(root.join(name)).unwrap();
    }
    for i in 0..4 {
        image::RgbImage::from_fn(8, 4, |x, _| image::Rgb([x as u8 * 30, 90, i])).save(root.join(format!("rgb/{i}.jpg"))).unwrap();
        // A hole in the upper left quarter.
        let metres = |x, y| if x < 2 && y < 1 { 0u16 } else { 2000 };
        let depth = image::ImageBuffer::from_fn(4, 2, |x, y| image::Luma([metres(x, y)]));
        depth.save(root.join(format!("depth/{i}.png"))).unwrap();
        std::fs::write(root.join(format!("labels/{i}.png")), grey(8, 4, &[[0; 16], [1; 16]].concat())).unwrap();
    }
    let opened = |rgb: &str, depth: &str, size: &str| {
        let sensors = format!(
            "[[modality]]\nname = 'rgb'\nkind = 'image'\nchannels = 'rgb'\n{rgb}\n[[modality]]\nname = 'depth'\nkind = 'depth'\n{depth}\n"
        );
        let card = format!("name = 'rooms'\nfolders = '.'\n[pixels]\nclasses = ['far', 'near']\n{size}\n{sensors}");
        FileCard::from_str(&card, root.join("card.toml")).unwrap().open().map_err(|error| error.to_string())
    };
    let source = opened("", "", "size = [2, 4]").unwrap();
    assert_eq!(source.len(), 4);
    let batch = source.batch(&[0, 3], &Device::Cpu).unwrap();
    let map = vec![vec![1u32; 4], vec![2; 4]];
    assert_eq!(batch.targets().values().to_vec3::<u32>().unwrap(), [map.clone(), map]);
    for (m, channels) in [(0, 3), (1, 1)] {
        assert_eq!(batch.inputs().at(m).unwrap().values.dims(), [2, channels, 2, 4]);
    }
    // No reading is mixed into one, and a hole stays one.
    let depth = opened("", "", "size = [4, 8]").unwrap().batch(&[0], &Device::Cpu).unwrap();
    let depth = depth.inputs().at(1).unwrap().values.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert!(depth.iter().all(|z| *z == 0.0 || *z == 2.0) && depth[0] == 0.0 && depth[31] == 2.0, "{depth:?}");

    // A split is drawn without classes of samples.
    let split = SplitSpec::default().draw(&source, 0).unwrap();
    assert_eq!(split.train.len() + split.validation.len() + split.test.len(), 4);
    let all_alike = opened("size = [2, 4]", "size = [2, 4]", "").unwrap().batch(&[0], &Device::Cpu).unwrap();
    assert_eq!(all_alike.targets().values().dims(), [1, 2, 4]);
    let refused = |rgb: &str, depth: &str, size: &str, words: &[&str]| {
        let problem = opened(rgb, depth, size).err().unwrap();
        assert!(words.iter().all(|word| problem.contains(word)), "{problem}");
    };
    refused("size = [4, 8]", "size = [2, 4]", "", &["`rgb` has 4 x 8", "`depth` has 2 x 4", "write size = [4, 8] in [pixels]"]);
    refused("", "size = [2, 4]", "size = [4, 8]", &["`[pixels]` has 4 x 8", "`depth` has 2 x 4"]);
    refused("", "", "", &["size"]);
    refused("fit = 'crop'", "", "size = [4, 8]", &["modality.rgb", "fit = \"crop\"", "label map"]);
}
