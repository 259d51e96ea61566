//! The flags of `incdec-predict` and what they mean.

use std::path::PathBuf;

use clap::Parser;
use incdec::decode::{ClipSettings, Fps, Resample, Subsampling};
use incdec::media::frame_size::{FrameSize, SampleAspect};
use incdec::media::limits::Limits;
use incdec::model::device::DeviceChoice;
use incdec::model::{CriterionName, Geometry, Variant};
use incdec::predict::{GivenDecoding, GivenNetwork, NetworkSettings, PredictConfig};
use incdec::shard::Codec;

use crate::cli;

const EXAMPLE: &str = "\
Examples:
  incdec-predict --checkpoint Kinetics/runs/decremental-ewc-seed-0 holiday.mp4 party.mov
  incdec-predict --checkpoint runs/lwf/checkpoints/task-2.safetensors --every 10 --json film.mkv
  incdec-predict --checkpoint cleaned_checkpoint_sgd.pt --variant A0 --geometry seed --fps 5 \\
    --categories food,phone,smoking,fatigue,selfcare clip.mp4

Prints a line for each clip of each video: where it begins, how many frames it has, the likeliest category and the
probability of each. A video that cannot be decoded is named, the others go on, and the exit status is 1.";

/// Apply a checkpoint to videos: the probability of each category.
///
/// Videos are decoded, cropped and normalised as the clips that the checkpoint was trained on:
/// checkpoints of incdec-train say how. The flags under "For weights from elsewhere" are for files
/// that do not say it; what is taken for them is logged.
#[derive(Parser)]
#[command(name = "incdec-predict", version, after_help = cli::after_help(EXAMPLE))]
pub(crate) struct Args {
    /// A run directory of incdec-train, or a file of weights (.safetensors, .pt, .pth)
    #[arg(long, value_name = "RUN|FILE")]
    checkpoint: PathBuf,
    /// The task of the run whose weights are taken, from 0 [default: the last that is done]
    #[arg(long, value_name = "N")]
    task: Option<usize>,
    /// Videos
    #[arg(required = true, value_name = "VIDEO")]
    videos: Vec<PathBuf>,
    /// Take a clip every so many seconds of a video instead of the first alone
    #[arg(long, value_name = "SECONDS")]
    every: Option<f64>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Where to compute: auto, cpu or cuda:N
    #[arg(long, default_value_t)]
    device: DeviceChoice,
    /// Threads of a tensor operation [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Most seconds that decoding one video may take
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().seconds)]
    clip_seconds: u64,
    #[command(flatten)]
    elsewhere: Elsewhere,
}

#[derive(clap::Args)]
#[command(next_help_heading = "For weights from elsewhere")]
struct Elsewhere {
    #[arg(long, help = default("Frames per second", ClipSettings::default().fps))]
    fps: Option<Fps>,
    #[arg(long, value_name = "SIZE", help = default("Size of a decoded frame: <width>x<height> or short:<pixels>", ClipSettings::default().frame_size))]
    frame_size: Option<FrameSize>,
    #[arg(long, value_parser = cli::one_of::<Codec>(), help = default("How frames were stored for training", ClipSettings::default().codec))]
    codec: Option<Codec>,
    #[arg(long, help = default("Quality of JPEG frames, 1 to 100", ClipSettings::default().quality))]
    quality: Option<u8>,
    #[arg(long, value_parser = cli::one_of::<Subsampling>(), help = default("Colour resolution of JPEG frames", Subsampling::default()))]
    subsampling: Option<Subsampling>,
    #[arg(long, value_name = "N", help = default("Most frames of a clip", ClipSettings::default().max_frames))]
    max_frames: Option<u32>,
    #[arg(long, value_parser = cli::one_of::<Resample>(), help = default("Which frames", Resample::default()))]
    resample: Option<Resample>,
    #[arg(long, value_parser = cli::one_of::<SampleAspect>(), help = default("Pixels that are not square", SampleAspect::default()))]
    sample_aspect: Option<SampleAspect>,
    #[arg(long, value_parser = cli::one_of::<Variant>(), help = default("MoViNet size", NetworkSettings::default().transform.variant))]
    variant: Option<Variant>,
    #[arg(long, value_parser = cli::one_of::<Geometry>(), help = default("Padding", NetworkSettings::default().transform.geometry))]
    geometry: Option<Geometry>,
    #[arg(long, value_name = "N", help = default("Frames that the model takes; shorter clips are repeated", NetworkSettings::default().transform.frames))]
    frames: Option<usize>,
    #[arg(long, value_name = "PX", help = default("Side that frames are resized to before cropping, in pixels", NetworkSettings::default().transform.resize))]
    resize: Option<u32>,
    #[arg(long, value_name = "PX", help = default("Side of the crop that the model sees, in pixels", NetworkSettings::default().transform.size))]
    size: Option<u32>,
    #[arg(long, value_parser = cli::one_of::<CriterionName>(), help = default("What the probabilities are: a sigmoid each or a softmax", NetworkSettings::default().criterion))]
    criterion: Option<CriterionName>,
    /// Names of the categories in class order [default: their numbers]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    categories: Option<Vec<String>>,
}

/// A help text with what is taken where neither the checkpoint nor the flag says anything.
fn default(text: &str, value: impl std::fmt::Display) -> String {
    format!("{text} [default: {value}]")
}

impl From<Args> for PredictConfig {
    fn from(args: Args) -> Self {
        let given = args.elsewhere;
        Self {
            checkpoint: args.checkpoint,
            task: args.task,
            videos: args.videos,
            every: args.every,
            decoding: GivenDecoding {
                fps: given.fps,
                frame_size: given.frame_size,
                codec: given.codec,
                quality: given.quality,
                subsampling: given.subsampling,
                max_frames: given.max_frames,
                resample: given.resample,
                sample_aspect: given.sample_aspect,
            },
            network: GivenNetwork {
                variant: given.variant,
                geometry: given.geometry,
                frames: given.frames,
                resize: given.resize,
                size: given.size,
                criterion: given.criterion,
            },
            categories: given.categories,
            device: args.device,
            threads: args.threads,
            limits: Limits {
                seconds: args.clip_seconds,
                ..Limits::default()
            },
        }
    }
}
