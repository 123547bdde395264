//! BraTS: brains with tumours in four MRI sequences, as volumes. They become slices.

use super::disk::{found, names};
use super::error::{Error, Result};
use super::output::Output;
use super::png_files::{Pixels, encode};
use super::{Reader, Request, mri_slices, nifti};
use std::path::{Path, PathBuf};

pub(super) const READER: Reader = Reader {
    name: "brats",
    about: "brains with tumours in four MRI sequences, as NIfTI volumes (BraTS)",
    licence: "for research, after registration",
    how: "Register at synapse.org and unpack the training data: a folder a patient, such as BraTS20_Training_001, with \
          BraTS20_Training_001_flair.nii.gz, _t1, _t1ce, _t2 and _seg. Every third slice becomes a PNG file",
    prepare,
};

/// The sequences: how files end, and the folder of the slices.
const SEQUENCES: [(&str, &str); 4] = [("flair", "flair"), ("t1", "t1"), ("t1ce", "t1_contrast"), ("t2", "t2")];
/// Slices of a millimetre look alike: every so many is taken.
const STRIDE: usize = 3;
/// Share of a slice that the brain covers at least.
const COVERED: f64 = 0.02;

fn prepare(request: &Request, output: &mut Output) -> Result<()> {
    let mut patients = Vec::new();
    for name in names(request.root)? {
        let truth = volume(&request.root.join(&name), &name, "seg");
        patients.extend(truth.map(|truth| (name, truth)));
    }
    if patients.is_empty() {
        let path = request.root.join("BraTS20_Training_001/BraTS20_Training_001_seg.nii.gz");
        return Err(Error::Missing { path, what: "the volumes of a patient".into(), how: READER.how.into() });
    }
    for folder in SEQUENCES.map(|(_, folder)| folder).into_iter().chain(["seg"]) {
        output.folder(folder)?;
    }
    for (patient, truth) in &patients {
        let folder = request.root.join(patient);
        let truth = (truth, nifti::read(truth)?);
        let mut written = Vec::new();
        for (end, name) in SEQUENCES {
            let example = folder.join(format!("{patient}_{end}.nii.gz"));
            let path = match volume(&folder, patient, end) {
                Some(path) => path,
                None => found(example, "a sequence of a patient", READER.how)?,
            };
            written.push((name, path));
        }
        // The slices are chosen by the first sequence.
        let mut chosen = Vec::new();
        for (name, path) in &written {
            let volume = nifti::read(path)?;
            if volume.size != truth.1.size {
                let problem = format!("has {:?} voxels, and {} has {:?}", volume.size, truth.0.display(), truth.1.size);
                return Err(Error::content(path, problem));
            }
            let grey = volume.grey();
            let [width, height, depth] = volume.size;
            let slice = |z: usize| &grey[z * width * height..(z + 1) * width * height];
            if chosen.is_empty() {
                let covered = |z: &usize| slice(*z).iter().filter(|&&level| level > 0).count() as f64 >= COVERED * (width * height) as f64;
                chosen = (0..depth).step_by(STRIDE).filter(covered).collect();
            }
            for &z in &chosen {
                let file = format!("{name}/{patient}_z{z:03}.png");
                output.file(&file, &encode(&file, [height, width], Pixels::Grey(slice(z)))?)?;
            }
        }
        let [width, height, _] = truth.1.size;
        for &z in &chosen {
            let file = format!("seg/{patient}_z{z:03}.png");
            let numbers: Vec<u8> = truth.1.slice(z).iter().map(|&number| number.round().clamp(0.0, 255.0) as u8).collect();
            output.file(&file, &encode(&file, [height, width], Pixels::Grey(&numbers))?)?;
        }
    }
    let folder = output.path().to_path_buf();
    mri_slices::write(&folder, "brats", output)
}

/// The volume of a sequence, packed or not.
fn volume(folder: &Path, patient: &str, end: &str) -> Option<PathBuf> {
    ["nii.gz", "nii"].iter().map(|ending| folder.join(format!("{patient}_{end}.{ending}"))).find(|path| path.is_file())
}
