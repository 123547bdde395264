//! Public data sets in small, in the layouts that their makers give.

mod arrays;
mod clips;
mod digits;
mod faces;
mod matlab;
mod pixels;
mod posts;
mod real;
mod refused;
mod stays;

use mm_core::data::{FileCard, FileSource, Part, Source, TargetValue};
use mm_datasets::prepare::{Error, Prepared, Request, prepare};
use std::path::{Path, PathBuf};

/// A folder with the data set, another for what is made of it.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// A text file of the data set.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::write(path, content).unwrap();
    }

    /// A picture of the data set.
    fn picture(&self, name: &str) {
        mm_testing::noisy_picture(&self.path(name), 9, 7);
    }

    /// A map of the data set, 9 x 7 pixels of one number each, given from left to right and top to bottom again and again.
    fn map(&self, name: &str, numbers: &[u8]) {
        let pixels = image::GrayImage::from_fn(9, 7, |x, y| image::Luma([numbers[(y * 9 + x) as usize % numbers.len()]]));
        pixels.save(self.path(name)).unwrap();
    }

    /// A map of 16 bits.
    fn wide_map(&self, name: &str, numbers: &[u16]) {
        let pixels = image::ImageBuffer::from_fn(9, 7, |x, y| image::Luma([numbers[(y * 9 + x) as usize % numbers.len()]]));
        pixels.save(self.path(name)).unwrap();
    }

    /// A sound of the data set: a second of a tone.
    fn sound(&self, name: &str, rate: u32) {
        self.write(name, wav(rate));
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.root().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn prepare(&self, name: &str) -> Result<Prepared, Error> {
        let (root, mnist) = (self.root(), self.root().join("package"));
        let mnist = mnist.is_dir().then_some(mnist.as_path());
        prepare(name, &Request { root: &root, mnist }, &self.out())
    }

    /// What a card opens.
    fn open(&self, card: &str) -> FileSource {
        FileCard::from_path(self.out().join(card)).unwrap().open().unwrap()
    }
}

/// How many samples each part has: training, validation, test.
fn parts(source: &FileSource) -> [usize; 3] {
    [Part::Train, Part::Validation, Part::Test].map(|part| (0..source.len()).filter(|&row| source.meta(row).part == Some(part)).count())
}

/// The row of an id.
fn row(source: &FileSource, id: &str) -> usize {
    (0..source.len()).find(|&row| source.meta(row).id == Some(id)).unwrap_or_else(|| panic!("there is no sample {id}"))
}

/// The names of the sensors that a row has.
fn sensors(source: &FileSource, row: usize) -> String {
    source.schema().modalities.format(source.meta(row).presence)
}

/// The classes of the pixels of a row, from 1; 0 is void.
fn labels(source: &FileSource, row: usize) -> Vec<u16> {
    let TargetValue::Pixels(labels) = source.read(row).unwrap().target else { panic!("a class for each pixel") };
    labels.labels().to_vec()
}

/// A mono file of 16 bits, a second of a tone of 400 Hz.
fn wav(rate: u32) -> Vec<u8> {
    let samples = (0..rate).map(|i| (8000.0 * (f64::from(i) * 400.0 * std::f64::consts::TAU / f64::from(rate)).sin()) as i16);
    let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let size = data.len() as u32;
    let mut file = [b"RIFF", &(36 + size).to_le_bytes()[..], b"WAVEfmt ", &16u32.to_le_bytes(), &[1, 0, 1, 0]].concat();
    file.extend([rate.to_le_bytes(), (2 * rate).to_le_bytes()].concat());
    file.extend([2, 0, 16, 0]);
    file.extend([b"data", &size.to_le_bytes()[..], &data].concat());
    file
}

/// The MNIST package with so many images a digit, all pixels of an image alike: image i of digit d is `10 d + i`.
fn mnist_package(bench: &Bench, images: usize) {
    for digit in 0..10 {
        let values: Vec<String> = (0..images).flat_map(|i| vec![format!("{:.3}", (10 * digit + i) as f64 / 255.0); 784]).collect();
        bench.write(&format!("package/src/digits/{digit}.json"), format!("{{ \"data\": [{}] }}", values.join(",")));
    }
}

#[test]
fn every_data_set_says_where_it_is_to_be_had() {
    for reader in mm_datasets::prepare::READERS {
        let error = prepare(reader.name, &Request { root: Path::new("/no/such/folder"), mnist: None }, Path::new("/no/out")).unwrap_err();
        assert!(matches!(&error, Error::Missing { how, .. } if how.len() > 40), "{error}");
    }
}
