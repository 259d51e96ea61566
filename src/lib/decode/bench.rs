//! The speed of decoding, on the work that other decoders are measured on: each video of a folder to RGB frames of 200x200 at
//! 5 per second, with one thread.
//!
//! `tests/bench/decode.py` runs it beside the other decoders. Nearly all of the time is libavcodec's: in a profile of the 24 clips that
//! the peers are measured on it was 83 %, resizing and conversion 11 %, before their kernels were made twice as fast.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use walkdir::WalkDir;

use super::clip::{DecodedClip, decode_video};
use super::{ClipSettings, DecodeError};
use crate::artifact::{ArtifactError, publish};
use crate::media::limits::Limits;
use crate::shard::{Codec, ShardError};

/// Extensions of the files that count.
const EXTENSIONS: [&str; 5] = ["mp4", "avi", "mkv", "webm", "mov"];

/// What is measured.
#[derive(Clone, Debug)]
pub struct BenchConfig {
    /// The folder of videos.
    pub folder: PathBuf,
    /// How often all of them are decoded; the best counts.
    pub repeat: usize,
    /// Whether frames are encoded as JPEG, too.
    pub jpeg: bool,
    /// A folder to write each clip's frames to, `<name>.npy` of shape `[frames, height, width, 3]`, before measuring.
    pub save: Option<PathBuf>,
    /// Whether frames that nobody wants are decoded all the same.
    pub decode_all: bool,
}

/// The result, with the names of fields that the other decoders' script prints.
#[derive(Clone, Debug, Serialize)]
pub struct BenchRow {
    /// Who was measured.
    pub peer: &'static str,
    /// Whether frames were encoded as JPEG.
    pub jpeg: bool,
    /// Files that gave frames.
    pub clips: usize,
    /// Files that gave none.
    pub failed: usize,
    /// Frames.
    pub frames: usize,
    /// Processor seconds of the best repeat.
    pub cpu_s: f64,
    /// Clips for each processor second.
    pub clips_per_cpu_s: f64,
    /// Frames for each processor second.
    pub frames_per_cpu_s: f64,
}

/// Runs the benchmark.
///
/// # Errors
/// When the folder cannot be listed, holds nothing that can be decoded, or frames cannot be saved.
pub fn bench(config: &BenchConfig) -> Result<BenchRow, DecodeError> {
    let files = files(&config.folder)?;
    let codec = if config.jpeg { Codec::Jpeg } else { Codec::Raw };
    let settings = ClipSettings {
        codec,
        max_frames: u32::MAX,
        decode_all: config.decode_all,
        ..ClipSettings::default()
    };
    let one = |file: &PathBuf| decode_video(file, &settings, Limits::default());
    if let Some(folder) = &config.save {
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
    for _ in 0..config.repeat.max(1) {
        let start = cpu_seconds();
        let (mut clips, mut frames) = (0, 0);
        for file in &files {
            let clip = one(file);
            clips += usize::from(!clip.frames.is_empty());
            frames += clip.frames.len();
        }
        let row = row(
            config.jpeg,
            clips,
            files.len() - clips,
            frames,
            cpu_seconds() - start,
        );
        best = best.filter(|b| b.cpu_s <= row.cpu_s).or(Some(row));
    }
    best.filter(|b| b.clips > 0)
        .ok_or_else(|| DecodeError::NoClips {
            path: config.folder.clone(),
        })
}

#[allow(clippy::cast_precision_loss)] // Counts, far below 2^52.
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

/// Writes frames as a numpy array (format 1.0: a 6-byte magic, version, header length, header padded to 64 bytes).
fn save(folder: &Path, file: &Path, clip: &DecodedClip) -> Result<(), DecodeError> {
    if clip.frames.is_empty() {
        return Ok(());
    }
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let header = format!(
        "{{'descr': '|u1', 'fortran_order': False, 'shape': ({}, {}, {}, 3), }}",
        clip.frames.len(),
        clip.head.height,
        clip.head.width
    );
    let padded = (header.len() + 11).next_multiple_of(64) - 10;
    fs::create_dir_all(folder)
        .map_err(ArtifactError::at("create folder", folder))
        .map_err(ShardError::from)?;
    publish(&folder.join(format!("{name}.npy")), |out| {
        out.write_all(b"\x93NUMPY\x01\x00")?;
        out.write_all(&u16::try_from(padded).unwrap_or(u16::MAX).to_le_bytes())?;
        writeln!(out, "{header:width$}", width = padded - 1)?;
        clip.frames
            .iter()
            .try_for_each(|frame| out.write_all(frame))
    })
    .map_err(|e| ShardError::from(e).into())
}

/// Processor time of this process, user and system, in seconds.
#[allow(clippy::cast_precision_loss)] // Seconds and nanoseconds of a run.
fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 * 1e-9
}
