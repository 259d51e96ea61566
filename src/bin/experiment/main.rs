//! `incdec-experiment`: takes the command line of the seed's `main.py` and runs `incdec-tasks` and `incdec-train` for it.

#[path = "../cli/mod.rs"]
mod cli;
mod commands;
mod flags;

use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

use anyhow::Context;
use incdec::exit::Exit;

fn main() -> ExitCode {
    let given = flags::long_flags(std::env::args_os());
    let args = cli::parse_from::<flags::Args>(given.clone());
    let text: Vec<String> = given
        .iter()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    let commands = args.commands(&device(args.device), &text.join("\n"));
    for (program, arguments) in [
        ("incdec-tasks", &commands.tasks),
        ("incdec-train", &commands.train),
    ] {
        match run(program, arguments) {
            Ok(status) if status.success() => {}
            // It has said why; a scheduler sees the same status as from the program itself.
            Ok(status) => return cli::same_status(status),
            Err(error) => {
                cli::complain(format_args!("error: {error:#}"));
                return ExitCode::from(Exit::Failed.code());
            }
        }
    }
    ExitCode::SUCCESS
}

/// The GPU with this index where there is one; else the processor, with a warning.
fn device(index: usize) -> String {
    if Path::new(&format!("/dev/nvidia{index}")).exists() {
        return format!("cuda:{index}");
    }
    cli::complain(format_args!(
        "warning: there is no GPU {index}; computing on the processor"
    ));
    "cpu".to_owned()
}

/// Runs a binary that lies beside this one, after printing the command.
fn run(program: &str, arguments: &[String]) -> anyhow::Result<ExitStatus> {
    let path = std::env::current_exe()
        .context("find this program's folder")?
        .with_file_name(program);
    let printed: Vec<String> = arguments.iter().map(|a| quoted(a)).collect();
    cli::news(format_args!("{program} {}", printed.join(" ")));
    Command::new(&path)
        .args(arguments)
        .status()
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
