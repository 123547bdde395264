//! From what a request gives to readings: files are decoded here, beside the thread that computes.

use crate::Settings;
use crate::error::Refusal;
use crate::given::{All, Given, file_advice};
use bytes::Bytes;
use mm_core::data::kinds::{Kind, Origin, Written};
use mm_core::data::{Array, InputSpec, OnCorrupt, unpacking_at_most};
use mm_core::pipeline::{Prepared, Readings};
use mm_core::{Error, Pipeline};
use std::path::PathBuf;

/// Longest name of a file that messages repeat.
const LONGEST_NAME: usize = 100;

/// Decodes and checks all readings of a request.
pub(crate) fn prepare(model: &Pipeline, all: All, settings: &Settings) -> Result<Prepared, Refusal> {
    let schema = model.schema();
    let mut readings = Readings::new();
    for (position, (given, name)) in all.into_iter().zip(schema.modalities.names()).enumerate() {
        let Some(given) = given.filter(|_| model.model().reads().contains(position)) else { continue };
        let (input, kind) = (&schema.inputs[position], model.kind(position));
        let refused = |problem: String| Refusal::of_sensor(name, problem);
        let origin = match given {
            Given::Absent => continue,
            Given::Text(text) => match kind {
                Some(kind) if kind.written() == Written::Text => Origin::Text(text),
                Some(_) => return Err(refused(format!("takes {}, and was given a text: {}", wanted(input, kind), file_advice(name)))),
                None => return Err(refused(format!("takes {}, and was given a text", wanted(input, kind)))),
            },
            Given::Numbers { shape, values } => {
                match of_numbers(shape, values, input, kind, model.config().columns.measured(name).len()).map_err(refused)? {
                    Numbers::Reading(array) => {
                        readings = readings.array(name, array);
                        continue;
                    }
                    Numbers::File(bytes) => Origin::Memory { name: name.into(), bytes, part: None },
                }
            }
            Given::Files(files) => {
                let Some(kind) = kind else {
                    return Err(refused("the model does not say what its files hold: send its numbers".into()));
                };
                let array = of_files(model, name, kind, files, settings.max_decoded as u64);
                readings = match array {
                    Ok(Some(array)) => readings.array(name, array),
                    Ok(None) => readings.absent(name),
                    Err(error) if settings.on_corrupt == OnCorrupt::Absent && !matches!(error, Failed::Server(_)) => {
                        tracing::info!("sensor `{name}`: {error}; it is ignored");
                        readings.unreadable(name)
                    }
                    Err(Failed::File(error)) => return Err(refused(error)),
                    Err(Failed::Server(error)) => return Err(Refusal::failed(format!("sensor `{name}`: {error}"))),
                };
                continue;
            }
        };
        let array = model.reading(&Readings::new().origin(name, origin), name).map_err(|error| match error {
            Error::Shape { expected, found, .. } => refused(format!("was given numbers of shape {found}, and takes {expected}")),
            error => refused(error.to_string()),
        })?;
        readings = array.into_iter().fold(readings, |readings, array| readings.array(name, array));
    }
    Ok(model.prepare(&readings)?)
}

/// Numbers that are a reading, or the content of a file of NumPy where the kind brings such to its length.
enum Numbers {
    Reading(Array),
    File(Bytes),
}

/// `measured`: how many numbers say what was measured, and may be left out.
fn of_numbers(shape: Vec<usize>, values: Vec<f64>, input: &InputSpec, kind: Option<&dyn Kind>, measured: usize) -> Result<Numbers, String> {
    match kind {
        Some(kind) if kind.written() == Written::Text => Err(format!("takes {}, and was given numbers", wanted(input, Some(kind)))),
        Some(kind) if kind.takes_numbers().is_none() && kind.extensions().contains(&"npy") => Ok(Numbers::File(npy(&shape, &values))),
        _ if shape == input.shape || shape.len() == 1 && values.len() == input.elements() => {
            Ok(Numbers::Reading(Array::exact(input.shape.clone(), values)))
        }
        _ if measured > 0 && shape == [input.elements() - measured] => Ok(Numbers::Reading(Array::exact(shape, values))),
        kind => Err(format!("takes {}, and was given numbers of shape {shape:?}", wanted(input, kind))),
    }
}

