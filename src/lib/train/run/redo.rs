//! `--unlearn retrain` and `--unlearn rollback`: what the model was is put away, and trained again
//! without what leaves. Cost: none for retraining, whose task then trains new weights; for rolling
//! back the epochs of every task since what leaves was first seen, over what is left of their lists.

use std::fs;
use std::path::Path;

use super::forgetting::Forgetting;
use super::rollback::TakeOver;
use super::{Run, pretrained, train};
use crate::artifact::ArtifactError;
use crate::parquet_file;
use crate::run_record::{Extension, ROLLBACK, RunRecord, rollback_folder};
use crate::tables::{Availability, AvailabilityRow, TimingRow};
use crate::train::settings::{OnTainted, TrainConfig};
use crate::train::watch::{Moment, Order, Watch};
use crate::train::{TrainError, approach};

impl Run<'_> {
    /// New weights, and an approach that has seen nothing.
    pub(super) fn retrain(&mut self) -> Result<(), TrainError> {
        self.learner.restart();
        pretrained::load(self.config, &self.learner)?;
        self.approach.forget();
        Ok(())
    }

    /// Puts the weights and the approach's state in place that a run has before `task` in which what
    /// has departed by then was never there. That run lies in the run directory, goes on where it
    /// was stopped, and takes over the tasks of this one that never knew any of it. Gives how many
    /// visits of clips it trained again.
    ///
    /// # Errors
    /// Those of a run.
    pub(super) fn roll_back(&mut self, task: usize) -> Result<usize, TrainError> {
        let out = self.config.out.join(rollback_folder(task));
        let lists = self.config.out.join(ROLLBACK).join(format!("lists-{task}"));
        let mut tasks = Availability::read(&self.config.out.join(AvailabilityRow::FILE))?;
        let mut left = tasks.keep_list_of(task);
        // Of these the lists say nothing any more.
        let gone = self.forgetting.map_or(&[][..], Forgetting::gone);
        left.extend(gone.iter().map(|row| row.clip_id.clone()));
        for row in &mut tasks.rows {
            // What comes from `task` on is not trained there: a task without clips is passed over.
            row.usable &= usize::try_from(row.task).is_ok_and(|t| t < task);
        }
        if self.stage(task) == 0 {
            tracing::info!("task {task}: nothing that was trained before is left");
            self.retrain()?;
            return Ok(0);
        }
        tasks.publish(&lists, &self.config.out)?;
        let config = TrainConfig {
            availability: lists.clone(),
            out: out.clone(),
            settings: self.settings.without_unlearning(),
            from_run: None,
            forget: None,
            on_tainted: match self.config.on_tainted {
                OnTainted::Warn => OnTainted::Warn,
                // What it goes on from is not for settings to say.
                OnTainted::Refuse | OnTainted::Rollback => OnTainted::Refuse,
            },
            extend: Extension::default(),
            seed_outputs: false,
            ..self.config.clone()
        };
        tracing::info!(
            "task {task}: {} clips have departed; what came before is trained again without them in {}",
            left.len(),
            out.display()
        );
        let clean = TakeOver {
            old: &self.config.out,
            left: &|clip| left.contains(clip),
        };
        let mut made = approach::make(&config.settings);
        let watch = &mut Within(&mut *self.watch);
        train(self.world, &config, made.as_mut(), watch, Some(clean))?;
        remove(&lists)?;
        let record = RunRecord::read(&out)?.ok_or_else(|| TrainError::NotARun {
            folder: out.clone(),
        })?;
        match record.progress.last_trained() {
            Some(last) => {
                self.approach.forget();
                self.put_in_place(&out, &record, last)?;
            }
            None => self.retrain()?,
        }
        trained_clips(&out)
    }
}

/// How many visits of clips the run in `folder` has trained itself: epochs that it took over have no
/// times.
fn trained_clips(folder: &Path) -> Result<usize, TrainError> {
    let rows: Vec<TimingRow> = parquet_file::read(&folder.join(TimingRow::FILE))?;
    let trained = rows.iter().filter(|row| row.phase == TimingRow::TRAIN);
    let clips: i64 = trained.map(|row| row.clips).sum();
    Ok(usize::try_from(clips).unwrap_or(0))
}

/// Removes the lists, of which the run has copies now.
fn remove(lists: &Path) -> Result<(), TrainError> {
    Ok(fs::remove_dir_all(lists).map_err(ArtifactError::at("remove", lists))?)
}

/// The watch of a run within another, which has begun long ago.
struct Within<'a>(&'a mut dyn Watch);

impl Watch for Within<'_> {
    fn look(&mut self, moment: Moment) -> Order {
        self.0.look(moment)
    }
}
