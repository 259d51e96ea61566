//! Clips that exist only as a folder of JPEG frames, as the seed keeps them: `jpgs/image_00001.jpg`, already at the wanted
//! frame rate.

use std::fs;
use std::path::{Path, PathBuf};

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::ClipSettings;
use super::clip::{DecodedClip, FrameEncoder};
use crate::media::frame_size::output_side;
use crate::shard::{Codec, SourceFacts};
use crate::stage_tables::ClipStatus;

/// Largest JPEG frame that is read, in bytes.
const MAX_FRAME_BYTES: u64 = 64 << 20;

/// The frames `image_<number>.jpg` of a folder in the order of their numbers.
pub(super) fn frame_files(folder: &Path) -> Vec<PathBuf> {
    let number = |path: &PathBuf| -> Option<u64> {
        path.file_name()?
            .to_str()?
            .strip_prefix("image_")?
            .strip_suffix(".jpg")?
            .parse()
            .ok()
    };
    let mut files: Vec<(u64, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter_map(|path| Some((number(&path)?, path)))
        .collect();
    files.sort();
    files.into_iter().map(|(_, path)| path).collect()
}

/// The clip of a frame folder. A JPEG that already has the wanted size is kept as it is.
pub(super) fn decode_folder(folder: &Path, settings: &ClipSettings) -> DecodedClip {
    let files = frame_files(folder);
    let mut source = SourceFacts {
        fps: Some(settings.fps.value()),
        codec: Some("frames".to_owned()),
        frames_expected: i64::try_from(files.len()).ok(),
        ..SourceFacts::default()
    };
    let mut hasher = blake3::Hasher::new();
    let mut encoder = match FrameEncoder::new(settings) {
        Ok(encoder) => encoder,
        Err(reason) => return DecodedClip::failed(source, reason),
    };
    let mut size = None;
    let mut frames = Vec::new();
    let mut damage = None;
    for file in files.iter().take(settings.max_frames as usize) {
        match read_frame(file, settings, &mut encoder, &mut size, &mut hasher) {
            Ok(frame) => {
                source.frames_decoded += 1;
                frames.push(frame);
            }
            Err(reason) => {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                damage.get_or_insert(format!("{name}: {reason}"));
            }
        }
    }
    source.frames_decoded +=
        i64::try_from(files.len().saturating_sub(settings.max_frames as usize)).unwrap_or(0);
    source.blake3 = Some(hasher.finalize().to_hex().to_string());
    let Some((width, height)) = size.filter(|_| !frames.is_empty()) else {
        return DecodedClip::failed(
            source,
            damage.unwrap_or_else(|| "the folder has no frames".into()),
        );
    };
    let status = if damage.is_some() {
        ClipStatus::Partial
    } else {
        ClipStatus::Ok
    };
    DecodedClip {
        frames,
        width,
        height,
        source,
        status,
        error: damage,
    }
}

fn read_frame(
    file: &Path,
    settings: &ClipSettings,
    encoder: &mut FrameEncoder,
    size: &mut Option<(u32, u32)>,
    hasher: &mut blake3::Hasher,
) -> Result<Vec<u8>, String> {
    if file.metadata().map_err(|e| e.to_string())?.len() > MAX_FRAME_BYTES {
        return Err(format!("larger than {MAX_FRAME_BYTES} bytes"));
    }
    let bytes = fs::read(file).map_err(|e| e.to_string())?;
    hasher.update(&bytes);
    let image =
        turbojpeg::decompress(&bytes, turbojpeg::PixelFormat::RGB).map_err(|e| e.to_string())?;
    let side = |n: usize| u32::try_from(n).map_err(|e| e.to_string());
    let (width, height) = (side(image.width)?, side(image.height)?);
    let wanted = *size.get_or_insert_with(|| {
        output_side(settings.frame_size, f64::from(width), f64::from(height))
    });
    if wanted == (width, height) && settings.codec == Codec::Jpeg {
        return Ok(bytes);
    }
    let rgb = resize_rgb(&image.pixels, (width, height), wanted)?;
    encoder.encode(rgb, wanted.0, wanted.1)
}

/// An RGB picture in another size, by the filter that videos are resized with.
fn resize_rgb(rgb: &[u8], size: (u32, u32), wanted: (u32, u32)) -> Result<Vec<u8>, String> {
    let source = ImageRef::new(size.0, size.1, rgb, PixelType::U8x3).map_err(|e| e.to_string())?;
    let mut target = Image::new(wanted.0, wanted.1, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    Resizer::new()
        .resize(&source, &mut target, &options)
        .map_err(|e| e.to_string())?;
    Ok(target.into_vec())
}
