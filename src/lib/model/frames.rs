//! The fast path by stock operators, for any device and for bfloat16: every frame is one of a batch
//! of pictures.
//!
//! From the stem to the mean before the head a clip is [N T, C, H, W] with its channels last in
//! memory, so that no layout changes between layers:
//!
//! * a (1, k, k) convolution is a 2-D one;
//! * a depthwise (t, k, k) one is the sum of t 2-D ones, each shifted by a frame;
//! * a (1, 1, 1) one is a matrix product over pixels, which are rows;
//! * the squeeze-excite gate is multiplied into each clip's projection weights, a block's `alpha`
//!   into the norm before it;
//! * where a norm's statistics rest (evaluation, frozen norms, teachers) it is folded into its
//!   convolution.
//!
//! With [`Precision::Bf16`] the pixels and the weights that meet them are bfloat16; statistics,
//! means, gates, the two matrix products of the head and all variables stay 32-bit floats.

use tch::{Kind, Tensor};

use super::config::{Geometry, Mode};
use super::layers::{Block, ConvUnit, NORM_EPSILON, Norm, same_padding};
use super::precision::Precision;

/// How a forward pass computes.
#[derive(Clone, Copy)]
pub(super) struct Pass {
    mode: Mode,
    /// Clips of the batch.
    clips: i64,
    /// The kind of the pixels.
    kind: Kind,
}

impl Pass {
    /// A pass over `clips`, [N, 3, T, H, W].
    pub(super) fn new(mode: Mode, precision: Precision, clips: &Tensor) -> Self {
        Self {
            mode,
            clips: clips.size()[0],
            kind: match precision {
                Precision::F32 => clips.kind(),
                Precision::Bf16 => Kind::BFloat16,
            },
        }
    }

    /// The kind of what must not be rounded to bfloat16: sums over pixels and what is computed from
    /// them.
    fn wide_kind(self) -> Kind {
        if self.kind == Kind::BFloat16 {
            Kind::Float
        } else {
            self.kind
        }
    }

    /// [N T, C, H, W] as [N, T, C, H, W].
    fn by_clip(self, x: &Tensor) -> Tensor {
        let size = x.size();
        x.view([self.clips, size[0] / self.clips, size[1], size[2], size[3]])
    }

    /// [N T, C, H, W] as each clip's rows of pixels, [N, T H W, C]; no value moves.
    fn rows(self, x: &Tensor) -> Tensor {
        let channels = x.size()[1];
        x.permute([0, 2, 3, 1]).reshape([self.clips, -1, channels])
    }

    /// Each clip's mean over frames and pixels, [N, C].
    fn means(self, x: &Tensor) -> Tensor {
        self.rows(x).mean_dim(1, false, self.wide_kind())
    }

    /// A convolution's weight [out, in, t, k, k] and bias for this pass: with the norm folded in
    /// where its statistics rest, and `gain` (a scalar on what the norm gives) in that.
    fn folded(self, unit: &ConvUnit, gain: Option<&Tensor>) -> (Tensor, Option<Tensor>) {
        if self.mode.moves_statistics() {
            return (unit.weight.shallow_clone(), None);
        }
        let norm = norm_of(unit);
        let scale = amplified(&norm.weight, gain) / (&norm.running_var + NORM_EPSILON).sqrt();
        let bias = amplified(&norm.bias, gain) - &norm.running_mean * &scale;
        (
            &unit.weight * scale.view([-1, 1, 1, 1, 1]),
            Some(bias.to_kind(self.kind)),
        )
    }

    /// The norm after `unit` on [N T, C, H, W] where the batch's statistics count; [`Pass::folded`]
    /// has done it elsewhere.
    fn normalised(self, unit: &ConvUnit, y: Tensor, gain: Option<&Tensor>) -> Tensor {
        if !self.mode.moves_statistics() {
            return y;
        }
        let norm = norm_of(unit);
        let (weight, bias) = (amplified(&norm.weight, gain), amplified(&norm.bias, gain));
        norm.by_batch(&y, &weight, &bias)
    }

    /// A pointwise convolution with its norm.
    fn pointwise(self, unit: &ConvUnit, x: &Tensor, gain: Option<&Tensor>) -> Tensor {
        let (weight, bias) = self.folded(unit, gain);
        let weight = weight.flatten(1, -1).to_kind(self.kind);
        let y = x.permute([0, 2, 3, 1]).linear(&weight, bias);
        self.normalised(unit, y.permute([0, 3, 1, 2]), gain)
    }

