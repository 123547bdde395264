//! Vector instructions must stand in the loops that use them. A function that is not inlined into its loop calls another function
//! for each instruction: every number is right, and takes five times as long.
#![cfg(all(target_os = "linux", target_arch = "x86_64", not(debug_assertions)))]

use mm_kernels::batch_norm::{BatchNormGradientsMut, BatchNormShape, batch_norm_backward, batch_norm_forward};
use mm_kernels::conv::{Conv2dShape, conv2d_forward, conv2d_input_gradient, conv2d_weight_gradient};
use mm_kernels::dense::{LinearShape, linear_forward};
use object::{Object, ObjectSymbol};

/// Calls the kernels that are written in vector instructions, so that the linker keeps them.
fn all_kernels() -> mm_kernels::Result<f32> {
    let (x, mut y, mut dx) = (vec![1.0; 32 * 16 * 16], vec![0.0; 32 * 16 * 16], vec![0.0; 32 * 16 * 16]);
    for kernel in [1, 3] {
        let shape = Conv2dShape { padding: (kernel / 2, kernel / 2), ..Conv2dShape::new(1, 32, (16, 16), 32, (kernel, kernel))? };
        let mut weight = vec![0.1; 32 * 32 * kernel * kernel];
        conv2d_forward(shape, &x, &weight, None, &mut y)?;
        conv2d_input_gradient(shape, &y, &weight, &mut dx)?;
        conv2d_weight_gradient(shape, &x, &y, &mut weight)?;
    }
    let (ones, shape) = (vec![1.0; 32], BatchNormShape { batch: 1, channels: 32, spatial: 256, filled: None });
    let statistics = batch_norm_forward(shape, &x, &ones, &ones, 1e-5, None, true, &mut y)?;
    let (mut weight, mut bias) = (vec![0.0; 32], vec![0.0; 32]);
    let gradients = BatchNormGradientsMut { input: &mut dx, weight: &mut weight, bias: &mut bias, residual: None };
    batch_norm_backward(shape, &x, &ones, &statistics, Some(&y), &x, gradients)?;
    linear_forward(LinearShape { rows: 16, inputs: 32, outputs: 64 }, &x[..512], &x[..2048], None, true, &mut y[..1024])?;
    Ok(y[0] + dx[0])
}

#[test]
fn no_vector_instruction_is_a_function_call() {
    assert!(all_kernels().unwrap().is_finite());
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let program = object::File::parse(&*program).unwrap();
    let names: Vec<&str> = program.symbols().filter_map(|symbol| symbol.name().ok()).collect();
    assert!(names.iter().any(|name| name.contains("mm_kernels") && name.contains("batch_norm")), "the program has symbols");
    // Of packed floats: crates that search in bytes have functions of vectors of integers, which are called once for 32 of them.
    let vectors = |name: &&&str| (name.contains("_mm256_") || name.contains("_mm512_")) && name.contains("_ps");
    let called: Vec<_> = names.iter().filter(vectors).collect();
    assert!(called.is_empty(), "not inlined: {called:#?}");
}
