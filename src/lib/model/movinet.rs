//! The network: stem, bottlenecks, the features, the head.

use tch::nn::Path;
use tch::{Kind, Tensor};

use super::config::{Mode, ModelConfig, ModelPath};
use super::frames::Pass;
use super::fused;
use super::layers::{Beside, Block, ConvUnit, swish};
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
        match (self.config.path, self.config.precision) {
            (ModelPath::Fast, Precision::F32) if fused::fits(&self.config, clips) => {
                self.fused_stages(clips, mode)
            }
            (ModelPath::Reference, Precision::F32) => self.reference_stages(clips, mode),
            _ => self.frames_stages(clips, mode),
        }
    }

    /// [`Movinet::forward_stages`] by one stock operator after another on [N, C, T, H, W].
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

    /// [`Movinet::forward_stages`] on frames as a batch of pictures.
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

    /// [`Movinet::forward_stages`] by the fused operators.
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
