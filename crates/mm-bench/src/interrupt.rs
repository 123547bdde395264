//! Ctrl-C and what else asks a bench to end: noted here, and looked at where it is safe to stop.

use anyhow::{Context, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The signal that asked for the end, once one did.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Notes Ctrl-C, SIGTERM and SIGHUP from now on, instead of dying of them; of a second one the process dies.
    pub fn listen() -> Result<Self> {
        let (interrupt, noted) = (Self::default(), Arc::new(AtomicBool::new(false)));
        for signal in signals() {
            let note = signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, noted.clone())
                .and_then(|_| signal_hook::flag::register_usize(signal, interrupt.0.clone(), signal as usize))
                .and_then(|_| signal_hook::flag::register(signal, noted.clone()));
            note.with_context(|| format!("listening to signal {signal}"))?;
        }
        Ok(interrupt)
    }

    /// Whether the bench is to end.
    pub fn is_set(&self) -> bool {
        self.exit_code().is_some()
    }

    /// Whether SIGTERM asked for it, as schedulers do that take a machine away.
    pub fn is_termination(&self) -> bool {
        self.0.load(Ordering::SeqCst) == SIGTERM as usize
    }

    /// Asks for it as SIGTERM would.
    pub fn set(&self) {
        self.0.store(SIGTERM as usize, Ordering::SeqCst);
    }

    /// The exit code that says why, as shells have it: 128 and the signal.
    pub fn exit_code(&self) -> Option<u8> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            signal => Some(u8::try_from(128 + signal).unwrap_or(u8::MAX)),
        }
    }
}

#[cfg(unix)]
fn signals() -> Vec<i32> {
    let hangup = (!ignores_hangup()).then_some(signal_hook::consts::SIGHUP);
    [SIGINT, SIGTERM].into_iter().chain(hangup).collect()
}

#[cfg(not(unix))]
fn signals() -> Vec<i32> {
    vec![SIGINT, SIGTERM]
}

/// Whether this process was started to survive its terminal (`nohup`): a child inherits it, and tells by surviving the signal too.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    std::process::Command::new("sh").args(["-c", "kill -HUP $$"]).status().is_ok_and(|status| status.success())
}
