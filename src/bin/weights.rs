//! `incdec-weights`: published weights to fetch; what a file of weights holds, and its conversion.

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
use incdec::store::{HttpConfig, Link, RetryConfig};
use incdec::weights::{self, Fetched, PUBLISHED, PublishedWeights, WeightsConfig, WeightsError};

const EXAMPLE: &str = "\
Examples:
  incdec-weights list
  incdec-weights fetch seed --out cleaned_checkpoint_sgd.pt
  incdec-weights inspect cleaned_checkpoint_sgd.pt
  incdec-weights convert cleaned_checkpoint_sgd.pt --to safetensors --out pretrained.safetensors";

/// Fetches published weights; inspects and converts files of weights: .safetensors, and .pt or .pth as torch.save writes
/// them. Code inside a file is never executed.
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
    /// Prints a line for each published file that can be fetched: name, what it is, variant, geometry, licence, separated
    /// by tabs.
    List,
    /// Fetches published weights, checked by the id that git gives their content. What broke off goes on where it stopped.
    Fetch {
        /// Which weights: `list` has the names.
        #[arg(value_parser = named)]
        name: &'static PublishedWeights,
        /// The file to write [default: the published file's name].
        #[arg(long)]
        out: Option<PathBuf>,
        /// Instead of the public repository: a URL or a folder of the same layout.
        #[arg(long, value_name = "URL|DIR")]
        source: Option<String>,
    },
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

/// The published weights of a name, or what there is.
fn named(name: &str) -> Result<&'static PublishedWeights, String> {
    weights::named(name).map_err(|error| error.to_string())
}

fn list() {
    for entry in &PUBLISHED {
        cli::product(format_args!(
            "{}\t{}\t{}\t--geometry {}\t{}",
            entry.name, entry.what, entry.variant, entry.geometry, entry.licence
        ));
    }
}

fn fetch(
    entry: &'static PublishedWeights,
    out: Option<PathBuf>,
    source: Option<String>,
) -> Result<(), WeightsError> {
    let out = out.unwrap_or_else(|| PathBuf::from(entry.file));
    let fetched = weights::fetch(&WeightsConfig {
        weights: entry,
        out: out.clone(),
        source: source.map(Link::new),
        retry: RetryConfig::default(),
        http: HttpConfig {
            proxies: cli::proxies(),
            ..HttpConfig::default()
        },
    })?;
    cli::news(match fetched {
        Fetched::Unchanged => format!("{}: there already", out.display()),
        Fetched::Written { bytes, resumed: 0 } => format!("{}: {bytes} bytes", out.display()),
        Fetched::Written { bytes, resumed } => {
            format!(
                "{}: {bytes} bytes, {resumed} of them from an attempt before",
                out.display()
            )
        }
    });
    cli::news(format_args!(
        "git blob {}; licence: {}",
        entry.blob, entry.licence
    ));
    cli::news(format_args!(
        "train with --pretrained {} --variant {} --geometry {}",
        out.display(),
        entry.variant,
        entry.geometry
    ));
    Ok(())
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
    artifact::sweep(artifact::parent(&out))?;
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    checkpoint::write(&out, &tensors, &metadata)?;
    cli::news(out.display());
    Ok(())
}

fn main() -> ExitCode {
    let libtorch = format!("libtorch {}", libtorch_version());
    let command = cli::parse_linked::<Args>(&[libtorch]).command;
    match command {
        Command::List => cli::run(None, || {
            list();
            Ok::<(), WeightsError>(())
        }),
        Command::Fetch { name, out, source } => cli::run(None, || fetch(name, out, source)),
        Command::Inspect { file, key } => cli::run(None, || inspect(&file, key.as_deref())),
        Command::Convert { file, key, to, out } => {
            cli::run(None, || convert(&file, key.as_deref(), &to, out))
        }
    }
}
