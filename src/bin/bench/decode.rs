//! `incdec-bench-decode`: the speed of decoding, printed as one JSON line.
//!
//! The work is what other decoders are measured on (`tests/bench/decode.py`): each video of a
//! folder to RGB frames of 200x200 at 5 per second, with one thread.

#[path = "../cli/mod.rs"]
mod cli;
mod clock;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use incdec::artifact::publish;
use incdec::decode::clip::{DecodedClip, decode_video};
use incdec::decode::{ClipSettings, DecodeError};
use incdec::media::{self, limits::Limits};
use incdec::npy;
use incdec::shard::{Codec, ShardError};
use serde::Serialize;
use walkdir::WalkDir;

use clock::cpu_seconds;

/// Extensions of the files that count.
const EXTENSIONS: [&str; 5] = ["mp4", "avi", "mkv", "webm", "mov"];

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

/// The result, with the names of fields that the other decoders' script prints.
#[derive(Clone, Debug, Serialize)]
struct BenchRow {
    /// Who was measured.
    peer: &'static str,
    /// Whether frames were encoded as JPEG.
    jpeg: bool,
    /// Files that gave frames.
    clips: usize,
    /// Files that gave none.
    failed: usize,
    /// Frames.
    frames: usize,
    /// Processor seconds of the best repeat.
    cpu_s: f64,
    /// Clips for each processor second.
    clips_per_cpu_s: f64,
    /// Frames for each processor second.
    frames_per_cpu_s: f64,
}

fn main() -> ExitCode {
    let args = cli::parse_linked::<Args>(&[format!("FFmpeg {}", media::version())]);
    cli::run(None, || {
        // A row is made of numbers and names, which always serialise.
        let print = |row: &_| cli::product(serde_json::to_string(row).unwrap_or_default());
        bench(&args).inspect(print)
    })
}

fn bench(args: &Args) -> Result<BenchRow, DecodeError> {
    let files = files(&args.folder)?;
    let codec = if args.jpeg { Codec::Jpeg } else { Codec::Raw };
    let settings = ClipSettings {
        codec,
        max_frames: u32::MAX,
        decode_all: args.decode_all,
        ..ClipSettings::default()
    };
    let one = |file: &PathBuf| decode_video(file, &settings, Limits::default());
    if let Some(folder) = &args.save {
        let raw = ClipSettings {
            codec: Codec::Raw,
            ..settings.clone()
        };
        for file in &files {
            save(folder, file, &decode_video(file, &raw, Limits::default()))?;
        }
    }
    // The first clip warms up caches and lazily built tables.
    files.first().map(one);
    let mut best: Option<BenchRow> = None;
    for _ in 0..args.repeat.max(1) {
        let start = cpu_seconds();
        let (mut clips, mut frames) = (0, 0);
        for file in &files {
            let clip = one(file);
            clips += usize::from(!clip.frames.is_empty());
            frames += clip.frames.len();
        }
        let row = row(
            args.jpeg,
            clips,
            files.len() - clips,
            frames,
            cpu_seconds() - start,
        );
        best = best.filter(|b| b.cpu_s <= row.cpu_s).or(Some(row));
    }
    best.filter(|b| b.clips > 0)
        .ok_or_else(|| DecodeError::NoClips {
            path: args.folder.clone(),
        })
}

fn row(jpeg: bool, clips: usize, failed: usize, frames: usize, cpu_s: f64) -> BenchRow {
    let rounded = |x: f64, digits: i32| (x * 10f64.powi(digits)).round() / 10f64.powi(digits);
    BenchRow {
        peer: "incdec",
        jpeg,
        clips,
        failed,
        frames,
        cpu_s: rounded(cpu_s, 3),
        clips_per_cpu_s: rounded(clips as f64 / cpu_s, 3),
        frames_per_cpu_s: rounded(frames as f64 / cpu_s, 1),
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, DecodeError> {
    let mut files = Vec::new();
    for entry in WalkDir::new(folder).follow_links(true) {
        let path = entry
            .map_err(|source| DecodeError::Clips {
                path: folder.to_owned(),
                source,
            })?
            .into_path();
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .map(str::to_lowercase);
        if extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str())) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Writes a clip's frames as a numpy array.
fn save(folder: &Path, file: &Path, clip: &DecodedClip) -> Result<(), DecodeError> {
    if clip.frames.is_empty() {
        return Ok(());
    }
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let head = &clip.head;
    let [height, width] = [head.height, head.width].map(|side| side as usize);
    publish(&folder.join(format!("{name}.npy")), |out| {
        let shape = [clip.frames.len(), height, width, 3];
        out.write_all(&npy::header("|u1", &shape))?;
        clip.frames
            .iter()
            .try_for_each(|frame| out.write_all(frame))
    })
    .map_err(|e| ShardError::from(e).into())
}
