//! Signals that ask a process to end: remembered, so that the work can end at a place where nothing is lost.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

use crate::exit::Exit;

/// A signal that asks a process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: a person at a terminal.
    Interrupt,
    /// SIGTERM: a scheduler.
    Terminate,
    /// SIGUSR1: a scheduler that warns some time before the end, as Slurm's `--signal=B:USR1@120` does.
    User1,
}

impl Signal {
    const ALL: [Self; 3] = [Self::Interrupt, Self::Terminate, Self::User1];

    fn number(self) -> i32 {
        match self {
            Self::Interrupt => SIGINT,
            Self::Terminate => SIGTERM,
            Self::User1 => SIGUSR1,
        }
    }

    /// The status that a command ends with after this signal; SIGUSR1 counts as SIGTERM.
    #[must_use]
    pub fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate | Self::User1 => Exit::Terminated,
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::User1 => "SIGUSR1",
        })
    }
}

/// Whether SIGUSR1 still ends the process wherever it is.
static ENDS_AT_USER1: LazyLock<Arc<AtomicBool>> = LazyLock::new(|| Arc::new(AtomicBool::new(true)));

/// Has SIGUSR1 end the process at once with the status of SIGTERM, which ends it by itself, until
/// [`Signals::catch`] is called.
///
/// # Errors
/// When the system refuses a handler.
pub fn end_at_user1() -> io::Result<()> {
    let status = i32::from(Signal::User1.exit().code());
    flag::register_conditional_shutdown(SIGUSR1, status, Arc::clone(&ENDS_AT_USER1))?;
    Ok(())
}

/// Ends this process with the status of `signal` where it stands: no destructor runs while other threads compute.
pub fn end_at_once(signal: Signal) -> ! {
    signal_hook::low_level::exit(i32::from(signal.exit().code()))
}

/// The signals that this process has got since they were caught.
#[derive(Debug)]
pub struct Signals {
    /// The number of the last one; 0 before any.
    last: Arc<AtomicUsize>,
}

impl Signals {
    /// Remembers [`Signal`]s from now on, for as long as the process lives, instead of ending by them. A second SIGINT ends
    /// the process at once.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub fn catch() -> io::Result<Self> {
        let last = Arc::new(AtomicUsize::new(0));
        let interrupted = Arc::new(AtomicBool::new(false));
        // Handlers run in the order in which they are registered: the first SIGINT finds the flag down.
        let at_once = i32::from(Exit::Interrupted.code());
        flag::register_conditional_shutdown(SIGINT, at_once, Arc::clone(&interrupted))?;
        flag::register(SIGINT, interrupted)?;
        for signal in Signal::ALL {
            let number = usize::try_from(signal.number()).unwrap_or_default();
            flag::register_usize(signal.number(), Arc::clone(&last), number)?;
        }
        ENDS_AT_USER1.store(false, Ordering::Relaxed);
        Ok(Self { last })
    }

    /// The last signal that came, if one did.
    #[must_use]
    pub fn caught(&self) -> Option<Signal> {
        let last = self.last.load(Ordering::Relaxed);
        let is_last = |signal: &Signal| usize::try_from(signal.number()) == Ok(last);
        Signal::ALL.into_iter().find(is_last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_remembered_and_the_process_lives() {
        let signals = Signals::catch().unwrap();
        assert_eq!(signals.caught(), None);
        for signal in Signal::ALL {
            signal_hook::low_level::raise(signal.number()).unwrap();
            assert_eq!(signals.caught(), Some(signal));
        }
    }

    #[test]
    fn the_statuses_are_those_that_shells_have_for_the_signals() {
        assert_eq!(Signal::Interrupt.exit().code(), 130);
        assert_eq!(Signal::Terminate.exit().code(), 143);
        assert_eq!(Signal::User1.exit().code(), 143);
    }
}
