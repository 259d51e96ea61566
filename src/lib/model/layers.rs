//! The layers of `MoViNet`, computed by stock operators on [N, C, T, H, W].

use tch::nn::Path;
use tch::{Kind, Tensor};

use super::initial;
use super::table::{BlockSpec, ConvSpec};
use super::{Geometry, Mode};

/// Added to a variance before its square root.
pub(super) const NORM_EPSILON: f64 = 0.001;
/// Share of the batch's statistics in the running ones after a step.
pub(crate) const NORM_MOMENTUM: f64 = 0.1;

/// x * sigmoid(x) (Ramachandran et al. 2017).
pub(super) fn swish(x: &Tensor) -> Tensor {
    x * x.sigmoid()
}

/// Batch normalisation over frames and pixels.
#[derive(Debug)]
pub(super) struct Norm {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
    pub(super) running_mean: Tensor,
    pub(super) running_var: Tensor,
    batches: Tensor,
}

impl Norm {
    fn new(path: &Path, channels: i64) -> Self {
        Self {
            weight: path.ones("weight", &[channels]),
            bias: path.zeros("bias", &[channels]),
            running_mean: path.zeros_no_train("running_mean", &[channels]),
            running_var: path.ones_no_train("running_var", &[channels]),
            batches: path.add(
                "num_batches_tracked",
                Tensor::zeros([], (Kind::Int64, path.device())),
                false,
            ),
        }
    }

    /// Counts a training batch, as `PyTorch` does beside moving the running statistics.
    pub(super) fn count_batch(&self) {
        let _ = self.batches.shallow_clone().g_add_scalar_(1);
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let moves = mode.moves_statistics();
        if moves {
            tch::no_grad(|| self.count_batch());
        }
        x.batch_norm(
            Some(&self.weight),
            Some(&self.bias),
            Some(&self.running_mean),
            Some(&self.running_var),
            moves,
            NORM_MOMENTUM,
            NORM_EPSILON,
            true,
        )
    }
}

/// Zeros before the first and after the last position that `SAME` wants (`TensorFlow`'s rule: the odd one goes after).
pub(super) fn same_padding(size: i64, stride: i64, kernel: i64) -> [i64; 2] {
    let beyond = if size % stride == 0 {
        stride
    } else {
        size % stride
    };
    let total = (kernel - beyond).max(0);
    [total / 2, total - total / 2]
}

/// A convolution with an optional batch norm: `conv_1.{conv3d, norm}` in the seed.
#[derive(Debug)]
pub(super) struct ConvUnit {
    pub(super) spec: ConvSpec,
    pub(super) geometry: Geometry,
    pub(super) weight: Tensor,
    pub(super) bias: Option<Tensor>,
    pub(super) norm: Option<Norm>,
    groups: i64,
}

/// What a [`ConvUnit`] has beside its weight.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    Norm,
    Bias,
    /// A bias, and weights of a head, which start otherwise.
    HeadBias,
}

impl ConvUnit {
    pub(super) fn new(
        path: &Path,
        spec: ConvSpec,
        groups: i64,
        beside: Beside,
        geometry: Geometry,
        seed: u64,
    ) -> Self {
        let path = path / "conv_1";
        let conv = &path / "conv3d";
        let inputs = spec.in_channels / groups;
        let [t, h, w] = spec.kernel;
        let shape = [spec.out_channels, inputs, t, h, w];
        let name =
            |leaf: &str| format!("{}.{leaf}", conv.components().collect::<Vec<_>>().join("."));
        let fan_in = inputs * t * h * w;
        let weight = match beside {
            Beside::HeadBias => initial::head_uniform(seed, &name("weight"), &shape, fan_in),
            Beside::Norm | Beside::Bias => initial::kaiming_fan_out(seed, &name("weight"), &shape),
        };
        let bias = match beside {
            Beside::Norm => None,
            Beside::Bias => Some(conv.zeros("bias", &[spec.out_channels])),
            Beside::HeadBias => {
                let first =
                    initial::head_uniform(seed, &name("bias"), &[spec.out_channels], fan_in);
                Some(conv.var_copy("bias", &first))
            }
        };
        Self {
            weight: conv.var_copy("weight", &weight),
            bias,
            norm: (beside == Beside::Norm).then(|| Norm::new(&(&path / "norm"), spec.out_channels)),
            spec,
            geometry,
            groups,
        }
    }

