//! Clips that exist only as a folder of frames, JPEG or PNG, as the seed keeps them
//! (`jpgs/image_00001.jpg`) or other tools do (`img_00001.jpg`, `frame_00001.png`, `00001.jpg`),
//! already at the wanted frame rate.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{InnerPixel, U8x3};
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use turbojpeg::{Decompressor, PixelFormat};

use super::ClipSettings;
use super::clip::{DecodedClip, FrameEncoder};
use super::trouble::Trouble;
use crate::media::frame_size::output_side;
use crate::media::limits::{Deadline, MAX_PIXELS};
use crate::media::orientation::Orientation;
use crate::media::scale::Scaler;
use crate::media::video::Video;
use crate::shard::{Codec, SourceFacts};

/// Largest JPEG frame that is read, in bytes.
const MAX_FRAME_BYTES: u64 = 64 << 20;
/// Most scans of a progressive JPEG: each takes as long as a picture, and a small file can hold
/// millions.
const MAX_SCANS: u32 = 500;

/// What stands before the number of a frame, the first that a folder has counts: one may hold the
/// optical flow beside the frames.
const PREFIXES: [&str; 5] = ["image_", "img_", "frame_", "frame", ""];
/// The endings of frames in lower case; of each prefix the first that a folder has counts.
const ENDINGS: [&str; 3] = ["jpg", "jpeg", "png"];
/// What a PNG file begins with.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The frames of a folder, `<prefix><number>.<ending>`, in the order of their numbers.
pub(super) fn frame_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<(usize, u64, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter_map(|path| {
            let (kind, number) = kind_and_number(&path)?;
            Some((kind, number, path))
        })
        .collect();
    let first = files.iter().map(|(kind, ..)| *kind).min();
    files.retain(|(kind, ..)| Some(*kind) == first);
    files.sort();
    files.into_iter().map(|(.., path)| path).collect()
}

/// Where prefix and ending stand among those that frames have, and the frame's number.
fn kind_and_number(path: &Path) -> Option<(usize, u64)> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    let ending = ENDINGS.iter().position(|e| *e == ending)?;
    let stem = path.file_stem()?.to_str()?;
    let prefix = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = stem[prefix.len()..].parse().ok()?;
    let prefix = PREFIXES.iter().position(|p| *p == prefix)?;
    Some((prefix * ENDINGS.len() + ending, number))
}

/// The clip of a frame folder. A JPEG that already has the wanted size is kept as it is.
pub(super) fn decode_folder(
    folder: &Path,
    settings: &ClipSettings,
    deadline: Deadline,
) -> DecodedClip {
    let files = frame_files(folder);
    let mut source = SourceFacts {
        fps: Some(settings.fps.value()),
        codec: Some("frames".to_owned()),
        frames_expected: i64::try_from(files.len()).ok(),
        ..SourceFacts::default()
    };
    let mut reader = match FrameReader::new(settings) {
        Ok(reader) => reader,
        Err(reason) => return DecodedClip::failed(settings, source, Trouble::Damaged(reason)),
    };
    let mut hasher = blake3::Hasher::new();
    let mut frames = Vec::new();
    let mut damage = None;
    for file in files.iter().take(settings.max_frames as usize) {
        let frame = read_in_time(file, deadline).and_then(|bytes| {
            hasher.update(&bytes);
            if bytes.starts_with(PNG) {
                return reader.png(file, deadline);
            }
            Ok(reader.frame(bytes)?)
        });
        match frame {
            Ok(frame) => {
                source.frames_decoded += 1;
                frames.push(frame);
            }
            Err(Trouble::Damaged(reason)) => {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                damage.get_or_insert(format!("{name}: {reason}"));
            }
            Err(machine) => return DecodedClip::failed(settings, source, machine),
        }
    }
    source.frames_decoded +=
        i64::try_from(files.len().saturating_sub(settings.max_frames as usize)).unwrap_or(0);
    source.blake3 = Some(hasher.finalize().to_hex().to_string());
    match reader.size {
        Some(size) if !frames.is_empty() => {
            DecodedClip::with_frames(settings, frames, size, source, damage)
        }
        _ => {
            let reason = damage.unwrap_or_else(|| "the folder has no frames".into());
            DecodedClip::failed(settings, source, Trouble::Damaged(reason))
        }
    }
}

