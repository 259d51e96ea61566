//! `incdec-bench`: one name for the benchmarks, each a binary of its own beside this one.

#[path = "../cli/mod.rs"]
mod cli;

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};

const EXAMPLE: &str = "\
Examples:
  incdec-bench decode clips/ --repeat 3
  incdec-bench load --help
  incdec-bench step --variant A0 --batch 1 --frames 50 --size 172";

/// Runs one of the benchmarks; each prints one line of JSON with the fields of its Python peers.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = cli::after_help(EXAMPLE)
)]
struct Args {
    #[command(subcommand)]
    bench: Bench,
}

/// The benchmarks; what follows the name goes to the benchmark's own binary.
#[derive(Debug, Subcommand)]
enum Bench {
    /// From compressed clips to frames.
    #[command(disable_help_flag = true)]
    Decode(Rest),
    /// From shards to batches.
    #[command(disable_help_flag = true)]
    Load(Rest),
    /// A training step of the model.
    #[command(disable_help_flag = true)]
    Step(Rest),
}

#[derive(Debug, clap::Args)]
struct Rest {
    /// The benchmark's own arguments; --help tells them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

fn main() -> ExitCode {
    let args = cli::parse_from::<Args>(std::env::args_os());
    match run(&args.bench) {
        Ok(code) => code,
        Err(error) => {
            cli::complain(format_args!("error: {error:#}"));
            cli::complain("hint: `make build` builds all binaries into one folder");
            ExitCode::FAILURE
        }
    }
}

fn run(bench: &Bench) -> anyhow::Result<ExitCode> {
    let own = std::env::current_exe().context("find this program's own folder")?;
    let folder = own.parent().unwrap_or(Path::new("."));
    let (name, rest) = match bench {
        Bench::Decode(rest) => ("incdec-bench-decode", rest),
        Bench::Load(rest) => ("incdec-bench-load", rest),
        Bench::Step(rest) => ("incdec-bench-step", rest),
    };
    let binary = folder.join(name);
    let status = Command::new(&binary)
        .args(&rest.arguments)
        .status()
        .with_context(|| format!("run {}", binary.display()))?;
    Ok(cli::same_status(status))
}
