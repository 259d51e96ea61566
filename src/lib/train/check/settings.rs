//! Which settings make sense, alone and together.

use super::refuse;
use crate::data::MAX_BATCH_BYTES;
use crate::model::{Geometry, ModelPath, Precision};
use crate::train::TrainError;
use crate::train::settings::{
    ApproachName, CriterionName, SamplerName, SchedulerName, Settings, UnlearnName,
};

/// The smallest crop, in pixels, that the seed's paddings leave 3 x 3 of for the pooling of the
/// last stage.
const LEAST_SIZE_SEED_PX: u32 = 57;

/// The largest frames that clips are resized to, in pixels a side.
const MAX_RESIZE_PX: u32 = 4096;

impl Settings {
    /// Refuses settings that make no sense, alone or together.
    ///
    /// # Errors
    /// [`TrainError::Setting`], naming the flag and what it may be.
    pub fn check(&self) -> Result<(), TrainError> {
        self.check_numbers()?;
        self.check_frames()?;
        self.check_computing()?;
        self.check_approach()
    }

    /// Refuses steps whose micro-batches cannot be dealt evenly to so many processes.
    ///
    /// # Errors
    /// [`TrainError::Setting`], naming the numbers of processes that can share them.
    pub(in crate::train) fn check_deal(&self, processes: usize) -> Result<(), TrainError> {
        let batches = self.micro_batches();
        if batches.is_multiple_of(processes) {
            return Ok(());
        }
        let fitting = (1..=batches).filter(|&n| batches.is_multiple_of(n));
        let fitting: Vec<String> = fitting.map(|n| n.to_string()).collect();
        let why = format!(
            "the {batches} batches of a step cannot be dealt evenly to {processes} processes: {} can share them; a multiple of \
             {processes} suits these",
            fitting.join(", ")
        );
        refuse("--accumulation", why)
    }

