//! The flags of `incdec-decode` and what they mean to the stage.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use incdec::decode::{
    ClipSettings, DecodeConfig, DecodeError, Fps, MergeConfig, Resample, Retry, Subsampling,
};
use incdec::media::frame_size::{FrameSize, SampleAspect};
use incdec::media::limits::Limits;
use incdec::part::{MAX_PARTS, Part};
use incdec::shard::{self, Codec, ShardError, ShardSource};
use incdec::store::Client;

use crate::cli;

const EXAMPLE: &str = "\
Examples:
  incdec-decode --clips Kinetics/raw --labels Kinetics/Info --out Kinetics/shards
  incdec-decode --clips raw --labels Info --out shards --codec raw --frame-size short:240 \\
    --jobs 8 --max-failed 0.2
  incdec-decode probe clip.mp4 other.avi
  incdec-decode verify Kinetics/shards
  incdec-decode --clips raw --labels Info --out shards --part 0/3
  incdec-decode merge --labels Info --out shards --parts 3
  incdec-decode --clips raw --labels Info --out s3://bucket/shards --work shards --signed

Writes <split>-NNNNN.arrow (a row for each clip) and, last, index.parquet (a row for each labelled clip, also for those that
are missing or cannot be decoded, with the reason and its cause: damaged, or not-decoded for reasons of this machine). Run
again, it decodes only what is new; other settings decode all anew.";

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Decode every frame of single files and print tab-separated values: file, frames, status, reason
    Probe {
        /// Video files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Most seconds that one file may take
        #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().seconds)]
        clip_seconds: u64,
    },
    /// Read all stored clips again and report each that is damaged
    Verify {
        /// Folder of shards
        #[arg(value_name = "DIR")]
        shards: PathBuf,
    },
    /// Make one folder of shards of all parts, as one run without --part would have left it
    Merge(Merge),
    /// Decode what standard input asks for (started by --isolate process)
    #[command(hide = true)]
    Worker,
}

#[derive(Args)]
pub(crate) struct Merge {
    /// Folder of train.csv, validation.csv, test.csv and classes.csv
    #[arg(long, value_name = "DIR")]
    labels: PathBuf,
    /// Folder of the shards, the --out of the parts; or the address that they are published under
    #[arg(long, value_name = "DIR|URL")]
    out: PathBuf,
    /// With an address as --out: the folder of the shards, the --out of the parts
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    #[command(flatten)]
    store: cli::StoreArgs,
    /// How many parts there are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PARTS)))]
    parts: u32,
    /// Share of the labelled clips, 0 to 1, that may be missing or undecodable
    #[arg(long, value_name = "SHARE", default_value_t = DecodeConfig::default().max_failed)]
    max_failed: f64,
    /// Where another program writes into --out or a part, begin when it has ended
    #[arg(long)]
    wait: bool,
    /// Print what it came to as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

impl From<Merge> for MergeConfig {
    fn from(merge: Merge) -> Self {
        Self {
            labels: merge.labels,
            out: merge.out,
            parts: merge.parts,
            max_failed: merge.max_failed,
            wait: merge.wait.into(),
        }
    }
}

/// Decode labelled clips to frames at a steady rate and store them in shards.
// Each is a switch of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
#[derive(Parser)]
#[command(name = "incdec-decode", version, after_help = cli::after_help(EXAMPLE))]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Stage {
    /// Folder of clips: <subcategory>/<clip id>.mp4; any other nesting and extension will do
    #[arg(long, value_name = "DIR")]
    clips: PathBuf,
    /// Folder of frame folders, id_<clip id>/jpgs/image_00001.jpg or <clip id>/img_00001.jpg (jpg or png), also below
    /// <subcategory>, for clips that have no video; taken to be at --fps
    #[arg(long, value_name = "DIR")]
    frame_folders: Option<PathBuf>,
    /// Folder of train.csv, validation.csv, test.csv and classes.csv
    #[arg(long, value_name = "DIR")]
    labels: PathBuf,
    /// Folder of the shards and the index to write; or an address (s3://, gs://, az://) to publish them under, each file
    /// once and the index last
    #[arg(long, value_name = "DIR|URL")]
    out: PathBuf,
    /// With an address as --out: the folder in which the shards are made, and which goes on being used
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Frames per second: a number or a fraction like 30000/1001
    #[arg(long, default_value_t = ClipSettings::default().fps)]
    fps: Fps,
    /// Size of a stored frame in pixels: <width>x<height>, or short:<pixels> to keep the aspect
    #[arg(long, value_name = "SIZE", default_value_t = ClipSettings::default().frame_size)]
    frame_size: FrameSize,
    /// How frames are stored
    #[arg(long, value_parser = cli::one_of::<Codec>(), default_value_t = ClipSettings::default().codec)]
    codec: Codec,
    /// Quality of JPEG frames, 1 to 100
    #[arg(long, default_value_t = ClipSettings::default().quality)]
    quality: u8,
    /// Colour resolution of JPEG frames
    #[arg(long, value_parser = cli::one_of::<Subsampling>(), default_value_t)]
    subsampling: Subsampling,
    /// Most frames of a clip
    #[arg(long, value_name = "N", default_value_t = ClipSettings::default().max_frames)]
    max_frames: u32,
    /// Which frames: the one on display at each instant, or motion-compensated ones [default: display]
    #[arg(long, value_parser = cli::one_of::<Resample>())]
    resample: Option<Resample>,
    /// Settings of the published experiments: twyn2024 is --resample minterpolate
    #[arg(long, value_parser = ["twyn2024"])]
    compat: Option<String>,
    /// Pixels that are not square: take them for square, or keep the aspect of the display (where --frame-size keeps it)
    #[arg(long, value_parser = cli::one_of::<SampleAspect>(), default_value_t)]
    sample_aspect: SampleAspect,
    /// Make whole pictures of the fields of interlaced ones (yadif); the index says which clips are interlaced
    #[arg(long)]
    deinterlace: bool,
    /// Bring videos of high dynamic range (PQ, HLG) to the usual one (zscale, tonemap); the index says which clips they are
    #[arg(long)]
    tone_map: bool,
    /// Workers, each with one decoder [default: the number of processor cores]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Share of the labelled clips, 0 to 1, that may be missing or undecodable
    #[arg(long, value_name = "SHARE", default_value_t = DecodeConfig::default().max_failed)]
    max_failed: f64,
    /// Rows of a label table whose clips share a shard
    #[arg(long, value_name = "N", default_value_t = DecodeConfig::default().clips_per_shard)]
    clips_per_shard: NonZeroU32,
    /// Decode part i of n, i from 0, into <out>/parts/<i>-of-<n>: i/n, auto (what Slurm, AWS Batch or torchrun says) or auto/n
    /// (also Kubernetes); incdec-decode merge joins the parts
    #[arg(long, value_name = "I/N", value_parser = cli::part)]
    part: Option<Part>,
    /// Most seconds that one clip may take; one that takes longer is tried once more alone
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().seconds)]
    clip_seconds: u64,
    /// Try clips again that were not decoded for lack of time, memory or permission
    #[arg(long)]
    retry: bool,
    /// Where another program writes into --out, begin when it has ended
    #[arg(long)]
    wait: bool,
    /// Decode in child processes, one for each worker, so that a decoder that crashes costs one clip only
    #[arg(long, value_parser = ["process"])]
    isolate: Option<String>,
    /// Most memory of a decoder process in MiB (with --isolate process)
    #[arg(long, value_name = "MIB", default_value_t = Limits::default().memory_bytes >> 20)]
    clip_memory_mib: u64,
    #[command(flatten)]
    store: cli::StoreArgs,
    /// Print what it came to as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Where finished shards go.
