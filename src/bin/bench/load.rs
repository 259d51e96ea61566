//! `incdec-bench-load`: how fast batches are loaded, in the measure and on the work of the Python
//! peers.
//!
//! Clips per second of processor time, all threads of the process together, of the fastest of a few
//! epochs; the epoch that comes first and brings the shards into memory is not counted.

#[path = "../cli/mod.rs"]
mod cli;
mod clock;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use incdec::artifact::{self, ArtifactError};
use incdec::clip::Split;
use incdec::data::{
    Augment, Batches, DataError, Dataset, Lists, LoaderConfig, Normaliser, Sample, StreamKeys,
    memory, sampler,
};
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::model::instructions::libtorch_version;
use incdec::shard::{Codec, ShardError, Shards};
use incdec::tables::{Availability, AvailabilityError, AvailabilityRow};
use serde::Serialize;
use tch::{Device, Kind, Tensor};

use clock::cpu_seconds;

/// JPEG quality of exported frames that are stored raw.
const EXPORT_QUALITY: i32 = 90;

const EXAMPLE: &str = "\
Example:
  incdec-bench load --availability Kinetics/tasks/decremental/seed-0 --shards Kinetics/shards --batch 4 --workers 2";

/// Measures how fast clips are loaded from shards into batches.
///
/// Prints one line of JSON: clips per second of processor time and per second, for normalised
/// float32 batches and for the bytes alone (`_u8`), beside a plain memory copy of the same bytes
/// (`_copy`).
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = cli::after_help(EXAMPLE)
)]
struct Args {
    /// Folder with availability.parquet.
    #[arg(long, value_name = "DIR")]
    availability: PathBuf,
    /// Folder with the frame shards and index.parquet, or the address of both (s3://, gs://, az://, https://).
    #[arg(long, value_name = "DIR|URL")]
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
    /// Also write the clips here as folders of JPEG files, `id_<clip>/jpgs/image_00001.jpg`, for
    /// the peers.
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
    #[command(flatten)]
    store: cli::ShardArgs,
}

/// What was measured: the peers' fields, and ours.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct LoadFigures {
    /// Whose figures these are.
    peer: &'static str,
    /// Worker threads.
    workers: usize,
    /// Clips loaded per epoch.
    clips: usize,
    /// Normalised float32 batches: clips per second of processor time.
    clips_per_cpu_s: f64,
    /// Normalised float32 batches: clips per second.
    clips_per_s: f64,
    /// The u8 batches alone: clips per second of processor time.
    clips_per_cpu_s_u8: f64,
    /// The u8 batches alone: clips per second.
    clips_per_s_u8: f64,
    /// A plain copy of the u8 batches' bytes into new memory of the same kind: clips per second of
    /// processor time.
    clips_per_cpu_s_copy: f64,
    /// What share of the plain copy's rate the u8 batches reach.
    u8_to_copy: f64,
    /// How the frames are stored.
    codec: String,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
enum LoadBenchError {
    /// The shards cannot be read.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// The availability table cannot be read.
    #[error(transparent)]
    Availability(#[from] AvailabilityError),
    /// The clips cannot be loaded.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An exported file cannot be written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A stored frame cannot be encoded for the export.
    #[error("encode a frame of {clip_id}: {source}")]
    Encode {
        /// The clip.
        clip_id: String,
        /// What the encoder says.
        #[source]
        source: turbojpeg::Error,
    },
    /// No clip to load.
    #[error("task {task} of {} has no usable clip", path.display())]
    NoClips {
        /// The task.
        task: i32,
        /// The availability table.
        path: PathBuf,
    },
}

impl Hint for LoadBenchError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Shard(e) => e.hint(),
            Self::Availability(e) => e.hint(),
            Self::Data(e) => e.hint(),
            Self::Artifact(e) => e.hint(),
            Self::Encode { .. } => None,
            Self::NoClips { .. } => Some("choose another --task, or run `make tasks`".to_owned()),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Shard(e) => e.exit(),
            Self::Availability(e) => e.exit(),
            Self::Data(e) => e.exit(),
            Self::Artifact(e) => e.exit(),
            Self::Encode { .. } | Self::NoClips { .. } => Exit::Failed,
        }
    }
}

fn main() -> ExitCode {
    let args = cli::parse_linked::<Args>(&[format!("libtorch {}", libtorch_version())]);
    cli::run(None, || {
        bench(&args).inspect(|figures| cli::product(serde_json::json!(figures)))
    })
}

