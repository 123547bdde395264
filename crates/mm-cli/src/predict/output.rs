//! The file of answers: written beside its place, and put there when it is whole. What is there already is not overwritten.

use super::tally::Tally;
use anyhow::{Context, Result, bail};
use mm_core::weights::write_atomically;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the place where a run is, is written down.
const EVERY: Duration = Duration::from_secs(1);

/// Where a run is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// What the answers depend on.
    request: String,
    /// Rows of the table.
    pub total: u64,
    /// Rows that are answered.
    pub rows: u64,
    /// Bytes of their answers.
    bytes: u64,
    /// What they add up to.
    pub tally: Tally,
}

impl State {
    /// Before the first row.
    pub fn new(request: &str, total: u64) -> Self {
        Self { request: request.into(), total, rows: 0, bytes: 0, tally: Tally::default() }
    }
}

/// A file of answers that is being written.
pub struct Output {
    path: PathBuf,
    partial: PathBuf,
    state: PathBuf,
    file: File,
    overwrite: bool,
    resumed: Option<State>,
    written: Option<Instant>,
}

impl Output {
    /// Opens the unfinished file of this request, or begins one.
    pub fn open(path: &Path, request: &str, overwrite: bool) -> Result<Self> {
        refuse_existing(path, overwrite)?;
        let (partial, state) = (beside(path, "partial"), beside(path, "partial.json"));
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        }
        let found: Option<State> = std::fs::read(&state).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let is_link = partial.symlink_metadata().is_ok_and(|partial| !partial.is_file());
        let holds = |path: &Path| std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
        // `--overwrite` is about answers, and these are none. A link would be written through.
        if let Some(foreign) = [(&partial, is_link || found.is_none() && holds(&partial)), (&state, found.is_none() && holds(&state))]
            .into_iter()
            .find_map(|(path, is_foreign)| is_foreign.then_some(path))
        {
            bail!("{} was not written by `mm predict`: move it away, or give another `--out`", foreign.display());
        }
        let context = || format!("opening {}", partial.display());
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&partial).with_context(context)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => bail!("another `mm predict` is writing {}", path.display()),
            // Some file systems have no locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        // From now on the unfinished file is known as ours.
        if found.is_none() {
            write_atomically(&state, &serde_json::to_vec(&State::new(request, 0))?)?;
        }
        // Without an answer there is nothing to go on from, or to lose.
        let found = found.filter(|found| found.rows > 0);
        let length = file.metadata().with_context(context)?.len();
        let resumed = found.clone().filter(|state| state.request == request && state.bytes <= length);
        if let (Some(found), None, false) = (&found, &resumed, overwrite) {
            bail!(
                "{} is an interrupted run ({} of {} rows) of another model, table, setting, or other readings: finish that, or begin anew with `--overwrite`",
                partial.display(),
                found.rows,
                found.total
            );
        }
        let bytes = resumed.as_ref().map_or(0, |state| state.bytes);
        file.set_len(bytes).and_then(|()| file.seek(SeekFrom::End(0))).with_context(context)?;
        Ok(Self { path: path.into(), partial, state, file, overwrite, resumed, written: None })
    }

    /// Where the run was that is taken up.
    pub fn resumed(&self) -> Option<State> {
        self.resumed.clone()
    }

    /// Forgets what was answered before.
    pub fn begin_anew(&mut self) -> Result<()> {
        if let Some(State { request, .. }) = self.resumed.take() {
            write_atomically(&self.state, &serde_json::to_vec(&State::new(&request, 0))?)?;
        }
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::End(0)));
        emptied.map(drop).with_context(|| format!("writing {}", self.partial.display()))
    }

    /// Appends answers; `state` is what is reached with them.
    pub fn append(&mut self, text: &[u8], mut state: State) -> Result<State> {
        self.file.write_all(text).with_context(|| format!("writing {}", self.partial.display()))?;
        state.bytes += text.len() as u64;
        // Answers are written before it is said that they are: what a killed run wrote behind that is cut off and made again.
        if self.written.is_none_or(|written| written.elapsed() >= EVERY) {
            write_atomically(&self.state, &serde_json::to_vec(&state)?)?;
            self.written = Some(Instant::now());
        }
        Ok(state)
    }

    /// Puts the file into its place.
    pub fn finish(self, state: &State) -> Result<()> {
        self.file.sync_data().with_context(|| format!("writing {}", self.partial.display()))?;
        write_atomically(&self.state, &serde_json::to_vec(state)?)?;
        refuse_existing(&self.path, self.overwrite)?;
        std::fs::rename(&self.partial, &self.path).with_context(|| format!("renaming {}", self.partial.display()))?;
        std::fs::remove_file(&self.state).with_context(|| format!("removing {}", self.state.display()))
    }
}

impl Drop for Output {
    /// A run that ended before its first answer leaves nothing.
    fn drop(&mut self) {
        if self.written.is_none() && self.resumed.is_none() {
            _ = std::fs::remove_file(&self.partial);
            _ = std::fs::remove_file(&self.state);
        }
    }
}

fn refuse_existing(path: &Path, overwrite: bool) -> Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => bail!("`--out {}` is a folder: name a file in it, such as answers.csv", path.display()),
        Ok(_) if !overwrite => bail!("{} is there already: give another `--out`, or `--overwrite`", path.display()),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| format!("looking for {}", path.display())),
        _ => Ok(()),
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or(OsStr::new("answers")).to_os_string();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}
