//! Four MRI sequences of one brain, slice by slice, with what is ill: as BraTS and the like are often unpacked.

use super::disk::{found, names};
use super::error::{Error, Result};
use super::output::Output;
use super::{Reader, Request, png_files};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(super) const READER: Reader = Reader {
    name: "mri-slices",
    about: "slices of brains in four MRI sequences, with lesions or parts of tumours (BraTS-like)",
    licence: "that of the volumes: BraTS for research after registration (synapse.org), the MS lesions of Lesjak et al. 2017 CC BY",
    how: "A folder for each sequence (flair, t1, t1_contrast or t1ce, t2) and one for the truth: `lesion` with 0 and 1, or `seg` with the numbers \
          of BraTS (0, 1, 2, 4). In each a grey PNG file a slice, called alike: `p07_z038.png` is slice z038 of patient p07. Volumes (NIfTI) become \
          such slices by any converter; BraTS is at synapse.org, the MS lesions at github.com/muschellij2/open_ms_data",
    prepare,
};

/// The sequences, and the folders that may hold them.
const SEQUENCES: [(&str, &[&str]); 4] =
    [("flair", &["flair"]), ("t1", &["t1"]), ("t1_contrast", &["t1_contrast", "t1ce", "t1gd", "t1c"]), ("t2", &["t2"])];

/// The classes as they stand in the card.
const LESIONS: &str = "classes = [\"healthy\", \"lesion\"]\nof_interest = \"lesion\"\nvalues = [0, 1]";

/// Up to so many patients each is held out once, with a card of its own; more are dealt out to one split.
const FEW: usize = 10;
/// Slices of a patient that stay together in the validation: neighbours look alike.
const BLOCK: usize = 5;

/// A slice: name, patient, and its four images and truth.
struct Slice {
    id: String,
    patient: String,
    images: [Option<PathBuf>; 4],
    truth: PathBuf,
}

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    write(request.root, READER.name, output)
}

/// Cards and manifest of the slices in a folder; the cards are called by `set`.
pub(super) fn write(root: &Path, set: &str, output: &mut Output) -> Result<()> {
    let folders = SEQUENCES.map(|(_, names)| names.iter().map(|name| root.join(name)).find(|folder| folder.is_dir()));
    if folders.iter().all(Option::is_none) {
        return Err(Error::Missing { path: root.join("flair"), what: "the slices of a sequence".into(), how: READER.how.into() });
    }
    let truth = match root.join("seg") {
        folder if folder.is_dir() => folder,
        _ => found(root.join("lesion"), "the truth, slice by slice", READER.how)?,
    };
    let slices = slices(&truth, &folders)?;
    let Some(first) = slices.first() else {
        return Err(Error::Missing { path: truth.join("p07_z038.png"), what: "slices".into(), how: READER.how.into() });
    };
    let [height, width] = png_files::size(&first.truth)?;
    let classes = match truth.ends_with("seg") {
        true => {
            let enhancing = tumours(&slices)?;
            format!("classes = [\"healthy\", \"necrosis\", \"oedema\", \"enhancing tumour\"]\nvalues = [0, 1, 2, {enhancing}]")
        }
        false => LESIONS.to_string(),
    };
    let absent = slices.iter().flat_map(|slice| &slice.images).filter(|image| image.is_none()).count();
    if absent > 0 {
        output.remark(format!("{absent} images are not there: their sequences count as absent"));
    }
    let patients: Vec<String> = slices.iter().map(|slice| slice.patient.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    if patients.len() < 2 {
        return Err(Error::content(&truth, format!("has slices of {} patient: whole patients are held out, so two are needed at least", patients.len())));
    }
    let card = |name: &str, about: &str, part: &str| {
        include_str!("cards/mri-slices.toml")
            .replace("SET", set)
            .replace("NAME", name)
            .replace("ABOUT", about)
            .replace("PART", part)
            .replace(LESIONS, &classes)
            .replace("[240, 240]", &format!("[{height}, {width}]"))
    };
    let mut header = vec!["id".to_string(), "flair".into(), "t1".into(), "t1_contrast".into(), "t2".into(), "truth".into(), "patient".into()];
    // Without a patient that is held out, all of a split.
    let splits: Vec<Option<&String>> = if patients.len() > FEW { vec![None] } else { patients.iter().map(Some).collect() };
    for held_out in &splits {
        match held_out {
            Some(patient) => {
                let (name, part) = (format!("{set}-{patient}"), format!("without_{patient}"));
                let about = format!(
                    "The test is patient {patient}; models are chosen by every fifth block of {BLOCK} slices of the others. {} patients are a demonstration and no evidence.",
                    patients.len()
                );
                output.card(&format!("{name}.toml"), &card(&name, &about, &part))?;
                header.push(part);
            }
            None => {
                let about = "Of ten patients, in the order of their names, the first seven are for training, the next chooses the model, two are the test.";
                output.card(&format!("{set}.toml"), &card(set, about, "part"))?;
                header.push("part".into());
            }
        }
    }
    let mut rows = Vec::new();
    let mut place = (String::new(), 0);
    for slice in &slices {
        place = if place.0 == slice.patient { (place.0, place.1 + 1) } else { (slice.patient.clone(), 0) };
        let mut row = vec![slice.id.clone()];
        for image in &slice.images {
            row.push(image.as_deref().map(|image| output.place(image)).transpose()?.unwrap_or_default());
        }
        row.extend([output.place(&slice.truth)?, slice.patient.clone()]);
        let number = patients.iter().position(|patient| *patient == slice.patient).unwrap_or_default();
        row.extend(splits.iter().map(|held_out| {
            let part = match held_out {
                Some(patient) if **patient == slice.patient => "test",
                Some(_) => ["train", "validation"][usize::from(place.1 / BLOCK % 5 == 2)],
                None => ["train", "validation", "test"][usize::from(number % 10 >= 7) + usize::from(number % 10 >= 8)],
            };
            part.to_string()
        }));
        rows.push(row);
    }
    output.table("samples.csv", &header.iter().map(String::as_str).collect::<Vec<_>>(), &rows)
}

/// The number of enhancing tumour: 4, or 3 from 2023 on.
fn tumours(slices: &[Slice]) -> Result<u8> {
    for slice in slices {
        let largest = png_files::largest(&slice.truth)?;
        if largest >= 3 {
            return Ok(largest);
        }
    }
    Ok(4)
}

/// The slices that have a truth, in the order of their names.
fn slices(truth: &Path, folders: &[Option<PathBuf>; 4]) -> Result<Vec<Slice>> {
    let mut slices = Vec::new();
    for name in names(truth)? {
        let Some(id) = name.strip_suffix(".png") else { continue };
        let Some((patient, _)) = id.rsplit_once('_') else {
            return Err(Error::content(truth.join(&name), "is called neither `patient_slice.png` nor anything else that says the patient"));
        };
        let images = [0, 1, 2, 3].map(|at| folders[at].as_ref().map(|folder| folder.join(&name)).filter(|image| image.is_file()));
        slices.push(Slice { id: id.into(), patient: patient.into(), images, truth: truth.join(&name) });
    }
    Ok(slices)
}
