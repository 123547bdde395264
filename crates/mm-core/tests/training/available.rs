//! Every sample with the sensors that it has, and with fewer.

use candle_core::{Device, Tensor};
use mm_core::data::{Inputs, Schema, Source, TableDataset, Target};
use mm_core::eval::{AvailableEvaluation, argmax, evaluate_available};
use mm_core::fusion::{FusionModel, NetworkConfig};
use mm_core::model::{Encoded, Output};
use mm_core::nn::Parameters;
use mm_core::{Model, Presence, Result, Subset};
use mm_testing::{clear_to_weak, clear_to_weak_schema};

const SAMPLES: usize = 36;

/// All, the first two, or the last sensor; `hidden` stands where a sensor is absent.
fn has(i: usize) -> Subset {
    Subset::from_bits([0b111, 0b011, 0b100][i % 3]).unwrap()
}

fn data(hidden: f32) -> TableDataset {
    let whole = clear_to_weak(SAMPLES, 1);
    let table = |m: usize| {
        let values = whole.column(m);
        let width = values.len() / SAMPLES;
        values.iter().enumerate().map(|(i, x)| if has(i / width).contains(m) { *x } else { hidden }).collect()
    };
    let presence = Presence::new((0..SAMPLES).map(has).collect());
    TableDataset::new(clear_to_weak_schema(), (0..3).map(table).collect(), presence, whole.labels().to_vec()).unwrap()
}

fn model() -> FusionModel {
    FusionModel::new(&NetworkConfig::default(), &clear_to_weak_schema(), Parameters::new(3, &Device::Cpu)).unwrap()
}

fn evaluated(model: &dyn Model, source: &dyn Source) -> AvailableEvaluation {
    let rows: Vec<usize> = (0..source.len()).collect();
    evaluate_available(model, source, &rows, 4, &Device::Cpu).unwrap().unwrap()
}

#[test]
fn each_sample_is_predicted_from_what_it_has() {
    let (model, data) = (model(), data(0.0));
    let found = evaluated(&model, &data);
    let batch = data.batch(&(0..SAMPLES).collect::<Vec<_>>(), &Device::Cpu).unwrap();
    let predictions = model.predict(batch.inputs()).unwrap().prediction.to_vec2::<f32>().unwrap();
    let right: Vec<f32> = predictions.iter().zip(data.labels()).map(|(p, l)| f32::from(u8::from(argmax(p) == *l as usize))).collect();
    assert_eq!((&found.outcomes, found.scored.samples, found.left_out), (&right, SAMPLES, 0));
    assert!(found.placements.is_empty(), "three classes");
    // Two of three sensors at most can go; a sample keeps one at least, so that with two gone all have one.
    assert_eq!(
        found.removed.iter().map(|r| (r.count, r.scored.samples, r.left_out)).collect::<Vec<_>>(),
        [(1, SAMPLES, 0), (2, SAMPLES, 0)]
    );
    // Whatever stands where a sensor is absent, and whatever the batches are, the same comes out.
    let again = evaluated(&model, &self::data(f32::NAN));
    assert_eq!((&again.outcomes, &again.scored), (&found.outcomes, &found.scored));
    assert!(again.removed.iter().zip(&found.removed).all(|(a, b)| a.scored == b.scored));
    let complete = evaluate_available(&model, &clear_to_weak(SAMPLES, 1), &[0, 1, 2], 4, &Device::Cpu).unwrap();
    assert!(complete.is_none());
}

/// Says what the number of sensors is, and needs the last one.
struct Counts {
    schema: Schema,
    parameters: Parameters,
}

impl Model for Counts {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn encode(&self, inputs: &Inputs) -> Result<Encoded> {
        Ok(Encoded { tensors: Vec::new(), presence: inputs.presence().clone(), encoder_passes: 0 })
    }

    fn fuse(&self, _: &Encoded, presence: &Presence) -> Result<Output> {
        assert!(presence.subsets().iter().all(|&subset| self.supports(subset)));
        let rows: Vec<f32> = presence.subsets().iter().flat_map(|s| [0.0, s.len() as f32]).collect();
        Ok(Output::new(Tensor::from_vec(rows, (presence.len(), 2), &Device::Cpu)?))
    }

    fn supports(&self, subset: Subset) -> bool {
        subset.contains(2)
    }

    fn freeze(&mut self) {}
}

/// Samples are ranked by how many sensors they have: those of the second class have all, of the first some all and some one.
#[test]
fn what_a_model_cannot_use_is_counted_and_two_classes_are_ranked() {
    let of = clear_to_weak_schema();
    let schema = Schema::new(of.modalities, of.inputs, Target::of_classes(["well", "ill"])).unwrap();
    let bits = [0b111, 0b111, 0b100, 0b111, 0b011, 0b100];
    let presence = Presence::new(bits.iter().map(|&bits| Subset::from_bits(bits).unwrap()).collect());
    let columns = [6, 5, 4].map(|width| vec![0.0; 6 * width]).to_vec();
    let data = TableDataset::new(schema.clone(), columns, presence, vec![1, 1, 0, 0, 1, 0]).unwrap();
    let model = Counts { schema, parameters: Parameters::new(0, &Device::Cpu) };
    let found = evaluated(&model, &data);
    assert_eq!((found.scored.samples, found.left_out), (5, 1));
    assert!(found.outcomes[4].is_nan() && found.placements[4].is_nan());
    // Two ill ones with three sensors; well ones with 1, 3 and 1: (1 + .5 + 1) / 3 of the pairs are right.
    let auroc = 2.5 / 3.0;
    assert!((found.scored.get("auroc") - auroc).abs() < 1e-9);
    assert!((f64::from(found.placements[0]) - auroc).abs() < 1e-6 && found.placements[2] == 1.0 && found.placements[3] == 0.5);
    // With two sensors gone, a sample of three keeps one: the last in a third of the draws, about.
    let removed = &found.removed[1];
    assert!((1..=12).contains(&removed.left_out), "{}", removed.left_out);
}
