//! Data sets with a class for each pixel.

use super::{Bench, labels, parts, row, sensors};
use mm_core::data::Source;
use mm_datasets::prepare::Error;

/// A tile of a flood in the folder layout.
fn tile(bench: &Bench, id: &str) {
    ["s1_before", "s1_after"].iter().for_each(|sensor| bench.map(&format!("{sensor}/{id}.png"), &[10, 200]));
    ["s2_before", "s2_after"].iter().for_each(|sensor| bench.picture(&format!("{sensor}/{id}.png")));
    bench.map(&format!("flood/{id}.png"), &[0, 0, 1]);
}

#[test]
fn floods_by_a_table_are_tested_where_training_never_was() {
    let bench = Bench::new();
    let mut table = "sample,event,split\n".to_string();
    let mut add = |id: &str, event: &str, split: &str| {
        tile(&bench, id);
        table += &format!("{id},{event},{split}\n");
    };
    (0..16).for_each(|i| add(&format!("o{i:02}"), "2017-2020", "train"));
    add("o90", "2017-2020", "test");
    add("albania1", "albania-2021", "event");
    bench.write("manifest.csv", &table);
    std::fs::remove_file(bench.root().join("s2_after/albania1.png")).unwrap();
    let made = bench.prepare("ombria").unwrap();
    assert!(made.remarks.iter().any(|remark| remark.contains("1 images are not there")), "{:?}", made.remarks);
    let (unseen, same) = (bench.open("ombria.toml"), bench.open("ombria-same-floods.toml"));
    assert_eq!((parts(&unseen), parts(&same)), ([16, 1, 1], [14, 2, 1]));
    let both = bench.open("ombria-both.toml");
    let group = |id: &str| both.meta(row(&both, id)).group.map(String::from);
    assert_eq!(
        (parts(&both), group("o90").as_deref(), group("albania1").as_deref()),
        ([16, 0, 2], Some("of the training"), Some("unseen"))
    );
    assert_eq!(sensors(&unseen, row(&unseen, "albania1")), "s1_before+s1_after+s2_before");
    assert_eq!(unseen.schema().target.class_names(), ["dry", "flooded"]);
    assert_eq!(labels(&unseen, 0)[..6], [1, 1, 2, 1, 1, 2]);
    // A mask that is not there, and a split that is none.
    std::fs::remove_file(bench.root().join("flood/o03.png")).unwrap();
    let error = bench.prepare("ombria").unwrap_err();
    assert!(matches!(&error, Error::Missing { path, .. } if path.ends_with("flood/o03.png")), "{error}");
    bench.write("manifest.csv", "sample,event,split\no01,a,val\n");
    assert!(bench.prepare("ombria").unwrap_err().to_string().contains("manifest.csv:2: the split `val` is none of train, test and event"));
    bench.write("manifest.csv", "sample,event\no01,a\n");
    assert!(bench.prepare("ombria").unwrap_err().to_string().contains("has no column `split`"));
}

#[test]
fn floods_as_they_are_published_are_paired_by_number() {
    let bench = Bench::new();
    let published = |split: &str, number: &str| {
        for (satellite, what) in [(1, "before"), (1, "after"), (2, "before"), (2, "after")] {
            let file = format!("OmbriaS{satellite}/{split}/{}/S{satellite}_{what}_{number}.png", what.to_uppercase());
            if satellite == 1 { bench.map(&file, &[3]) } else { bench.picture(&file) }
        }
    };
    for (split, number) in [("train", "0001"), ("train", "0002"), ("test", "0018")] {
        published(split, number);
        [1, 2].iter().for_each(|s| bench.map(&format!("OmbriaS{s}/{split}/MASK/S{s}_mask_{number}.png"), &[0, 255]));
    }
    // Without a mask it is no sample.
    published("train", "0003");
    for satellite in ["Sentinel1", "Sentinel2"] {
        bench.map(&format!("2021/ALBANIA/{satellite}/BEFORE/imbefore_10.png"), &[3]);
        bench.map(&format!("2021/ALBANIA/{satellite}/AFTER/imafter_10.png"), &[3]);
        bench.map(&format!("2021/ALBANIA/{satellite}/MASK/gt_10.png"), &[0, 255]);
    }
    bench.prepare("ombria").unwrap();
    let source = bench.open("ombria.toml");
    assert_eq!(parts(&source), [2, 1, 1]);
    let unseen = row(&source, "albania-10");
    assert_eq!((source.meta(unseen).group, sensors(&source, unseen).split('+').count()), (Some("albania 2021"), 4));
    assert_eq!(labels(&source, unseen)[..2], [1, 2]);
}

