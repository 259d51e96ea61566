//! The network: stem, bottlenecks, the features, the head.

use tch::nn::Path;
use tch::{Kind, Tensor};

use super::config::{Mode, ModelConfig, ModelPath};
use super::frames::Pass;
use super::fused;
use super::layers::{Beside, Block, ConvUnit, NORM_MOMENTUM, Norm, swish};
use super::precision::Precision;

/// What a forward pass gives.
#[derive(Debug)]
pub struct Output {
    /// [N, classes], before any sigmoid or softmax.
    pub logits: Tensor,
    /// [N, hidden]: the backbone's output, after the dropout.
    pub features: Tensor,
}

/// What a forward pass gives, with two outputs from within.
#[derive(Debug)]
pub struct Stages {
    /// [N, C, T, H, W] after the stem.
    pub after_conv1: Tensor,
    /// [N, C, T, H, W] after the last bottleneck.
    pub after_blocks: Tensor,
    /// The ends.
    pub output: Output,
}

/// A `MoViNet` over the variables of a store.
#[derive(Debug)]
pub struct Movinet {
    config: ModelConfig,
    conv1: ConvUnit,
    blocks: Vec<Block>,
    conv7: ConvUnit,
    conv9: ConvUnit,
    head: ConvUnit,
}

impl Movinet {
    /// Makes the variables under `root` (a store's root, for the seed's names) with the seed's kind
    /// of first weights: convolutions normal by fan out, norms 1 and 0, `alpha` 0, the head uniform
    /// by fan in.
    #[must_use]
    pub fn new(root: &Path, config: &ModelConfig) -> Self {
        let rows = config.variant.config();
        let (geometry, seed) = (config.geometry, config.seed);
        let backbone = root / "backbone";
        let blocks = rows.stages.iter().enumerate().flat_map(|(i, stage)| {
            let path = &backbone / "blocks";
            stage.iter().enumerate().map(move |(j, row)| {
                Block::new(&(&path / format!("b{i}_l{j}")), *row, geometry, seed)
            })
        });
        Self {
            conv1: ConvUnit::new(
                &(&backbone / "conv1"),
                rows.stem,
                1,
                Beside::Norm,
                geometry,
                seed,
            ),
            blocks: blocks.collect(),
            conv7: ConvUnit::new(
                &(&backbone / "conv7"),
                rows.last,
                1,
                Beside::Norm,
                geometry,
                seed,
            ),
            conv9: ConvUnit::pointwise(
                &(&(&backbone / "conv9") / 0),
                [rows.last.out_channels, rows.hidden],
                Beside::Bias,
                geometry,
                seed,
            ),
            head: ConvUnit::pointwise(
                &(&(&(&(root / "heads") / 0) / 0) / 0),
                [rows.hidden, config.classes],
                Beside::HeadBias,
                geometry,
                seed,
            ),
            config: config.clone(),
        }
    }

    /// The settings it was made with.
    #[must_use]
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Changes how the network is computed; its variables stay.
    pub fn set_path(&mut self, path: ModelPath) {
        self.config.path = path;
    }

    /// Changes the floats that the network computes in; its variables stay.
    pub fn set_precision(&mut self, precision: Precision) {
        self.config.precision = precision;
    }

    /// `clips` [N, 3, T, H, W], normalised, of the variables' kind and device. `train` moves the
    /// running statistics and drops features; otherwise both rest.
    #[must_use]
    pub fn forward_t(&self, clips: &Tensor, train: bool) -> Output {
        self.forward(clips, if train { Mode::Train } else { Mode::Evaluate })
    }

    /// [`Movinet::forward_t`] with every mode.
    #[must_use]
    pub fn forward(&self, clips: &Tensor, mode: Mode) -> Output {
        self.forward_stages(clips, mode).output
    }

    /// [`Movinet::forward`] with two outputs from within, for comparison with the seed's.
    #[must_use]
    pub fn forward_stages(&self, clips: &Tensor, mode: Mode) -> Stages {
        let stages = self.computed(clips, mode);
        if let Some(moments) = self.take_moments() {
            self.move_statistics(&moments);
        }
        stages
    }

    /// [`Movinet::forward`] that moves no running statistics: with the output come the batch's moments, for
    /// [`Movinet::move_statistics`], where the batch was normalised by them.
    #[must_use]
    pub fn forward_apart(&self, clips: &Tensor, mode: Mode) -> (Output, Option<Tensor>) {
        let stages = self.computed(clips, mode);
        (stages.output, self.take_moments())
    }

