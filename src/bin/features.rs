//! `incdec-features`: computes what a frozen backbone makes of every clip.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use incdec::features::{self, FeaturesConfig, GivenTransform};
use incdec::model::instructions::libtorch_version;
use incdec::model::{Geometry, Variant};

const EXAMPLE: &str = "\
Examples:
  incdec-features --checkpoint runs/ewc/checkpoints/task-0.safetensors --shards Kinetics/shards \\
    --out Kinetics/features/features.parquet
  incdec-features --checkpoint movinet_a0.pt --variant A0 --geometry tf --shards Kinetics/shards \\
    --out Kinetics/features/kinetics-600.parquet

Called again, it computes what is new or has changed, and drops what is stored no more.";

/// Compute the features of every stored clip by a frozen backbone.
///
/// The table has a row for each clip: its id, its split, the hash of its stored bytes, and the pooled
/// features as a list of fixed size. incdec-train's heads on features (--approach ridge, ranpac, sisa,
/// head-finetune) read it.
#[derive(Parser)]
#[command(name = "incdec-features", version, after_help = cli::after_help(EXAMPLE))]
struct Args {
    /// The file of weights whose backbone is taken (.safetensors, .pt, .pth)
    #[arg(long, value_name = "FILE")]
    checkpoint: PathBuf,
    /// Folder of the frame shards and their index.parquet, or the address of both (s3://, gs://, az://, https://)
    #[arg(long, value_name = "DIR|URL")]
    shards: PathBuf,
    /// The list of withdrawn clips (withdrawn.csv), where there is one: shards that still hold one of them are refused
    #[arg(long, value_name = "FILE")]
    withdrawn: Option<PathBuf>,
    /// The table to write, or to bring up to date (Parquet)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    computing: cli::Computing,
    /// Where another program writes beside the table, wait until it has ended
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    transform: Transform,
    #[command(flatten)]
    store: cli::ShardArgs,
    #[command(flatten)]
    summary: cli::Summary,
}

#[derive(clap::Args)]
#[command(next_help_heading = "For weights whose header does not say it")]
struct Transform {
    /// MoViNet size
    #[arg(long, value_parser = cli::one_of::<Variant>())]
    variant: Option<Variant>,
    /// Padding
    #[arg(long, value_parser = cli::one_of::<Geometry>())]
    geometry: Option<Geometry>,
    /// Frames that a clip enters the model with
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    frames: Option<u16>,
    /// Side that frames are resized to before cropping, in pixels
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u32).range(1..=4096))]
    resize: Option<u32>,
    /// Side of the crop that the model sees, in pixels
    #[arg(long, value_name = "PX", value_parser = clap::value_parser!(u32).range(1..=4096))]
    size: Option<u32>,
}

fn main() -> ExitCode {
    let args = cli::parse_linked::<Args>(&[format!("libtorch {}", libtorch_version())]);
    let summary = args.summary;
    let config = FeaturesConfig {
        transform: GivenTransform {
            variant: args.transform.variant,
            geometry: args.transform.geometry,
            frames: args.transform.frames.map(usize::from),
            resize: args.transform.resize,
            size: args.transform.size,
        },
        withdrawn: args.withdrawn,
        device: args.computing.device,
        workers: args.computing.workers,
        threads: args.computing.threads,
        wait: args.wait.into(),
        ..FeaturesConfig::new(args.checkpoint, args.store.source(args.shards), args.out)
    };
    cli::run(None, || {
        features::run(&config).map(|done| summary.print(done))
    })
}
