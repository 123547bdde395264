//! MATLAB files of version 7.3, which are HDF5: one array at a time, one frame of it at a time.

use super::error::{Error, Result};
use hdf5_reader::{Dataset, H5Type, Hdf5File, OpenOptions, SliceInfo, SliceInfoElem};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Bytes that one frame, one chunk or one list of references may take.
const LARGEST: usize = 1 << 26;
/// Letters of a text.
const LONGEST: u64 = 4096;

/// An open file.
pub(super) struct Mat73 {
    path: PathBuf,
    file: Hdf5File,
}

impl Mat73 {
    /// Opens one.
    pub fn open(path: &Path) -> Result<Self> {
        let options = OpenOptions::default().with_max_chunk_bytes(LARGEST).with_max_read_bytes(LARGEST);
        let file = Hdf5File::open_with_options(path, options)
            .map_err(|error| Error::content(path, format!("is no MATLAB file of version 7.3 (HDF5) that can be read: {error}")))?;
        Ok(Self { path: path.into(), file })
    }

    fn wrong(&self, name: &str) -> impl Fn(hdf5_reader::error::Error) -> Error {
        let (path, name) = (self.path.clone(), name.to_string());
        move |error| Error::content(&path, format!("`{name}`: {error}"))
    }

    /// Whether there is an array of this name.
    pub fn has(&self, name: &str) -> bool {
        self.file.dataset(name).is_ok()
    }

    /// The array of a name, of so many dimensions.
    pub fn array(&self, name: &str, dimensions: usize) -> Result<Dataset> {
        let array = self.file.dataset(name).map_err(self.wrong(name))?;
        match array.shape().len() == dimensions {
            true => Ok(array),
            false => {
                let problem = format!("`{name}` has the shape {:?}, and {dimensions} dimensions are expected", array.shape());
                Err(Error::content(&self.path, problem))
            }
        }
    }

    /// Frame `index` of an array whose first dimension counts frames.
    pub fn frame<T: H5Type>(&self, array: &Dataset, index: usize) -> Result<Vec<T>> {
        let all = SliceInfoElem::Slice { start: 0, end: u64::MAX, step: 1 };
        let mut selections = vec![SliceInfoElem::Index(index as u64)];
        selections.extend(array.shape().iter().skip(1).map(|_| all.clone()));
        let values = array.read_slice::<T>(&SliceInfo { selections }).map_err(self.wrong(array.name()))?;
        Ok(values.into_iter().collect())
    }

    /// The texts of a cell: each stands elsewhere in the file, behind a reference.
    pub fn texts(&self, name: &str) -> Result<Vec<String>> {
        let cell = self.file.dataset(name).map_err(self.wrong(name))?;
        let bytes = cell.read_raw_bytes().map_err(self.wrong(name))?;
        let references = hdf5_reader::reference::read_object_references(&bytes, 8).map_err(self.wrong(name))?;
        let group = self.file.group("#refs#").map_err(self.wrong("#refs#"))?;
        let targets = group.datasets().map_err(self.wrong("#refs#"))?;
        let targets: HashMap<u64, &Dataset> = targets.iter().map(|target| (target.address(), target)).collect();
        let text = |(at, reference): (usize, &u64)| {
            let missing = || Error::content(&self.path, format!("entry {at} of `{name}` refers to nothing that is there"));
            let target = targets.get(reference).ok_or_else(missing)?;
            if target.num_elements().map_err(self.wrong(name))? > LONGEST {
                return Err(Error::content(&self.path, format!("entry {at} of `{name}` is longer than {LONGEST} letters")));
            }
            let letters = target.read_array::<u16>().map_err(self.wrong(name))?;
            Ok(String::from_utf16_lossy(&letters.into_iter().collect::<Vec<u16>>()))
        };
        references.iter().enumerate().map(text).collect()
    }
}
