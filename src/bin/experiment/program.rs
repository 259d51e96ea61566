//! Starting the programs that lie beside this one.

use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};

use anyhow::Context;
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

use crate::cli;

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
    command
        .status()
        .with_context(|| format!("start {}", path.display()))
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