    /// A pointwise convolution.
    pub(super) fn pointwise(
        path: &Path,
        channels: [i64; 2],
        beside: Beside,
        geometry: Geometry,
        seed: u64,
    ) -> Self {
        let spec = ConvSpec {
            in_channels: channels[0],
            out_channels: channels[1],
            kernel: [1; 3],
            stride: [1; 3],
            padding: [0; 3],
        };
        Self::new(path, spec, 1, beside, geometry, seed)
    }

    /// Zeros before and after, in frames, height and width, for an input of `size`.
    pub(super) fn padding(&self, size: [i64; 3]) -> [[i64; 2]; 3] {
        let spec = &self.spec;
        match self.geometry {
            Geometry::Seed => spec.padding.map(|p| [p, p]),
            Geometry::Tf => {
                let t = (spec.kernel[0] - 1) / 2;
                let same = |d: usize| same_padding(size[d], spec.stride[d], spec.kernel[d]);
                [[t, t], same(1), same(2)]
            }
        }
    }

    pub(super) fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        let size = x.size();
        let [[frames, _], [top, bottom], [left, right]] = self.padding([size[2], size[3], size[4]]);
        let [stride, ones] = [self.spec.stride, [1_i64; 3]];
        let bias = self.bias.as_ref();
        let y = if top == bottom && left == right {
            x.conv3d(
                &self.weight,
                bias,
                stride,
                [frames, top, left],
                ones,
                self.groups,
            )
        } else {
            let padded = x.constant_pad_nd([left, right, top, bottom]);
            padded.conv3d(
                &self.weight,
                bias,
                stride,
                [frames, 0, 0],
                ones,
                self.groups,
            )
        };
        match &self.norm {
            Some(norm) => norm.forward(&y, mode),
            None => y,
        }
    }
}

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
pub(super) struct SqueezeExcite {
    pub(super) reduce: ConvUnit,
    pub(super) expand: ConvUnit,
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
pub(super) struct Residual {
    /// Whether frames are halved in height and width before the convolution.
    pub(super) pools: bool,
    pub(super) conv: ConvUnit,
}

/// A bottleneck with its shortcut: `blocks.b<stage>_l<layer>` in the seed.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) spec: BlockSpec,
    pub(super) geometry: Geometry,
    pub(super) expand: ConvUnit,
    pub(super) deep: ConvUnit,
    pub(super) squeeze: SqueezeExcite,
    pub(super) project: ConvUnit,
    pub(super) residual: Option<Residual>,
    pub(super) alpha: Tensor,
}

impl Block {
    pub(super) fn new(path: &Path, spec: BlockSpec, geometry: Geometry, seed: u64) -> Self {
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
            // The seed's shortcut is a sequence in which the pooling, where there is one, comes first.
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

    /// The shortcut's average pooling. In the seed's geometry zeros outside count; in `TensorFlow`'s they do not. There the
    /// seed refuses frames that are not square; here each axis is padded by a rule of its own, as `TensorFlow` does.
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

    pub(super) fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
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
    fn same_padding_is_tensorflows() {
        assert_eq!(same_padding(172, 2, 3), [0, 1]);
        assert_eq!(same_padding(75, 2, 3), [1, 1]);
        assert_eq!(same_padding(86, 2, 5), [1, 2]);
        assert_eq!(same_padding(10, 1, 3), [1, 1]);
        assert_eq!(same_padding(10, 1, 1), [0, 0]);
    }

    #[test]
    fn a_squeeze_is_a_quarter_in_steps_of_eight() {
        assert_eq!(
            [24, 80, 184, 112, 384].map(squeezed_channels),
            [8, 24, 48, 32, 96]
        );
        assert_eq!(squeezed_channels(42), 16);
    }
}
