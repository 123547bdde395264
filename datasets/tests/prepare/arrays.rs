use super::{Bench, parts, row};
use mm_core::data::Source;

/// A `.npy` file of f32.
fn npy(shape: &str, values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let mut file = [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat();
    file.extend(values.into_iter().flat_map(f32::to_le_bytes));
    file
}

/// AV-MNIST with 24 and 2 samples; every number of sample i is i.
fn av_mnist(bench: &Bench) {
    for (part, samples) in [("train", 24), ("test", 2)] {
        let of = |size: usize| (0..samples).flat_map(move |i| std::iter::repeat_n(i as f32, size));
        bench.write(&format!("image/{part}_data.npy"), npy(&format!("({samples}, 784)"), of(784)));
        bench.write(&format!("audio/{part}_data.npy"), npy(&format!("({samples}, 112, 112)"), of(112 * 112)));
        bench.write(&format!("{part}_labels.npy"), npy(&format!("({samples},)"), (0..samples).map(|i| (i % 10) as f32)));
    }
}

#[test]
fn av_mnist_is_read_where_it_lies() {
    let bench = Bench::new();
    av_mnist(&bench);
    bench.prepare("av-mnist").unwrap();
    let source = bench.open("av-mnist.toml");
    // The last twelfth chooses the model.
    assert_eq!(parts(&source), [22, 2, 2]);
    let sample = row(&source, "train-13");
    assert_eq!(source.meta(sample).class, Some(3));
    let read = source.read(sample).unwrap();
    let [image, audio] = [0, 1].map(|m| read.readings[m].as_ref().unwrap());
    assert_eq!((&image.shape, &audio.shape), (&vec![1, 28, 28], &vec![1, 112, 112]));
    assert!(image.filled().iter().chain(audio.filled().iter()).all(|x| *x == 13.0));
}

#[test]
fn arrays_of_other_sizes_are_refused() {
    for (file, content, problem) in [
        ("train_labels.npy", npy("(2,)", [0.0, 11.0]), "the digits 0 to 9, found 11"),
        ("train_labels.npy", npy("(1, 2)", [0.0, 1.0]), "one number a sample"),
        ("train_labels.npy", npy("(2,)", [0.0, 1.0]), "2 samples of 784 numbers are expected"),
        ("audio/test_data.npy", npy("(2, 112)", [0.0; 224]), "2 samples of 12544 numbers are expected"),
        ("audio/test_data.npy", b"\x93NUMPY\x01\x00".to_vec(), "cut off within its header"),
    ] {
        let bench = Bench::new();
        av_mnist(&bench);
        bench.write(file, content);
        let error = bench.prepare("av-mnist").unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn sentiments_are_two_classes_or_seven() {
    let bench = Bench::new();
    for (part, sentiments) in [("train", vec![-2.6, 0.0, 0.4, 3.0]), ("valid", vec![-1.0]), ("test", vec![1.2, -0.2])] {
        let samples = sentiments.len();
        bench.write(&format!("{part}_labels.npy"), npy(&format!("({samples}, 1, 1)"), sentiments));
        // Number 100 i + 10 t + f of sample i, step t, feature f.
        let values = (0..samples).flat_map(|i| (0..6).map(move |j| (100 * i + 10 * (j / 2) + j % 2) as f32));
        bench.write(&format!("{part}_audio.npy"), npy(&format!("({samples}, 3, 2)"), values.clone()));
        bench.write(&format!("{part}_vision.npy"), npy(&format!("({samples}, 3, 2)"), values.clone()));
        bench.write(&format!("{part}_text.npy"), npy(&format!("({samples}, 6)"), values));
    }
    bench.prepare("cmu-mosi").unwrap();
    let (two, seven) = (bench.open("cmu-mosi.toml"), bench.open("cmu-mosi-7.toml"));
    // The one with 0 is left out of two classes, and told.
    assert_eq!((parts(&two), parts(&seven)), ([3, 1, 2], [4, 1, 2]));
    assert!(two.remarks()[0].contains("1 of 7 rows have no label"), "{:?}", two.remarks());
    let classes: Vec<_> = (0..seven.len()).map(|row| seven.meta(row).class.unwrap() as i64 - 3).collect();
    assert_eq!(classes, [-3, 0, 0, 3, -1, 1, 0]);
    assert_eq!((0..two.len()).map(|row| two.meta(row).class.unwrap()).collect::<Vec<_>>(), [0, 1, 1, 0, 1, 0]);
    let sample = two.read(row(&two, "train-2")).unwrap();
    let readings: Vec<_> = sample.readings.iter().map(|reading| reading.as_ref().unwrap()).collect();
    assert_eq!(readings.iter().map(|reading| reading.shape.clone()).collect::<Vec<_>>(), [vec![6], vec![2, 3], vec![2, 3]]);
    // Features as channels, steps behind one another.
    assert_eq!(readings[1].filled().to_vec(), [200.0, 210.0, 220.0, 201.0, 211.0, 221.0]);
}
