//! From the three planes of a picture to RGB, in fixed point.
//!
//! Nearly every tool, and the seed's data with them, converts 8-bit 4:2:0 pictures by libswscale's
//! short way, which cuts off what each product of the sum has after the point: half a level on
//! average for luma of limited range, and for each chroma product. [`Rounding::Down`] takes off as
//! much on average, so that frames do not differ from theirs by a constant; greys come out as
//! there, black and white exact.

// What is compiled for AVX2 must become part of the function that is.
#![allow(clippy::inline_always)]

use ffmpeg_next::util::color::Space;

/// Bits after the point of a sample: samples are in 1/256 of an 8-bit level.
pub(super) const SAMPLE_BITS: u32 = 8;
/// Bits after the point of a coefficient. With the sample's they fit into 32 bits for every matrix.
const MATRIX_BITS: u32 = 13;
/// Half a level in a sum of products.
const HALF: i32 = 1 << (MATRIX_BITS + SAMPLE_BITS - 1);

/// What turns three planes into red, green and blue: a row of coefficients each, and what is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matrix {
    rows: [[i32; 3]; 3],
    offsets: [i32; 3],
    /// What a chroma product loses for each 1/256 of its sample's distance from grey, up to a whole
    /// one.
    chroma_loss: i32,
}

/// What becomes of fractions of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rounding {
    /// Each sum goes to the nearest level.
    Nearest,
    /// Each product of a sum goes down, on average.
    Down,
}

impl Matrix {
    /// Planes that hold green, blue and red.
    pub(super) const GREEN_BLUE_RED: Self = Self {
        rows: [
            [0, 0, 1 << MATRIX_BITS],
            [1 << MATRIX_BITS, 0, 0],
            [0, 1 << MATRIX_BITS, 0],
        ],
        offsets: [HALF; 3],
        chroma_loss: 0,
    };

    /// The matrix of a YUV colour space from its luma weights: ITU-R BT.601, BT.709, BT.2020, SMPTE
    /// 240M, FCC. Where none is given it is BT.601, as in the `ffmpeg` command line.
    #[allow(clippy::cast_possible_truncation)] // Coefficients below 4, times 2^13.
    pub(super) fn of(space: Space, full_range: bool, rounding: Rounding) -> Self {
        let (kr, kb) = match space {
            Space::BT709 => (0.2126, 0.0722),
            Space::BT2020NCL | Space::BT2020CL => (0.2627, 0.0593),
            Space::SMPTE240M => (0.212, 0.087),
            Space::FCC => (0.30, 0.11),
            _ => (0.299, 0.114),
        };
        let kg = 1.0 - kr - kb;
        let (black, luma, chroma) = if full_range {
            (0, 1.0, 1.0)
        } else {
            (16, 255.0 / 219.0, 255.0 / 224.0)
        };
        let fixed = |x: f64| (x * f64::from(1 << MATRIX_BITS)).round() as i32;
        let luma = fixed(luma);
        let rows = [
            [luma, 0, fixed(chroma * 2.0 * (1.0 - kr))],
            [
                luma,
                fixed(-chroma * 2.0 * (1.0 - kb) * kb / kg),
                fixed(-chroma * 2.0 * (1.0 - kr) * kr / kg),
            ],
            [luma, fixed(chroma * 2.0 * (1.0 - kb)), 0],
        ];
        let down = rounding == Rounding::Down;
        // Luma of full range is whole levels already, of which nothing can be cut off.
        let rounded = if down && !full_range { 0 } else { HALF };
        let offset = |[y, u, v]: [i32; 3]| rounded - ((y * black + (u + v) * 128) << SAMPLE_BITS);
        Self {
            rows,
            offsets: rows.map(offset),
            chroma_loss: if down { HALF >> SAMPLE_BITS } else { 0 },
        }
    }

