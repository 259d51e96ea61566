//! The programs that lie beside this one.

use std::process::{Command, ExitStatus};

use anyhow::Context;
use incdec::child;

use crate::cli;

/// Runs a binary that lies beside this one to its end, after printing the command. Where this process ends first, for
/// whatever reason, the binary gets SIGTERM.
pub(crate) fn run(program: &str, arguments: &[String]) -> anyhow::Result<ExitStatus> {
    let path = std::env::current_exe()
        .context("find this program's folder")?
        .with_file_name(program);
    let printed: Vec<String> = arguments.iter().map(|a| quoted(a)).collect();
    cli::news(format_args!("{program} {}", printed.join(" ")));
    child::run(Command::new(&path).args(arguments))
        .with_context(|| format!("start {}", path.display()))
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