/// What a sensor takes, for a message.
pub(crate) fn wanted(input: &InputSpec, kind: Option<&dyn Kind>) -> String {
    match kind {
        Some(kind) if kind.written() == Written::Text => "a text".into(),
        Some(kind) if kind.takes_numbers().is_none() && kind.written() == Written::Folder => "images, the frames of a video".into(),
        Some(kind) if kind.takes_numbers().is_none() => {
            format!("a file (.{}) or numbers of shape {:?}", kind.extensions().join(", ."), input.shape)
        }
        _ => format!("numbers of shape {:?}", input.shape),
    }
}

/// Why the files of a sensor are no reading.
enum Failed {
    /// They cannot be used.
    File(String),
    /// We cannot.
    Server(String),
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let (Self::File(problem) | Self::Server(problem)) = self;
        f.write_str(problem)
    }
}

fn of_files(model: &Pipeline, name: &str, kind: &dyn Kind, mut files: Vec<(String, Bytes)>, most: u64) -> Result<Option<Array>, Failed> {
    let read = |origin: Origin| unpacking_at_most(most, || model.reading(&Readings::new().origin(name, origin), name));
    if kind.written() == Written::Folder {
        // A kind that reads folders: its files in the order in which they came.
        let server = |error: std::io::Error| Failed::Server(format!("writing its frames: {error}"));
        let folder = tempfile::tempdir().map_err(server)?;
        let mut kept = Vec::with_capacity(files.len());
        for (number, (file, bytes)) in files.iter().enumerate() {
            let sent = plain(file);
            let ending = sent.extension().map(|ending| format!(".{}", ending.display())).unwrap_or_default();
            let path = folder.path().join(format!("{number:06}{ending}"));
            std::fs::write(&path, bytes).map_err(server)?;
            kept.push((path.display().to_string(), sent.display().to_string()));
        }
        // Where the server keeps its files is nobody's business.
        let hidden = |error: Error| {
            let said = kept.iter().fold(error.to_string(), |said, (path, sent)| said.replace(path, sent));
            Failed::File(said.replace(&folder.path().display().to_string(), "its frames"))
        };
        return read(Origin::file(folder.path())).map_err(hidden);
    }
    match (files.pop(), files.is_empty()) {
        (Some((file, bytes)), true) => {
            read(Origin::Memory { name: plain(&file), bytes, part: None }).map_err(|error| Failed::File(error.to_string()))
        }
        _ => Err(Failed::File("has several files; it takes one".into())),
    }
}

/// The name of an uploaded file without folders and what no message should repeat.
fn plain(name: &str) -> PathBuf {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut plain: Vec<char> = last.chars().filter(|c| !c.is_control()).collect();
    plain.drain(..plain.len().saturating_sub(LONGEST_NAME));
    if plain.is_empty() { "file".into() } else { plain.into_iter().collect::<String>().into() }
}

/// A file of NumPy with these numbers.
fn npy(shape: &[usize], values: &[f64]) -> Bytes {
    let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({sides}), }}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    file.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_lose_their_folders() {
        for (name, expected) in
            [("../../etc/a.png", "a.png"), ("C:\\x\\b.wav", "b.wav"), ("a\n\0b.png", "ab.png"), ("", "file"), ("x/", "file")]
        {
            assert_eq!(plain(name), PathBuf::from(expected));
        }
        assert!(plain(&("x".repeat(1000) + ".png")).ends_with("x".repeat(96) + ".png"));
    }

    #[test]
    fn numbers_become_a_file_that_our_reader_reads() {
        let array = mm_core::data::numpy::read(&npy(&[2, 3], &[1.0, 2.0, 3.0, f64::NAN, 5.0, 6.5]), None).unwrap();
        assert_eq!(array.shape, [2, 3]);
        let values = array.values.to_f64();
        assert!(values[3].is_nan() && values[5] == 6.5);
    }
}