    /// One channel (0 red, 1 green, 2 blue) of a line of pixels.
    #[inline(always)]
    pub(super) fn levels(&self, channel: usize, planes: [&[u16]; 3], levels: &mut [u8]) {
        let [luma_part, u_part, v_part] = self.rows[channel];
        let offset = self.offsets[channel];
        // Red has no part of the second plane and blue none of the third.
        let [loss_u, loss_v] =
            [[0, 1], [1, 1], [1, 0]][channel].map(|part| part * self.chroma_loss);
        let loss = |x: i32| (x - (128 << SAMPLE_BITS)).abs().min(1 << SAMPLE_BITS);
        let [luma, blue, red] = planes;
        for (((level, &luma), &u), &v) in levels.iter_mut().zip(luma).zip(blue).zip(red) {
            let [luma, u, v] = [luma, u, v].map(i32::from);
            // The sum fits; the order of its parts does not matter to wrapping arithmetic.
            let sum = (luma_part.wrapping_mul(luma))
                .wrapping_add(u_part.wrapping_mul(u))
                .wrapping_add(v_part.wrapping_mul(v))
                .wrapping_add(offset - loss(u) * loss_u - loss(v) * loss_v);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped.
            let rounded = (sum >> (MATRIX_BITS + SAMPLE_BITS)).clamp(0, 255) as u8;
            *level = rounded;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rgb(matrix: Matrix, yuv: [u8; 3]) -> [u8; 3] {
        let [y, u, v] = yuv.map(|level| [u16::from(level) << SAMPLE_BITS]);
        std::array::from_fn(|channel| {
            let mut level = [0];
            matrix.levels(channel, [&y, &u, &v], &mut level);
            level[0]
        })
    }

    const SPACES: [Space; 6] = [
        Space::BT709,
        Space::BT2020NCL,
        Space::SMPTE240M,
        Space::FCC,
        Space::SMPTE170M,
        Space::Unspecified,
    ];

    #[test]
    fn black_grey_and_white_are_exact_in_every_space_range_and_rounding() {
        for (space, rounding) in SPACES.into_iter().flat_map(|s| ROUNDINGS.map(|r| (s, r))) {
            let limited = Matrix::of(space, false, rounding);
            for (luma, level) in [(16, 0), (126, 128), (235, 255), (0, 0), (255, 255)] {
                assert_eq!(rgb(limited, [luma, 128, 128]), [level; 3], "{space:?}");
            }
            let full = Matrix::of(space, true, rounding);
            for level in 0..=255 {
                assert_eq!(rgb(full, [level, 128, 128]), [level; 3], "{space:?}");
            }
        }
    }

    const ROUNDINGS: [Rounding; 2] = [Rounding::Nearest, Rounding::Down];

    /// The standards' own definition in floating point.
    fn by_definition(kr: f64, kb: f64, [y, u, v]: [u8; 3], full_range: bool) -> [f64; 3] {
        let (black, luma, chroma) = if full_range {
            (0.0, 255.0, 255.0)
        } else {
            (16.0, 219.0, 224.0)
        };
        let y = (f64::from(y) - black) / luma;
        let (u, v) = (
            (f64::from(u) - 128.0) / chroma,
            (f64::from(v) - 128.0) / chroma,
        );
        let (red, blue) = (y + 2.0 * (1.0 - kr) * v, y + 2.0 * (1.0 - kb) * u);
        let green = (y - kr * red - kb * blue) / (1.0 - kr - kb);
        [red, green, blue].map(|x| (x * 255.0).clamp(0.0, 255.0))
    }

    #[test]
    fn every_colour_is_the_nearest_level_to_the_standards_definition() {
        for (space, kr, kb) in [
            (Space::SMPTE170M, 0.299, 0.114),
            (Space::BT709, 0.2126, 0.0722),
            (Space::BT2020NCL, 0.2627, 0.0593),
        ] {
            for full_range in [false, true] {
                let matrix = Matrix::of(space, full_range, Rounding::Nearest);
                for yuv in (0..=255u8).step_by(5).flat_map(|y| {
                    (0..=255)
                        .step_by(15)
                        .flat_map(move |u| (0..=255).step_by(15).map(move |v| [y, u, v]))
                }) {
                    let exact = by_definition(kr, kb, yuv, full_range);
                    for (ours, exact) in rgb(matrix, yuv).into_iter().zip(exact) {
                        // Half a level of rounding, and what 13 bits of a coefficient lose.
                        assert!(
                            (f64::from(ours) - exact).abs() < 0.54,
                            "{space:?} {yuv:?}: {ours}, exactly {exact}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn rounding_down_is_what_cutting_off_each_product_gives_on_average() {
        let mut sums = [0.0; 3];
        let mut count = 0.0;
        let limited = |rounding| Matrix::of(Space::SMPTE170M, false, rounding);
        let (exact, down) = (limited(Rounding::Nearest), limited(Rounding::Down));
        // Colours that are cut off nowhere.
        for yuv in (90..160u8)
            .flat_map(|y| (100..156).flat_map(move |u| (100..156).map(move |v| [y, u, v])))
        {
            let [y, u, v] = yuv.map(i32::from);
            let cut = |coefficient: i32, x: i32| (coefficient * x) >> MATRIX_BITS;
            for (i, [a, b, c]) in exact.rows.into_iter().enumerate() {
                let theirs = cut(a, y - 16) + cut(b, u - 128) + cut(c, v - 128);
                sums[i] += f64::from(rgb(down, yuv)[i]) - f64::from(theirs);
            }
            count += 1.0;
        }
        for difference in sums {
            assert!((difference / count).abs() < 0.1, "{sums:?} of {count}");
        }
    }

    #[test]
    fn green_blue_and_red_planes_keep_their_values() {
        assert_eq!(rgb(Matrix::GREEN_BLUE_RED, [2, 255, 0]), [0, 2, 255]);
    }
}
