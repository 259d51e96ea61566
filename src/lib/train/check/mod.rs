//! Which starts make sense; `settings`: which settings do, alone and together.

mod settings;

use super::TrainError;
use super::settings::{OnTainted, TrainConfig, UnlearnName};
use crate::data::{MAX_WORKERS, OnBadClip};

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

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
}
