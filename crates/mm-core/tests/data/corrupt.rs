//! How sensors degrade, and the screening of values that are not finite.

use candle_core::{Device, Tensor};
use mm_core::corrupt::{Applied, Corrupted, Corruption, DEPTH_FAMILIES, Family, Fault, IMAGE_FAMILIES, SERIES_FAMILIES, Severity};
use mm_core::corrupt::{apply, screen_non_finite};
use mm_core::data::audio::SOUND_FAMILIES;
use mm_core::data::{InputSpec, Inputs, NonFinite, Schema, Source, TableDataset, Target};
use mm_core::{Error, Modalities, ModalityError, Model, NonFiniteError, Presence, Result, Subset, rng};

const SAMPLES: usize = 400;
const WIDTH: usize = 50;

/// Two modalities of standard normal values; every third sample lacks the second one.
fn data() -> TableDataset {
    let inputs = vec![InputSpec::vector(WIDTH); 2];
    let schema = Schema::new(Modalities::new(["a", "b"]).unwrap(), inputs, Target::of_classes(["only"])).unwrap();
    TableDataset::new(schema, vec![table(0), table(1)], presence(), vec![0; SAMPLES]).unwrap()
}

fn table(m: u64) -> Vec<f32> {
    rng::standard_normal(&mut rng::stream(1, "values", &[m]), SAMPLES * WIDTH)
}

fn presence() -> Presence {
    Presence::new((0..SAMPLES).map(|i| if i % 3 == 0 { Subset::single(0) } else { Subset::full(2) }).collect())
}

/// The families that any vectors can have, but those that take samples away or put them in order.
fn families() -> impl Iterator<Item = Family> {
    Family::ALL.iter().copied().filter(|family| family.applied() == Applied::ToValues || *family == Family::Swapped)
}

fn all() -> Vec<usize> {
    (0..SAMPLES).collect()
}

fn inputs() -> Inputs {
    data().batch(&all(), &Device::Cpu).unwrap().into_parts().0
}

/// All samples, with values where they lack the second modality too: nothing may touch them.
fn with_values_everywhere() -> Inputs {
    let tables = [0, 1].map(|m| Some(Tensor::from_vec(table(m), (SAMPLES, WIDTH), &Device::Cpu).unwrap()));
    Inputs::new(&data().schema().modalities, tables, presence(), (0..SAMPLES as u64).collect()).unwrap()
}

fn values(inputs: &Inputs, m: usize) -> Vec<Vec<f32>> {
    inputs.at(m).unwrap().values.to_vec2().unwrap()
}

fn bits(inputs: &Inputs, m: usize) -> Vec<Vec<u32>> {
    values(inputs, m).into_iter().map(|row| row.into_iter().map(f32::to_bits).collect()).collect()
}

/// Some samples of the data with one modality corrupted.
fn corrupt(rows: &[usize], family: Family, severity: u8, m: usize, seed: u64) -> Inputs {
    let (data, fault) = (data(), Fault::new(family, severity, Subset::single(m)).unwrap());
    let corrupted = Corrupted::new(&data, &all(), vec![fault], seed).unwrap();
    corrupted.batch(rows, &Device::Cpu).unwrap().into_parts().0
}

fn corrupted(family: Family, severity: u8, m: usize, seed: u64) -> Inputs {
    corrupt(&all(), family, severity, m, seed)
}

/// Share of the rows of a modality that differ from the clean ones.
fn hit_rows(family: Family, severity: u8) -> f64 {
    let (clean, new) = (bits(&inputs(), 0), bits(&corrupted(family, severity, 0, 5), 0));
    clean.iter().zip(&new).filter(|(a, b)| a != b).count() as f64 / SAMPLES as f64
}

#[test]
fn untouched_modalities_and_absent_readings_stay_bit_for_bit() {
    let clean = inputs();
    for family in families() {
        let new = corrupted(family, 5, 1, 5);
        assert_eq!(bits(&new, 0), bits(&clean, 0), "{family:?}");
        assert_ne!(bits(&new, 1), bits(&clean, 1), "{family:?}");
        for row in (0..SAMPLES).step_by(3) {
            assert_eq!(bits(&new, 1)[row], bits(&clean, 1)[row], "{family:?}, row {row} lacks the modality");
        }
        assert_eq!((new.presence(), new.ids()), (clean.presence(), clean.ids()));
        assert!(new.is_altered() && !clean.is_altered());
    }
}

