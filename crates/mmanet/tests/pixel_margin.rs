//! Margin-aware distillation of pixels: by matrices of features against the direct formula.

use candle_core::{DType, Device, Tensor, Var};
use mm_core::loss::entropy_per_sample;
use mm_core::nn::adaptive_avg_pool2d;
use mm_testing::{difference, fill, gradient_error};
use mmanet::{Weighting, margin_aware_distillation, margin_aware_distillation_of_many, pixel_margin_distillation};

const BOTH: [Weighting; 2] = [Weighting::Sample, Weighting::Reference];

fn scalar(t: &Tensor) -> f64 {
    t.to_dtype(DType::F64).unwrap().to_scalar::<f64>().unwrap()
}

/// Student, teacher and uncertainty of 40 samples.
fn rows(dtype: DType) -> [Tensor; 3] {
    let uncertainty = entropy_per_sample(&fill(3, &[40, 4], 3.0, 0.0)).unwrap();
    [fill(1, &[40, 5], 1.0, 0.0), fill(2, &[40, 7], 1.0, 0.1), uncertainty].map(|t| t.to_dtype(dtype).unwrap())
}

#[test]
fn value_and_gradient_are_those_of_the_direct_formula() {
    for weighting in BOTH {
        let run = |dtype, f: fn(&Tensor, &Tensor, &Tensor, Weighting) -> mm_core::Result<Tensor>| {
            let [student, teacher, uncertainty] = rows(dtype);
            let student = Var::from_tensor(&student).unwrap();
            let loss = f(&student, &teacher, &uncertainty, weighting).unwrap();
            (scalar(&loss), loss.backward().unwrap().get(&student).unwrap().clone())
        };
        let (direct, direct_gradient) = run(DType::F64, margin_aware_distillation);
        for (dtype, limit) in [(DType::F64, 1e-11), (DType::F32, 2e-5)] {
            let (value, gradient) = run(dtype, margin_aware_distillation_of_many);
            assert!((value - direct).abs() < limit * direct, "{weighting:?} {dtype:?}: {value} and {direct}");
            assert!(difference(&gradient, &direct_gradient) < 10.0 * limit, "{weighting:?} {dtype:?}");
        }
        let [student, teacher, uncertainty] = rows(DType::F64);
        assert!(gradient_error(&student, |s| margin_aware_distillation_of_many(s, &teacher, &uncertainty, weighting)) < 1e-6);
    }
}

/// Not the scale of the features, but features of any scale: neither squares nor fourth powers leave the range of f32.
#[test]
fn the_scale_of_features_does_not_matter() {
    let [student, teacher, uncertainty] = rows(DType::F32);
    for weighting in BOTH {
        let loss = |scale: f64| {
            scalar(&margin_aware_distillation_of_many(&(&student * scale).unwrap(), &teacher, &uncertainty, weighting).unwrap())
        };
        for scale in [1e-12, 1e12] {
            assert!((loss(scale) - loss(1.0)).abs() < 1e-5 * loss(1.0), "{scale} {weighting:?}");
        }
    }
}

#[test]
fn equal_features_and_rows_of_zeros() {
    let [student, _, uncertainty] = rows(DType::F64);
    let mut zeros: Vec<Vec<f64>> = student.to_vec2().unwrap();
    zeros[3] = vec![0.0; 5];
    let zeros = Tensor::new(zeros, &Device::Cpu).unwrap();
    for weighting in BOTH {
        assert!(scalar(&margin_aware_distillation_of_many(&student, &student, &uncertainty, weighting).unwrap()).abs() < 1e-12);
        let student = Var::from_tensor(&zeros).unwrap();
        let teacher = rows(DType::F64)[1].clone();
        let loss = margin_aware_distillation_of_many(&student, &teacher, &uncertainty, weighting).unwrap();
        let direct = margin_aware_distillation(&zeros, &teacher, &uncertainty, weighting).unwrap();
        assert!((scalar(&loss) - scalar(&direct)).abs() < 1e-9);
        let gradient = loss.backward().unwrap().get(&student).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        assert!(gradient.iter().all(|g| g.is_finite()));
        let all_zero = margin_aware_distillation_of_many(&zeros.zeros_like().unwrap(), &teacher, &uncertainty, weighting).unwrap();
        assert!(scalar(&all_zero).is_finite());
    }
}

/// Three depths, one of them larger than 30x40 and averaged down, against the direct formula of the same pixels.
#[test]
fn depths_are_added_and_large_maps_averaged_down() {
    let maps = |key, channels| [fill(key, &[1, channels, 31, 42], 1.0, 0.0), fill(key + 1, &[1, channels, 6, 9], 1.0, 0.0)];
    let (student, teacher, logits) = (maps(1, 3), maps(5, 4), fill(9, &[1, 5, 62, 84], 3.0, 0.0));
    for weighting in BOTH {
        let found = scalar(&pixel_margin_distillation(&student, &teacher, &logits, weighting).unwrap());
        let mut direct = 0.0;
        for (student, teacher) in student.iter().zip(&teacher) {
            let (_, _, height, width) = student.dims4().unwrap();
            let size = (height.min(30), width.min(40));
            let pixels = |maps: &Tensor| adaptive_avg_pool2d(maps, size).unwrap().flatten_from(2).unwrap().squeeze(0).unwrap().t().unwrap();
            let pixels = |maps: &Tensor| pixels(maps).contiguous().unwrap();
            let uncertainty = entropy_per_sample(&pixels(&logits)).unwrap();
            direct += scalar(&margin_aware_distillation(&pixels(student), &pixels(teacher), &uncertainty, weighting).unwrap());
        }
        assert!((found - direct).abs() < 1e-9 * direct, "{found} and {direct}");
    }
    assert!(pixel_margin_distillation(&student, &teacher[..1], &logits, BOTH[0]).is_err());
    let turned = [fill(1, &[1, 4, 42, 31], 1.0, 0.0), fill(1, &[1, 4, 6, 9], 1.0, 0.0)];
    assert!(pixel_margin_distillation(&student, &turned, &logits, BOTH[0]).unwrap_err().to_string().contains("31, 42"));
}

#[test]
fn rows_of_zeros_get_no_gradient() {
    // As ReLU makes them: a few pixels of student and teacher see nothing at all.
    for weighting in BOTH {
        let [student, teacher, uncertainty] = rows(DType::F32);
        let blank = |rows: &Tensor, dead: &[usize]| {
            let keep: Vec<u8> = (0..40).map(|i| u8::from(!dead.contains(&i))).collect();
            let keep = Tensor::from_vec(keep, (40, 1), &Device::Cpu).unwrap().broadcast_as(rows.shape()).unwrap();
            keep.where_cond(rows, &rows.zeros_like().unwrap()).unwrap()
        };
        let (student, teacher) = (Var::from_tensor(&blank(&student, &[3, 7, 9])).unwrap(), blank(&teacher, &[7, 20]));
        let loss = margin_aware_distillation_of_many(&student, &teacher, &uncertainty, weighting).unwrap();
        let gradient = loss.backward().unwrap().get(&student).unwrap().to_vec2::<f32>().unwrap();
        assert!(gradient.iter().flatten().all(|g| g.abs() < 10.0), "{weighting:?}: {gradient:?}");
        let direct = margin_aware_distillation(&student, &teacher, &uncertainty, weighting).unwrap();
        assert!((scalar(&loss) - scalar(&direct)).abs() < 1e-4 * scalar(&direct), "{weighting:?}");
    }
}
