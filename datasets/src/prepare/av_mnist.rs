//! AV-MNIST: weakened images of MNIST and spectrograms of spoken digits in noise.

use super::disk::found;
use super::error::{Error, Result};
use super::output::Output;
use super::{Reader, Request, arrays};

pub(super) const READER: Reader = Reader {
    name: "av-mnist",
    about: "weakened images of MNIST and spectrograms of spoken digits in noise, 70,000 pairs (AV-MNIST)",
    licence: "CC BY-SA 3.0 (images); sounds of TIDIGITS, whose licence is the Linguistic Data Consortium's",
    how: "Fetch avmnist.tar.gz as github.com/pliang279/MultiBench says (its section on AV-MNIST) and unpack it. The folder holds image/train_data.npy, \
          audio/train_data.npy, train_labels.npy, and the same for test",
    prepare,
};

/// Share of the training samples that chooses the model, the last ones: 5,000 of 60,000, as MultiBench has it.
const VALIDATES: usize = 12;
/// Numbers of an image and of a spectrogram.
const SIZES: [(&str, usize); 2] = [("image", 28 * 28), ("audio", 112 * 112)];

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    let mut rows = Vec::new();
    for part in ["train", "test"] {
        let path = found(request.root.join(format!("{part}_labels.npy")), "the labels", READER.how)?;
        let labels = arrays::numbers(&path)?;
        if let Some(wrong) = labels.iter().find(|label| label.fract() != 0.0 || !(0.0..10.0).contains(*label)) {
            return Err(Error::content(path, format!("labels are the digits 0 to 9, found {wrong}")));
        }
        let mut files = Vec::new();
        for (sensor, size) in SIZES {
            let path = found(request.root.join(format!("{sensor}/{part}_data.npy")), "the readings", READER.how)?;
            let shape = arrays::shape(&path)?;
            if shape.first() != Some(&labels.len()) || shape.iter().product::<usize>() != labels.len() * size {
                let problem = format!("has the shape {shape:?}, and {} samples of {size} numbers are expected, as many as there are labels", labels.len());
                return Err(Error::content(path, problem));
            }
            files.push(output.place(&path)?);
        }
        let trains = labels.len() - labels.len() / VALIDATES;
        for (i, label) in labels.iter().enumerate() {
            let chosen = if part == "train" && i >= trains { "validation" } else { part };
            let (start, one) = (i.to_string(), "1".to_string());
            let cells = [&format!("{part}-{i}"), &files[0], &start, &one, &files[1], &start, &one, &label.to_string(), chosen];
            rows.push(cells.map(String::from).to_vec());
        }
    }
    output.card("av-mnist.toml", include_str!("cards/av-mnist.toml"))?;
    let header = ["id", "image", "image.start", "image.length", "audio", "audio.start", "audio.length", "label", "part"];
    output.table("samples.csv", &header, &rows)
}
