//! Data sets in MATLAB files: of version 5, and of version 7.3, which is HDF5.

use super::{Bench, labels, parts, row};
use hdf5_reader::Hdf5File;
use hdf5_writer::{DatasetBuilder, Hdf5Builder, WriteOptions};
use mm_core::data::Source;
use mm_datasets::prepare::Error;

/// An element of a version 5 file.
fn element(kind: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = [kind.to_le_bytes(), (content.len() as u32).to_le_bytes()].concat();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn matrix(class: u8, name: &str, count: usize, content: &[u8]) -> Vec<u8> {
    let flags = element(6, &[class, 0, 0, 0, 0, 0, 0, 0]);
    let dimensions = element(5, &[1i32.to_le_bytes(), (count as i32).to_le_bytes()].concat());
    element(14, &[flags, dimensions, element(1, name.as_bytes()), content.to_vec()].concat())
}

/// Small whole numbers, in the short form where they fit.
pub(super) fn numbers(name: &str, values: &[u16]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let content = match bytes.len() {
        0..=4 => [&(4 | (bytes.len() as u32) << 16).to_le_bytes()[..], &bytes, &[0; 4][bytes.len()..]].concat(),
        _ => element(4, &bytes),
    };
    matrix(6, name, values.len(), &content)
}

pub(super) fn texts(name: &str, values: &[&str]) -> Vec<u8> {
    let cells: Vec<u8> = values.iter().flat_map(|text| matrix(4, "", text.len(), &element(16, text.as_bytes()))).collect();
    matrix(1, name, values.len(), &cells)
}

/// A file of version 5; every other variable is compressed.
pub(super) fn mat5(variables: &[Vec<u8>]) -> Vec<u8> {
    let mut file = b"MATLAB 5.0 MAT-file, made by a test".to_vec();
    file.resize(124, b' ');
    file.extend(b"\x00\x01IM");
    for (at, variable) in variables.iter().enumerate() {
        match at % 2 {
            0 => file.extend(variable),
            _ => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                std::io::Write::write_all(&mut encoder, variable).unwrap();
                let packed = encoder.finish().unwrap();
                file.extend([15u32.to_le_bytes(), (packed.len() as u32).to_le_bytes()].concat());
                file.extend(packed);
            }
        }
    }
    file
}

/// The meta files: two names of the class `furniture`, one of `wall`.
fn meta(bench: &Bench) {
    bench.write("splits.mat", mat5(&[numbers("trainNdxs", &[1, 3, 4]), numbers("testNdxs", &[2, 9])]));
    let names: Vec<String> = (1..=40).map(|class| if class == 1 { "wall".into() } else { format!("class {class}") }).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let classes = [numbers("mapClass", &[3, 1, 3]), texts("className", &names), texts("allClassName", &["chair", "wall", "desk"])];
    bench.write("classMapping40.mat", mat5(&classes));
}

const FRAMES: usize = 4;
const WIDTH: usize = 4;
const HEIGHT: usize = 3;

/// The labelled frames as HDF5: number `1 + (x + y) % 3` in column x and row y, and 0 in the first pixel.
fn labelled(bench: &Bench) {
    let by_columns = |value: &dyn Fn(usize, usize, usize) -> u16| {
        let pixels = (0..FRAMES).flat_map(|frame| (0..WIDTH).flat_map(move |x| (0..HEIGHT).map(move |y| (frame, x, y))));
        pixels.map(|(frame, x, y)| value(frame, x, y)).collect::<Vec<u16>>()
    };
    let label = by_columns(&|_, x, y| if x + y == 0 { 0 } else { 1 + ((x + y) % 3) as u16 });
    let depth: Vec<f32> = by_columns(&|_, x, y| (1000 + 100 * x + y) as u16).iter().map(|&mm| f32::from(mm) / 1000.0).collect();
    let mut rgb = Vec::new();
    for frame in 0..FRAMES {
        for channel in 0..3 {
            (0..WIDTH).for_each(|x| rgb.extend((0..HEIGHT).map(|y| (100 * channel + 10 * x + y + frame) as u8)));
        }
    }
    let (frames, width, height) = (FRAMES as u64, WIDTH as u64, HEIGHT as u64);
    let cells: [(&str, Vec<&str>); 3] = [
        ("names", vec!["desk", "chair", "wall"]),
        ("scenes", vec!["office_0001", "office_0002", "kitchen_0001", "kitchen_0001"]),
        ("sceneTypes", vec!["office", "office", "kitchen", "kitchen"]),
    ];
    let file = |references: &dyn Fn(&str) -> u64| {
        let mut builder = Hdf5Builder::new()
            .dataset(DatasetBuilder::typed_data("images", [frames, 3, width, height], &rgb).unwrap())
            .dataset(DatasetBuilder::typed_data("depths", [frames, width, height], &depth).unwrap())
            .dataset(DatasetBuilder::typed_data("labels", [frames, width, height], &label).unwrap());
        for (name, texts) in &cells {
            let mut places = Vec::new();
            for (at, text) in texts.iter().enumerate() {
                let target = format!("{name}{at}");
                let letters: Vec<u16> = text.encode_utf16().collect();
                places.push(references(&target));
                builder =
                    builder.dataset(DatasetBuilder::typed_data(format!("#refs#/{target}"), [letters.len() as u64, 1], &letters).unwrap());
            }
            builder = builder.dataset(DatasetBuilder::typed_data(*name, [1, places.len() as u64], &places).unwrap());
        }
        builder.into_plan().unwrap().encode(WriteOptions::default()).unwrap()
    };
    // Once to learn where things come to lie, and once to refer to them.
    let first = Hdf5File::from_vec(file(&|_| 0)).unwrap();
    let address = |name: &str| first.dataset(&format!("#refs#/{name}")).unwrap().address();
    bench.write("nyu_depth_v2_labeled.mat", file(&address));
}

