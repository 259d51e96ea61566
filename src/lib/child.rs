//! Programs that this one starts, and their end: none goes on when this one has ended.

use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::process::{
    Pid, Signal, getpid, getppid, kill_process, set_parent_process_death_signal,
};

use crate::signals::{Signals, end_at_once};

/// How often it is looked whether a signal has come, and whether the programs have ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The programs that run now.
static RUNNING: Mutex<Running> = Mutex::new(Running {
    programs: Vec::new(),
    ending: false,
});

struct Running {
    programs: Vec<Pid>,
    /// Whether this process ends as soon as they have ended.
    ending: bool,
}

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The programs that run now. Where this process is about to end, stands still: nothing else is started or said.
fn running_unless_ending() -> MutexGuard<'static, Running> {
    let running = running();
    if running.ending {
        drop(running);
        loop {
            thread::park();
        }
    }
    running
}

/// Has a signal that asks this process to end ask the programs that it runs first: they get SIGTERM, and this process ends
/// with the signal's status when they have ended. Where it runs none, it ends at once.
///
/// # Errors
/// When the system refuses a handler or a thread.
pub fn pass_signals_on() -> io::Result<()> {
    let signals = Signals::catch()?;
    let watch = move || {
        let signal = loop {
            match signals.caught() {
                Some(signal) => break signal,
                None => thread::sleep(LOOK_EVERY),
            }
        };
        let mut ending = running();
        ending.ending = true;
        for program in &ending.programs {
            // One that has just ended cannot be asked any more.
            let _ = kill_process(*program, Signal::TERM);
        }
        drop(ending);
        while !running().programs.is_empty() {
            thread::sleep(LOOK_EVERY);
        }
        end_at_once(signal);
    };
    thread::Builder::new().spawn(watch).map(drop)
}

/// Runs a program to its end. Where this process ends first, for whatever reason, the program gets SIGTERM.
///
/// # Errors
/// When it cannot be started, or not be waited for.
pub fn run(command: &mut Command) -> io::Result<ExitStatus> {
    end_with_this_process(command);
    let mut others = running_unless_ending();
    let mut child = command.spawn()?;
    let pid = Pid::from_child(&child);
    others.programs.push(pid);
    drop(others);
    let status = child.wait();
    running().programs.retain(|program| *program != pid);
    drop(running_unless_ending());
    status
}

/// Has the kernel end the program when the thread that starts it ends; here that thread waits for the program, so it ends
/// first only where the whole process does.
fn end_with_this_process(command: &mut Command) {
    let parent = getpid();
    let ask = move || {
        set_parent_process_death_signal(Some(Signal::TERM))?;
        // The parent may have ended before the kernel was asked.
        if getppid() == Some(parent) {
            Ok(())
        } else {
            Err(io::Error::from(ErrorKind::Interrupted))
        }
    };
    // SAFETY: between fork and exec this makes two system calls; it takes no lock and allocates nothing.
    unsafe { command.pre_exec(ask) };
}
