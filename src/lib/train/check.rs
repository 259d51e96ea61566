//! Which settings make sense, alone and together.

use super::TrainError;
use super::settings::{
    ApproachName, CriterionName, OnTainted, SamplerName, SchedulerName, Settings, TrainConfig,
    UnlearnName,
};
use crate::data::{MAX_BATCH_BYTES, MAX_WORKERS, OnBadClip};
use crate::model::{Geometry, ModelPath, Precision};

/// The smallest crop, in pixels, that the seed's paddings leave 3 x 3 of for the pooling of the
/// last stage.
const LEAST_SIZE_SEED_PX: u32 = 57;

/// The largest frames that clips are resized to, in pixels a side.
const MAX_RESIZE_PX: u32 = 4096;

/// The longest that processes wait for each other: a week.
const MAX_TIMEOUT_SECONDS: u64 = 7 * 24 * 3600;

/// Most threads of a tensor operation.
const MAX_THREADS: usize = 1024;

fn refuse(flag: &'static str, why: impl Into<String>) -> Result<(), TrainError> {
    let why = why.into();
    Err(TrainError::Setting { flag, why })
}

impl TrainConfig {
    /// Refuses a start that makes no sense: its settings, and what lies beside them.
    ///
    /// # Errors
    /// [`TrainError::Setting`], naming the flag and what it may be.
    pub fn check(&self) -> Result<(), TrainError> {
        self.settings.check()?;
        self.check_processes()?;
        if self.workers > MAX_WORKERS {
            return refuse(
                "--workers",
                format!("{}, at most {MAX_WORKERS}", self.workers),
            );
        }
        if let Some(threads) = self.threads
            && !(1..=MAX_THREADS).contains(&threads)
        {
            return refuse(
                "--threads",
                format!("{threads} must lie in 1..{MAX_THREADS}"),
            );
        }
        for (flag, time) in [
            ("--start-timeout", self.timeouts.start),
            ("--rank-timeout", self.timeouts.rank),
        ] {
            if !(1..=MAX_TIMEOUT_SECONDS).contains(&time.as_secs()) {
                let why = format!("{} must lie in 1..{MAX_TIMEOUT_SECONDS}", time.as_secs());
                return refuse(flag, why);
            }
        }
        if self.extend.tasks && self.extend.epochs.is_some() {
            return refuse("--extend-epochs", "does not go with --extend-tasks");
        }
        if !(0.0..=1.0).contains(&self.max_bad) {
            return refuse("--max-bad", format!("{} must lie in 0..1", self.max_bad));
        }
        self.check_features()?;
        if self.max_bad > 0.0 && self.on_bad_clip == OnBadClip::Fail {
            return refuse("--max-bad", "belongs to --on-bad-clip skip");
        }
        let rolls_back = self.on_tainted == OnTainted::Rollback;
        if rolls_back && self.from_run.is_none() {
            return refuse(
                "--from-run",
                "--on-tainted rollback goes on from a run: name it",
            );
        }
        if self.from_run.is_some() && !rolls_back && self.settings.unlearn == UnlearnName::None {
            return refuse(
                "--from-run",
                "belongs to --on-tainted rollback, or to --unlearn METHOD beside a run of another method",
            );
        }
        if self.from_run.as_ref() == Some(&self.out) {
            return refuse("--from-run", "the run stays as it is: choose another --out");
        }
        if rolls_back && self.withdrawn.is_none() {
            return refuse(
                "--on-tainted",
                "rollback needs the list of withdrawn clips (--withdrawn)",
            );
        }
        self.check_forget()
    }

    /// Refuses clips to forget where nothing was trained on them, or nothing unlearns.
    fn check_forget(&self) -> Result<(), TrainError> {
        let at = self.settings.forget_at;
        if self.forget.is_none() {
            return match at {
                Some(_) => refuse("--forget-at", "belongs to --forget"),
                None => Ok(()),
            };
        }
        if self.settings.unlearn == UnlearnName::None || self.from_run.is_none() {
            return refuse(
                "--forget",
                "belongs to --from-run RUN, whose weights saw the clips, and to --unlearn METHOD",
            );
        }
        if self.on_tainted == OnTainted::Rollback {
            return refuse(
                "--forget",
                "--on-tainted rollback goes back to before the clips were seen: one of the two",
            );
        }
        if at == Some(0) {
            return refuse("--forget-at", "nothing is trained before task 0");
        }
        Ok(())
    }
}

impl TrainConfig {
    /// Refuses what several processes cannot do together.
    fn check_processes(&self) -> Result<(), TrainError> {
        let Some(launch) = &self.launch else {
            return Ok(());
        };
        let approach = self.settings.approach;
        let alone = if approach.is_on_features() {
            ("--approach", format!("{approach} takes seconds"))
        } else if self.from_run.is_some() {
            let why = "tasks are taken over first, and several processes can go on from there";
            ("--from-run", why.to_owned())
        } else if self.settings.unlearn == UnlearnName::Rollback {
            let why = "rollback trains a run within the run directory";
            ("--unlearn", why.to_owned())
        } else {
            return Ok(());
        };
        let (flag, why) = alone;
        Err(TrainError::OneProcess {
            flag,
            why,
            started: launch.size,
        })
    }

    /// Refuses what heads on cached features cannot make sense of, and features without such a head.
    fn check_features(&self) -> Result<(), TrainError> {
        let approach = self.settings.approach;
        match (approach.is_on_features(), self.features.is_some()) {
            (true, false) => refuse(
                "--features",
                format!("--approach {approach} needs a feature table (incdec-features)"),
            ),
            (false, true) => refuse(
                "--features",
                "belongs to --approach ridge, ranpac, sisa and head-finetune",
            ),
            (true, true) if self.pretrained.is_some() => refuse(
                "--pretrained",
                "the features have their backbone: not together with --features",
            ),
            (true, true) if self.seed_outputs => refuse(
                "--seed-outputs",
                format!("the seed has nothing like --approach {approach}"),
            ),
            (true, true) if self.from_run.is_some() => refuse(
                "--from-run",
                format!("--approach {approach} is trained anew in seconds: leave it out"),
            ),
            (true, true) if self.extend.epochs.is_some() => refuse(
                "--extend-epochs",
                format!("--approach {approach} has no epochs to go back into"),
            ),
            _ => Ok(()),
        }
    }
}

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
    pub(super) fn check_deal(&self, processes: usize) -> Result<(), TrainError> {
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
    use std::path::Path;

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
    fn what_lies_beside_the_settings_is_refused_by_its_flag_too() {
        let refused = |change: fn(&mut TrainConfig)| {
            let mut config = TrainConfig::new("a".into(), Path::new("b"), "c".into());
            config.check().unwrap();
            change(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(refused(|c| c.workers = 257).starts_with("--workers: 257, at most 256"));
        assert!(refused(|c| c.threads = Some(0)).starts_with("--threads: 0 must lie in"));
        assert!(refused(|c| c.threads = Some(1 << 40)).starts_with("--threads: 1099511627776"));
        assert!(
            refused(|c| c.max_bad = 0.1).starts_with("--max-bad: belongs to --on-bad-clip skip")
        );
        for share in [-0.1, 1.5, f64::NAN] {
            let mut config = TrainConfig::new("a".into(), Path::new("b"), "c".into());
            config.on_bad_clip = OnBadClip::Skip;
            config.max_bad = share;
            let said = config.check().unwrap_err().to_string();
            assert!(said.starts_with("--max-bad: "), "{said}");
        }
        assert!(refused(|c| c.settings.epochs = 0).starts_with("--epochs"));
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
