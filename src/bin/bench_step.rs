//! `incdec-bench-step`: what a training step and an evaluation of the model cost in processor time and memory.

mod cli;

use std::process::ExitCode;

use clap::Parser;
use incdec::model::{ModelPath, Precision, Variant};
use incdec::train::DeviceChoice;
use incdec::train::step_bench::{self, StepBenchConfig};

const EXAMPLE: &str = "\
Example:
  incdec-bench-step --variant A0 --batch 1 --frames 50 --size 172 --steps 3 --threads 1";

/// Times a training step (forward, backward, Adam) and an evaluation of `MoViNet` on clips from a formula and prints one
/// line of JSON, with the fields of the Python peer: the least of the timed rounds, seconds a clip.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = cli::after_help(EXAMPLE)
)]
struct Args {
    /// Which architecture: A0 to A5.
    #[arg(long, value_parser = cli::one_of::<Variant>(), default_value = "A0")]
    variant: Variant,
    /// Clips in a step.
    #[arg(long, default_value_t = 1)]
    batch: i64,
    /// Frames of a clip.
    #[arg(long, default_value_t = 50)]
    frames: i64,
    /// Height and width of a frame, pixels.
    #[arg(long, default_value_t = 172)]
    size: i64,
    /// Timed rounds of each, behind an untimed one.
    #[arg(long, default_value_t = 3)]
    steps: u32,
    /// Threads of libtorch.
    #[arg(long, default_value_t = 1)]
    threads: i32,
    /// Compute in bfloat16 where the processor has instructions for it.
    #[arg(long)]
    bf16: bool,
    /// Where to compute: auto, cpu or cuda:N.
    #[arg(long, default_value_t = DeviceChoice::Cpu)]
    device: DeviceChoice,
    /// How to compute: fast (fused operators where they apply), frames (stock operators on frames as pictures) or reference.
    #[arg(long, value_parser = cli::one_of::<ModelPath>(), default_value_t)]
    model_path: ModelPath,
    /// Keep only each block's input for the backward pass.
    #[arg(long)]
    checkpoint_blocks: bool,
}

fn main() -> ExitCode {
    let args = cli::parse::<Args>();
    let config = StepBenchConfig {
        variant: args.variant,
        batch: args.batch,
        frames: args.frames,
        size: args.size,
        steps: args.steps,
        threads: args.threads,
        precision: if args.bf16 {
            Precision::Bf16
        } else {
            Precision::F32
        },
        device: args.device,
        model_path: args.model_path,
        checkpoint_blocks: args.checkpoint_blocks,
    };
    cli::run(None, || {
        step_bench::run(&config).inspect(|report| cli::product(report.to_json()))
    })
}
