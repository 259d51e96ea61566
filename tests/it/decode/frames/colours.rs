//! Colours and sizes, beside an antialiased resize in floating point.

use std::path::Path;

use super::super::files::{Rgb, full_size_by_ffmpeg, pictures_by_ffmpeg, sound_files};
use super::{SMALL, decode, raw};

/// An RGB picture in floating point: width, height, 3 values a pixel.
pub(super) type Exact = (usize, usize, Vec<f64>);

/// What PIL's bilinear filter makes of a picture, in floating point, from the filter's definition.
fn antialiased((width, height, rgb): &Exact, (to_width, to_height): (usize, usize)) -> Vec<f64> {
    let weights = |from: usize, to: usize| -> Vec<Vec<(usize, f64)>> {
        let scale = from as f64 / to as f64;
        let support = scale.max(1.0);
        let of = |i: usize| {
            let centre = (i as f64 + 0.5) * scale;
            let weight = |x: usize| (1.0 - (x as f64 + 0.5 - centre).abs() / support).max(0.0);
            let sum: f64 = (0..from).map(weight).sum();
            let some = (0..from).filter(|&x| weight(x) > 0.0);
            some.map(|x| (x, weight(x) / sum)).collect()
        };
        (0..to).map(of).collect()
    };
    let (columns, rows) = (weights(*width, to_width), weights(*height, to_height));
    let mut out = Vec::new();
    for row in &rows {
        for column in &columns {
            for channel in 0..3 {
                let mut sum = 0.0;
                for (y, a) in row {
                    for (x, b) in column {
                        sum += a * b * rgb[(y * width + x) * 3 + channel];
                    }
                }
                out.push(sum);
            }
        }
    }
    out
}

/// How far frames are from the antialiased reference: mean difference in levels, and PSNR in dB as the mean over frames.
pub(super) fn distance(frames: &[Vec<u8>], reference: &[Exact]) -> (f64, f64) {
    let (mut difference, mut psnr) = (0.0, 0.0);
    for (frame, reference) in frames.iter().zip(reference) {
        let exact = antialiased(reference, (64, 48));
        let errors: Vec<f64> = frame
            .iter()
            .zip(&exact)
            .map(|(a, b)| f64::from(*a) - b)
            .collect();
        let mean =
            |of: fn(f64) -> f64| errors.iter().copied().map(of).sum::<f64>() / errors.len() as f64;
        difference += mean(f64::abs) / frames.len() as f64;
        psnr += 10.0 * (255.0 * 255.0 / mean(|e| e * e)).log10() / frames.len() as f64;
    }
    (difference, psnr)
}

/// The command line's frames at their own size. Its instants are counted from the container's start and ours from the first
/// frame (see the sampler); where these differ the first frame is moved to the start.
pub(super) fn reference(file: &Path) -> Vec<Exact> {
    let exact = |frames: Vec<Rgb>| -> Vec<Exact> {
        let levels = |rgb: Vec<u8>| rgb.into_iter().map(f64::from).collect();
        frames
            .into_iter()
            .map(|(w, h, rgb)| (w, h, levels(rgb)))
            .collect()
    };
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    if let Some((_, layout)) = DEFINED.iter().find(|(defined, _)| *defined == name) {
        return by_definition(file, layout);
    }
    if name == "size_change.h264" {
        // It would bring all frames to the first one's size; so each part is decoded for itself.
        let part = |name| exact(full_size_by_ffmpeg(&file.with_file_name(name), ""));
        return [part("no_times.h264"), part("small.h264")].concat();
    }
    let starts_late = ["no_pts.avi", "packed.avi", "no_times.avi"].contains(&name.as_str());
    let filters = if starts_late {
        "setpts=PTS-STARTPTS,"
    } else {
        ""
    };
    exact(full_size_by_ffmpeg(file, filters))
}

/// How a file keeps its colours.
struct Layout {
    size: (usize, usize),
    /// Columns and rows of pixels that a chroma sample covers.
    shares: (usize, usize),
    ten_bits: bool,
    /// The shares of red and blue in luma.
    weights: (f64, f64),
}

/// BT.601's weights.
const BT601: (f64, f64) = (0.299, 0.114);

/// Files for which libswscale interpolates chroma or leaves some out. Their reference is made from the planes themselves.
const DEFINED: [(&str, Layout); 5] = [
    (
        "ten_bit.mp4",
        Layout {
            size: (96, 64),
            shares: (2, 2),
            ten_bits: true,
            weights: BT601,
        },
    ),
    (
        "ten_bit_2020.mp4",
        Layout {
            size: (96, 64),
            shares: (2, 2),
            ten_bits: true,
            weights: (0.2627, 0.0593),
        },
    ),
    (
        "full_chroma.mp4",
        Layout {
            size: (96, 64),
            shares: (1, 1),
            ten_bits: false,
            weights: BT601,
        },
    ),
    (
        "half_chroma.mp4",
        Layout {
            size: (96, 64),
            shares: (2, 1),
            ten_bits: false,
            weights: BT601,
        },
    ),
    (
        "odd.webm",
        Layout {
            size: (97, 65),
            shares: (2, 2),
            ten_bits: false,
            weights: BT601,
        },
    ),
];

/// Every fifth frame of the command line's planes as RGB, by the standards' definition of limited range.
fn by_definition(file: &Path, layout: &Layout) -> Vec<Exact> {
    let (width, height) = layout.size;
    let (wide, high) = layout.shares;
    let (kr, kb) = layout.weights;
    let bytes = pictures_by_ffmpeg(file);
    let samples: Vec<f64> = if layout.ten_bits {
        let words = bytes
            .chunks_exact(2)
            .map(|b| u16::from_ne_bytes([b[0], b[1]]));
        words.map(|w| f64::from(w) / 4.0).collect()
    } else {
        bytes.into_iter().map(f64::from).collect()
    };
    let (chroma_width, chroma_height) = (width.div_ceil(wide), height.div_ceil(high));
    let chroma_size = chroma_width * chroma_height;
    let picture = |planes: &[f64]| {
        let (luma, chroma) = planes.split_at(width * height);
        let mut rgb = Vec::new();
        for (row, column) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let at = row / high * chroma_width + column / wide;
            let y = (luma[row * width + column] - 16.0) / 219.0;
            let (u, v) = (
                (chroma[at] - 128.0) / 224.0,
                (chroma[chroma_size + at] - 128.0) / 224.0,
            );
            let (red, blue) = (y + 2.0 * (1.0 - kr) * v, y + 2.0 * (1.0 - kb) * u);
            let green = (y - kr * red - kb * blue) / (1.0 - kr - kb);
            rgb.extend([red, green, blue].map(|level| level * 255.0));
        }
        (width, height, rgb)
    };
    let length = width * height + 2 * chroma_size;
    samples
        .chunks_exact(length)
        .step_by(5)
        .map(picture)
        .collect()
}

#[test]
fn colours_and_sizes_are_those_of_an_antialiased_reference() {
    let folder = tempfile::tempdir().unwrap();
    for file in sound_files(folder.path()) {
        let ours = decode(&file, &raw(SMALL)).frames;
        let theirs = reference(&file);
        assert_eq!(ours.len(), theirs.len(), "{}", file.display());
        let (levels, psnr) = distance(&ours, &theirs);
        eprintln!("{}: {levels:.2} levels, {psnr:.1} dB", file.display());
        assert!(
            levels < 1.0 && psnr > 44.0,
            "{}: {levels:.2} levels, {psnr:.1} dB",
            file.display()
        );
    }
}