#[test]
fn rooms_of_nyu_become_pngs_with_forty_classes() {
    let bench = Bench::new();
    meta(&bench);
    labelled(&bench);
    let made = bench.prepare("nyuv2").unwrap();
    assert!(made.remarks.iter().any(|remark| remark.contains("names 1 frames that the file does not have")), "{:?}", made.remarks);
    let source = bench.open("nyuv2-published.toml");
    assert_eq!((parts(&source), source.schema().target.class_names().len()), ([3, 0, 1], 40));
    assert_eq!(source.meta(row(&source, "0003")).group, Some("kitchen_0001"));
    // What was written, pixel by pixel: rows again, and the names mapped to classes.
    let label = image::open(bench.out().join("label/0002.png")).unwrap().into_luma8();
    let depth = image::open(bench.out().join("depth/0002.png")).unwrap().into_luma16();
    let rgb = image::open(bench.out().join("rgb/0002.png")).unwrap().into_rgb8();
    assert_eq!(label.dimensions(), (4, 3));
    for (x, y, pixel) in label.enumerate_pixels() {
        let class = if x + y == 0 { 0 } else { [3, 3, 1][((x + y) % 3) as usize] };
        assert_eq!((pixel[0], depth[(x, y)][0]), (class, (1000 + 100 * x + y) as u16), "{x} {y}");
        assert_eq!(rgb[(x, y)].0, [0, 1, 2].map(|channel| (100 * channel + 10 * x + y + 1) as u8));
    }
    assert!(labels(&source, 0).contains(&0));
    // What is written once can be written again.
    bench.prepare("nyuv2").unwrap();
}

#[test]
fn what_does_not_fit_together_is_named() {
    let bench = Bench::new();
    labelled(&bench);
    let error = bench.prepare("nyuv2").unwrap_err();
    assert!(matches!(&error, Error::Missing { path, how, .. } if path.ends_with("splits.mat") && how.contains("github.com")), "{error}");
    meta(&bench);
    bench.write("splits.mat", mat5(&[numbers("trainNdxs", &[1, 2]), numbers("testNdxs", &[2, 3])]));
    assert!(bench.prepare("nyuv2").unwrap_err().to_string().contains("frame 2 in the training and in the test"));
    bench.write("splits.mat", mat5(&[numbers("trainNdxs", &[1, 2])]));
    assert!(bench.prepare("nyuv2").unwrap_err().to_string().contains("has no variable `testNdxs`, only trainNdxs"));
    let whole = mat5(&[numbers("trainNdxs", &[1, 2, 3]), numbers("testNdxs", &[2, 3, 4])]);
    for end in [0, 100, 130, whole.len() - 9] {
        bench.write("splits.mat", &whole[..end]);
        let error = bench.prepare("nyuv2").unwrap_err().to_string();
        assert!(error.contains("splits.mat") && error.contains("MATLAB file"), "{error}");
    }
    bench.write("nyu_depth_v2_labeled.mat", b"MATLAB 7.3 MAT-file, cut off");
    bench.write("splits.mat", &whole);
    assert!(bench.prepare("nyuv2").unwrap_err().to_string().contains("no MATLAB file of version 7.3"));
}
