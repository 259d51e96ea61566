//! The cost of a training step and of an evaluation, on weights and clips from the formula of [`super::fill`].

use std::time::Instant;

use serde::Serialize;
use tch::nn::{Adam, OptimizerConfig, VarStore};
use tch::{Cuda, Device, Kind, Reduction, Tensor};

use super::{ModelConfig, ModelPath, Movinet, Variant, fill};
use crate::hint::Hint;

/// Adam's rate and weight decay: they cost the same whatever their values.
const LEARNING_RATE: f64 = 1e-4;
const WEIGHT_DECAY: f64 = 5e-4;
/// Outputs of the head.
const CLASSES: i64 = 5;

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum StepBenchError {
    /// The device's name is unknown or the device is absent.
    #[error("device {0:?} is not there")]
    Device(String),
    /// The processor has no instructions for bfloat16.
    #[error(
        "bfloat16 would be slower than 32-bit floats here: this processor has neither avx512_bf16 nor amx_bf16, and the \
         fused operators compute in 32-bit and 64-bit floats"
    )]
    Bf16,
    /// libtorch failed.
    #[error(transparent)]
    Torch(#[from] tch::TchError),
    /// The system does not tell processor times.
    #[error("read /proc/self: {0}")]
    Usage(#[from] std::io::Error),
}

impl Hint for StepBenchError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Device(_) => {
                Some("use --device cpu, or cuda:N with a wheel of PyTorch that has CUDA".into())
            }
            Self::Bf16 => Some("leave --bf16 out".into()),
            Self::Torch(_) | Self::Usage(_) => None,
        }
    }
}

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
    /// Compute in bfloat16.
    pub bf16: bool,
    /// `cpu` or `cuda:N`.
    pub device: String,
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
    #[allow(clippy::cast_precision_loss)] // Seconds and nanoseconds of a process fit the mantissa.
    let seconds = time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9;
    seconds
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

fn device_of(name: &str) -> Result<Device, StepBenchError> {
    let unknown = || StepBenchError::Device(name.into());
    match name.strip_prefix("cuda") {
        None if name == "cpu" => Ok(Device::Cpu),
        Some(rest) if Cuda::is_available() => {
            let index = rest
                .strip_prefix(':')
                .unwrap_or("0")
                .parse()
                .map_err(|_| unknown())?;
            Ok(Device::Cuda(index))
        }
        _ => Err(unknown()),
    }
}

/// The least processor and wall seconds of `rounds` calls, behind an untimed one.
fn clock(
    rounds: u32,
    device: Device,
    mut round: impl FnMut() -> Result<(), tch::TchError>,
) -> Result<[f64; 2], StepBenchError> {
    round()?;
    let mut least = [f64::INFINITY; 2];
    for _ in 0..rounds {
        let (cpu, wall) = (cpu_seconds(), Instant::now());
        round()?;
        if let Device::Cuda(index) = device {
            Cuda::synchronize(i64::try_from(index).unwrap_or(0));
        }
        least[0] = least[0].min(cpu_seconds() - cpu);
        least[1] = least[1].min(wall.elapsed().as_secs_f64());
    }
    Ok(least)
}

/// Measures.
///
/// # Errors
/// When the device is absent, bfloat16 is asked for where it does not pay, or libtorch fails.
pub fn run(config: &StepBenchConfig) -> Result<StepReport, StepBenchError> {
    let device = device_of(&config.device)?;
    if config.bf16 {
        return Err(StepBenchError::Bf16);
    }
    tch::set_num_threads(config.threads);
    let store = VarStore::new(device);
    let model = Movinet::new(
        &store.root(),
        &ModelConfig {
            variant: config.variant,
            classes: CLASSES,
            path: config.model_path,
            checkpoint_blocks: config.checkpoint_blocks,
            ..ModelConfig::default()
        },
    );
    fill::fill(&store, 0);
    let shape = [config.batch, 3, config.frames, config.size, config.size];
    let clips = fill::input("bench", &shape).to_device(device);
    let labels = Tensor::arange(config.batch, (Kind::Int64, device)).remainder(CLASSES);
    let targets = labels.one_hot(CLASSES).to_kind(Kind::Float);
    let mut adam = Adam::default()
        .wd(WEIGHT_DECAY)
        .build(&store, LEARNING_RATE)?;
    let train = clock(config.steps, device, || {
        let logits = model.forward_t(&clips, true).logits;
        let loss = logits.f_binary_cross_entropy_with_logits::<Tensor>(
            &targets,
            None,
            None,
            Reduction::Mean,
        )?;
        loss.f_backward()?;
        adam.step();
        adam.zero_grad();
        Ok(())
    })?;
    let evaluate = clock(config.steps, device, || {
        tch::no_grad(|| drop(model.forward_t(&clips, false)));
        Ok(())
    })?;
    #[allow(clippy::cast_precision_loss)] // A batch is small.
    let a_clip = |seconds: f64| (seconds / config.batch as f64 * 1e4).round() / 1e4;
    Ok(StepReport {
        peer: "incdec",
        variant: config.variant.to_string(),
        batch: config.batch,
        frames: config.frames,
        size: config.size,
        steps: config.steps,
        threads: config.threads,
        bf16: config.bf16,
        device: config.device.clone(),
        model_path: config.model_path.to_string(),
        checkpoint_blocks: config.checkpoint_blocks,
        train_cpu_s_per_clip: a_clip(train[0]),
        train_wall_s_per_clip: a_clip(train[1]),
        eval_cpu_s_per_clip: a_clip(evaluate[0]),
        eval_wall_s_per_clip: a_clip(evaluate[1]),
        peak_rss_bytes: peak_rss_bytes()?,
    })
}
