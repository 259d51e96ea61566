//! Rows blended into others by the weights of an axis, with the same bytes on every processor.

// What is compiled for AVX2 must become part of the function that is.
#![allow(clippy::inline_always)]

use std::array;
use std::mem;

use super::axis::Axis;

/// Samples that are blended at a time: two registers of AVX2.
const LANES: usize = 32;
/// Taps beyond which the products of an output sample are summed before their low halves are cut
/// off: exact, but slow.
const MANY_TAPS: usize = 32;

/// Rows of samples, in 1/256 of an 8-bit level.
pub(super) trait Rows: Copy {
    /// `N` samples of a row.
    fn load<const N: usize>(self, row: usize, column: usize) -> [u16; N];
}

/// Blends rows of `width` samples into those that the axis says.
pub(super) fn blend<R: Rows>(source: R, axis: &Axis, width: usize, out: &mut [u16]) {
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

/// One sum from whole products: for narrow planes, and for so many taps that what is cut off would
/// show. It fits into 32 bits, since the weights' sum is at most 2^16.
#[allow(clippy::cast_possible_truncation)] // Half of 32 bits.
fn exact<R: Rows>(source: R, first: usize, column: usize, weights: &[u16]) -> u16 {
    let product = |(row, &weight): (usize, &u16)| {
        let [sample] = source.load(first + row, column);
        u32::from(sample) * u32::from(weight)
    };
    (weights.iter().enumerate().map(product).sum::<u32>() >> 16) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    struct Samples<'a>(&'a [u16]);

    impl Rows for Samples<'_> {
        fn load<const N: usize>(self, row: usize, column: usize) -> [u16; N] {
            array::from_fn(|i| self.0[row * 90 + column + i])
        }
    }

    #[test]
    fn every_processor_gives_the_same_bytes() {
        let samples: Vec<u16> = (0..90 * 70u32)
            .map(|i| u16::from((i * i / 7).to_le_bytes()[0]) << 8)
            .collect();
        let source = Samples(&samples);
        let axis = Axis::new(70, 1, 33);
        let (mut here, mut anywhere) = (vec![0; 33 * 90], vec![0; 33 * 90]);
        blend(source, &axis, 90, &mut here);
        blend_anywhere(source, &axis, 90, &mut anywhere, add_products);
        assert_eq!(here, anywhere);
    }
}
