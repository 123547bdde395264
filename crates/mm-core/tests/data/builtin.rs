//! The built-in data set: it loads, is what its card says, and is split as planned.

use mm_core::data::{DatasetCard, LoadedData, Source, Standardizer};
use std::path::PathBuf;

fn card_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../datasets/multiple-features.toml")
}

fn load() -> LoadedData {
    DatasetCard::from_path(card_path()).unwrap().load_files().unwrap()
}

fn per_class(data: &dyn Source, rows: &[usize]) -> Vec<usize> {
    let mut counts = vec![0; data.schema().target.classes()];
    rows.iter().for_each(|&row| counts[data.meta(row).class.unwrap() as usize] += 1);
    counts
}

#[test]
fn six_views_of_two_thousand_numerals() {
    let loaded = load();
    let (data, schema) = (&loaded.data, loaded.data.schema());
    assert_eq!(schema.modalities.names(), ["fac", "fou", "kar", "mor", "pix", "zer"]);
    let widths: Vec<&[usize]> = schema.inputs.iter().map(|i| i.shape.as_slice()).collect();
    assert_eq!(widths, [[216], [76], [64], [6], [240], [47]]);
    assert_eq!(schema.target.class_names(), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    let all: Vec<usize> = (0..data.len()).collect();
    assert_eq!(per_class(data, &all), [200; 10]);
    assert!((0..data.len()).all(|row| data.meta(row).presence == schema.modalities.full()));
    assert!(loaded.report.iter().all(|r| r.absent == 0 && r.non_finite == 0 && !r.constant && r.ignored.is_empty()));
    // First and last numbers of mfeat-mor.csv.
    assert_eq!(&data.column(3)[..4], [1.0, 0.0, 0.0, 133.15]);
    assert_eq!(data.column(3).last(), Some(&3808.0));
    assert_eq!(data.content_hash().unwrap(), load().data.content_hash().unwrap());
}

#[test]
fn the_split_and_its_small_variant_share_the_test_set() {
    let loaded = load();
    let split = loaded.split(0).unwrap();
    assert_eq!(per_class(&loaded.data, &split.train), [140; 10]);
    assert_eq!(per_class(&loaded.data, &split.validation), [20; 10]);
    assert_eq!(per_class(&loaded.data, &split.test), [40; 10]);
    let small = split.with_train_per_class(20, &loaded.data, 0).unwrap();
    assert_eq!(per_class(&loaded.data, &small.train), [20; 10]);
    assert_eq!((&small.test, &small.validation), (&split.test, &split.validation));
    assert!(small.train.iter().all(|row| split.train.contains(row)));
    assert_eq!(loaded.split(0).unwrap(), split);
    assert_ne!(loaded.split(1).unwrap().test, split.test);
}

#[test]
fn standardized_training_data_has_mean_0_and_deviation_1() {
    let loaded = load();
    let rows = loaded.split(0).unwrap().train;
    let standardizer = Standardizer::fit(&loaded.data, &rows).unwrap();
    let mut data = loaded.data.clone();
    standardizer.apply(&mut data).unwrap();
    for view in Standardizer::fit(&data, &rows).unwrap().views() {
        assert!(view.mean.iter().all(|m| m.abs() < 1e-6), "{}", view.modality);
        assert!(view.std.iter().all(|s| (s - 1.0).abs() < 1e-6), "{}", view.modality);
    }
}
