//! Pillow's bilinear resize of RGB pictures, bit for bit: the seed's code loads its frames through it.
//! (`src/libImaging/Resample.c`: a triangle filter as wide as the scale, weights in fixed point, rows
//! first, each pass rounded to a byte.)

/// Bytes of an RGB pixel.
const RGB: usize = 3;
/// Bits of a weight behind the point: what a 32-bit sum leaves beside a byte and two bits.
const WEIGHT_BITS: u32 = 32 - 8 - 2;
/// Half of the last place that is kept, which rounds.
const HALF: i32 = 1 << (WEIGHT_BITS - 1);

/// Resizes pictures from one size to another, with its weights and its buffers, to be kept from
/// picture to picture.
#[derive(Default)]
pub(super) struct Resizer {
    /// The sizes, (height, width), that the weights are for.
    sizes: Option<[(usize, usize); 2]>,
    across: Weights,
    down: Weights,
    /// The picture after the first pass.
    narrowed: Vec<u8>,
    /// The sums of one row.
    sums: Vec<i32>,
}

/// Which pixels of a line each pixel of the resized line is made of, and how much of each.
#[derive(Default)]
struct Weights {
    /// The first pixel, and the end of its weights in `values`.
    spans: Vec<(usize, usize)>,
    values: Vec<i32>,
}

impl Weights {
    /// The weights of a line of `from` pixels that becomes one of `to`.
    // Sides of pictures are far below 2^52, and weights between 0 and 1.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        // The filter is never narrower than a pixel.
        let support = scale.max(1.0);
        let mut weights = Self::default();
        for pixel in 0..to {
            let centre = (pixel as f64 + 0.5) * scale;
            let first = (centre - support + 0.5).max(0.0) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let slope = 1.0 / support;
            let parts: Vec<f64> = (first..end)
                .map(|at| (1.0 - ((at as f64 - centre + 0.5) * slope).abs()).max(0.0))
                .collect();
            // In Pillow's order, so that the last bit is the same.
            let sum = parts.iter().fold(0.0, |sum, part| sum + part);
            let fixed = |part: &f64| (0.5 + part / sum * f64::from(1 << WEIGHT_BITS)) as i32;
            weights.values.extend(parts.iter().map(fixed));
            weights.spans.push((first, weights.values.len()));
        }
        weights
    }

    /// Of each pixel of the resized line, the first pixel that it is made of and the weights.
    fn pixels(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let mut begin = 0;
        self.spans.iter().map(move |&(first, end)| {
            let weights = &self.values[begin..end];
            begin = end;
            (first, weights)
        })
    }
}

fn rounded(sum: i32) -> u8 {
    u8::try_from(sum >> WEIGHT_BITS).unwrap_or(u8::MAX)
}

impl Resizer {
    /// Resizes `pixels`, `[height, width, 3]` of the size `from`, to the size `to`, into `out`.
    pub(super) fn resize(
        &mut self,
        pixels: &[u8],
        from: (usize, usize),
        to: (usize, usize),
        out: &mut Vec<u8>,
    ) {
        if self.sizes != Some([from, to]) {
            self.across = Weights::new(from.1, to.1);
            self.down = Weights::new(from.0, to.0);
            self.sizes = Some([from, to]);
        }
        self.narrowed.clear();
        for row in pixels.chunks_exact(from.1 * RGB) {
            for (first, weights) in self.across.pixels() {
                let mut sums = [HALF; RGB];
                let near = row[first * RGB..].as_chunks::<RGB>().0;
                for (pixel, weight) in near.iter().zip(weights) {
                    for (sum, value) in sums.iter_mut().zip(pixel) {
                        *sum += i32::from(*value) * weight;
                    }
                }
                self.narrowed.extend(sums.map(rounded));
            }
        }
        let pitch = to.1 * RGB;
        out.clear();
        for (first, weights) in self.down.pixels() {
            self.sums.clear();
            self.sums.resize(pitch, HALF);
            for (row, weight) in self.narrowed[first * pitch..]
                .chunks_exact(pitch)
                .zip(weights)
            {
                for (sum, value) in self.sums.iter_mut().zip(row) {
                    *sum += i32::from(*value) * weight;
                }
            }
            out.extend(self.sums.iter().map(|sum| rounded(*sum)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    /// Bytes of a linear congruential generator, as the script made them that asked Pillow.
    fn noise(count: usize) -> Vec<u8> {
        let mut state = 12345_u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    #[test]
    fn pictures_are_those_of_pillow_bit_for_bit() {
        let mut resizer = Resizer::default();
        let mut out = Vec::new();
        // Beginnings of SHA-256, from Pillow 12.0.
        for (from, to, expected) in [
            ((6, 9), (4, 4), "154ce7b998dcfa88"),
            ((240, 320), (200, 200), "00a218f4fe158c94"),
            ((50, 40), (64, 64), "fb46916561136b64"),
            ((7, 5), (5, 7), "672f7b7957779ac9"),
            ((123, 457), (20, 20), "bb2288da49bffd3b"),
            ((20, 31), (20, 20), "b38bb04ef4d8be80"),
            ((300, 2), (3, 5), "7df7990fbd0c5f96"),
        ] {
            resizer.resize(&noise(from.0 * from.1 * RGB), from, to, &mut out);
            let hash = Sha256::digest(&out);
            let hash: Vec<String> = hash[..8].iter().map(|b| format!("{b:02x}")).collect();
            let hash = hash.concat();
            assert_eq!(hash, expected, "{from:?} to {to:?}: {:?}", &out[..6]);
        }
    }
}
