//! Starting the programs that lie beside this one, and ending them in order.

use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use incdec::signals::Signals;
use rustix::process::{
    Pid, Signal, getpid, getppid, kill_process, set_parent_process_death_signal,
};

use crate::cli;

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
/// with the signal's status when they have ended.
pub(crate) fn pass_signals_on() -> io::Result<()> {
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
        std::process::exit(i32::from(signal.exit().code()));
    };
    thread::Builder::new().spawn(watch).map(drop)
}

/// Runs a binary that lies beside this one to its end, after printing the command. Where this process ends first, for
/// whatever reason, the binary gets SIGTERM.
pub(crate) fn run(program: &str, arguments: &[String]) -> anyhow::Result<ExitStatus> {
    let path = std::env::current_exe()
        .context("find this program's folder")?
        .with_file_name(program);
    let printed: Vec<String> = arguments.iter().map(|a| quoted(a)).collect();
    cli::news(format_args!("{program} {}", printed.join(" ")));
    let mut command = Command::new(&path);
    command.args(arguments);
    end_with_this_process(&mut command);
    let mut others = running_unless_ending();
    let child = command.spawn();
    let mut child = child.with_context(|| format!("start {}", path.display()))?;
    let pid = Pid::from_child(&child);
    others.programs.push(pid);
    drop(others);
    let status = child.wait();
    running().programs.retain(|program| *program != pid);
    drop(running_unless_ending());
    status.with_context(|| format!("wait for {}", path.display()))
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

/// An argument as a shell takes it.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn arguments_are_printed_as_a_shell_takes_them() {
        assert_eq!(quoted("a/b=c"), "a/b=c");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