#[test]
fn the_seed_and_the_sample_decide() {
    for family in families() {
        let (a, b, c) = (corrupted(family, 4, 0, 5), corrupted(family, 4, 0, 5), corrupted(family, 4, 0, 6));
        assert_eq!(bits(&a, 0), bits(&b, 0), "{family:?}");
        assert_ne!(bits(&a, 0), bits(&c, 0), "{family:?}");
        // The same samples in a smaller batch, in another order, and alone: what is swapped comes from the same other sample.
        let two = corrupt(&[17, 4], family, 4, 0, 5);
        assert_eq!(bits(&two, 0), [17, 4].map(|row: usize| bits(&a, 0)[row].clone()), "{family:?}");
        let alone = corrupt(&[17], family, 4, 0, 5);
        assert_eq!(bits(&alone, 0)[0], bits(&a, 0)[17], "{family:?}");
    }
}

/// Where nothing but the numbers is needed, there is a function for it.
#[test]
fn standardized_numbers_are_corrupted_with_the_data_or_without() {
    let clean = with_values_everywhere();
    for family in families() {
        let applied = apply(&clean, Corruption::new(family, 4).unwrap(), Subset::single(1), 5);
        if family == Family::Swapped {
            assert!(applied.unwrap_err().to_string().contains("read them from a `Corrupted`"));
            continue;
        }
        let (applied, read, clean) = (bits(&applied.unwrap(), 1), bits(&corrupted(family, 4, 1, 5), 1), bits(&clean, 1));
        for row in 0..SAMPLES {
            // A reading that the sample lacks is touched by nothing.
            assert_eq!(applied[row], if row % 3 == 0 { clean[row].clone() } else { read[row].clone() }, "{family:?}, row {row}");
        }
    }
}

#[test]
fn what_is_swapped_depends_on_the_rows_of_the_test_and_not_on_the_batch() {
    let (data, clean) = (data(), values(&inputs(), 0));
    let rows: Vec<usize> = (0..SAMPLES).filter(|row| row % 4 == 1).collect();
    let swapped = |rows: &[usize], batch_size: usize| -> Vec<Vec<f32>> {
        let fault = Fault::new(Family::Swapped, 5, Subset::single(0)).unwrap();
        let corrupted = Corrupted::new(&data, rows, vec![fault], 5).unwrap();
        let batches = rows.chunks(batch_size).map(|rows| corrupted.batch(rows, &Device::Cpu).unwrap());
        batches.flat_map(|batch| values(batch.inputs(), 0)).collect()
    };
    let whole = swapped(&rows, SAMPLES);
    for batch_size in [1, 2, 7] {
        assert_eq!(swapped(&rows, batch_size), whole, "batches of {batch_size}");
    }
    // Whatever the order of the rows.
    let backwards: Vec<usize> = rows.iter().rev().copied().collect();
    assert_eq!(swapped(&backwards, 3), whole.iter().rev().cloned().collect::<Vec<_>>());
    for (row, reading) in rows.iter().zip(&whole) {
        let donor = clean.iter().position(|c| c == reading).unwrap();
        assert!(rows.contains(&donor) && donor != *row, "row {row} has the reading of {donor}");
    }
    // A sample without another one to swap with keeps its reading.
    assert_eq!(swapped(&[17], 1), [clean[17].clone()]);
}

#[test]
fn a_higher_severity_does_more() {
    let clean = values(&inputs(), 0);
    for family in families() {
        let effect = |severity: u8| -> f64 {
            let new = values(&corrupted(family, severity, 0, 5), 0);
            let changes = clean.iter().flatten().zip(new.iter().flatten());
            changes.map(|(a, b)| if b.is_nan() { 100.0 } else { f64::from(a - b).powi(2) }).sum()
        };
        let effects: Vec<f64> = (1..=5).map(effect).collect();
        assert!(effects[0] > 0.0 && effects.windows(2).all(|w| w[0] < w[1]), "{family:?}: {effects:?}");
        assert!(family.strengths().windows(2).all(|w| w[0] < w[1]), "{family:?}");
    }
}

