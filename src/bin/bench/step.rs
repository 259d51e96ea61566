//! `incdec-bench-step`: what a training step and an evaluation of the model cost in processor time
//! and memory, on weights and clips from the formula of [`fill`]: the learner, the loss and the
//! optimizer that a run uses.

#[path = "../cli/mod.rs"]
mod cli;
mod clock;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use incdec::artifact::ArtifactError;
use incdec::model::instructions::{libtorch_version, peak_gpu_bytes};
use incdec::model::{Mode, ModelConfig, ModelPath, Precision, Variant, fill};
use incdec::train::device::synchronize;
use incdec::train::learner::{Learner, movinet};
use incdec::train::optimizer::Optimizer;
use incdec::train::settings::{CriterionName, OptimizerName};
use incdec::train::{DeviceChoice, TrainError};
use serde::Serialize;
use tch::{Device, Kind, Tensor, no_grad};

use clock::cpu_seconds;

/// Adam's rate and weight decay: they cost the same whatever their values.
const LEARNING_RATE: f64 = 1e-4;
const WEIGHT_DECAY: f64 = 5e-4;
/// Outputs of the head.
const CLASSES: i64 = 5;

const EXAMPLE: &str = "\
Example:
  incdec-bench-step --variant A0 --batch 1 --frames 50 --size 172 --steps 3 --threads 1";

/// Times a training step (forward, backward, Adam) and an evaluation of `MoViNet` on clips from a
/// formula and prints one line of JSON, with the fields of the Python peer: the least of the timed
/// rounds, seconds a clip.
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
    /// Timed rounds of each, after an untimed one.
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
    /// How to compute: fast (fused operators where they apply), frames (stock operators on frames
    /// as pictures) or reference.
    #[arg(long, value_parser = cli::one_of::<ModelPath>(), default_value_t)]
    model_path: ModelPath,
    /// Keep only each block's input for the backward pass.
    #[arg(long)]
    checkpoint_blocks: bool,
}

/// What was measured, under the peer's names; times are the least of the rounds, seconds a clip.
#[derive(Debug, Serialize)]
struct StepReport {
    peer: &'static str,
    variant: String,
    batch: i64,
    frames: i64,
    size: i64,
    steps: u32,
    threads: i32,
    bf16: bool,
    device: String,
    model_path: String,
    checkpoint_blocks: bool,
    train_cpu_s_per_clip: f64,
    train_wall_s_per_clip: f64,
    eval_cpu_s_per_clip: f64,
    eval_wall_s_per_clip: f64,
    peak_rss_bytes: u64,
    /// Of the GPU's memory, what tensors held; absent on the processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_gpu_bytes: Option<u64>,
}

fn main() -> ExitCode {
    let args = cli::parse_linked::<Args>(&[format!("libtorch {}", libtorch_version())]);
    cli::run(None, || {
        bench(&args).inspect(|report| cli::product(serde_json::json!(report)))
    })
}

/// The largest resident memory of this process so far, bytes.
fn peak_rss_bytes() -> Result<u64, ArtifactError> {
    let path = Path::new("/proc/self/status");
    let status = std::fs::read_to_string(path).map_err(ArtifactError::at("read", path))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|n| n.parse::<u64>().ok());
    let absent = || ArtifactError::at("read", path)(std::io::Error::other("it has no VmHWM"));
    kilobytes.map(|k| k * 1024).ok_or_else(absent)
}

/// The least processor and wall seconds of `rounds` calls, after an untimed one.
fn clock(
    rounds: u32,
    device: Device,
    mut round: impl FnMut() -> Result<(), TrainError>,
) -> Result<[f64; 2], TrainError> {
    round()?;
    synchronize(device);
    let mut least = [f64::INFINITY; 2];
    for _ in 0..rounds {
        let (cpu, wall) = (cpu_seconds(), Instant::now());
        round()?;
        synchronize(device);
        least[0] = least[0].min(cpu_seconds() - cpu);
        least[1] = least[1].min(wall.elapsed().as_secs_f64());
    }
    Ok(least)
}

fn bench(args: &Args) -> Result<StepReport, TrainError> {
    let precision = if args.bf16 {
        Precision::Bf16
    } else {
        Precision::F32
    };
    let device = args.device.find_for(precision)?;
    tch::set_num_threads(args.threads);
    let model = movinet(ModelConfig {
        variant: args.variant,
        classes: CLASSES,
        path: args.model_path,
        precision,
        checkpoint_blocks: args.checkpoint_blocks,
        ..ModelConfig::default()
    });
    let learner = Learner::new(model, device, CriterionName::Multilabel);
    fill::fill(learner.store(), 0);
    let shape = [args.batch, 3, args.frames, args.size, args.size];
    let clips = fill::input("bench", &shape).to_device(device);
    let labels = Tensor::arange(args.batch, (Kind::Int64, device)).remainder(CLASSES);
    let parameters = learner
        .trainable_head()
        .chain(learner.trainable_backbone())
        .map(|(_, tensor)| tensor.shallow_clone())
        .collect();
    let mut optimizer = Optimizer::new(OptimizerName::Adam, WEIGHT_DECAY, vec![parameters]);
    let train = clock(args.steps, device, || {
        let output = learner.forward(&clips, Mode::Train);
        let loss = learner.criterion().loss(&output.logits, &labels);
        loss.f_backward()?;
        optimizer.step(&[LEARNING_RATE]);
        optimizer.zero_grad();
        Ok(())
    })?;
    let evaluate = clock(args.steps, device, || {
        no_grad(|| drop(learner.forward(&clips, Mode::Evaluate)));
        Ok(())
    })?;
    let a_clip = |seconds: f64| (seconds / args.batch as f64 * 1e6).round() / 1e6;
    Ok(StepReport {
        peer: "incdec",
        variant: args.variant.to_string(),
        batch: args.batch,
        frames: args.frames,
        size: args.size,
        steps: args.steps,
        threads: args.threads,
        bf16: args.bf16,
        device: args.device.to_string(),
        model_path: args.model_path.to_string(),
        checkpoint_blocks: args.checkpoint_blocks,
        train_cpu_s_per_clip: a_clip(train[0]),
        train_wall_s_per_clip: a_clip(train[1]),
        eval_cpu_s_per_clip: a_clip(evaluate[0]),
        eval_wall_s_per_clip: a_clip(evaluate[1]),
        peak_rss_bytes: peak_rss_bytes()?,
        peak_gpu_bytes: match device {
            Device::Cuda(index) => peak_gpu_bytes(index),
            _ => None,
        },
    })
}
