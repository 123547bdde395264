//! Checkpoints of PyTorch (`.pth`, `.pt`, `.th`, `.bin`), read without running anything: a pickle is a program, of which only the
//! instructions and names that `torch.save` needs for tensors and plain data are understood; anything else is an error.
//!
//! Whatever a file claims, reading it takes at most 32 MiB and 16 times its size.

mod budget;
mod calls;
mod container;
mod entries;
mod error;
mod input;
mod pickle;
mod tensor;
mod values;

use super::content::Content;
use budget::Budget;
use container::Container;
pub use entries::WHOLE;
pub use error::PthError;
use error::Result;
use safetensors::Dtype;
use std::collections::BTreeMap;
use std::io::{Read, Seek};
use tensor::View;
use values::Storage;

/// What programs that wrap a whole model put before every name.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// A checkpoint of which everything was read and checked but the numbers.
pub struct Checkpoint<R> {
    container: Container<R>,
    storages: Vec<Storage>,
    views: BTreeMap<String, View>,
    /// The entry whose tensors these are, unless it is the whole file.
    pub entry: Option<String>,
    /// What was taken off before every name.
    pub prefix: String,
    /// What is not read: its name, and what it is.
    pub ignored: Vec<(String, String)>,
}

impl<R: Read + Seek> Checkpoint<R> {
    /// Opens a file of `length` bytes, for the tensors of `entry`, or of the one that must be meant. `module.` and `_orig_mod.` before
    /// all names are taken off, unless they are to be kept.
    pub fn open(file: R, length: u64, entry: Option<&str>, keep_prefix: bool) -> Result<Self> {
        let mut budget = Budget::of_file(length);
        let opened = container::open(file, length, &mut budget)?;
        let chosen = entries::choose(&opened.heap, opened.value, entry, &mut budget)?;
        let storages = opened.heap.storages;
        let (views, prefix) = if keep_prefix { (chosen.views, String::new()) } else { without_wrappers(chosen.views) };
        let checkpoint = Self { container: opened.container, storages, views, entry: chosen.entry, prefix, ignored: chosen.ignored };
        checkpoint.expect_room(&mut budget)?;
        Ok(checkpoint)
    }

    /// What kind of file it is, in words.
    pub fn format(&self) -> &'static str {
        match self.container {
            Container::Zip { .. } => "PyTorch checkpoint",
            Container::Legacy { .. } => "PyTorch checkpoint (before 1.6)",
        }
    }

    /// Room for all tensors, each view of the same numbers once, and for the storage and the bytes that one of them is made from.
    fn expect_room(&self, budget: &mut Budget) -> Result<()> {
        let (mut storages, mut bytes) = (0, 0);
        for (view, _) in by_view(&self.views, |_| true) {
            let storage = &self.storages[view.storage as usize];
            let size = view.count() as u64 * container::element_size(storage.dtype);
            storages = storages.max(storage.bytes()?);
            // Signed bytes become numbers of twice the size; f32 numbers stay in the memory that they are put in order in.
            budget.take(if storage.dtype == Dtype::I8 { 2 * size } else { size })?;
            if storage.dtype != Dtype::F32 {
                bytes = bytes.max(size);
            }
        }
        budget.take(storages)?;
        budget.take(bytes)
    }

    /// Name, type and shape of each tensor, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, Dtype, &[usize])> {
        self.views.iter().map(|(name, view)| (name.as_str(), self.storages[view.storage as usize].dtype, view.shape.as_slice()))
    }

    /// Names of tensors that have numbers in common, such as tied weights.
    pub fn shared(&self) -> Vec<Vec<String>> {
        let mut ranges: Vec<(u32, std::ops::Range<usize>, &str)> = self
            .views
            .iter()
            .filter(|(_, view)| view.count() > 0)
            .map(|(name, view)| (view.storage, view.range(), name.as_str()))
            .collect();
        ranges.sort_by_key(|(storage, range, _)| (*storage, range.start));
        let (mut groups, mut last): (Vec<Vec<String>>, Option<(u32, usize)>) = (Vec::new(), None);
        for (storage, range, name) in ranges {
            match (last, groups.last_mut()) {
                (Some((before, end)), Some(group)) if before == storage && range.start < end => {
                    group.push(name.to_string());
                    last = Some((storage, end.max(range.end)));
                }
                _ => {
                    groups.push(vec![name.to_string()]);
                    last = Some((storage, range.end));
                }
            }
        }
        groups.retain(|group| group.len() > 1);
        groups
    }

    /// Passes the tensors whose names `wanted` accepts to `each`, one storage after the other; names of the same numbers come together.
    pub fn read<E>(
        &mut self,
        wanted: impl Fn(&str) -> bool,
        problem: impl Fn(PthError) -> E,
        mut each: impl FnMut(&[&str], Dtype, &[usize], Content) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let views: Vec<(&View, Vec<&str>)> = by_view(&self.views, wanted).into_iter().collect();
        for same in views.chunk_by(|(one, _), (other, _)| one.storage == other.storage) {
            let storage = &self.storages[same[0].0.storage as usize];
            let numbers = self.container.read(storage).map_err(&problem)?;
            match same {
                [(view, names)] if view.is_whole(storage) => each(names, storage.dtype, &view.shape, numbers)?,
                _ => same.iter().try_for_each(|(view, names)| each(names, storage.dtype, &view.shape, view.copy(storage, &numbers)))?,
            }
        }
        Ok(())
    }
}

/// The names of each view, in the order of the storages.
fn by_view(views: &BTreeMap<String, View>, wanted: impl Fn(&str) -> bool) -> BTreeMap<&View, Vec<&str>> {
    let mut names: BTreeMap<&View, Vec<&str>> = BTreeMap::new();
    for (name, view) in views.iter().filter(|(name, _)| wanted(name)) {
        names.entry(view).or_default().push(name);
    }
    names
}

/// Takes off the wrappers' names that stand before all names, and says which.
fn without_wrappers(views: BTreeMap<String, View>) -> (BTreeMap<String, View>, String) {
    let first = views.keys().next().map(String::as_str).unwrap_or_default();
    let common = |name: &String| first.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let common = views.keys().map(common).min().unwrap_or(0);
    let mut end = 0;
    while let Some(wrapper) = WRAPPERS.iter().find(|wrapper| first[end..].starts_with(**wrapper) && end + wrapper.len() <= common) {
        end += wrapper.len();
    }
    let prefix = first[..end].to_string();
    (views.into_iter().map(|(name, view)| (name[end..].to_string(), view)).collect(), prefix)
}