/// Loads all usable clips of a task, a few epochs of them, and says how fast that was.
fn bench(args: &Args) -> Result<LoadFigures, LoadBenchError> {
    // As the peers: one torch thread, so that processor time is the loader's.
    tch::set_num_threads(1);
    let shards = Arc::new(Shards::at(&args.store.source(args.shards.clone()))?);
    let path = args.availability.join(AvailabilityRow::FILE);
    let rows = Availability::read(&path)?.rows;
    let mut lists = Lists::join(&rows, shards.index())?;
    let mut samples = Vec::new();
    for split in Split::ALL {
        samples.extend(lists.take(args.task, split).samples);
    }
    let Some(first) = samples.first() else {
        return Err(LoadBenchError::NoClips {
            task: args.task,
            path,
        });
    };
    let codec = shards.clip(&first.shard, first.shard_row)?.head.codec;
    if let Some(folder) = &args.export {
        export(&shards, &samples, folder)?;
    }
    let dataset = Arc::new(Dataset::new(shards, samples));
    let loader = LoaderConfig {
        batch_size: args.batch,
        frames: args.frames,
        resize: args.resize,
        crop: args.size,
        workers: args.workers,
        queue_depth: args.queue_depth,
        augment: Augment::PerClip,
        ..LoaderConfig::default()
    };
    let mut normaliser = Normaliser::default();
    let floats = fastest(args.epochs, |epoch| {
        load(&dataset, &loader, epoch, |clips| {
            // As the training loop does: the memory of a batch serves the next one.
            let normalised = normaliser.apply(&clips, Device::Cpu);
            normaliser.recycle(normalised);
        })
    })?;
    let bytes = fastest(args.epochs, |epoch| load(&dataset, &loader, epoch, drop))?;
    let mut loaded = Vec::new();
    load(&dataset, &loader, 0, |clips| loaded.push(clips))?;
    let copied = fastest(args.epochs, |_| {
        for clips in &loaded {
            memory::empty(&clips.size(), Kind::Uint8).copy_(clips);
        }
        Ok(())
    })?;
    let rate = |seconds: f64| (dataset.len() as f64 / seconds * 100.0).round() / 100.0;
    Ok(LoadFigures {
        peer: "incdec",
        workers: loader.workers,
        clips: dataset.len(),
        clips_per_cpu_s: rate(floats.cpu_s),
        clips_per_s: rate(floats.wall_s),
        clips_per_cpu_s_u8: rate(bytes.cpu_s),
        clips_per_s_u8: rate(bytes.wall_s),
        clips_per_cpu_s_copy: rate(copied.cpu_s),
        u8_to_copy: (copied.cpu_s / bytes.cpu_s * 1000.0).round() / 1000.0,
        codec: codec.to_string(),
    })
}

/// What an epoch took.
#[derive(Clone, Copy, Debug)]
struct Time {
    cpu_s: f64,
    wall_s: f64,
}

impl Time {
    /// The time that `work` takes, with the processor time of all threads.
    fn of<T>(work: impl FnOnce() -> T) -> (T, Self) {
        let (cpu, wall) = (cpu_seconds(), Instant::now());
        let result = work();
        let time = Self {
            cpu_s: cpu_seconds() - cpu,
            wall_s: wall.elapsed().as_secs_f64(),
        };
        (result, time)
    }
}

/// The fastest of `epochs` calls of `work` with their numbers, after one (0) that does not count.
fn fastest(
    epochs: usize,
    mut work: impl FnMut(u64) -> Result<(), DataError>,
) -> Result<Time, DataError> {
    let mut best = Time {
        cpu_s: f64::INFINITY,
        wall_s: f64::INFINITY,
    };
    for epoch in 0..=epochs as u64 {
        let (result, time) = Time::of(|| work(epoch));
        result?;
        if epoch > 0 && time.cpu_s < best.cpu_s {
            best = time;
        }
    }
    Ok(best)
}

/// Loads an epoch in random order; the clips of each batch go to `consume`.
fn load(
    dataset: &Arc<Dataset>,
    config: &LoaderConfig,
    epoch: u64,
    mut consume: impl FnMut(Tensor),
) -> Result<(), DataError> {
    let keys = StreamKeys { task: 0, epoch };
    let order = sampler::balanced(dataset.len(), config.seed, keys);
    Batches::start(dataset, order, keys, config, 0)
        .try_for_each(|batch| batch.map(|batch| consume(batch.clips)))
}

/// Writes each clip as `<folder>/id_<clip>/jpgs/image_00001.jpg`, ..., the seed's layout: JPEG
/// frames as they are stored.
fn export(shards: &Shards, samples: &[Sample], folder: &Path) -> Result<(), LoadBenchError> {
    for sample in samples {
        let clip = shards.clip(&sample.shard, sample.shard_row)?;
        let images = folder.join(format!("id_{}", sample.clip_id)).join("jpgs");
        for (i, frame) in clip.frames().iter().enumerate() {
            let encoded;
            let bytes: &[u8] = match clip.head.codec {
                Codec::Jpeg => frame,
                Codec::Raw => {
                    encoded = encode(frame, clip.head.height as usize, clip.head.width as usize)
                        .map_err(|source| LoadBenchError::Encode {
                            clip_id: sample.clip_id.clone(),
                            source,
                        })?;
                    &encoded
                }
            };
            let path = images.join(format!("image_{:05}.jpg", i + 1));
            artifact::publish(&path, |file| file.write_all(bytes))?;
        }
    }
    Ok(())
}

fn encode(frame: &[u8], height: usize, width: usize) -> Result<Vec<u8>, turbojpeg::Error> {
    let image = turbojpeg::Image {
        pixels: frame,
        width,
        pitch: width * 3,
        height,
        format: turbojpeg::PixelFormat::RGB,
    };
    let jpeg = turbojpeg::compress(image, EXPORT_QUALITY, turbojpeg::Subsamp::Sub2x2)?;
    Ok(jpeg.to_vec())
}
