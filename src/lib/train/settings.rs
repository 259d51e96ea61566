//! Every setting of a run with its unit and default, in one place.
//!
//! [`Settings`] holds what can change a result; it is what `settings.json` and every table's provenance record.
//! [`TrainConfig`] adds what cannot: paths, device, workers, threads, what is printed and written beside.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::TrainError;
pub use super::choices::{
    ApproachName, CriterionName, FeatureDistance, FisherEstimate, OptimizerName, PlateauCheck,
    SamplerName, SchedulerName,
};
pub use super::compat::Compat;
use crate::data::OnBadClip;
use crate::model::{Geometry, ModelPath, Variant};

/// The smallest crop, in pixels, that the seed's paddings leave 3 x 3 of for the pooling of the last stage.
const LEAST_SIZE_SEED_PX: u32 = 57;

/// Everything that can change a run's result, apart from the bytes of its inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools)] // Yes-or-no settings of the experiment, each a flag of its own.
pub struct Settings {
    /// How the model is updated. Default `finetune`.
    pub approach: ApproachName,
    /// The model's size, A0 to A5. Default `A0`.
    #[serde(with = "as_text")]
    pub variant: Variant,
    /// Padding geometry: `seed` (explicit) or `tf` (of the published weights). Default `seed`.
    #[serde(with = "as_text")]
    pub geometry: Geometry,
    /// How the convolutions run: `fast` or `reference`. Equal up to rounding. Default `fast`.
    #[serde(with = "as_text")]
    pub model_path: ModelPath,
    /// Whether a block's inside is computed again in the backward pass instead of kept: less memory, more time. Default no.
    pub checkpoint_blocks: bool,
    /// Frames a clip enters the model with; shorter clips are repeated, longer ones cut. Default 50.
    pub frames: usize,
    /// Side to which frames are resized before cropping, in pixels. Default 200.
    pub resize: u32,
    /// Side of the crop that the model sees, in pixels. Default 172.
    pub size: u32,
    /// Most epochs of a task. Default 100.
    pub epochs: u32,
    /// Clips of a batch. Default 4.
    pub batch_size: usize,
    /// Batches whose gradients are summed before a step; 0 and 1 step after each. Default 0.
    pub accumulation: u32,
    /// How an epoch draws clips. Default `balanced`.
    pub sampler: SamplerName,
    /// The classification loss. Default `multilabel`.
    pub criterion: CriterionName,
    /// How rates change within a task. Default `fixed`.
    pub scheduler: SchedulerName,
    /// What reduce-on-plateau watches. Default `map`.
    pub plateau_check: PlateauCheck,
    /// Epochs in a row without improvement that reduce-on-plateau bears. Default 10.
    pub patience: u32,
    /// Epochs in a row without a better mAP after which a task ends (`fixed` only). Default 1000: practically never.
    pub early_stop: u32,
    /// Learning rate of the backbone in task 0. Default 1e-4.
    pub lr_first_task: f64,
    /// Learning rate of the head in task 0. Default 1e-4.
    pub lr_first_task_head: f64,
    /// Learning rate of the backbone in later tasks. Default 1e-4.
    pub lr_backbone: f64,
    /// Learning rate of the head in later tasks. Default 1e-4.
    pub lr_head: f64,
    /// Weight decay of every trainable parameter. Default 5e-4.
    pub weight_decay: f64,
    /// The update rule. Default `adam`.
    pub optimizer: OptimizerName,
    /// Probability of dropping a feature before the head. Default 0.2.
    pub dropout: f64,
    /// Batch norm stays as it is from task 1 on. Default no.
    pub freeze_bn: bool,
    /// The backbone stays as it is from task 1 on. Default no.
    pub freeze_backbone: bool,
    /// Weight of EWC's penalty. Default 500.
    pub ewc_lambda: f64,
    /// Share of the old Fisher information when a new one is merged in, 0..1. Default 0.5.
    pub ewc_alpha: f64,
    /// How the Fisher information is estimated. Default `batch`.
    pub fisher: FisherEstimate,
    /// Weight of LwF's penalty. Default 1.
    pub lwf_lambda: f64,
    /// Temperature of LwF's softened probabilities (multiclass only). Default 1.
    pub lwf_temperature: f64,
    /// Weight of feature distillation's penalty. Default 0.1.
    pub fd_lambda: f64,
    /// How feature distillation measures distance. Default `l2`.
    pub fd_distance: FeatureDistance,
    /// Whether the run ends after task 0. Default no.
    pub stop_after_first_task: bool,
    /// Whether each task starts from new weights (the reference that unlearning is compared with). Default no.
    pub from_scratch: bool,
    /// Seed of every random choice. Default 0.
    pub seed: u64,
    /// The quirks of the seed that are on. Default none.
    pub compat: Compat,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            approach: ApproachName::Finetune,
            variant: Variant::A0,
            geometry: Geometry::Seed,
            model_path: ModelPath::Fast,
            checkpoint_blocks: false,
            frames: 50,
            resize: 200,
            size: 172,
            epochs: 100,
            batch_size: 4,
            accumulation: 0,
            sampler: SamplerName::Balanced,
            criterion: CriterionName::Multilabel,
            scheduler: SchedulerName::Fixed,
            plateau_check: PlateauCheck::Map,
            patience: 10,
            early_stop: 1000,
            lr_first_task: 1e-4,
            lr_first_task_head: 1e-4,
            lr_backbone: 1e-4,
            lr_head: 1e-4,
            weight_decay: 5e-4,
            optimizer: OptimizerName::Adam,
            dropout: 0.2,
            freeze_bn: false,
            freeze_backbone: false,
            ewc_lambda: 500.0,
            ewc_alpha: 0.5,
            fisher: FisherEstimate::Batch,
            lwf_lambda: 1.0,
            lwf_temperature: 1.0,
            fd_lambda: 0.1,
            fd_distance: FeatureDistance::L2,
            stop_after_first_task: false,
            from_scratch: false,
            seed: 0,
            compat: Compat::default(),
        }
    }
}