/// The hash that [`decode_folder`] gives the folder.
pub(super) fn hash_folder(
    folder: &Path,
    settings: &ClipSettings,
    deadline: Deadline,
) -> Result<String, Trouble> {
    let mut hasher = blake3::Hasher::new();
    for file in frame_files(folder)
        .iter()
        .take(settings.max_frames as usize)
    {
        match read_in_time(file, deadline) {
            Ok(bytes) => hasher.update(&bytes),
            // One that is no frame counts for nothing there, either.
            Err(Trouble::Damaged(_)) => &mut hasher,
            Err(machine) => return Err(machine),
        };
    }
    Ok(hasher.finalize().to_hex().to_string())
}

fn read_in_time(file: &Path, deadline: Deadline) -> Result<Vec<u8>, Trouble> {
    deadline.check()?;
    let refused = |e: io::Error| Trouble::Refused(e.to_string());
    if file.metadata().map_err(refused)?.len() > MAX_FRAME_BYTES {
        return Err(Trouble::Damaged(format!(
            "larger than {MAX_FRAME_BYTES} bytes"
        )));
    }
    fs::read(file).map_err(refused)
}

/// Turns the pictures of one clip into stored frames, all of the size that the first one gives.
struct FrameReader<'a> {
    settings: &'a ClipSettings,
    jpeg: Decompressor,
    png: Scaler,
    encoder: FrameEncoder,
    size: Option<(u32, u32)>,
}

impl<'a> FrameReader<'a> {
    fn new(settings: &'a ClipSettings) -> Result<Self, String> {
        let mut jpeg = Decompressor::new().map_err(|e| e.to_string())?;
        jpeg.set_scan_limit(MAX_SCANS).map_err(|e| e.to_string())?;
        Ok(Self {
            settings,
            jpeg,
            png: Scaler::new(
                settings.frame_size,
                settings.sample_aspect,
                Orientation::default(),
            ),
            encoder: FrameEncoder::new(settings)?,
            size: None,
        })
    }

    /// The frame of a PNG file.
    fn png(&mut self, file: &Path, deadline: Deadline) -> Result<Vec<u8>, Trouble> {
        let mut video = Video::open_until(file, deadline)?;
        let shown = video.next_frame(None)?;
        let picture = shown
            .ok_or_else(|| "no picture could be decoded".to_owned())?
            .picture;
        let rgb = self.png.rgb(&picture)?;
        let (width, height) = *self
            .size
            .get_or_insert(self.png.output().unwrap_or_default());
        if rgb.len() != width as usize * height as usize * 3 {
            return Err("it has another size than the frames before"
                .to_owned()
                .into());
        }
        Ok(self.encoder.encode(rgb, width, height)?)
    }

    fn frame(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        let header = self.jpeg.read_header(&bytes).map_err(|e| e.to_string())?;
        let side = |n: usize| u32::try_from(n).map_err(|e| e.to_string());
        let (width, height) = (side(header.width)?, side(header.height)?);
        // The header may promise anything: no memory is taken for more than a picture may have.
        if u64::from(width) * u64::from(height) > u64::from(MAX_PIXELS) {
            return Err(format!(
                "{width} x {height} pixels, more than the {MAX_PIXELS} that a picture may have"
            ));
        }
        let mut rgb = vec![0; header.width * header.height * 3];
        let image = turbojpeg::Image {
            pixels: rgb.as_mut_slice(),
            width: header.width,
            pitch: header.width * 3,
            height: header.height,
            format: PixelFormat::RGB,
        };
        self.jpeg
            .decompress(&bytes, image)
            .map_err(|e| e.to_string())?;
        let wanted = *self.size.get_or_insert_with(|| {
            output_side(
                self.settings.frame_size,
                f64::from(width),
                f64::from(height),
            )
        });
        if wanted == (width, height) && self.settings.codec == Codec::Jpeg {
            return Ok(bytes);
        }
        let rgb = resize_rgb(&rgb, (width, height), wanted)?;
        self.encoder.encode(rgb, wanted.0, wanted.1)
    }
}

/// An RGB picture in another size, by the filter that videos are resized with.
fn resize_rgb(rgb: &[u8], size: (u32, u32), wanted: (u32, u32)) -> Result<Vec<u8>, String> {
    let mut resized = vec![0; wanted.0 as usize * wanted.1 as usize * U8x3::size()];
    // Of all kinds of pixels that there are, this one alone is compiled.
    let source = TypedImageRef::<U8x3>::from_buffer(size.0, size.1, rgb);
    let source = source.map_err(|e| e.to_string())?;
    let target = TypedImage::<U8x3>::from_buffer(wanted.0, wanted.1, &mut resized);
    let mut target = target.map_err(|e| e.to_string())?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new()
        .resize_typed(&source, &mut target, &options)
        .map_err(|e| e.to_string())?;
    drop(target);
    Ok(resized)
}
