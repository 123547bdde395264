//! Progress bars that vanish where there is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar over epochs, or nothing.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Shows nothing.
    pub fn hidden() -> Self {
        Self { bar: ProgressBar::hidden() }
    }

    /// A bar over `epochs` on standard error; hidden where that is not a terminal.
    pub fn epochs(name: &str, epochs: usize) -> Self {
        let bar = ProgressBar::new(epochs as u64);
        // The template is fixed; a typo in it would show in the first run.
        if let Ok(style) = ProgressStyle::with_template("{prefix:24} [{bar:30}] {pos}/{len} epochs, {eta} left  {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name.to_string());
        Self { bar }
    }

    pub(crate) fn set(&self, epochs_done: usize, message: String) {
        self.bar.set_position(epochs_done as u64);
        self.bar.set_message(message);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
