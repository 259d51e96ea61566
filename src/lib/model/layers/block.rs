//! A bottleneck: expansion, depthwise convolution, squeeze-excite, projection, shortcut.

use tch::Tensor;
use tch::nn::Path;

use super::conv::{Beside, ConvUnit, same_padding, swish};
use crate::model::config::{Geometry, Mode};
use crate::model::table::{BlockSpec, ConvSpec};

/// Channels of a squeeze: a quarter, rounded to a multiple of 8 and never below nine tenths of it.
fn squeezed_channels(channels: i64) -> i64 {
    let wanted = channels / 4;
    let rounded = ((wanted + 4) / 8 * 8).max(8);
    if rounded * 10 < wanted * 9 {
        rounded + 8
    } else {
        rounded
    }
}

/// Channels weighed by a gate computed from their means (Hu et al. 2018).
#[derive(Debug)]
pub(in crate::model) struct SqueezeExcite {
    pub(in crate::model) reduce: ConvUnit,
    pub(in crate::model) expand: ConvUnit,
}

impl SqueezeExcite {
    fn new(path: &Path, channels: i64, geometry: Geometry, seed: u64) -> Self {
        let squeezed = squeezed_channels(channels);
        let unit = |name, channels| {
            ConvUnit::pointwise(&(path / name), channels, Beside::Bias, geometry, seed)
        };
        Self {
            reduce: unit("fc1", [channels, squeezed]),
            expand: unit("fc2", [squeezed, channels]),
        }
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let mean = x.adaptive_avg_pool3d([1, 1, 1]);
        let squeezed = swish(&self.reduce.forward(&mean, mode));
        self.expand.forward(&squeezed, mode).sigmoid() * x
    }
}

/// The shortcut of a block whose input and output differ in size or channels.
#[derive(Debug)]
pub(in crate::model) struct Residual {
    /// Whether frames are halved in height and width before the convolution.
    pub(in crate::model) pools: bool,
    pub(in crate::model) conv: ConvUnit,
}

/// A bottleneck with its shortcut: `blocks.b<stage>_l<layer>` in the seed.
#[derive(Debug)]
pub(in crate::model) struct Block {
    pub(in crate::model) spec: BlockSpec,
    pub(in crate::model) geometry: Geometry,
    pub(in crate::model) expand: ConvUnit,
    pub(in crate::model) deep: ConvUnit,
    pub(in crate::model) squeeze: SqueezeExcite,
    pub(in crate::model) project: ConvUnit,
    pub(in crate::model) residual: Option<Residual>,
    pub(in crate::model) alpha: Tensor,
}

impl Block {
    pub(in crate::model) fn new(
        path: &Path,
        spec: BlockSpec,
        geometry: Geometry,
        seed: u64,
    ) -> Self {
        let ConvSpec {
            in_channels,
            out_channels,
            kernel,
            stride,
            padding,
        } = spec.conv;
        let wide = spec.expanded;
        let deep = ConvSpec {
            in_channels: wide,
            out_channels: wide,
            kernel,
            stride,
            padding,
        };
        let pointwise = |path: &Path, channels| {
            ConvUnit::pointwise(path, channels, Beside::Norm, geometry, seed)
        };
        let pools = stride != [1; 3];
        let residual = (pools || in_channels != out_channels).then(|| Residual {
            pools,
            // The seed's shortcut is a sequence in which the pooling, where there is one, comes
            // first.
            conv: pointwise(
                &(&(path / "res") / usize::from(pools)),
                [in_channels, out_channels],
            ),
        });
        Self {
            expand: pointwise(&(path / "expand"), [in_channels, wide]),
            deep: ConvUnit::new(&(path / "deep"), deep, wide, Beside::Norm, geometry, seed),
            squeeze: SqueezeExcite::new(&(path / "se"), wide, geometry, seed),
            project: pointwise(&(path / "project"), [wide, out_channels]),
            residual,
            alpha: path.zeros("alpha", &[]),
            spec,
            geometry,
        }
    }

    /// Its convolutions that have a norm, in a fixed order.
    pub(in crate::model) fn normed_units(&self) -> impl Iterator<Item = &ConvUnit> {
        let residual = self.residual.as_ref().map(|residual| &residual.conv);
        [&self.expand, &self.deep, &self.project]
            .into_iter()
            .chain(residual)
    }

    /// The shortcut's average pooling. In the seed's geometry zeros outside count; in
    /// `TensorFlow`'s they do not. There the seed refuses frames that are not square; here each
    /// axis is padded by a rule of its own, as `TensorFlow` does.
    fn pool(&self, x: &Tensor) -> Tensor {
        let [_, stride, _] = self.spec.conv.stride;
        let pool = |x: &Tensor, padding: [i64; 3], outside: bool| {
            x.avg_pool3d(
                [1, 3, 3],
                [1, stride, stride],
                padding,
                false,
                outside,
                None::<i64>,
            )
        };
        match self.geometry {
            Geometry::Seed => pool(x, self.spec.pool_padding, true),
            Geometry::Tf => {
                let size = x.size();
                let padding = |d: usize| same_padding(size[d], stride, 3);
                let [[h, h_after], [w, w_after]] = [padding(3), padding(4)];
                let around =
                    |x: &Tensor| pool(&x.constant_pad_nd([w, w_after, h, h_after]), [0; 3], true);
                // A ninth of the sum, over the share of the window that lies inside.
                let inside = Tensor::ones([1, 1, 1, size[3], size[4]], (x.kind(), x.device()));
                around(x) / around(&inside)
            }
        }
    }

    pub(in crate::model) fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let wide = swish(&self.expand.forward(x, mode));
        let deep = swish(&self.deep.forward(&wide, mode));
        let narrow = self
            .project
            .forward(&self.squeeze.forward(&deep, mode), mode);
        let shortcut = match &self.residual {
            None => x.shallow_clone(),
            Some(Residual { pools: true, conv }) => conv.forward(&self.pool(x), mode),
            Some(Residual { pools: false, conv }) => conv.forward(x, mode),
        };
        shortcut + &self.alpha * narrow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_squeeze_is_a_quarter_in_steps_of_eight() {
        assert_eq!(
            [24, 80, 184, 112, 384].map(squeezed_channels),
            [8, 24, 48, 32, 96]
        );
        assert_eq!(squeezed_channels(42), 16);
    }
}