impl Settings {
    /// Refuses settings that make no sense, alone or together.
    ///
    /// # Errors
    /// [`TrainError::Setting`], naming the flag and what it may be.
    pub fn check(&self) -> Result<(), TrainError> {
        let refuse = |flag, why: String| Err(TrainError::Setting { flag, why });
        let counts = [
            ("--frames", self.frames),
            ("--epochs", self.epochs as usize),
            ("--batch-size", self.batch_size),
            ("--size", self.size as usize),
            ("--early-stop", self.early_stop as usize),
        ];
        for (flag, count) in counts {
            if count == 0 {
                return refuse(flag, "must be at least 1".into());
            }
        }
        if self.size > self.resize {
            return refuse(
                "--size",
                format!(
                    "{} pixels cannot be cropped from frames of {}",
                    self.size, self.resize
                ),
            );
        }
        if self.geometry == Geometry::Seed && self.size < LEAST_SIZE_SEED_PX {
            return refuse(
                "--size",
                format!(
                    "{} pixels leave the last stage nothing to pool in the seed's geometry: at least {LEAST_SIZE_SEED_PX}, or --geometry tf",
                    self.size
                ),
            );
        }
        let weights = [
            ("--lr-first-task", self.lr_first_task),
            ("--lr-first-task-head", self.lr_first_task_head),
            ("--lr-backbone", self.lr_backbone),
            ("--lr-head", self.lr_head),
            ("--weight-decay", self.weight_decay),
            ("--ewc-lambda", self.ewc_lambda),
            ("--lwf-lambda", self.lwf_lambda),
            ("--fd-lambda", self.fd_lambda),
        ];
        for (flag, value) in weights {
            if !(value.is_finite() && value >= 0.0) {
                return refuse(flag, format!("{value} must be a finite number, 0 or more"));
            }
        }
        if !(0.0..=1.0).contains(&self.ewc_alpha) {
            return refuse(
                "--ewc-alpha",
                format!("{} must lie in 0..1", self.ewc_alpha),
            );
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return refuse(
                "--dropout",
                format!("{} must lie in 0..1, 1 left out", self.dropout),
            );
        }
        if !(self.lwf_temperature.is_finite() && self.lwf_temperature > 0.0) {
            return refuse("--lwf-temperature", "must be above 0".into());
        }
        #[allow(clippy::float_cmp)] // Exactly 1 is the setting's neutral value.
        let tempered = self.lwf_temperature != 1.0;
        if self.approach == ApproachName::Lwf
            && tempered
            && self.criterion == CriterionName::Multilabel
        {
            return refuse(
                "--lwf-temperature",
                "a temperature other than 1 needs --criterion multiclass".into(),
            );
        }
        if self.from_scratch && self.approach != ApproachName::Finetune {
            return refuse(
                "--from-scratch",
                format!(
                    "new weights in each task leave {} nothing to hold on to; use --approach finetune",
                    self.approach
                ),
            );
        }
        Ok(())
    }

    /// Whether the backbone takes no gradient in `task`.
    #[must_use]
    pub fn backbone_is_frozen(&self, task: usize) -> bool {
        let honoured =
            self.approach == ApproachName::Finetune || !self.compat.freeze_backbone_only_finetune;
        self.freeze_backbone && task > 0 && honoured
    }

    /// Whether batch norm's weights and biases take no gradient in `task`.
    #[must_use]
    pub fn batch_norm_is_frozen(&self, task: usize) -> bool {
        self.freeze_bn && task > 0
    }

