//! The resize of one plane: the antialiased triangle filter, which is what PIL calls bilinear.
//!
//! First the rows are blended, which reads the source once or twice from front to back, then the
//! result is transposed and its rows, which were columns, are blended by the same code. Samples are
//! held in 1/256 of an 8-bit level all the way. Arithmetic is in integers and in one order, so
//! every machine gives the same bytes.

// What is compiled for AVX2 must become part of the function that is.
#![allow(clippy::inline_always)]

use std::array;

use super::axis::Axis;
use super::blend::{Rows, blend};
use super::colour::SAMPLE_BITS;
use super::transpose::transpose;

/// A plane in libav's memory.
#[derive(Clone, Copy)]
pub(super) struct Plane<'a> {
    /// Its rows, each of `stride` bytes.
    pub(super) bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    /// Samples in a row that belong to the picture.
    pub(super) width: usize,
    /// Bits of a sample: 8, or up to 16 in two bytes of the machine's order.
    pub(super) depth: u32,
}

/// Buffers of a resize, kept from plane to plane.
#[derive(Default)]
pub(super) struct Buffers {
    rows: Vec<u16>,
    columns: Vec<u16>,
}

/// The order in which a resized plane is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// Row by row.
    Rows,
    /// Column by column, as a picture is shown that is turned by 90 degrees.
    Columns,
}

/// Resizes a plane to what the axes, of its columns and its rows, say. `out` gets samples in 1/256
/// of an 8-bit level.
///
/// # Panics
/// When the plane is smaller than the axes say.
pub(super) fn resize(
    plane: &Plane<'_>,
    (columns, rows): (&Axis, &Axis),
    lines: Lines,
    buffers: &mut Buffers,
    out: &mut Vec<u16>,
) {
    let (width, height) = (plane.width, rows.len());
    buffers.rows.resize(width * height, 0);
    if plane.depth == 8 {
        let source = Bytes {
            bytes: plane.bytes,
            stride: plane.stride,
        };
        blend(source, rows, width, &mut buffers.rows);
    } else {
        let source = Words {
            bytes: plane.bytes,
            stride: plane.stride,
            shift: 8 + SAMPLE_BITS - plane.depth,
        };
        blend(source, rows, width, &mut buffers.rows);
    }
    buffers.columns.resize(width * height, 0);
    transpose(&buffers.rows, width, height, &mut buffers.columns);
    let source = Levels {
        samples: &buffers.columns,
        stride: height,
    };
    out.resize(columns.len() * height, 0);
    match lines {
        Lines::Columns => blend(source, columns, height, out),
        Lines::Rows => {
            buffers.rows.resize(columns.len() * height, 0);
            blend(source, columns, height, &mut buffers.rows);
            transpose(&buffers.rows, height, columns.len(), out);
        }
    }
}

/// Samples of 8 bits.
#[derive(Clone, Copy)]
struct Bytes<'a> {
    bytes: &'a [u8],
    stride: usize,
}

impl Rows for Bytes<'_> {
    #[inline(always)]
    fn load<const N: usize>(self, row: usize, column: usize) -> [u16; N] {
        let samples = &self.bytes[row * self.stride + column..][..N];
        array::from_fn(|i| u16::from(samples[i]) << SAMPLE_BITS)
    }
}

/// Samples of more bits.
#[derive(Clone, Copy)]
struct Words<'a> {
    bytes: &'a [u8],
    stride: usize,
    shift: u32,
}

impl Rows for Words<'_> {
    #[inline(always)]
    fn load<const N: usize>(self, row: usize, column: usize) -> [u16; N] {
        let samples = &self.bytes[row * self.stride + column * 2..][..N * 2];
        array::from_fn(|i| u16::from_ne_bytes([samples[2 * i], samples[2 * i + 1]]) << self.shift)
    }
}

/// Samples that are in 1/256 of a level already.
#[derive(Clone, Copy)]
struct Levels<'a> {
    samples: &'a [u16],
    stride: usize,
}

