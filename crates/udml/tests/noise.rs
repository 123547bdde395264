//! Injected noise: keyed, of the stated strength and shares, and never where there is none.

use candle_core::{DType, Device, Tensor};
use mm_core::data::{InputKind, InputSpec, Inputs, Reading};
use mm_core::{Modalities, Presence, Subset, rng};
use udml::{NoiseConfig, NoiseFamily, NoisyInputs};

const SAMPLES: usize = 3000;
const WIDTH: usize = 20;

fn inputs() -> Inputs {
    let table = |m: u64| {
        let mut values = rng::standard_normal(&mut rng::stream(1, "values", &[m]), SAMPLES * WIDTH);
        values[0] = -0.0;
        Some(Tensor::from_vec(values, (SAMPLES, WIDTH), &Device::Cpu).unwrap())
    };
    of_two(vec![table(0), table(1)], (0..SAMPLES as u64).collect())
}

fn of_two(readings: Vec<Option<Tensor>>, ids: Vec<u64>) -> Inputs {
    let presence = Presence::uniform(Subset::full(2), ids.len());
    Inputs::new(&Modalities::new(["a", "b"]).unwrap(), readings, presence, ids).unwrap()
}

fn inject(inputs: &Inputs, config: &NoiseConfig, seed: u64, epoch: u64) -> mm_core::Result<NoisyInputs> {
    udml::inject_noise(inputs, &[InputSpec::vector(WIDTH), InputSpec::vector(WIDTH)], config, seed, epoch)
}

fn rows(inputs: &Inputs, m: usize) -> Vec<Vec<f32>> {
    inputs.at(m).unwrap().values.to_vec2().unwrap()
}

fn bits(rows: &[Vec<f32>]) -> Vec<Vec<u32>> {
    rows.iter().map(|row| row.iter().map(|x| x.to_bits()).collect()).collect()
}

#[test]
fn clean_readings_are_the_same_bits() {
    let (clean, noisy) = (inputs(), inject(&inputs(), &NoiseConfig::default(), 3, 2).unwrap());
    let levels = noisy.levels.to_vec2::<f32>().unwrap();
    for m in 0..2 {
        let (before, after) = (bits(&rows(&clean, m)), bits(&rows(&noisy.inputs, m)));
        for (i, level) in levels.iter().enumerate() {
            assert_eq!(level[m] == 1.0, before[i] == after[i], "sample {i}, level {}", level[m]);
        }
    }
    let none = inject(&clean, &NoiseConfig::clean(), 3, 2).unwrap();
    assert_eq!(bits(&rows(&none.inputs, 0)), bits(&rows(&clean, 0)));
    assert_eq!(none.levels.to_vec2::<f32>().unwrap(), vec![vec![1.0; 2]; SAMPLES]);
}

#[test]
fn the_level_is_the_strength() {
    let config = NoiseConfig::default();
    let (clean, noisy) = (inputs(), inject(&inputs(), &config, 3, 2).unwrap());
    let levels = noisy.levels.to_vec2::<f32>().unwrap();
    let (mut squares, mut count) = (0.0, 0.0);
    let mut kinds = [0; 3];
    for m in 0..2 {
        for ((before, after), level) in rows(&clean, m).iter().zip(rows(&noisy.inputs, m)).zip(&levels) {
            match level[m] {
                1.0 => {}
                11.0 => {
                    assert!(after.iter().all(|x| *x == after[0]) && after[0].abs() <= 3.0, "{after:?}");
                    kinds[if after[0] == 0.0 { 1 } else { 2 }] += 1;
                }
                level => {
                    assert!((1.0..=10.0).contains(&level));
                    let std = f64::from(0.4 * (level - 1.0));
                    squares += before.iter().zip(&after).map(|(b, a)| (f64::from(a - b) / std).powi(2)).sum::<f64>();
                    count += WIDTH as f64;
                    kinds[0] += 1;
                }
            }
        }
    }
    assert!(((squares / count).sqrt() - 1.0).abs() < 0.02, "{}", (squares / count).sqrt());
    // Shares: half of the samples, half of their readings; of these a quarter constant, dead and stuck alike.
    let corrupted: usize = kinds.iter().sum();
    let share = |n: usize, of: usize| n as f64 / of as f64;
    assert!((share(corrupted, 2 * SAMPLES) - 0.25).abs() < 0.025, "{kinds:?}");
    assert!((share(kinds[1], corrupted) - 0.125).abs() < 0.03 && (share(kinds[2], corrupted) - 0.125).abs() < 0.03, "{kinds:?}");
    let all_clean = levels.iter().filter(|l| l.iter().all(|x| *x == 1.0)).count();
    assert!((share(all_clean, SAMPLES) - (0.5 + 0.5 * 0.25)).abs() < 0.03);
    let mean = levels.iter().flatten().filter(|l| **l > 1.0 && **l < 11.0).sum::<f32>() / kinds[0] as f32;
    assert!((mean - 5.5).abs() < 0.3, "{mean}");
}