    /// The learning rates (backbone, head) that `task` starts with.
    #[must_use]
    pub fn rates(&self, task: usize) -> (f64, f64) {
        if task == 0 {
            (self.lr_first_task, self.lr_first_task_head)
        } else {
            (self.lr_backbone, self.lr_head)
        }
    }
}

/// Where the model computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU where there is one, otherwise the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The GPU with this index.
    Cuda(usize),
}

impl std::str::FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("{text:?} is no device: expected auto, cpu or cuda:N")),
        }
    }
}

/// What a run is started with.
#[derive(Clone, Debug)]
pub struct TrainConfig {
    /// Folder of `availability.parquet` and `schedule.parquet`.
    pub availability: PathBuf,
    /// Folder of the frame shards and their `index.parquet`.
    pub shards: PathBuf,
    /// The run directory.
    pub out: PathBuf,
    /// Weights to start from; the backbone is taken, the head is new. Default none.
    pub pretrained: Option<PathBuf>,
    /// Where the model computes. Default `auto`.
    pub device: DeviceChoice,
    /// Threads that decode and augment clips. Default 2.
    pub workers: usize,
    /// Threads of a tensor operation; `None` leaves libtorch's own choice. Default none.
    pub threads: Option<usize>,
    /// What happens to a clip whose stored frames cannot be read. Default: it ends the run.
    pub on_bad_clip: OnBadClip,
    /// Whether the seed's output files are written beside the tables. Default no.
    pub seed_outputs: bool,
    /// What `parameters.csv` and `summary.csv` say of arguments of the seed's command line, where that is not what this run
    /// would say (a GPU's number on a machine without one, a path as it was spelt). Default none.
    pub seed_arguments: BTreeMap<String, String>,
    /// Whether the end tells where each second went. Default no.
    pub profile: bool,
    /// What can change the result.
    pub settings: Settings,
}

impl TrainConfig {
    /// The defaults with the three paths that have none.
    #[must_use]
    pub fn new(availability: PathBuf, shards: PathBuf, out: PathBuf) -> Self {
        Self {
            availability,
            shards,
            out,
            pretrained: None,
            device: DeviceChoice::Auto,
            workers: 2,
            threads: None,
            on_bad_clip: OnBadClip::Fail,
            seed_outputs: false,
            seed_arguments: BTreeMap::new(),
            profile: false,
            settings: Settings::default(),
        }
    }
}

/// Settings files keep the model's choices by the texts that the command line takes.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr,
        T::Err: Display,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with settings after a change.
    fn refused(change: impl FnOnce(&mut Settings)) -> String {
        let mut settings = Settings::default();
        settings.check().unwrap();
        change(&mut settings);
        settings.check().unwrap_err().to_string()
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_by_their_flag() {
        assert!(refused(|s| s.epochs = 0).starts_with("--epochs: must be at least 1"));
        assert!(refused(|s| s.batch_size = 0).starts_with("--batch-size"));
        assert!(
            refused(|s| s.size = 201)
                .starts_with("--size: 201 pixels cannot be cropped from frames of 200")
        );
        assert!(refused(|s| s.size = 56).contains("--geometry tf"));
        assert!(refused(|s| s.lr_head = f64::NAN).starts_with("--lr-head"));
        assert!(refused(|s| s.weight_decay = -1.0).starts_with("--weight-decay"));
        assert!(refused(|s| s.ewc_alpha = 1.5).starts_with("--ewc-alpha"));
        assert!(refused(|s| s.dropout = 1.0).starts_with("--dropout"));
        assert!(refused(|s| s.lwf_temperature = 0.0).starts_with("--lwf-temperature"));
        let tempered = |s: &mut Settings| {
            s.approach = ApproachName::Lwf;
            s.lwf_temperature = 2.0;
        };
        assert!(refused(tempered).contains("needs --criterion multiclass"));
        let anew = |s: &mut Settings| {
            s.approach = ApproachName::Ewc;
            s.from_scratch = true;
        };
        assert!(refused(anew).contains("leave ewc nothing to hold on to"));
    }

    #[test]
    fn settings_survive_json() {
        let settings = Settings {
            approach: ApproachName::Ewc,
            compat: Compat::TWYN2024,
            ..Settings::default()
        };
        let text = serde_json::to_string(&settings).unwrap();
        assert!(text.contains(r#""variant":"A0""#), "{text}");
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
    }

    #[test]
    fn the_frozen_backbone_is_every_approachs_unless_the_seeds_quirk_is_on() {
        let mut settings = Settings {
            freeze_backbone: true,
            approach: ApproachName::Fd,
            ..Settings::default()
        };
        assert!(!settings.backbone_is_frozen(0));
        assert!(settings.backbone_is_frozen(1));
        settings.compat.freeze_backbone_only_finetune = true;
        assert!(!settings.backbone_is_frozen(1));
    }
}
