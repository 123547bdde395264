//! Gradients of whole networks: by finite differences in f64, and of the f32 kernels against f64.

use super::{CHANNELS, CLASSES, NAMES, complete, mixed, networks};
use candle_core::{DType, Device, Tensor};
use candle_nn::{VarBuilder, VarMap};
use mm_core::dense::{DenseConfig, DenseNetwork, DenseSensor};
use mm_core::nn::Mode;
use mm_testing::{fill_variables, sampled_gradient_error, values};

fn build(config: &DenseConfig, dtype: DType) -> (Box<dyn DenseNetwork>, VarMap) {
    let variables = VarMap::new();
    let sensors: Vec<DenseSensor> =
        NAMES.iter().zip(CHANNELS).map(|(name, channels)| DenseSensor { name: (*name).into(), channels }).collect();
    let vb = VarBuilder::from_varmap(&variables, dtype, &Device::Cpu);
    let network = config.build(&sensors, CLASSES, vb).unwrap();
    fill_variables(&variables);
    (network, variables)
}

/// An uneven sum over the prediction and the coarser ones, of samples with different sensors.
fn loss(network: &dyn DenseNetwork) -> mm_core::Result<Tensor> {
    let output = network.forward(&complete((37, 40), 4), &mixed(), Mode::Train)?;
    let mut loss = None;
    for prediction in [&output.prediction].into_iter().chain(&output.side) {
        let term = prediction.tanh()?.mul(&values(prediction.dims(), prediction.dtype()))?.sum_all()?;
        loss = Some(match loss {
            None => term,
            Some(loss) => (loss + term)?,
        });
    }
    Ok(loss.unwrap())
}

#[test]
fn gradients_of_whole_networks_equal_finite_differences() {
    for config in networks() {
        let (network, variables) = build(&config, DType::F64);
        let error = sampled_gradient_error(&variables, 24, || loss(&*network));
        println!("{error:.1e} {config:?}");
        assert!(error < 1e-4, "{error:.1e} {config:?}");
    }
}

/// The kernels give the gradients of the same network made of candle ops in f64, but for ReLUs that rounding opens or shuts.
#[test]
fn gradients_of_the_kernels_equal_those_in_f64() {
    for config in networks() {
        let [kernels, exact] = [DType::F32, DType::F64].map(|dtype| {
            let (network, variables) = build(&config, dtype);
            let gradients = loss(&*network).unwrap().backward().unwrap();
            let all = variables.data().lock().unwrap();
            let mut named: Vec<(String, Tensor)> =
                all.iter().filter_map(|(name, var)| Some((name.clone(), gradients.get(var)?.clone()))).collect();
            named.sort_by(|a, b| a.0.cmp(&b.0));
            named
        });
        assert_eq!(kernels.len(), exact.len());
        let scale = |t: &Tensor| t.to_dtype(DType::F64).unwrap().sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap().sqrt();
        let largest = exact.iter().map(|(_, gradient)| scale(gradient)).fold(0.0, f64::max);
        let error = |(ours, theirs): (&(String, Tensor), &(String, Tensor))| {
            let distance = scale(&(ours.1.to_dtype(DType::F64).unwrap() - &theirs.1).unwrap()) / scale(&theirs.1);
            // A bias before a norm has no gradient but rounding.
            if scale(&theirs.1) > 1e-3 * largest { distance } else { 0.0 }
        };
        let worst = kernels.iter().zip(&exact).map(error).fold(0.0, f64::max);
        println!("{worst:.1e} {config:?}");
        assert!(worst < 0.3, "{worst:.1e} {config:?}");
    }
}
