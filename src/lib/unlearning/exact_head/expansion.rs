//! What a feature becomes before it enters the sums.

use rand::RngExt;

use crate::random::stream;

/// Columns of RanPAC's projection by default.
pub const PROJECTION_WIDTH: usize = 2048;

/// What a feature f becomes before the sums.
#[derive(Clone, Debug, PartialEq)]
pub enum Expansion {
    /// h = [f, 1].
    Ridge {
        /// d, the width of f.
        width: usize,
    },
    /// h = relu(f P).
    Projection {
        /// d, the width of f.
        width: usize,
        /// P `[d, M]`, row-major.
        matrix: Vec<f64>,
    },
}

impl Expansion {
    /// RanPAC's projection to `columns`, standard normal from the stream `ranpac`.
    #[must_use]
    pub fn random(seed: u64, width: usize, columns: usize) -> Self {
        let mut rng = stream(seed, "ranpac", &[]);
        // Box and Muller's transform; the first uniform number is kept off 0.
        let mut normal = || {
            let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
            radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
        };
        Self::Projection {
            width,
            matrix: (0..width * columns).map(|_| normal()).collect(),
        }
    }

    /// d, the width of a feature.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Ridge { width } | Self::Projection { width, .. } => *width,
        }
    }

    /// M, the width of h.
    #[must_use]
    pub fn expanded_width(&self) -> usize {
        match self {
            Self::Ridge { width } => width + 1,
            Self::Projection { width, matrix } => matrix.len() / (*width).max(1),
        }
    }

    /// h `[M]` of a feature `[d]`.
    #[must_use]
    pub fn expand(&self, feature: &[f64]) -> Vec<f64> {
        match self {
            Self::Ridge { .. } => [feature, &[1.0]].concat(),
            Self::Projection { matrix, .. } => {
                let mut h = vec![0.0; self.expanded_width()];
                for (f, row) in feature.iter().zip(matrix.chunks_exact(h.len().max(1))) {
                    for (h, p) in h.iter_mut().zip(row) {
                        *h += f * p;
                    }
                }
                h.iter().map(|h| h.max(0.0)).collect()
            }
        }
    }
}
