//! The flags of `incdec-manifest` and what they mean to the stage.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use incdec::manifest::{DEFAULT_LISTED, ManifestConfig};
use incdec::part::{MAX_PARTS, Part};

use crate::cli;

const EXAMPLE: &str = "\
Examples:
  incdec-manifest --labels Kinetics/Info --shards Kinetics/shards \\
    --out Kinetics/manifests/clips.parquet
  incdec-manifest --labels Info --shards shards --out manifests/clips.parquet --part 0/3
  incdec-manifest merge --labels Info --shards shards --out manifests/clips.parquet --parts 3

Prints how many clips of each split, category and subcategory have frames, and an audit: missing and failed clips,
groups (YouTube ids, persons, customers) that occur in several splits or subcategories, clips that overlap in time. Findings change nothing: the data
are used as published.";

/// Join the label tables with the frame shards into one table of clips, and audit it.
#[derive(Parser)]
#[command(name = "incdec-manifest", version, after_help = cli::after_help(EXAMPLE))]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Stage {
    #[command(flatten)]
    pub(crate) inputs: Inputs,
    /// Look into part i of n of the shards, i from 0, and leave what was found in manifest-parts/<i>-of-<n> beside --out: i/n,
    /// auto (what Slurm, AWS Batch or torchrun says) or auto/n (also Kubernetes); incdec-manifest merge joins the parts
    #[arg(long, value_name = "I/N", value_parser = cli::part)]
    pub(crate) part: Option<Part>,
    /// Where another program works on the part or beside --out, begin when it has ended
    #[arg(long, requires = "part")]
    pub(crate) wait: bool,
}

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Write the table of what all parts have found, as one run without --part would have
    Merge(Merge),
}

#[derive(Args)]
pub(crate) struct Merge {
    #[command(flatten)]
    pub(crate) inputs: Inputs,
    /// How many parts there are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PARTS)))]
    pub(crate) parts: u32,
    /// Where another program works on a part or beside --out, begin when it has ended
    #[arg(long)]
    pub(crate) wait: bool,
}

/// What is joined, and where to.
#[derive(Args)]
pub(crate) struct Inputs {
    /// Folder of classes.csv, train.csv, validation.csv and test.csv
    #[arg(long, value_name = "DIR")]
    labels: PathBuf,
    /// Folder of the frame shards with their index.parquet, or the address of both (s3://, gs://, az://, https://)
    #[arg(long, value_name = "DIR|URL")]
    shards: PathBuf,
    /// The table to write (Parquet)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How many findings of each kind are listed; the rest is counted
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LISTED)]
    list: usize,
    #[command(flatten)]
    store: cli::ShardArgs,
    #[command(flatten)]
    pub(crate) summary: cli::Summary,
}

impl From<Inputs> for ManifestConfig {
    fn from(inputs: Inputs) -> Self {
        Self {
            labels: inputs.labels,
            shards: inputs.store.source(inputs.shards),
            out: inputs.out,
            listed: inputs.list,
        }
    }
}