#[test]
fn noise_is_keyed_by_seed_epoch_sample_and_modality() {
    let config = NoiseConfig { clean_samples: 0.0, clean_modalities: 0.0, families: vec![NoiseFamily::Gaussian], ..NoiseConfig::default() };
    let noise = |seed: u64, epoch: u64| rows(&inject(&inputs(), &config, seed, epoch).unwrap().inputs, 0);
    assert_eq!(noise(3, 2), noise(3, 2));
    assert_ne!(noise(3, 2), noise(4, 2));
    assert_ne!(noise(3, 2), noise(3, 1));
    // The same sample in another batch; the same values in another modality.
    let index = Tensor::new(&[70u32, 5], &Device::Cpu).unwrap();
    let first = inputs().at(0).map(|reading| reading.values.index_select(&index, 0).unwrap());
    let two = inject(&of_two(vec![first.clone(), first], vec![70, 5]), &config, 3, 2).unwrap().inputs;
    assert_eq!(rows(&two, 0)[0], noise(3, 2)[70]);
    assert_eq!(rows(&two, 0)[1], noise(3, 2)[5]);
    assert_ne!(rows(&two, 0)[0], rows(&two, 1)[0]);
}

#[test]
fn what_is_absent_gets_no_noise() {
    let config = NoiseConfig { clean_samples: 0.0, clean_modalities: 0.0, ..NoiseConfig::default() };
    let first_only = inputs().with_presence(Presence::uniform(Subset::single(0), SAMPLES)).unwrap();
    let noisy = inject(&first_only, &config, 3, 2).unwrap();
    assert_eq!(bits(&rows(&noisy.inputs, 1)), bits(&rows(&first_only, 1)));
    assert!(noisy.levels.to_vec2::<f32>().unwrap().iter().all(|l| l[0] > 1.0 && l[1] == 1.0));
}

#[test]
fn token_ids_stay_the_names_of_words() {
    let config = NoiseConfig { clean_samples: 0.0, clean_modalities: 0.0, ..NoiseConfig::default() };
    let specs = [InputSpec::new(InputKind::Tokens, [WIDTH]), InputSpec::vector(WIDTH)];
    let noisy = udml::inject_noise(&inputs(), &specs, &config, 3, 2).unwrap();
    assert_eq!(bits(&rows(&noisy.inputs, 0)), bits(&rows(&inputs(), 0)));
    assert!(noisy.levels.to_vec2::<f32>().unwrap().iter().all(|levels| levels[0] == 1.0 && levels[1] > 1.0));
}

#[test]
fn what_lies_behind_the_length_gets_no_noise() {
    let config = NoiseConfig { clean_samples: 0.0, clean_modalities: 0.0, ..NoiseConfig::default() };
    let spec = InputSpec::new(InputKind::Series, [2, 5]);
    let reading = Reading {
        values: Tensor::zeros((40, 2, 5), DType::F32, &Device::Cpu).unwrap(),
        lengths: Some(Tensor::new((0..40u32).map(|i| i % 6).collect::<Vec<_>>(), &Device::Cpu).unwrap()),
    };
    let presence = Presence::uniform(Subset::full(1), 40);
    let clean = Inputs::new(&Modalities::new(["a"]).unwrap(), [Some(reading)], presence, (0..40).collect()).unwrap();
    let noisy = udml::inject_noise(&clean, &[spec], &config, 3, 2).unwrap();
    let values = noisy.inputs.at(0).unwrap().values.to_vec3::<f32>().unwrap();
    let changed =
        |length: usize, row: &[f32]| row[length..].iter().all(|x| *x == 0.0) && (length == 0 || row[..length].iter().any(|x| *x != 0.0));
    // A dead sensor's reading is zeros as this one is: then only what lies behind is told apart.
    let held = values.iter().enumerate().filter(|(i, channels)| channels.iter().all(|row| changed(i % 6, row))).count();
    assert!(values.iter().enumerate().all(|(i, channels)| channels.iter().all(|row| row[i % 6..].iter().all(|x| *x == 0.0))));
    assert!(held > 20, "{held}");
}
