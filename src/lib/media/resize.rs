//! The resize of one plane: the antialiased triangle filter, which is what PIL calls bilinear.
//!
//! First the rows are blended, which reads the source once or twice from front to back, then the result is transposed and its
//! rows, which were columns, are blended by the same code. Samples are held in 1/256 of an
//! 8-bit level all the way. Arithmetic is in integers and in one order, so every machine gives the same bytes.

// What is compiled for AVX2 must become part of the function that is.
#![allow(clippy::inline_always)]

use std::array;
use std::mem;

use super::axis::Axis;
use super::colour::SAMPLE_BITS;

/// Samples that are blended at a time: two registers of AVX2.
const LANES: usize = 32;
/// Side of the squares in which a plane is transposed.
const SQUARE: usize = 8;
/// Taps beyond which the products of an output sample are summed before their low halves are cut off: exact, but slow.
const MANY_TAPS: usize = 32;

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

/// Resizes a plane to what the axes, of its columns and its rows, say. `out` gets samples in 1/256 of an 8-bit level.
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

/// Rows of samples, in 1/256 of an 8-bit level.
trait Rows: Copy {
    /// `N` samples of a row.
    fn load<const N: usize>(self, row: usize, column: usize) -> [u16; N];
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

/// Blends rows of `width` samples into those that the axis says.
fn blend<R: Rows>(source: R, axis: &Axis, width: usize, out: &mut [u16]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { blend_avx2(source, axis, width, out) };
    }
    blend_anywhere(source, axis, width, out, add_products);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn blend_avx2<R: Rows>(source: R, axis: &Axis, width: usize, out: &mut [u16]) {
    // The closure is part of this function, so the compiler knows that there is AVX2.
    blend_anywhere(source, axis, width, out, |sums, samples, weight| {
        add_products_avx2(sums, samples, weight);
    });
}

/// The same for any processor, with what adds the products of samples and a weight to their sums.
#[inline(always)]
fn blend_anywhere<R: Rows>(
    source: R,
    axis: &Axis,
    width: usize,
    out: &mut [u16],
    add: impl Fn(&mut [u16; LANES], &[u16; LANES], u16) + Copy,
) {
    for ((first, weights), out) in axis.taps().zip(out.chunks_exact_mut(width)) {
        if width < LANES || weights.len() > MANY_TAPS {
            for (column, out) in out.iter_mut().enumerate() {
                *out = exact(source, first, column, weights);
            }
            continue;
        }
        for column in (0..width).step_by(LANES) {
            // The last block overlaps the one before it.
            let column = column.min(width - LANES);
            // Each product loses half a unit on average when its low half is cut off.
            #[allow(clippy::cast_possible_truncation)] // At most MANY_TAPS.
            let mut sums = [(weights.len() / 2) as u16; LANES];
            for (row, &weight) in weights.iter().enumerate() {
                add(&mut sums, &source.load(first + row, column), weight);
            }
            out[column..column + LANES].copy_from_slice(&sums);
        }
    }
}

/// Adds the high halves of the products of samples with a weight.
#[inline(always)]
#[allow(clippy::cast_possible_truncation)] // The high half of a product of 16-bit numbers.
fn add_products(sums: &mut [u16; LANES], samples: &[u16; LANES], weight: u16) {
    for (sum, &sample) in sums.iter_mut().zip(samples) {
        let product = (u32::from(sample) * u32::from(weight)) >> 16;
        *sum = sum.wrapping_add(product as u16);
    }
}

/// The same in registers of AVX2; the compiler takes twice as many steps, in 32 bits.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn add_products_avx2(sums: &mut [u16; LANES], samples: &[u16; LANES], weight: u16) {
    use std::arch::x86_64::{__m256i, _mm256_add_epi16, _mm256_mulhi_epu16, _mm256_set1_epi16};
    let weight = _mm256_set1_epi16(weight.cast_signed());
    // SAFETY: two registers are as large as the arrays, and in both any bits are a value.
    let (values, samples) = unsafe {
        (
            mem::transmute::<[u16; LANES], [__m256i; 2]>(*sums),
            mem::transmute::<[u16; LANES], [__m256i; 2]>(*samples),
        )
    };
    let values: [__m256i; 2] =
        array::from_fn(|i| _mm256_add_epi16(values[i], _mm256_mulhi_epu16(samples[i], weight)));
    // SAFETY: as above.
    *sums = unsafe { mem::transmute::<[__m256i; 2], [u16; LANES]>(values) };
}

