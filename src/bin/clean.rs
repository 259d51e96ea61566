//! `incdec-clean`: removes what a stage has made, as far as that is proven.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use incdec::clean::{self, CleanConfig, CleanError, Stage};

const EXAMPLE: &str = "\
Examples:
  incdec-clean decode Kinetics/shards --dry-run
  incdec-clean download Kinetics --clips Kinetics/raw
  incdec-clean train Kinetics/runs/decremental-ewc-seed-0

What goes is what a ledger, an index or a run's record proves to be the stage's own work, by name and hash. Files that were
adopted, have changed or are nobody's stay, and are counted.";

/// Remove what a stage has made, and nothing else.
#[derive(Parser)]
#[command(name = "incdec-clean", version, after_help = cli::after_help(EXAMPLE))]
struct Args {
    /// The stage whose work goes
    #[arg(value_parser = cli::one_of::<Stage>())]
    stage: Stage,
    /// The folder of its record: of the ledger, the shards, the table of clips, the tasks (or one
    /// above), the run
    folder: PathBuf,
    /// With download: the folder of the clips [default: raw in FOLDER]
    #[arg(long, value_name = "DIR")]
    clips: Option<PathBuf>,
    /// List what would be removed; remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Where another program works in the folder, wait until it has ended
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    summary: cli::Summary,
}

impl From<Args> for CleanConfig {
    fn from(args: Args) -> Self {
        Self {
            stage: args.stage,
            folder: args.folder,
            clips: args.clips,
            dry_run: args.dry_run,
            wait: args.wait.into(),
        }
    }
}

fn run(config: &CleanConfig, shown: cli::Summary) -> Result<(), CleanError> {
    let summary = clean::run(config)?;
    if config.dry_run {
        shown.print_product(&summary);
    } else {
        shown.print(&summary);
    }
    Ok(())
}

fn main() -> ExitCode {
    let args = cli::parse::<Args>();
    let summary = args.summary;
    let config = CleanConfig::from(args);
    cli::run(None, || run(&config, summary))
}
