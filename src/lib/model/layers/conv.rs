//! A convolution, its padding and its batch norm.

use std::cell::RefCell;

use tch::nn::Path;
use tch::{Kind, Tensor};

use super::initial;
use crate::model::config::{Geometry, Mode};
use crate::model::table::ConvSpec;

/// Added to a variance before its square root.
pub(in crate::model) const NORM_EPSILON: f64 = 0.001;
/// Share of the batch's statistics in the running ones after a step.
pub(crate) const NORM_MOMENTUM: f64 = 0.1;

/// x * sigmoid(x) (Ramachandran et al. 2017).
pub(in crate::model) fn swish(x: &Tensor) -> Tensor {
    x * x.sigmoid()
}

/// Batch normalisation over frames and pixels.
#[derive(Debug)]
pub(in crate::model) struct Norm {
    pub(in crate::model) weight: Tensor,
    pub(in crate::model) bias: Tensor,
    pub(in crate::model) running_mean: Tensor,
    pub(in crate::model) running_var: Tensor,
    batches: Tensor,
    /// Mean and unbiased variance of the batch that was last normalised by its own, [2, channels], until they are taken.
    moments: RefCell<Option<Tensor>>,
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
            moments: RefCell::new(None),
        }
    }

    /// Places of `kind` for the mean and the unbiased variance of a batch; who normalises by them fills them in.
    pub(in crate::model) fn new_moments(&self, kind: Kind) -> [Tensor; 2] {
        let options = (kind, self.running_mean.device());
        let moments = Tensor::zeros([2, self.running_mean.size()[0]], options);
        let places = [0, 1].map(|i| moments.get(i));
        self.moments.replace(Some(moments));
        places
    }

    /// The moments of the last batch, if they have not been taken.
    pub(in crate::model) fn take_moments(&self) -> Option<Tensor> {
        self.moments.take()
    }

    /// `x` normalised by its own statistics, with this weight and bias.
    pub(in crate::model) fn by_batch(&self, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
        let [mean, var] = self.new_moments(self.running_mean.kind());
        // A momentum of 1 leaves the batch's own statistics there.
        x.batch_norm(
            Some(weight),
            Some(bias),
            Some(&mean),
            Some(&var),
            true,
            1.0,
            NORM_EPSILON,
            true,
        )
    }

    /// Counts a training batch, as `PyTorch` does where it moves the running statistics.
    pub(in crate::model) fn count_batch(&self) {
        let _ = self.batches.shallow_clone().g_add_scalar_(1);
    }

    fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
        if mode.moves_statistics() {
            return self.by_batch(x, &self.weight, &self.bias);
        }
        x.batch_norm(
            Some(&self.weight),
            Some(&self.bias),
            Some(&self.running_mean),
            Some(&self.running_var),
            false,
            0.0,
            NORM_EPSILON,
            true,
        )
    }
}

/// Zeros before the first and after the last position that `SAME` wants (`TensorFlow`'s rule: an
/// uneven one goes after).
pub(in crate::model) fn same_padding(size: i64, stride: i64, kernel: i64) -> [i64; 2] {
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
pub(in crate::model) struct ConvUnit {
    pub(in crate::model) spec: ConvSpec,
    pub(in crate::model) geometry: Geometry,
    pub(in crate::model) weight: Tensor,
    pub(in crate::model) bias: Option<Tensor>,
    pub(in crate::model) norm: Option<Norm>,
    groups: i64,
}

/// What a [`ConvUnit`] has beside its weight.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Beside {
    Norm,
    Bias,
    /// A bias, and weights of a head, which start otherwise.
    HeadBias,
}

impl ConvUnit {
    pub(in crate::model) fn new(
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
    pub(in crate::model) fn pointwise(
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
    pub(in crate::model) fn padding(&self, size: [i64; 3]) -> [[i64; 2]; 3] {
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

    pub(in crate::model) fn forward(&self, x: &Tensor, mode: Mode) -> Tensor {
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
}