#[test]
fn each_of_a_few_patients_is_held_out_once() {
    let bench = Bench::new();
    for patient in ["p07", "p19", "p26"] {
        for slice in 0..20 {
            let name = format!("{patient}_z{slice:03}.png");
            ["flair", "t1", "t1_contrast", "t2"].iter().for_each(|sequence| bench.map(&format!("{sequence}/{name}"), &[0, 90]));
            bench.map(&format!("lesion/{name}"), &[0, 0, 0, 1]);
        }
    }
    let made = bench.prepare("mri-slices").unwrap();
    assert_eq!(made.cards.len(), 3);
    let source = bench.open("mri-slices-p19.toml");
    assert_eq!(parts(&source), [30, 10, 20]);
    assert!((0..60).all(|row| (source.meta(row).group == Some("p19")) == (source.meta(row).part == Some(mm_core::data::Part::Test))));
    assert_eq!(labels(&source, 0)[..4], [1, 1, 1, 2]);
    // The numbers of BraTS, and one patient: nobody to hold out.
    let bench = Bench::new();
    ["1", "2"].iter().for_each(|slice| bench.map(&format!("seg/a_{slice}.png"), &[0, 1, 2, 4]));
    let error = bench.prepare("mri-slices").unwrap_err();
    assert!(matches!(&error, Error::Missing { path, .. } if path.ends_with("flair")), "{error}");
    bench.map("t1ce/a_1.png", &[5]);
    assert!(bench.prepare("mri-slices").unwrap_err().to_string().contains("slices of 1 patient"));
    for patient in 0..12 {
        bench.map(&format!("seg/b{patient:02}_1.png"), &[0, 1, 2, 4]);
        bench.map(&format!("t1ce/b{patient:02}_1.png"), &[5]);
    }
    bench.prepare("mri-slices").unwrap();
    let source = bench.open("mri-slices.toml");
    assert_eq!((parts(&source), sensors(&source, 0)), ([10, 1, 2], "t1_contrast".into()));
    assert_eq!(labels(&source, 0)[..4], [1, 2, 3, 4]);
}

#[test]
fn films_of_household_things_follow_the_published_lists() {
    let bench = Bench::new();
    let frame = |film: &str, frame: &str| {
        bench.picture(&format!("data/{film}/{frame}-color.png"));
        bench.wide_map(&format!("data/{film}/{frame}-depth.png"), &[0, 12_345]);
        bench.map(&format!("data/{film}/{frame}-label.png"), &[0, 8, 21]);
    };
    for (film, number) in [("0000", "000001"), ("0000", "000011"), ("0009", "000001"), ("0048", "000001"), ("0048", "000036")] {
        frame(film, number);
    }
    bench.write("image_sets/train.txt", "0000/000001\n0000/000002\n0000/000011\n0009/000001\ndata_syn/000000\n");
    bench.write("image_sets/keyframe.txt", "0048/000001\n0048/000036\n");
    bench.prepare("ycb-video").unwrap();
    let source = bench.open("ycb-video.toml");
    assert_eq!((parts(&source), source.schema().target.class_names().len()), ([2, 1, 2], 22));
    let depth = source.read(0).unwrap().readings[1].clone().unwrap();
    assert_eq!(depth.shape, [2, 240, 320]);
    assert!(depth.values.to_f64().iter().any(|metres| (metres - 1.2345).abs() < 1e-4));
    bench.write("image_sets/keyframe.txt", "48-1\n");
    assert!(bench.prepare("ycb-video").unwrap_err().to_string().contains("keyframe.txt:1: `48-1`: expected a film and a frame"));
}