impl Rows for Levels<'_> {
    #[inline(always)]
    fn load<const N: usize>(self, row: usize, column: usize) -> [u16; N] {
        let samples = &self.samples[row * self.stride + column..][..N];
        array::from_fn(|i| samples[i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A plane of bytes resized, in levels, row by row.
    fn resized(
        samples: &[u8],
        width: usize,
        share: usize,
        pixels: (usize, usize),
        size: (usize, usize),
    ) -> Vec<f64> {
        let plane = Plane {
            bytes: samples,
            stride: width,
            width,
            depth: 8,
        };
        let axes = (
            &Axis::new(pixels.0, share, size.0),
            &Axis::new(pixels.1, share, size.1),
        );
        let mut out = Vec::new();
        let mut columns = Vec::new();
        resize(&plane, axes, Lines::Rows, &mut Buffers::default(), &mut out);
        resize(
            &plane,
            axes,
            Lines::Columns,
            &mut Buffers::default(),
            &mut columns,
        );
        let at = |x: usize, y: usize| {
            assert_eq!(out[y * size.0 + x], columns[x * size.1 + y]);
            f64::from(out[y * size.0 + x]) / 256.0
        };
        (0..size.1)
            .flat_map(|y| (0..size.0).map(move |x| (x, y)))
            .map(|(x, y)| at(x, y))
            .collect()
    }

    /// The filter's definition: along one axis, in floating point, from pixels.
    fn by_definition(pixels: &[f64], output: usize) -> Vec<f64> {
        let scale = pixels.len() as f64 / output as f64;
        let support = scale.max(1.0);
        (0..output)
            .map(|i| {
                let centre = (i as f64 + 0.5) * scale;
                let weights: Vec<f64> = (0..pixels.len())
                    .map(|x| (1.0 - (x as f64 + 0.5 - centre).abs() / support).max(0.0))
                    .collect();
                let sum: f64 = weights.iter().sum();
                pixels.iter().zip(&weights).map(|(p, w)| p * w).sum::<f64>() / sum
            })
            .collect()
    }

    proptest! {
        #[test]
        fn each_axis_follows_the_definition_whatever_the_sizes(
            pixels in 1usize..200, output in 1usize..120, share in prop::sample::select(vec![1usize, 2, 4]), seed in any::<u64>(),
        ) {
            let count = pixels.div_ceil(share);
            let samples: Vec<u8> = (0..count as u64).map(|i| (seed.wrapping_mul(i + 1) >> 32).to_le_bytes()[0]).collect();
            let spread: Vec<f64> = (0..pixels).map(|x| f64::from(samples[x / share])).collect();
            let exact = by_definition(&spread, output);
            // As one row, and as one column.
            let row = resized(&samples, count, share, (pixels, 1), (output, 1));
            let column = resized(&samples, 1, share, (1, pixels), (1, output));
            for ((row, column), exact) in row.iter().zip(&column).zip(&exact) {
                prop_assert!((row - exact).abs() < 0.1, "{} is {}", row, exact);
                prop_assert!((column - exact).abs() < 0.1, "{} is {}", column, exact);
            }
        }
    }

    #[test]
    fn a_plane_of_one_value_keeps_it_at_any_size() {
        for value in [0, 1, 16, 128, 235, 254, 255] {
            for (width, height) in [(1, 1), (7, 5), (200, 200), (640, 359)] {
                for size in [(1, 1), (200, 200), (64, 48), (300, 5)] {
                    let plane = vec![value; width * height];
                    let out = resized(&plane, width, 1, (width, height), size);
                    assert!(
                        out.iter().all(|x| (x - f64::from(value)).abs() < 0.4),
                        "{value} {width}x{height}"
                    );
                }
            }
        }
    }

    #[test]
    fn deeper_samples_give_levels_of_eight_bits_and_keep_their_fractions() {
        let samples: Vec<u16> = (0..40).map(|x| x * 25).collect();
        let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_ne_bytes()).collect();
        let plane = Plane {
            bytes: &bytes,
            stride: 80,
            width: 40,
            depth: 10,
        };
        let mut out = Vec::new();
        let axes = (&Axis::new(40, 1, 40), &Axis::new(1, 1, 1));
        resize(&plane, axes, Lines::Rows, &mut Buffers::default(), &mut out);
        for (ours, sample) in out.iter().zip(samples) {
            assert!(ours.abs_diff(sample * 64) <= 2, "{ours} {sample}");
        }
    }
}
