//! `incdec-bench-decode`: the speed of decoding, printed as one JSON line.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use incdec::decode::{self, BenchConfig};

const EXAMPLE: &str = "\
Example:
  incdec-bench decode clips/raw --repeat 3 --jpeg

Every video of the folder becomes RGB frames of 200x200 at 5 per second, with one thread; files that cannot be decoded do not
count. Prints one JSON line with the fields of the other decoders' script: clips, failed, frames, cpu_s, clips_per_cpu_s,
frames_per_cpu_s.";

/// Measure decoding: clips and frames for each second of processor time.
#[derive(Parser)]
#[command(name = "incdec-bench-decode", version, after_help = cli::after_help(EXAMPLE))]
struct Args {
    /// Folder of videos, searched with its subfolders
    folder: PathBuf,
    /// How often all videos are decoded; the best counts
    #[arg(long, value_name = "N", default_value_t = 3)]
    repeat: usize,
    /// Also encode each frame as JPEG, quality 90
    #[arg(long)]
    jpeg: bool,
    /// First write each clip's frames to DIR/<name>.npy, uint8 [frames, 200, 200, 3]
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Decode also the frames that nobody wants, to compare
    #[arg(long)]
    decode_all: bool,
}

impl From<Args> for BenchConfig {
    fn from(args: Args) -> Self {
        Self {
            folder: args.folder,
            repeat: args.repeat,
            jpeg: args.jpeg,
            save: args.save,
            decode_all: args.decode_all,
        }
    }
}

fn main() -> ExitCode {
    let config = cli::parse::<Args>().into();
    cli::run(None, || {
        // A row is made of numbers and names, which always serialise.
        let print = |row: &_| cli::product(serde_json::to_string(row).unwrap_or_default());
        decode::bench(&config).inspect(print)
    })
}