    /// Moves every norm's running statistics through the moments of a batch, and counts it: r becomes (1 - m) r + m x. The same
    /// moments in the same order leave the same bits, whoever computed them.
    pub fn move_statistics(&self, moments: &Tensor) {
        tch::no_grad(|| {
            let norms = || self.norms();
            let running = norms().flat_map(|norm| [&norm.running_mean, &norm.running_var]);
            let running: Vec<Tensor> = running.map(Tensor::shallow_clone).collect();
            let sizes: Vec<i64> = running.iter().map(|tensor| tensor.size()[0]).collect();
            let flat = Tensor::cat(&running, 0);
            let kind = flat.kind();
            let moved =
                flat.to_kind(Kind::Double) * (1.0 - NORM_MOMENTUM) + moments * NORM_MOMENTUM;
            let moved = moved.to_kind(kind).split_with_sizes(&sizes, 0);
            for (mut target, value) in running.into_iter().zip(moved) {
                target.copy_(&value);
            }
            norms().for_each(Norm::count_batch);
        });
    }

    /// The norms in a fixed order.
    fn norms(&self) -> impl Iterator<Item = &Norm> {
        let inner = self.blocks.iter().flat_map(Block::normed_units);
        let units = [&self.conv1].into_iter().chain(inner).chain([&self.conv7]);
        units.filter_map(|unit| unit.norm.as_ref())
    }

    /// The moments of the last batch, if it was normalised by its own: mean and unbiased variance of one norm after the other,
    /// 64-bit floats in one dimension.
    fn take_moments(&self) -> Option<Tensor> {
        let moments: Option<Vec<Tensor>> = self.norms().map(Norm::take_moments).collect();
        let flat: Vec<Tensor> = moments?
            .iter()
            .map(|of_norm| of_norm.reshape([-1]))
            .collect();
        Some(Tensor::cat(&flat, 0).to_kind(Kind::Double))
    }

    fn computed(&self, clips: &Tensor, mode: Mode) -> Stages {
        match (self.config.path, self.config.precision) {
            (ModelPath::Fast, Precision::F32) if fused::fits(&self.config, clips) => {
                self.fused_stages(clips, mode)
            }
            (ModelPath::Reference, Precision::F32) => self.reference_stages(clips, mode),
            _ => self.frames_stages(clips, mode),
        }
    }

    /// [`Movinet::computed`] by one stock operator after another on [N, C, T, H, W].
    fn reference_stages(&self, clips: &Tensor, mode: Mode) -> Stages {
        let after_conv1 = swish(&self.conv1.forward(clips, mode));
        let mut x = after_conv1.shallow_clone();
        for block in &self.blocks {
            x = block.forward(&x, mode);
        }
        let last = swish(&self.conv7.forward(&x, mode));
        let pooled = last.mean_dim([2, 3, 4].as_slice(), false, None::<Kind>);
        Stages {
            after_conv1,
            after_blocks: x,
            output: self.finish(&pooled, mode),
        }
    }

    /// [`Movinet::computed`] on frames as a batch of pictures.
    fn frames_stages(&self, clips: &Tensor, mode: Mode) -> Stages {
        let pass = Pass::new(mode, self.config.precision, clips);
        let after_conv1 = pass.stem(&self.conv1, clips);
        let mut x = after_conv1.shallow_clone();
        for block in &self.blocks {
            x = pass.block(block, &x);
        }
        Stages {
            output: self.finish(&pass.tail(&self.conv7, &x), mode),
            after_conv1: pass.channels_first(&after_conv1),
            after_blocks: pass.channels_first(&x),
        }
    }

    /// [`Movinet::computed`] by the fused operators.
    fn fused_stages(&self, clips: &Tensor, mode: Mode) -> Stages {
        fused::keep_memory();
        let after_conv1 = fused::stem(&self.conv1, clips, mode);
        let mut x = after_conv1.shallow_clone();
        for block in &self.blocks {
            x = fused::block(block, &x, mode, self.config.checkpoint_blocks);
        }
        let pooled = fused::tail(&self.conv7, &x, mode);
        let output = self.finish(&pooled, mode);
        let to_channels_first = |x: Tensor| x.permute([0, 4, 1, 2, 3]);
        Stages {
            after_conv1: to_channels_first(after_conv1),
            after_blocks: to_channels_first(x),
            output,
        }
    }

    /// The features and the head from the means [N, C] of the last convolution.
    fn finish(&self, pooled: &Tensor, mode: Mode) -> Output {
        let matrix =
            |unit: &ConvUnit, x: &Tensor| x.linear(&unit.weight.flatten(1, -1), unit.bias.as_ref());
        let hidden = swish(&matrix(&self.conv9, pooled));
        let features = hidden.dropout(self.config.dropout, mode.drops());
        Output {
            logits: matrix(&self.head, &features),
            features,
        }
    }
}