/// One sum from whole products: for narrow planes, and for so many taps that what is cut off would show. It fits into 32
/// bits, since the weights' sum is at most 2^16.
#[allow(clippy::cast_possible_truncation)] // Half of 32 bits.
fn exact<R: Rows>(source: R, first: usize, column: usize, weights: &[u16]) -> u16 {
    let product = |(row, &weight): (usize, &u16)| {
        let [sample] = source.load(first + row, column);
        u32::from(sample) * u32::from(weight)
    };
    (weights.iter().enumerate().map(product).sum::<u32>() >> 16) as u16
}

/// Makes columns of rows.
fn transpose(from: &[u16], width: usize, height: usize, to: &mut [u16]) {
    for top in (0..height).step_by(SQUARE) {
        for left in (0..width).step_by(SQUARE) {
            if top + SQUARE <= height && left + SQUARE <= width {
                let row = |i: usize| &from[(top + i) * width + left..][..SQUARE];
                let turned = turn(array::from_fn(|y| array::from_fn(|x| row(y)[x])));
                for (i, column) in turned.iter().enumerate() {
                    to[(left + i) * height + top..][..SQUARE].copy_from_slice(column);
                }
                continue;
            }
            for column in left..width.min(left + SQUARE) {
                for row in top..height.min(top + SQUARE) {
                    to[column * height + row] = from[row * width + column];
                }
            }
        }
    }
}

/// Transposes a square. Interleaving its upper half with its lower one, row by row, turns each sample's position by one of its
/// six bits; three times exchange row and column.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn turn(square: [[u16; SQUARE]; SQUARE]) -> [[u16; SQUARE]; SQUARE] {
    use std::arch::x86_64::{__m128i, _mm_unpackhi_epi16, _mm_unpacklo_epi16};
    let interleave = |rows: [__m128i; SQUARE]| {
        array::from_fn(|i| {
            let (upper, lower) = (rows[i / 2], rows[i / 2 + SQUARE / 2]);
            // SAFETY: every x86-64 processor has SSE2.
            unsafe {
                if i % 2 == 0 {
                    _mm_unpacklo_epi16(upper, lower)
                } else {
                    _mm_unpackhi_epi16(upper, lower)
                }
            }
        })
    };
    // SAFETY: a row is as large as a register, and in both any bits are a value.
    unsafe {
        let rows: [__m128i; SQUARE] = mem::transmute(square);
        mem::transmute(interleave(interleave(interleave(rows))))
    }
}

/// Transposes a square.
#[cfg(not(target_arch = "x86_64"))]
fn turn(square: [[u16; SQUARE]; SQUARE]) -> [[u16; SQUARE]; SQUARE] {
    array::from_fn(|column| array::from_fn(|row| square[row][column]))
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

    #[test]
    fn columns_are_made_of_rows_at_any_size() {
        for (width, height) in [(1, 1), (8, 8), (7, 30), (33, 16), (40, 25)] {
            let from: Vec<u16> = (0..1320).map(|i| i * 7).take(width * height).collect();
            let mut to = vec![0; from.len()];
            transpose(&from, width, height, &mut to);
            for (x, y) in (0..width).flat_map(|x| (0..height).map(move |y| (x, y))) {
                assert_eq!(to[x * height + y], from[y * width + x], "{width}x{height}");
            }
        }
    }

    #[test]
    fn every_processor_gives_the_same_bytes() {
        let samples: Vec<u8> = (0..90 * 70u32)
            .map(|i| (i * i / 7).to_le_bytes()[0])
            .collect();
        let source = Bytes {
            bytes: &samples,
            stride: 90,
        };
        let axis = Axis::new(70, 1, 33);
        let (mut here, mut anywhere) = (vec![0; 33 * 90], vec![0; 33 * 90]);
        blend(source, &axis, 90, &mut here);
        blend_anywhere(source, &axis, 90, &mut anywhere, add_products);
        assert_eq!(here, anywhere);
    }
}
