//! The cost of a training step and of an evaluation, on weights and clips from the formula of [`fill`]: the learner, the
//! loss and the optimizer that a run uses.

use std::time::Instant;

use serde::Serialize;
use tch::{Device, Kind, Tensor, no_grad};

use super::TrainError;
use super::device::{DeviceChoice, synchronize};
use super::learner::{Learner, movinet};
use super::optimizer::Optimizer;
use super::settings::{CriterionName, OptimizerName};
use crate::model::{Mode, ModelConfig, ModelPath, Precision, Variant, fill};

/// Adam's rate and weight decay: they cost the same whatever their values.
const LEARNING_RATE: f64 = 1e-4;
const WEIGHT_DECAY: f64 = 5e-4;
/// Outputs of the head.
const CLASSES: i64 = 5;

/// What to measure.
#[derive(Debug, Clone)]
pub struct StepBenchConfig {
    /// The architecture.
    pub variant: Variant,
    /// Clips in a step.
    pub batch: i64,
    /// Frames of a clip.
    pub frames: i64,
    /// Height and width, pixels.
    pub size: i64,
    /// Timed rounds, behind an untimed one.
    pub steps: u32,
    /// Threads of libtorch.
    pub threads: i32,
    /// The floats that are computed in.
    pub precision: Precision,
    /// Where to compute.
    pub device: DeviceChoice,
    /// How to compute.
    pub model_path: ModelPath,
    /// Keep only each block's input for the backward pass.
    pub checkpoint_blocks: bool,
}

/// What was measured, under the peer's names; times are the least of the rounds, seconds a clip.
#[derive(Debug, Serialize)]
pub struct StepReport {
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
}

impl StepReport {
    /// One line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::json!(self).to_string()
    }
}

/// Processor seconds of this process so far, user and system, all threads.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// The largest resident memory of this process so far, bytes.
fn peak_rss_bytes() -> std::io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|n| n.parse::<u64>().ok());
    kilobytes
        .map(|k| k * 1024)
        .ok_or_else(|| std::io::Error::other("status has no VmHWM"))
}

/// The least processor and wall seconds of `rounds` calls, behind an untimed one.
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

/// Measures.
///
/// # Errors
/// When the device is absent, bfloat16 is asked for where it does not pay, or libtorch fails.
pub fn run(config: &StepBenchConfig) -> Result<StepReport, TrainError> {
    let device = config.device.find_for(config.precision)?;
    tch::set_num_threads(config.threads);
    let model = movinet(ModelConfig {
        variant: config.variant,
        classes: CLASSES,
        path: config.model_path,
        precision: config.precision,
        checkpoint_blocks: config.checkpoint_blocks,
        ..ModelConfig::default()
    });
    let learner = Learner::new(model, device, CriterionName::Multilabel);
    fill::fill(learner.store(), 0);
    let shape = [config.batch, 3, config.frames, config.size, config.size];
    let clips = fill::input("bench", &shape).to_device(device);
    let labels = Tensor::arange(config.batch, (Kind::Int64, device)).remainder(CLASSES);
    let parameters = learner
        .trainable_head()
        .chain(learner.trainable_backbone())
        .map(|(_, tensor)| tensor.shallow_clone())
        .collect();
    let mut optimizer = Optimizer::new(OptimizerName::Adam, WEIGHT_DECAY, vec![parameters]);
    let train = clock(config.steps, device, || {
        let output = learner.forward(&clips, Mode::Train);
        let loss = learner.criterion().loss(&output.logits, &labels);
        loss.f_backward()?;
        optimizer.step(&[LEARNING_RATE]);
        optimizer.zero_grad();
        Ok(())
    })?;
    let evaluate = clock(config.steps, device, || {
        no_grad(|| drop(learner.forward(&clips, Mode::Evaluate)));
        Ok(())
    })?;
    let a_clip = |seconds: f64| (seconds / config.batch as f64 * 1e4).round() / 1e4;
    Ok(StepReport {
        peer: "incdec",
        variant: config.variant.to_string(),
        batch: config.batch,
        frames: config.frames,
        size: config.size,
        steps: config.steps,
        threads: config.threads,
        bf16: config.precision == Precision::Bf16,
        device: config.device.to_string(),
        model_path: config.model_path.to_string(),
        checkpoint_blocks: config.checkpoint_blocks,
        train_cpu_s_per_clip: a_clip(train[0]),
        train_wall_s_per_clip: a_clip(train[1]),
        eval_cpu_s_per_clip: a_clip(evaluate[0]),
        eval_wall_s_per_clip: a_clip(evaluate[1]),
        peak_rss_bytes: peak_rss_bytes().map_err(TrainError::Usage)?,
    })
}