#[test]
fn each_family_does_what_the_table_says() {
    let clean = values(&inputs(), 0);
    for severity in 1..=5u8 {
        let strength = |family: Family| f64::from(Corruption::new(family, severity).unwrap().strength());
        let new = |family: Family| values(&corrupted(family, severity, 0, 5), 0);
        let pairs =
            |family: Family| -> Vec<(f32, f32)> { clean.iter().flatten().copied().zip(new(family).into_iter().flatten()).collect() };
        let share = |hits: usize, of: usize| hits as f64 / of as f64;

        let noise: Vec<f64> = pairs(Family::Gaussian).iter().map(|(a, b)| f64::from(b - a)).collect();
        let std = (noise.iter().map(|n| n * n).sum::<f64>() / noise.len() as f64).sqrt();
        assert!((std / strength(Family::Gaussian) - 1.0).abs() < 0.02, "std {std}");

        let salt = pairs(Family::SaltAndPepper);
        let changed: Vec<f32> = salt.iter().filter(|(a, b)| a != b).map(|(_, b)| *b).collect();
        assert!((share(changed.len(), salt.len()) - strength(Family::SaltAndPepper)).abs() < 0.015);
        assert!(changed.iter().all(|b| b.abs() == 4.0));
        let upper = share(changed.iter().filter(|b| **b > 0.0).count(), changed.len());
        assert!((upper - 0.5).abs() < 0.06, "{upper}");

        let dropped = pairs(Family::ValueDropout);
        let zeros = dropped.iter().filter(|(a, b)| *b == 0.0 && *a != 0.0).count();
        assert!((share(zeros, dropped.len()) - strength(Family::ValueDropout)).abs() < 0.015);
        assert!(dropped.iter().all(|(a, b)| *b == 0.0 || a == b));

        for (a, b) in pairs(Family::ScaleDrift) {
            let ratio = f64::from(b) / f64::from(a);
            let s = strength(Family::ScaleDrift);
            assert!((ratio / s - 1.0).abs() < 1e-5 || (ratio * s - 1.0).abs() < 1e-5, "{ratio}");
        }
        for (row, new) in clean.iter().zip(new(Family::OffsetDrift)) {
            let offset = new[0] - row[0];
            assert!((f64::from(offset.abs()) - strength(Family::OffsetDrift)).abs() < 1e-5);
            assert!(row.iter().zip(&new).all(|(a, b)| (b - a - offset).abs() < 1e-5), "one offset for the whole reading");
        }
        for family in [Family::Stuck, Family::Dead, Family::NanBurst, Family::Swapped] {
            let hit = hit_rows(family, severity);
            assert!((hit - strength(family)).abs() < 0.06, "{family:?} {severity}: {hit}");
        }
    }
}

#[test]
fn whole_readings_are_replaced_by_what_the_family_says() {
    let clean = values(&inputs(), 0);
    assert!(values(&corrupted(Family::Dead, 5, 0, 5), 0).iter().flatten().all(|x| *x == 0.0));
    let stuck = values(&corrupted(Family::Stuck, 5, 0, 5), 0);
    let constant = stuck[0][0];
    assert!((0.5..=3.0).contains(&constant.abs()) && stuck.iter().flatten().all(|x| *x == constant), "{constant}");
    for (row, reading) in values(&corrupted(Family::NanBurst, 5, 0, 5), 0).iter().enumerate() {
        let nans: Vec<usize> = (0..WIDTH).filter(|&i| reading[i].is_nan()).collect();
        assert_eq!(nans.len(), WIDTH.div_ceil(4));
        assert_eq!(nans[nans.len() - 1] - nans[0], nans.len() - 1, "in a row");
        assert!((0..WIDTH).all(|i| nans.contains(&i) || reading[i] == clean[row][i]));
    }
    for (row, reading) in values(&corrupted(Family::Swapped, 5, 0, 5), 0).iter().enumerate() {
        let donor = clean.iter().position(|c| c == reading);
        assert!(donor.is_some_and(|d| d != row), "row {row}");
    }
}

