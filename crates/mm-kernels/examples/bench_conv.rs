//! Times the convolutions of ResNet-18 (and some of ResNet-50): milliseconds of the forward pass with prepared
//! weights, forward with plain weights, input gradient and weight gradient. Outputs are allocated once: a framework that
//! allocates its outputs in every call must be kept from returning memory to the system, or it measures page faults.
//!
//! `cargo run --release -p mm-kernels --example bench_conv -- [threads] [batch sizes, comma separated] [repeats]`

use std::time::Instant;

use mm_kernels::Result;
use mm_kernels::conv::{
    Conv2dShape, Epilogue, PreparedWeights, conv2d_forward, conv2d_forward_prepared, conv2d_input_gradient, conv2d_weight_gradient,
};

/// (name, in channels, out channels, size, kernel, stride)
const LAYERS: [(&str, usize, usize, usize, usize, usize); 15] = [
    ("stem 7x7/2", 3, 64, 224, 7, 2),
    ("stem depth", 1, 64, 224, 7, 2),
    ("layer1 3x3", 64, 64, 56, 3, 1),
    ("layer2 3x3/2", 64, 128, 56, 3, 2),
    ("layer2 1x1/2", 64, 128, 56, 1, 2),
    ("layer2 3x3", 128, 128, 28, 3, 1),
    ("layer3 3x3/2", 128, 256, 28, 3, 2),
    ("layer3 1x1/2", 128, 256, 28, 1, 2),
    ("layer3 3x3", 256, 256, 14, 3, 1),
    ("layer4 3x3/2", 256, 512, 14, 3, 2),
    ("layer4 1x1/2", 256, 512, 14, 1, 2),
    ("layer4 3x3", 512, 512, 7, 3, 1),
    ("r50 1x1 up", 64, 256, 56, 1, 1),
    ("r50 1x1 down", 256, 64, 56, 1, 1),
    ("r50 1x1 deep", 1024, 256, 14, 1, 1),
];

fn numbers(length: usize) -> Vec<f32> {
    (0..length).map(|i| (i * 7919 % 1013) as f32 / 1013.0 - 0.5).collect()
}

/// Seconds this thread ran, where Linux counts them (in coarse ticks).
fn ran() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split(' ').next()?.parse::<f64>().ok()? * 1e-9)
}

/// Milliseconds of a call: on one thread the mean of the time this thread ran, which other processes disturb less,
/// else the least of the clock.
fn time(repeats: usize, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    call()?;
    let (before, mut best) = (ran(), f64::INFINITY);
    let begin = Instant::now();
    let mut calls = 0;
    while calls < repeats || begin.elapsed().as_millis() < 20 * repeats as u128 {
        let start = Instant::now();
        call()?;
        best = best.min(start.elapsed().as_secs_f64());
        calls += 1;
    }
    Ok(1e3
        * match (before, ran()) {
            (Some(before), Some(after)) if rayon::current_num_threads() == 1 => (after - before) / calls as f64,
            _ => best,
        })
}

fn bench(batches: &[usize], repeats: usize) -> Result<()> {
    println!("{:14} {:>5} {:>9} {:>9} {:>9} {:>9}", "layer", "batch", "prepared", "forward", "d input", "d weight");
    for (name, in_channels, out_channels, size, kernel, stride) in LAYERS {
        for &batch in batches {
            let padding = (kernel / 2, kernel / 2);
            let shape = Conv2dShape::new(batch, in_channels, (size, size), out_channels, (kernel.min(size), kernel.min(size)))?;
            let shape = Conv2dShape { stride: (stride, stride), padding, ..shape }.checked()?;
            let (input, weight) = (numbers(shape.input_length()), numbers(shape.weight_length()));
            let mut output = numbers(shape.output_length());
            let gradient = numbers(shape.output_length());
            let (mut input_gradient, mut weight_gradient) = (input.clone(), weight.clone());
            let prepared = PreparedWeights::new(shape, &weight)?;
            let times = [
                time(repeats, || conv2d_forward_prepared(shape, &input, &prepared, Epilogue::default(), &mut output))?,
                time(repeats, || conv2d_forward(shape, &input, &weight, None, &mut output))?,
                time(repeats, || conv2d_input_gradient(shape, &gradient, &weight, &mut input_gradient))?,
                time(repeats, || conv2d_weight_gradient(shape, &input, &gradient, &mut weight_gradient))?,
            ];
            print!("{name:14} {batch:5}");
            times.iter().for_each(|t| print!(" {t:9.3}"));
            let speed = shape.multiply_adds() as f64 * 2e-6;
            println!("   GFLOP/s {:4.0} {:4.0} {:4.0}", speed / times[0], speed / times[2], speed / times[3]);
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default| arguments.get(i).and_then(|a| a.parse().ok()).unwrap_or(default);
    let batches = arguments.get(1).map_or("1,8,16", |b| b.as_str());
    let batches: Vec<usize> = batches.split(',').filter_map(|b| b.parse().ok()).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(number(0, 1)).build();
    let repeats = number(2, 10);
    pool.map_err(|e| mm_kernels::Error::Shape(e.to_string()))?.install(|| bench(&batches, repeats))
}