pub(crate) enum Goal {
    /// They stay in their folder.
    Folder,
    /// They are published from their folder.
    Store { folder: PathBuf, client: Client },
}

impl Goal {
    /// Puts the folder in the place of an address as `out`.
    fn choose(
        out: &mut PathBuf,
        work: Option<&PathBuf>,
        part: Option<Part>,
        store: &cli::StoreArgs,
    ) -> Result<Self, DecodeError> {
        let setting = |setting, reason: &str| DecodeError::Setting {
            setting,
            reason: reason.to_owned(),
        };
        let ShardSource::Store(shards) = ShardSource::named(out.clone()) else {
            return match work {
                None => Ok(Self::Folder),
                Some(_) => Err(setting("--work", "it goes with an address as --out")),
            };
        };
        let no_folder = "an address as --out needs the folder in which the shards are made";
        let folder = work.ok_or_else(|| setting("--work", no_folder))?.clone();
        if part.is_some() {
            let shared = "give the parts a folder that they share as --out, and incdec-decode merge the address, with that folder as --work";
            return Err(setting("--part", shared));
        }
        let client = Client::of(&shards.address, &store.http(), store.retry());
        let client = client.map_err(ShardError::from)?;
        out.clone_from(&folder);
        Ok(Self::Store { folder, client })
    }

    /// Publishes what is to be published.
    pub(crate) fn publish(&self) -> Result<(), DecodeError> {
        let Self::Store { folder, client } = self else {
            return Ok(());
        };
        let published = shard::publish(folder, client)?;
        tracing::info!("{}: {published}", client.source);
        Ok(())
    }
}

impl Merge {
    /// Where the shards go.
    pub(crate) fn goal(&mut self) -> Result<Goal, DecodeError> {
        Goal::choose(&mut self.out, self.work.as_ref(), None, &self.store)
    }
}

impl Stage {
    /// Where the shards go.
    pub(crate) fn goal(&mut self) -> Result<Goal, DecodeError> {
        Goal::choose(&mut self.out, self.work.as_ref(), self.part, &self.store)
    }
}

impl From<Stage> for DecodeConfig {
    fn from(stage: Stage) -> Self {
        let defaults = Self::new(stage.clips, stage.labels, stage.out);
        let seeds = stage.compat.map(|_| Resample::Minterpolate);
        let clip = ClipSettings {
            fps: stage.fps,
            frame_size: stage.frame_size,
            codec: stage.codec,
            quality: stage.quality,
            subsampling: stage.subsampling,
            max_frames: stage.max_frames,
            resample: stage.resample.or(seeds).unwrap_or_default(),
            sample_aspect: stage.sample_aspect,
            deinterlace: stage.deinterlace,
            tone_map: stage.tone_map,
            decode_all: false,
        };
        Self {
            frame_folders: stage.frame_folders,
            clip,
            jobs: stage.jobs.unwrap_or(defaults.jobs),
            max_failed: stage.max_failed,
            clips_per_shard: stage.clips_per_shard,
            part: stage.part,
            limits: Limits {
                seconds: stage.clip_seconds,
                memory_bytes: stage.clip_memory_mib.saturating_mul(1 << 20),
            },
            retry: if stage.retry { Retry::Yes } else { Retry::No },
            wait: stage.wait.into(),
            isolate: stage.isolate.map(|_| {
                // A program whose file cannot be named is looked up in the search path.
                std::env::current_exe().unwrap_or_else(|_| "incdec-decode".into())
            }),
            ..defaults
        }
    }
}
