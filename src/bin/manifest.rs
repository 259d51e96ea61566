//! `incdec-manifest`: joins label tables and shards into `clips.parquet`, and audits them.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use incdec::manifest::{self, DEFAULT_LISTED, ManifestConfig};

const EXAMPLE: &str = "\
Example:
  incdec-manifest --labels Kinetics/Info --shards Kinetics/shards \\
    --out Kinetics/manifests/clips.parquet

Prints how many clips of each split, category and subcategory have frames, and an audit: missing and failed clips,
groups (YouTube ids, persons, customers) that occur in several splits or subcategories, clips that overlap in time. Findings change nothing: the data
are used as published.";

/// Join the label tables with the frame shards into one table of clips, and audit it.
#[derive(Parser)]
#[command(name = "incdec-manifest", version, after_help = cli::after_help(EXAMPLE))]
struct Args {
    /// Folder of classes.csv, train.csv, validation.csv and test.csv
    #[arg(long, value_name = "DIR")]
    labels: PathBuf,
    /// Folder of the frame shards with their index.parquet
    #[arg(long, value_name = "DIR")]
    shards: PathBuf,
    /// The table to write (Parquet)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How many findings of each kind are listed; the rest is counted
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LISTED)]
    list: usize,
    #[command(flatten)]
    summary: cli::Summary,
}

fn main() -> ExitCode {
    let args = cli::parse::<Args>();
    let summary = args.summary;
    let config = ManifestConfig {
        labels: args.labels,
        shards: args.shards,
        out: args.out,
        listed: args.list,
    };
    cli::run(None, || {
        manifest::run(&config).map(|done| summary.print(done))
    })
}
