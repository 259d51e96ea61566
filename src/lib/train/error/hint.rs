//! What can be done about a run that failed, and how the program ends.

use std::path::Path;

use super::TrainError;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::run_record::flag;
use crate::train::settings::ApproachName;
use crate::withdrawn::ERASE_COMMAND;

/// How to go on with the run that is there.
fn way_back(differences: &[String]) -> String {
    let mut flags: Vec<String> = differences.iter().filter_map(|d| flag(d)).collect();
    flags.sort();
    flags.dedup();
    if flags.len() < differences.len() && flags.is_empty() {
        return "or go on with the version of this program that began it".to_owned();
    }
    let mut way = format!(
        "or go on with that run: give {} as it was there",
        flags.join(", ")
    );
    for (flag, longer) in [
        ("--epochs", "--extend-epochs"),
        ("--stop-after-first-task", "--extend-tasks"),
    ] {
        if flags.iter().any(|found| found == flag) {
            way += &format!(", and {longer} beside it where the run is to be longer");
        }
    }
    way
}

/// The way out that leaves everything as it is.
const WARN: &str = "`--on-tainted warn` goes on all the same";

/// The ways out for a run that saw a withdrawn clip first in `task`.
fn tainted_hint(folder: &Path, approach: ApproachName, task: usize) -> String {
    if approach.is_on_features() {
        return format!(
            "--approach {approach} is trained anew in seconds: choose another --out; {WARN}"
        );
    }
    let clean = match task.checked_sub(1) {
        Some(last) => format!("task {last} is the last that never knew it"),
        None => "no task is without it".to_owned(),
    };
    format!(
        "{clean}: `--from-run {} --on-tainted rollback --out NEW` goes on from there without it; {WARN}",
        folder.display()
    )
}

impl Hint for TrainError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::OneProcess { .. } => Some("start one process: without torchrun and srun, and with WORLD_SIZE unset".into()),
            Self::Setting { .. } => Some("`incdec-train --help` lists every setting with its default".into()),
            Self::Device(e) => e.hint(),
            Self::Artifact(e) => e.hint(),
            Self::Table(e) => e.hint(),
            Self::Availability(e) => e.hint(),
            Self::Lock(e) => e.hint(),
            Self::Shard(e) => e.hint(),
            Self::Data(e) => e.hint(),
            Self::Checkpoint(e) => e.hint(),
            Self::Record(e) => e.hint(),
            Self::Feature { .. } => Some("bring the feature table up to date with `make features`, from the shards that --shards names".into()),
            Self::Withdrawn(e) => e.hint(),
            Self::World(e) => e.hint(),
            Self::WithdrawnStored { .. } => Some(format!("erase them first, with `{ERASE_COMMAND}`")),
            Self::Tainted { folder, approach, task, .. } => Some(tainted_hint(folder, *approach, *task)),
            Self::TaintedStart { .. } => Some(format!(
                "begin another --out with weights that never knew them, such as those of a run that was rolled back, or with features of such a backbone; {WARN}"
            )),
            Self::NotTakenOver { .. } => Some("deal the tasks from the same label tables, settings and seed; or train anew".into()),
            Self::EmptyList { .. } => Some(
                "check that --shards is the folder these tasks were made for; `incdec-manifest` tells which clips have frames".into(),
            ),
            Self::NoTask { .. } => Some("`make tasks` deals the tasks; `incdec-tasks --help` lists what decides how many there are".into()),
            Self::TooManyBad { .. } | Self::NoReadableClip { .. } | Self::NothingObserved { .. } => Some(
                "`incdec-decode verify` lists damaged clips, `make decode` stores what is missing again".into(),
            ),
            Self::Stopped { .. } => Some("give the same command again to go on".into()),
            Self::Vanished { .. } => Some("give the same command again: it begins with what is still there".into()),
            Self::Diverged { found, .. } => Some(found.remedy().into()),
            Self::Memory(shortage) => Some(shortage.remedy().into()),
            Self::NoSpace { .. } => Some("free some space there, or choose an --out on another disk; then give the same command again".into()),
            Self::ShardChanged { .. } => Some("bring the shard back as it was and give the same command again: what was finished is kept; or make the shards anew with `make decode` and train into another --out".into()),
            Self::OtherRun { differences, .. } => Some(format!(
                "choose another --out, or remove that folder to train it anew; {}",
                way_back(differences)
            )),
            Self::OtherMachine { .. } => Some(
                "go on with that many --threads, that --device and those --instructions (avx2 is on every x86-64-v3 machine), or choose another --out to train it anew here".into(),
            ),
            Self::OtherVersion { .. } => Some(
                "choose another --out to train it anew, or finish it with the incdec that began it".into(),
            ),
            Self::CannotExtend { flag, .. } => Some(format!(
                "leave {flag} out to go on with the run as it is, or train with the longer settings into another --out"
            )),
            Self::NoRun { .. } => Some("name a run directory, as --out of incdec-train had it".into()),
            Self::NotARun { .. } => Some("choose an empty or new folder for --out".into()),
            // Nothing but the message can be said.
            Self::Metrics(_)
            | Self::Torch(_)
            | Self::Csv { .. }
            | Self::Image { .. }
            | Self::NothingRetained { .. }
            | Self::ExactHead(_)
            | Self::NoRidge { .. }
            | Self::Facts { .. }
            | Self::Signals(_) => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Setting { .. } | Self::OneProcess { .. } => Exit::Usage,
            Self::Device(e) => e.exit(),
            Self::Artifact(e) => e.exit(),
            Self::Table(e) => e.exit(),
            Self::Availability(e) => e.exit(),
            Self::Lock(e) => e.exit(),
            Self::Shard(e) => e.exit(),
            Self::Data(e) => e.exit(),
            Self::Checkpoint(e) => e.exit(),
            Self::Record(e) => e.exit(),
            Self::Withdrawn(e) => e.exit(),
            Self::World(e) => e.exit(),
            Self::NoTask { .. }
            | Self::EmptyList { .. }
            | Self::TooManyBad { .. }
            | Self::NoReadableClip { .. }
            | Self::NothingObserved { .. } => Exit::Hopeless,
            Self::Vanished { .. } | Self::NoSpace { .. } => Exit::TryAgain,
            Self::Stopped { signal, .. } => signal.exit(),
            _ => Exit::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::Split;

    #[test]
    fn one_clip_is_no_clips_and_what_failed_is_named() {
        let unreadable = |listed| TrainError::NoReadableClip {
            task: 2,
            split: Split::Validation,
            listed,
        };
        assert_eq!(
            unreadable(12).to_string(),
            "task 2: none of 12 clips in the validation list could be read"
        );
        assert!(unreadable(1).to_string().contains("none of 1 clip in"));
        assert!(unreadable(1).hint().unwrap().contains("make decode"));
        let saw = |clips| TrainError::Tainted {
            folder: "run".into(),
            approach: ApproachName::Finetune,
            clips,
            first: None,
            task: 1,
        };
        assert!(saw(1).to_string().starts_with("run saw 1 clip of those"));
        assert!(saw(2).to_string().starts_with("run saw 2 clips of those"));
        let none = TrainError::NoTask {
            path: "tasks/availability.parquet".into(),
        };
        assert!(none.to_string().starts_with("tasks/availability.parquet: "));
        assert!(none.hint().is_some());
    }
}
