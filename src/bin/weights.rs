//! `incdec-weights`: what a file of weights holds, and its conversion.

mod cli;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use incdec::artifact;
use incdec::foreign::printable;
use incdec::model::checkpoint::{self, CheckpointError};
use incdec::model::instructions::libtorch_version;
use incdec::model::state_dict::{self, StateDictError};

const EXAMPLE: &str = "\
Examples:
  incdec-weights inspect cleaned_checkpoint_sgd.pt
  incdec-weights convert cleaned_checkpoint_sgd.pt --to safetensors --out pretrained.safetensors";

/// Inspects and converts files of weights: .safetensors, and .pt or .pth as torch.save writes them. Code inside a file
/// is never executed.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = cli::after_help(EXAMPLE)
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Prints a line for each tensor: name, type, shape, separated by tabs.
    Inspect {
        /// The file of weights.
        file: PathBuf,
        /// Where the state dict lies in a PyTorch file that holds several: its keys with dots between them.
        #[arg(long)]
        key: Option<String>,
    },
    /// Writes the weights in another format, under this program's names.
    Convert {
        /// The file of weights.
        file: PathBuf,
        /// Where the state dict lies in a PyTorch file that holds several: its keys with dots between them.
        #[arg(long)]
        key: Option<String>,
        /// The format to write.
        #[arg(long, value_parser = ["safetensors"])]
        to: String,
        /// The file to write [default: the file's own name with the format's ending].
        #[arg(long)]
        out: Option<PathBuf>,
    },
}

fn inspect(file: &Path, key: Option<&str>) -> Result<(), CheckpointError> {
    let held = state_dict::read_named(file, key)?;
    let mut parameters = 0;
    for (name, tensor) in &held.tensors {
        parameters += tensor.numel();
        cli::product(format_args!(
            "{}\t{:?}\t{:?}",
            printable(name),
            tensor.kind(),
            tensor.size()
        ));
    }
    for (key, value) in &held.metadata {
        cli::complain(format_args!(
            "metadata {}: {}",
            printable(key),
            printable(value)
        ));
    }
    cli::complain(format_args!(
        "{:?}: {} tensors, {parameters} numbers",
        held.format,
        held.tensors.len()
    ));
    Ok(())
}

fn convert(
    file: &Path,
    key: Option<&str>,
    to: &str,
    out: Option<PathBuf>,
) -> Result<(), CheckpointError> {
    let tensors = checkpoint::read_foreign(file, key)?;
    state_dict::only_seed_names(&tensors).map_err(|reason| StateDictError::Format {
        path: file.to_owned(),
        reason,
    })?;
    let out = out.unwrap_or_else(|| file.with_extension(to));
    // What a conversion that was killed left beside the file.
    if let Some(folder) = out.parent() {
        artifact::sweep(if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        })?;
    }
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    checkpoint::write(&out, &tensors, &metadata)?;
    cli::news(out.display());
    Ok(())
}

fn main() -> ExitCode {
    let libtorch = format!("libtorch {}", libtorch_version());
    let command = cli::parse_linked::<Args>(&[libtorch]).command;
    cli::run(None, || match command {
        Command::Inspect { file, key } => inspect(&file, key.as_deref()),
        Command::Convert { file, key, to, out } => convert(&file, key.as_deref(), &to, out),
    })
}