    /// Refuses numbers outside their range.
    fn check_numbers(&self) -> Result<(), TrainError> {
        let counts = [
            ("--frames", self.frames),
            ("--epochs", self.epochs as usize),
            ("--batch-size", self.batch_size),
            ("--size", self.size as usize),
        ];
        if let Some((flag, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return refuse(flag, "must be at least 1");
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
            let why = format!("{} must lie in 0..1, 1 left out", self.dropout);
            return refuse("--dropout", why);
        }
        if !(self.lwf_temperature.is_finite() && self.lwf_temperature > 0.0) {
            return refuse("--lwf-temperature", "must be above 0");
        }
        Ok(())
    }

    /// Refuses frames that cannot be cropped, or that the network shrinks to nothing.
    fn check_frames(&self) -> Result<(), TrainError> {
        let (size, resize) = (self.size, self.resize);
        if size > resize {
            let why = format!("{size} pixels cannot be cropped from frames of {resize}");
            return refuse("--size", why);
        }
        if self.geometry == Geometry::Seed && size < LEAST_SIZE_SEED_PX {
            let why = format!(
                "{size} pixels leave the last stage nothing to pool in the seed's geometry: at least {LEAST_SIZE_SEED_PX}, or --geometry tf"
            );
            return refuse("--size", why);
        }
        if resize > MAX_RESIZE_PX {
            return refuse(
                "--resize",
                format!("{resize} pixels, at most {MAX_RESIZE_PX}"),
            );
        }
        let side = size as usize;
        let bytes = [self.batch_size, self.frames, side, side, 3]
            .iter()
            .try_fold(1usize, |product, n| product.checked_mul(*n));
        if bytes.is_none_or(|bytes| bytes > MAX_BATCH_BYTES) {
            let (clips, frames) = (self.batch_size, self.frames);
            let why = format!(
                "a batch of {clips} clips of {frames} frames of {size} x {size} pixels takes more than {MAX_BATCH_BYTES} \
                 bytes; --frames and --size make it smaller, too"
            );
            return refuse("--batch-size", why);
        }
        Ok(())
    }

    /// Refuses ways of computing that do not go together.
    fn check_computing(&self) -> Result<(), TrainError> {
        if self.precision == Precision::Bf16 && self.model_path == ModelPath::Reference {
            return refuse("--precision", "bf16 is no part of --model-path reference");
        }
        let fused = self.model_path == ModelPath::Fast && self.precision == Precision::F32;
        if self.checkpoint_blocks && !fused {
            return refuse(
                "--checkpoint-blocks",
                "only --model-path fast in --precision f32 computes blocks again",
            );
        }
        Ok(())
    }

    /// Refuses what the approach cannot make sense of.
    fn check_approach(&self) -> Result<(), TrainError> {
        #[allow(clippy::float_cmp)] // Exactly 1 is the setting's neutral value.
        let tempered = self.lwf_temperature != 1.0;
        let multilabel = self.criterion == CriterionName::Multilabel;
        if self.approach == ApproachName::Lwf && tempered && multilabel {
            return refuse(
                "--lwf-temperature",
                "a temperature other than 1 needs --criterion multiclass",
            );
        }
        self.check_buffer()?;
        if self.unlearn_seed.is_some() && self.unlearn == UnlearnName::None {
            return refuse("--unlearn-seed", "belongs to --unlearn METHOD");
        }
        if self.from_scratch && self.unlearn != UnlearnName::None {
            return refuse(
                "--unlearn",
                "new weights have nothing to unlearn: not together with --from-scratch",
            );
        }
        if self.approach.is_on_features() {
            return self.check_head();
        }
        Ok(())
    }

    /// Refuses what replay cannot make sense of, and a buffer without it.
    fn check_buffer(&self) -> Result<(), TrainError> {
        if !self.approach.has_buffer() {
            return match self.buffer {
                Some(_) => refuse("--buffer", "belongs to --approach er, der++ and gdumb"),
                None => Ok(()),
            };
        }
        if self.buffer == Some(0) {
            return refuse("--buffer", "must be at least 1");
        }
        let groups = match self.approach {
            ApproachName::DerPlusPlus => 3,
            ApproachName::Er => 2,
            _ => 1,
        };
        if self.batch_size < groups {
            let why = format!(
                "{}: --approach {} takes {groups} kinds of clips into each batch",
                self.batch_size, self.approach
            );
            return refuse("--batch-size", why);
        }
        if self.sampler == SamplerName::Imbalanced {
            let why = format!("--approach {} draws by itself: use balanced", self.approach);
            return refuse("--sampler", why);
        }
        Ok(())
    }

    /// Refuses what a head on cached features cannot make sense of.
    fn check_head(&self) -> Result<(), TrainError> {
        if self.unlearn != UnlearnName::None {
            let why = format!("--approach {} unlearns by itself", self.approach);
            return refuse("--unlearn", why);
        }
        if self.scheduler != SchedulerName::Fixed {
            let why = format!(
                "--approach {} trains at a fixed rate: use --scheduler fixed",
                self.approach
            );
            return refuse("--scheduler", why);
        }
        if self.from_scratch && self.approach == ApproachName::Sisa {
            return refuse(
                "--from-scratch",
                "sisa trains again by itself what a withdrawal asks for",
            );
        }
        Ok(())
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
        let plain_bf16 = |s: &mut Settings| {
            s.precision = Precision::Bf16;
            s.model_path = ModelPath::Reference;
        };
        assert!(refused(plain_bf16).starts_with("--precision: bf16 is no part of"));
        let kept_anyway = |s: &mut Settings| {
            s.precision = Precision::Bf16;
            s.checkpoint_blocks = true;
        };
        assert!(refused(kept_anyway).starts_with("--checkpoint-blocks: only"));
        let tempered = |s: &mut Settings| {
            s.approach = ApproachName::Lwf;
            s.lwf_temperature = 2.0;
        };
        assert!(refused(tempered).contains("needs --criterion multiclass"));
    }

    #[test]
    fn a_step_that_processes_cannot_share_evenly_is_refused_with_the_numbers_that_can() {
        let settings = Settings {
            accumulation: 12,
            ..Settings::default()
        };
        for processes in [1, 2, 3, 4, 6, 12] {
            settings.check_deal(processes).unwrap();
        }
        let said = settings.check_deal(5).unwrap_err().to_string();
        assert!(
            said.starts_with("--accumulation: the 12 batches of a step cannot be dealt evenly to 5 processes: 1, 2, 3, 4, 6, 12 can"),
            "{said}"
        );
        let said = Settings::default().check_deal(2).unwrap_err().to_string();
        assert!(said.contains("the 1 batches"), "{said}");
    }

    #[test]
    fn sizes_that_no_memory_holds_are_refused_by_their_flag() {
        assert!(
            refused(|s| s.resize = u32::MAX).starts_with("--resize: 4294967295 pixels, at most")
        );
        assert!(
            refused(|s| s.batch_size = 1 << 40)
                .starts_with("--batch-size: a batch of 1099511627776")
        );
        assert!(
            refused(|s| s.frames = usize::MAX).starts_with("--batch-size: a batch of 4 clips of")
        );
    }
}
