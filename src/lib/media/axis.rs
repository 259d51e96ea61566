//! The weights of the antialiased triangle filter along one axis, as PIL's bilinear filter has
//! them.

use std::ops::Range;

/// The sum of the weights of one output sample.
const WHOLE: u32 = 1 << 16;

/// How the samples along one axis of a plane make those of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    /// The first source sample of each output sample, and where its weights lie.
    taps: Vec<(usize, Range<usize>)>,
    weights: Vec<u16>,
}

impl Axis {
    /// An axis of `pixels` picture pixels that becomes `output` long. Each sample of the plane
    /// covers `share` pixels (2 for chroma in 4:2:0; the last may lie half outside) and counts for
    /// each of them alike, as it does where tools convert a picture to RGB at its own size before
    /// they resize it.
    pub(super) fn new(pixels: usize, share: usize, output: usize) -> Self {
        let mut axis = Self {
            taps: Vec::with_capacity(output),
            weights: Vec::new(),
        };
        for i in 0..output {
            let (first, shares) = triangle(pixels, output, i);
            let begin = axis.weights.len();
            axis.weights.extend(fixed(&folded(first, &shares, share)));
            axis.taps.push((first / share, begin..axis.weights.len()));
        }
        axis
    }

    /// Samples of the output.
    pub(super) fn len(&self) -> usize {
        self.taps.len()
    }

    /// The first source sample of each output sample, and the weights of those from there on; they
    /// sum to 2^16, or to one less where there is one alone.
    pub(super) fn taps(&self) -> impl Iterator<Item = (usize, &[u16])> {
        let weights = |taps: &Range<usize>| &self.weights[taps.clone()];
        self.taps
            .iter()
            .map(move |(first, taps)| (*first, weights(taps)))
    }
}

/// The first pixel that counts for output sample `i`, and the share of each from there on; they sum
/// to 1.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Positions inside a picture.
fn triangle(pixels: usize, output: usize, i: usize) -> (usize, Vec<f64>) {
    let scale = pixels as f64 / output as f64;
    let support = scale.max(1.0);
    let centre = (i as f64 + 0.5) * scale;
    let first = (centre - support + 0.5).max(0.0) as usize;
    let end = ((centre + support + 0.5) as usize).clamp(first + 1, pixels);
    let mut shares: Vec<f64> = (first..end)
        .map(|x| (1.0 - ((x as f64 + 0.5 - centre) / support).abs()).max(0.0))
        .collect();
    let sum: f64 = shares.iter().sum();
    for share in &mut shares {
        *share /= sum;
    }
    (first, shares)
}

/// The shares of samples that cover `share` pixels each, from those of pixels.
fn folded(first: usize, shares: &[f64], share: usize) -> Vec<f64> {
    let mut folded = vec![0.0; (first + shares.len() - 1) / share - first / share + 1];
    for (x, weight) in shares.iter().enumerate() {
        folded[(first + x) / share - first / share] += weight;
    }
    folded
}

/// Shares in fixed point. What rounding leaves over goes to the largest, so that a plane of one
/// value keeps it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Shares lie in 0..=1.
fn fixed(shares: &[f64]) -> Vec<u16> {
    let mut weights: Vec<u32> = shares
        .iter()
        .map(|share| (share * f64::from(WHOLE)).round() as u32)
        .collect();
    let sum: u32 = weights.iter().sum();
    if let Some(largest) = weights.iter_mut().max() {
        *largest = (*largest + WHOLE).saturating_sub(sum);
    }
    // A single sample with all the weight loses a 65,536th of itself.
    weights
        .into_iter()
        .map(|weight| u16::try_from(weight).unwrap_or(u16::MAX))
        .collect()
}
