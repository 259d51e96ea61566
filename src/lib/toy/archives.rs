//! The archives: each clip drawn, encoded and packed as the official ones are.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::{Compression, GzBuilder};

use super::motion::Scene;
use super::plan::{ToyArchive, ToyClip};
use super::{Layout, ToyConfig, ToyError};
use crate::artifact::{ArtifactError, Draft};
use crate::media::encode::{VideoSpec, write_mp4};
use crate::parallel;
use crate::progress::{Progress, Unit};
use crate::random::stream;

pub(super) fn archive_name(number: usize) -> String {
    format!("k700_train_{:03}.tar.gz", number + 1)
}

/// Makes all archives in `train`, on all cores; each depends on the settings alone.
pub(super) fn write_archives(
    config: &ToyConfig,
    archives: &[ToyArchive],
    clips: usize,
) -> Result<(), ToyError> {
    let progress = Progress::new("making clips", Some(clips as u64), Unit::Count("clips"));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let numbered: Vec<_> = archives.iter().enumerate().collect();
    let written = parallel::try_each(&numbered, threads, |(number, archive)| {
        write_archive(config, *number, archive, &progress)
    });
    progress.finish();
    written.map(drop)
}

fn write_archive(
    config: &ToyConfig,
    number: usize,
    archive: &ToyArchive,
    progress: &Progress,
) -> Result<(), ToyError> {
    let path = config.out.join("train").join(archive_name(number));
    let at = |action| ArtifactError::at(action, &path);
    let mut draft = Draft::new(&path)?;
    // No date and no name in the header: the bytes depend on the members alone.
    let gzip = GzBuilder::new().write(draft.handle()?, Compression::default());
    let mut tar = tar::Builder::new(gzip);
    if config.layout == Layout::Official {
        let name = format!("{}/", archive.class_name);
        tar.append_data(
            &mut header(0, tar::EntryType::Directory),
            name,
            std::io::empty(),
        )
        .map_err(at("write"))?;
    }
    for clip in &archive.clips {
        let bytes = encode(config, clip, &path)?;
        let name = match config.layout {
            Layout::Official => format!("{}/{}", archive.class_name, clip.id.file_name()),
            Layout::Flat => clip.id.file_name(),
        };
        let mut header = header(bytes.len() as u64, tar::EntryType::Regular);
        tar.append_data(&mut header, name, bytes.as_slice())
            .map_err(at("write"))?;
        progress.inc(1);
    }
    tar.into_inner()
        .and_then(flate2::write::GzEncoder::finish)
        .map_err(at("write"))?;
    draft.file().flush().map_err(at("write"))?;
    Ok(draft.publish()?)
}

fn header(size_bytes: u64, kind: tar::EntryType) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size_bytes);
    header.set_mode(if kind == tar::EntryType::Directory {
        0o755
    } else {
        0o644
    });
    header.set_mtime(0);
    header
}

/// Draws and encodes a clip; the muxer needs a file, so one lies beside the archive for that time.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // At most 60 s at 120 fps.
fn encode(config: &ToyConfig, clip: &ToyClip, archive: &Path) -> Result<Vec<u8>, ToyError> {
    let mut rng = stream(config.seed, "toy scene", &[clip.key]);
    let scene = Scene::draw(clip.class, clip.index, clip.count, config.cue, &mut rng);
    let frames = ((config.seconds * f64::from(config.fps)).round() as u32).max(1);
    let spec = VideoSpec {
        width: config.size,
        height: config.size,
        fps: config.fps,
    };
    let draft = Draft::new(&archive.with_extension("mp4"))?;
    write_mp4(
        draft.path(),
        spec,
        (0..frames).map(|t| scene.picture(f64::from(t) / f64::from(config.fps), config.size)),
    )?;
    Ok(fs::read(draft.path()).map_err(ArtifactError::at("read", draft.path()))?)
}