#[test]
fn a_swapped_reading_never_comes_from_a_sample_that_lacks_the_modality() {
    let clean = values(&inputs(), 1);
    let new = values(&corrupted(Family::Swapped, 5, 1, 5), 1);
    for (row, reading) in new.iter().enumerate().filter(|(row, _)| row % 3 != 0) {
        let donor = clean.iter().position(|c| c == reading).unwrap();
        assert!(donor % 3 != 0 && donor != row);
    }
}

#[test]
fn corruptions_are_written_by_name_and_checked() {
    let read = |text: &str| serde_json::from_str::<Corruption>(text);
    let corruption = read(r#"{"family": "salt_and_pepper", "severity": 3}"#).unwrap();
    assert_eq!(corruption, Corruption::new(Family::SaltAndPepper, 3).unwrap());
    assert_eq!(serde_json::to_string(&corruption).unwrap(), r#"{"family":"salt_and_pepper","severity":3}"#);
    assert!(read(r#"{"family": "gaussian", "severity": 6}"#).unwrap_err().to_string().contains("1 to 5"));
    assert!(read(r#"{"family": "gaussian", "severity": 0}"#).is_err());
    assert_eq!(Severity::all().map(u8::from).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    for (place, family) in Family::ALL.iter().enumerate() {
        assert_eq!((serde_json::to_value(family).unwrap(), *family as usize), (family.name().into(), place));
        assert_eq!(serde_json::from_value::<Family>(family.name().into()).unwrap(), *family);
        assert!(Family::ALL[..place].iter().all(|other| other.name() != family.name()) && !family.does().is_empty());
        // Each severity is worse than the one before, in one direction.
        let steps = family.strengths().windows(2).map(|w| w[1] - w[0]).collect::<Vec<_>>();
        assert!(steps.iter().all(|step| step * steps[0] > 0.0), "{family}");
    }
    assert!(read(r#"{"family": "gausian", "severity": 1}"#).unwrap_err().to_string().contains("did you mean `gaussian`?"));
    let past = apply(&inputs(), corruption, Subset::single(2), 0);
    assert!(matches!(past, Err(Error::Modality(ModalityError::Position { position: 2, .. }))));
}

/// Three samples of two modalities with these NaN or infinite readings.
fn with_bad(bad: &[(usize, usize)]) -> Result<Inputs> {
    let table = |m: usize| {
        let mut values: Vec<f32> = (0..6).map(|i| i as f32).collect();
        for (row, _) in bad.iter().filter(|(_, modality)| *modality == m) {
            values[row * 2 + 1] = if m == 0 { f32::NAN } else { f32::NEG_INFINITY };
        }
        Tensor::from_vec(values, (3, 2), &Device::Cpu)
    };
    let modalities = Modalities::new(["camera", "radar"])?;
    Inputs::new(&modalities, [Some(table(0)?), Some(table(1)?)], Presence::uniform(Subset::full(2), 3), vec![10, 11, 12])
}

#[test]
fn readings_that_are_not_finite_count_as_absent() -> Result<()> {
    let screened = screen_non_finite(&with_bad(&[(0, 0), (2, 1)])?, NonFinite::Absent)?;
    assert_eq!((screened.non_finite, screened.excluded.len()), (2, 0));
    assert_eq!(screened.inputs.presence().subsets(), [Subset::single(1), Subset::full(2), Subset::single(0)]);
    let clean = screen_non_finite(&with_bad(&[])?, NonFinite::Absent)?;
    assert_eq!((clean.non_finite, clean.inputs.presence()), (0, &Presence::uniform(Subset::full(2), 3)));
    Ok(())
}

#[test]
fn a_sample_with_nothing_left_is_left_out_and_named() -> Result<()> {
    let screened = screen_non_finite(&with_bad(&[(1, 0), (1, 1), (2, 0)])?, NonFinite::Absent)?;
    assert_eq!((screened.non_finite, screened.excluded.as_slice()), (3, [1].as_slice()));
    assert_eq!(screened.inputs.ids(), [10, 12]);
    assert_eq!(values(&screened.inputs, 1)[0], [0.0, 1.0]);
    assert_eq!(values(&screened.inputs, 0)[0], [0.0, 1.0]);
    assert_eq!(values(&screened.inputs, 1)[1], [4.0, 5.0]);
    assert_eq!(screened.inputs.presence().subsets(), [Subset::full(2), Subset::single(1)]);
    let all: Vec<(usize, usize)> = (0..3).flat_map(|row| [(row, 0), (row, 1)]).collect();
    assert!(matches!(screen_non_finite(&with_bad(&all)?, NonFinite::Absent), Err(Error::NonFinite(NonFiniteError::EveryReading))));
    Ok(())
}

/// A model that is given what was measured, NaN and all, predicts as if those sensors had been missing.
#[test]
fn a_screened_prediction_is_that_of_the_sensors_that_are_left() -> Result<()> {
    let model = mm_testing::Dropout::new(0).model;
    let rows: Vec<usize> = (0..4).collect();
    let clean = mm_testing::clear_to_weak(4, 1).batch(&rows, &Device::Cpu)?;
    let broken = |row: usize, m: usize| (row, m) == (1, 2) || row == 3;
    let spoilt = mm_testing::spoilt(&clean, f32::NAN, broken);
    let (output, screened) = model.predict_screened(spoilt.inputs())?;
    assert_eq!((screened.non_finite, screened.excluded), (4, vec![3]));
    let left = clean.inputs().select(&[0, 1, 2])?;
    let left = left.with_presence(Presence::new(vec![Subset::full(3), Subset::from_indices([0, 1])?, Subset::full(3)]))?;
    assert_eq!(mm_testing::bits(&output.prediction), mm_testing::bits(&model.predict(&left)?.prediction));
    assert!(model.predict(spoilt.inputs())?.prediction.to_vec2::<f32>()?[1][0].is_nan());
    Ok(())
}

#[test]
fn the_error_policy_names_sample_and_modality() -> Result<()> {
    let error = screen_non_finite(&with_bad(&[(2, 1)])?, NonFinite::Error).unwrap_err().to_string();
    assert!(error.contains("sample 12") && error.contains("modality `radar`"), "{error}");
    // What is absent is not looked at.
    let absent = with_bad(&[(2, 1)])?.with_presence(Presence::uniform(Subset::single(0), 3))?;
    assert_eq!(screen_non_finite(&absent, NonFinite::Error)?.non_finite, 0);
    Ok(())
}

/// Every family is defined once in the documentation, with the numbers of the code; no other is.
#[test]
fn the_documentation_has_the_table() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/src/corruptions.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    for family in Family::ALL {
        let numbers: Vec<String> = family.strengths().iter().map(f32::to_string).collect();
        let row = format!("| `{family}` | {} | {} |", family.does(), numbers.join(" | "));
        assert!(rows.iter().any(|found| found.starts_with(&row)), "docs/src/corruptions.md lacks\n{row}");
    }
    for row in &rows {
        let name = row.trim_start_matches("| `").split('`').next().unwrap();
        assert!(name == "absent" || name == "error" || name.parse::<Family>().is_ok(), "{row}");
    }
    // A picture of every family that can be seen.
    for (kind, families) in [("image", IMAGE_FAMILIES), ("depth", DEPTH_FAMILIES), ("sound", SOUND_FAMILIES), ("series", SERIES_FAMILIES)] {
        for family in families {
            let picture = format!("img/corruptions/{kind}-{family}.png");
            assert!(rows.iter().any(|row| row.contains(&format!("`{family}`")) && row.contains(&picture)), "{picture}");
            let file = format!("{}/../../docs/src/{picture}", env!("CARGO_MANIFEST_DIR"));
            assert!(std::path::Path::new(&file).exists(), "{file}: see the command at the end of the page");
        }
    }
}