    /// A convolution over frames with its norm: [N T, C, H, W] to [N T, C', H', W'].
    fn convolution(self, unit: &ConvUnit, x: &Tensor) -> Tensor {
        let size = self.by_clip(x).size();
        let frames = size[1];
        let [[front, _], high, wide] = unit.padding([frames, size[3], size[4]]);
        let [_, stride_y, stride_x] = unit.spec.stride;
        let groups = unit.spec.in_channels / unit.weight.size()[1];
        let (x, around) = if high[0] == high[1] && wide[0] == wide[1] {
            (x.shallow_clone(), [high[0], wide[0]])
        } else {
            let padded = x.constant_pad_nd([wide[0], wide[1], high[0], high[1]]);
            (padded, [0, 0])
        };
        let (weight, bias) = self.folded(unit, None);
        let weight = weight.to_kind(self.kind);
        let tap = |j: i64, bias: Option<&Tensor>| {
            x.conv2d(
                &weight.select(2, j),
                bias,
                [stride_y, stride_x],
                around,
                [1, 1],
                groups,
            )
        };
        let y = tap(front, bias.as_ref());
        let by_clip = self.by_clip(&y);
        for j in (0..unit.spec.kernel[0]).filter(|j| *j != front) {
            let shift = j - front;
            let shared = frames - shift.abs();
            // A kernel longer than the clip reads nothing but zeros there.
            if shared > 0 {
                let from = self.by_clip(&tap(j, None)).narrow(1, shift.max(0), shared);
                let _ = by_clip.narrow(1, (-shift).max(0), shared).g_add_(&from);
            }
        }
        self.normalised(unit, y, None)
    }

    /// The stem: clips [N, 3, T, H, W] to activations [N T, C, H, W].
    pub(super) fn stem(self, unit: &ConvUnit, clips: &Tensor) -> Tensor {
        let size = clips.size();
        // Free for clips that lie channels last, as the loader's do.
        let frames = clips
            .permute([0, 2, 3, 4, 1])
            .to_kind(self.kind)
            .reshape([size[0] * size[2], size[3], size[4], size[1]])
            .contiguous()
            .permute([0, 3, 1, 2]);
        self.convolution(unit, &frames).silu()
    }

    /// A bottleneck with its shortcut on [N T, C, H, W].
    pub(super) fn block(self, block: &Block, x: &Tensor) -> Tensor {
        let wide = self.pointwise(&block.expand, x, None).silu();
        let deep = self.convolution(&block.deep, &wide).silu();
        let narrow = self.gated_projection(block, &deep);
        match &block.residual {
            None => narrow + x,
            Some(residual) if residual.pools => {
                narrow + self.pointwise(&residual.conv, &self.pool(block, x), None)
            }
            Some(residual) => narrow + self.pointwise(&residual.conv, x, None),
        }
    }

    /// alpha norm(project(gate x)), the gate multiplied into the projection's weights of each clip.
    fn gated_projection(self, block: &Block, x: &Tensor) -> Tensor {
        let matrix =
            |unit: &ConvUnit, x: &Tensor| x.linear(&unit.weight.flatten(1, -1), unit.bias.as_ref());
        let squeezed = matrix(&block.squeeze.reduce, &self.means(x)).silu();
        let gate = matrix(&block.squeeze.expand, &squeezed).sigmoid();
        let alpha = Some(&block.alpha);
        let (weight, bias) = self.folded(&block.project, alpha);
        // [N, in, out]
        let weights = (weight.flatten(1, -1).unsqueeze(0) * gate.unsqueeze(1))
            .to_kind(self.kind)
            .transpose(1, 2);
        let rows = self.rows(x);
        let y = match bias {
            Some(bias) => bias.view([1, 1, -1]).baddbmm(&rows, &weights, 1, 1),
            None => rows.bmm(&weights),
        };
        let size = x.size();
        let y = y
            .view([size[0], size[2], size[3], block.project.spec.out_channels])
            .permute([0, 3, 1, 2]);
        self.normalised(&block.project, y, alpha)
    }

    /// The shortcut's average pooling, as [`Block`] has it. Zeros are put around the frames before it: libtorch's own padding is
    /// lost in the backward pass of a GPU where channels are last (seen with PyTorch 2.11, whose kernel for that does not count it
    /// in).
    fn pool(self, block: &Block, x: &Tensor) -> Tensor {
        let [_, stride, _] = block.spec.conv.stride;
        let around = |x: &Tensor, [high, wide]: [[i64; 2]; 2]| {
            x.constant_pad_nd([wide[0], wide[1], high[0], high[1]])
                .avg_pool2d([3, 3], [stride, stride], [0; 2], false, true, None::<i64>)
        };
        match block.geometry {
            Geometry::Seed => {
                let [_, high, wide] = block.spec.pool_padding;
                around(x, [[high; 2], [wide; 2]])
            }
            Geometry::Tf => {
                let size = x.size();
                let padding = [size[2], size[3]].map(|size| same_padding(size, stride, 3));
                let inside = Tensor::ones([1, 1, size[2], size[3]], (self.kind, x.device()));
                around(x, padding) / around(&inside, padding)
            }
        }
    }

    /// The last convolution and the mean of its activations, [N, C].
    pub(super) fn tail(self, unit: &ConvUnit, x: &Tensor) -> Tensor {
        self.means(&self.pointwise(unit, x, None).silu())
    }

    /// [N T, C, H, W] as the clips [N, C, T, H, W] that it stands for.
    pub(super) fn channels_first(self, x: &Tensor) -> Tensor {
        self.by_clip(x).permute([0, 2, 1, 3, 4])
    }
}

/// A norm's parameter with the scalar that multiplies what the norm gives.
fn amplified(parameter: &Tensor, gain: Option<&Tensor>) -> Tensor {
    gain.map_or_else(|| parameter.shallow_clone(), |gain| parameter * gain)
}

fn norm_of(unit: &ConvUnit) -> &Norm {
    let Some(norm) = &unit.norm else {
        unreachable!("the convolutions over frames are made with a norm")
    };
    norm
}
