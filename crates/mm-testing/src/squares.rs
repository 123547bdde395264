//! Images of which every pixel has a class, seen by two sensors.

use mm_core::data::{Array, InputKind, InputSpec, Meta, PixelLabels, Sample, Schema, Source, Target, TargetValue};
use mm_core::task::PixelClasses;
use mm_core::{Modalities, Result, Subset, rng};
use rand::RngExt;

/// Height and width of [`Squares`].
pub const SIDE: usize = 16;

/// Images of one square on a ground: `near` (one channel) sees the square bright, `far` (two channels) sees it dark, both with noise; the
/// first row is void.
pub struct Squares {
    schema: Schema,
    samples: Vec<Sample>,
}

impl Squares {
    /// So many images.
    pub fn new(samples: usize, seed: u64) -> Self {
        let modalities = Modalities::new(["near", "far"].map(String::from).to_vec()).expect("names");
        let inputs = [1, 2].map(|channels| InputSpec::new(InputKind::Image, vec![channels, SIDE, SIDE])).to_vec();
        let target = Target::Pixels(PixelClasses::new(["ground", "square"]));
        let schema = Schema::new(modalities, inputs, target).expect("schema");
        let samples = (0..samples as u64).map(|id| sample(seed, id)).collect();
        Self { schema, samples }
    }

    /// The same, where sample `i` has only what `has` says.
    pub fn with_presence(mut self, has: impl Fn(usize) -> Subset) -> Self {
        for (i, sample) in self.samples.iter_mut().enumerate() {
            let absent = (0..sample.readings.len()).filter(|&m| !has(i).contains(m));
            absent.for_each(|m| sample.readings[m] = None);
        }
        self
    }
}

fn sample(seed: u64, id: u64) -> Sample {
    let mut random = rng::stream(seed, "squares", &[id]);
    let side = random.random_range(4..9usize);
    let (top, left) = (random.random_range(0..SIDE - side), random.random_range(0..SIDE - side));
    let inside = |at: usize| (top..top + side).contains(&(at / SIDE)) && (left..left + side).contains(&(at % SIDE));
    let mut noisy = |channels: usize, height: f32| -> Vec<f32> {
        let noise = rng::standard_normal(&mut random, channels * SIDE * SIDE);
        noise.iter().enumerate().map(|(i, noise)| 0.3 * noise + if inside(i % (SIDE * SIDE)) { height } else { 0.0 }).collect()
    };
    let readings = [noisy(1, 2.0), noisy(2, -2.0)].map(|values| Some(Array::new([values.len() / (SIDE * SIDE), SIDE, SIDE], values)));
    let labels = (0..SIDE * SIDE).map(|at| if at < SIDE { 0 } else { 1 + u16::from(inside(at)) }).collect();
    Sample { readings: readings.to_vec(), target: TargetValue::Pixels(PixelLabels::new(SIDE, SIDE, labels).expect("labels")) }
}

impl Source for Squares {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn len(&self) -> usize {
        self.samples.len()
    }

    fn meta(&self, row: usize) -> Meta<'_> {
        Meta::new(self.samples[row].presence().expect("a reading"))
    }

    fn read(&self, row: usize) -> Result<Sample> {
        Ok(self.samples[row].clone())
    }
}