#[test]
fn streets_have_nineteen_classes_and_void() {
    let bench = Bench::new();
    for (split, city) in [("train", "aachen"), ("train", "ulm"), ("val", "lindau")] {
        let place = |kind: &str, end: &str| format!("{kind}/{split}/{city}/{city}_000000_000019_{end}.png");
        bench.picture(&place("leftImg8bit", "leftImg8bit"));
        bench.map(&place("gtFine", "gtFine_labelIds"), &[7, 33, 0, 255, 26]);
        bench.map(&place("gtFine", "gtFine_instanceIds"), &[7]);
        if city != "ulm" {
            bench.wide_map(&place("disparity", "disparity"), &[0, 256 * 64 + 1]);
        }
    }
    let made = bench.prepare("cityscapes").unwrap();
    assert!(made.remarks.iter().any(|remark| remark.contains("1 images are not there")), "{:?}", made.remarks);
    let source = bench.open("cityscapes.toml");
    assert_eq!((parts(&source), source.schema().target.class_names().len()), ([1, 1, 1], 19));
    let seen: std::collections::BTreeSet<u16> = labels(&source, 0).into_iter().collect();
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 1, 14, 19]);
    assert_eq!(sensors(&source, row(&source, "ulm_000000_000019")), "rgb");
    std::fs::remove_dir_all(bench.root().join("gtFine/val")).unwrap();
    let error = bench.prepare("cityscapes").unwrap_err();
    assert!(matches!(&error, Error::Missing { path, .. } if path.ends_with("gtFine/val")), "{error}");
}

#[test]
fn rooms_of_sun_are_numbered_through_with_the_test_first() {
    let bench = Bench::new();
    let folder = |place: &str, frame: &str| format!("SUNRGBD/{place}/{frame}");
    let frames = [("kv2/kinect2data", "000065_a"), ("xtion/sun3ddata/brown_1", "0000103"), ("kv1/NYUdata", "NYU0001")];
    for (place, frame) in frames {
        let folder = folder(place, frame);
        bench.picture(&format!("{folder}/image/{frame}.jpg"));
        // 2 m, rotated to the left by three bits as the files have it.
        bench.wide_map(&format!("{folder}/depth_bfx/{frame}.png"), &[2000u16.rotate_left(3)]);
    }
    bench.wide_map("SUNRGBD/kv1/NYUdata/NYU0001/depth/NYU0001.png", &[0, 2000u16.rotate_left(3)]);
    let line = |at: usize| format!("{}/image/{}.jpg\n", folder(frames[at].0, frames[at].1), frames[at].1);
    bench.write("sunrgbd_testing_images.txt", line(1));
    bench.write("sunrgbd_training_images.txt", line(0) + &line(2));
    for (number, class) in [(1, 37), (2, 1)] {
        bench.map(&format!("labels/img-{number:06}.png"), &[0, class]);
    }
    let error = bench.prepare("sun-rgbd").unwrap_err();
    assert!(
        matches!(&error, Error::Missing { path, what, .. } if path.ends_with("labels/img-000003.png") && what.contains("NYU0001")),
        "{error}"
    );
    bench.map("labels/img-000003.png", &[0, 5]);
    bench.prepare("sun-rgbd").unwrap();
    let source = bench.open("sun-rgbd-published.toml");
    assert_eq!((parts(&source), source.schema().target.class_names().len()), ([2, 0, 1], 37));
    let tested = row(&source, "xtion/sun3ddata/brown_1/0000103");
    assert_eq!((labels(&source, tested).into_iter().max(), source.meta(tested).group), (Some(37), Some("brown_1")));
    let depth = source.read(tested).unwrap().readings[1].clone().unwrap();
    assert!(depth.values.to_f64()[..480 * 640].iter().all(|metres| (metres - 2.0).abs() < 1e-6));
    bench.write("sunrgbd_testing_images.txt", "0000121.jpg\n");
    assert!(
        bench
            .prepare("sun-rgbd")
            .unwrap_err()
            .to_string()
            .contains("sunrgbd_testing_images.txt:1: `0000121.jpg`: expected a picture such as")
    );
}

/// A volume of 9 x 7 x 6 voxels: numbers of 16 bits, or floating point ones with a slope.
fn nifti(bench: &Bench, name: &str, is_float: bool, voxel: impl Fn(usize, usize, usize) -> i16) {
    let mut bytes = vec![0; 352];
    bytes[..4].copy_from_slice(&348u32.to_le_bytes());
    for (at, side) in [3i16, 9, 7, 6, 1, 1, 1, 1].iter().enumerate() {
        bytes[40 + 2 * at..][..2].copy_from_slice(&side.to_le_bytes());
    }
    bytes[70..72].copy_from_slice(&(if is_float { 16i16 } else { 4 }).to_le_bytes());
    bytes[108..112].copy_from_slice(&352f32.to_le_bytes());
    bytes[112..116].copy_from_slice(&(if is_float { 2f32 } else { 0.0 }).to_le_bytes());
    bytes[344..348].copy_from_slice(b"n+1\0");
    for (z, y, x) in (0..6).flat_map(|z| (0..7).flat_map(move |y| (0..9).map(move |x| (z, y, x)))) {
        match is_float {
            true => bytes.extend((f32::from(voxel(x, y, z)) / 2.0).to_le_bytes()),
            false => bytes.extend(voxel(x, y, z).to_le_bytes()),
        }
    }
    match name.ends_with(".gz") {
        true => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            std::io::Write::write_all(&mut encoder, &bytes).unwrap();
            bench.write(name, encoder.finish().unwrap());
        }
        false => bench.write(name, bytes),
    }
}

