//! `incdec-bench-load`: how fast the loader is, in the fields of its Python peers.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use incdec::data::LoaderConfig;
use incdec::data::bench::{self, LoadBenchConfig};

const EXAMPLE: &str = "\
Example:
  incdec-bench load --availability Kinetics/tasks/decremental/seed-0 --shards Kinetics/shards --batch 4 --workers 2";

/// Measures how fast clips are loaded from shards into batches.
///
/// Prints one line of JSON: clips per second of processor time and per second, for normalised float32 batches and for the
/// bytes alone (`_u8`), beside a plain memory copy of the same bytes (`_copy`).
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = cli::after_help(EXAMPLE)
)]
struct Args {
    /// Folder with availability.parquet.
    #[arg(long, value_name = "DIR")]
    availability: PathBuf,
    /// Folder with the frame shards and index.parquet.
    #[arg(long, value_name = "DIR")]
    shards: PathBuf,
    /// Task whose clips are loaded, all splits.
    #[arg(long, default_value_t = 0)]
    task: i32,
    /// Clips per batch.
    #[arg(long, default_value_t = 4)]
    batch: usize,
    /// Threads that load ahead; 0 loads in the main thread.
    #[arg(long, default_value_t = 0)]
    workers: usize,
    /// Finished batches that wait, per worker.
    #[arg(long, default_value_t = 2)]
    queue_depth: usize,
    /// Frames per clip.
    #[arg(long, default_value_t = 50)]
    frames: usize,
    /// Side of the resized frame, in pixels.
    #[arg(long, default_value_t = 200)]
    resize: usize,
    /// Side of the crop, in pixels.
    #[arg(long, default_value_t = 172)]
    size: usize,
    /// Epochs timed; the fastest counts.
    #[arg(long, default_value_t = 2)]
    epochs: usize,
    /// Also write the clips here as folders of JPEG files, `id_<clip>/jpgs/image_00001.jpg`, for the peers.
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = cli::parse::<Args>();
    let config = LoadBenchConfig {
        availability: args.availability,
        shards: args.shards,
        task: args.task,
        loader: LoaderConfig {
            batch_size: args.batch,
            frames: args.frames,
            resize: args.resize,
            crop: args.size,
            workers: args.workers,
            queue_depth: args.queue_depth,
            ..LoaderConfig::default()
        },
        epochs: args.epochs,
        export: args.export,
    };
    cli::run(None, || {
        bench::run(&config).inspect(|figures| cli::product(serde_json::json!(figures)))
    })
}