#[test]
fn volumes_of_brains_become_slices() {
    let bench = Bench::new();
    for patient in ["BraTS20_Training_001", "BraTS20_Training_002"] {
        for (end, is_float) in [("flair.nii.gz", false), ("t1.nii", true), ("t1ce.nii.gz", true), ("t2.nii.gz", false)] {
            // Outside is 0: the lowest slices and the first column.
            let voxel = |x: usize, y: usize, z: usize| if z < 2 || x == 0 { 0 } else { (100 * z + 10 * y + x) as i16 };
            nifti(&bench, &format!("{patient}/{patient}_{end}"), is_float, voxel);
        }
        nifti(
            &bench,
            &format!("{patient}/{patient}_seg.nii.gz"),
            false,
            |x, y, z| if (x, y, z) == (4, 3, 3) { 4 } else { i16::from(x == 2) },
        );
    }
    let made = bench.prepare("brats").unwrap();
    assert_eq!(made.cards.len(), 2);
    let source = bench.open("brats-BraTS20_Training_002.toml");
    // Of slices 0 and 3 the first is outside.
    assert_eq!((source.len(), source.meta(0).id), (2, Some("BraTS20_Training_001_z003")));
    let slice = |folder: &str| image::open(bench.out().join(folder).join("BraTS20_Training_001_z003.png")).unwrap().into_luma8();
    let (flair, t1, seg) = (slice("flair"), slice("t1"), slice("seg"));
    assert_eq!((flair.dimensions(), seg[(4, 3)][0], seg[(2, 0)][0]), ((9, 7), 4, 1));
    assert!(flair == t1, "numbers of another type, with a slope, are the same numbers");
    assert!(flair[(0, 3)][0] == 0 && (1..255).contains(&flair[(1, 0)][0]) && flair[(8, 6)][0] > flair[(1, 0)][0]);
    assert_eq!(labels(&source, 0)[3 * 9 + 4], 4);
    // Once more over its own files, and damaged.
    bench.prepare("brats").unwrap();
    let (name, bytes) =
        ("BraTS20_Training_001/BraTS20_Training_001_t1.nii", bench.root().join("BraTS20_Training_001/BraTS20_Training_001_t1.nii"));
    let whole = std::fs::read(bytes).unwrap();
    for (end, problem) in [(100, "no NIfTI-1 file"), (700, "ends before the [9, 7, 6] voxels")] {
        bench.write(name, &whole[..end]);
        let error = bench.prepare("brats").unwrap_err().to_string();
        assert!(error.contains("_t1.nii") && error.contains(problem), "{error}");
    }
    std::fs::remove_file(bench.root().join(name)).unwrap();
    let error = bench.prepare("brats").unwrap_err();
    assert!(matches!(&error, Error::Missing { path, .. } if path.ends_with("BraTS20_Training_001_t1.nii.gz")), "{error}");
}

#[test]
fn files_of_the_user_in_the_output_folder_stay() {
    let bench = Bench::new();
    (0..2).for_each(|i| bench.map(&format!("lesion/p{i}_1.png"), &[0, 1]));
    (0..2).for_each(|i| bench.map(&format!("flair/p{i}_1.png"), &[9]));
    std::fs::create_dir_all(bench.out()).unwrap();
    std::fs::write(bench.out().join("samples.csv"), "mine").unwrap();
    // The second time as well: the first leaves no card that would make the folder ours.
    for _ in 0..2 {
        let error = bench.prepare("mri-slices").unwrap_err();
        assert!(matches!(&error, Error::Occupied { path } if path.ends_with("samples.csv")), "{error}");
    }
    assert_eq!(std::fs::read(bench.out().join("samples.csv")).unwrap(), b"mine");
}
