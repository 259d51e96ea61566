//! The references that are missing, trained by incdec-train.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::references::{scratch_settings, withdrawing_tasks};
use super::runs::AuditedRun;
use super::{AuditConfig, AuditStageError, ReferenceTasks, TrainReferences};
use crate::artifact::{self, ArtifactError};
use crate::child;
use crate::parquet_file;
use crate::shard::ShardSource;
use crate::store::Access;
use crate::tables::{Availability, AvailabilityRow};
use crate::train::Settings;

/// The folder of references within that of an audit.
const FOLDER: &str = "references";
/// Digits of the hash in a reference's name: of its settings and of the lists that it is for.
const DIGITS: usize = 10;

/// Trains both references of the withdrawals, the last or each, of every run of `runs`,
/// where `missing` says that it has none, and gives their run directories. One that was begun goes
/// on; a complete one is taken as it is.
///
/// # Errors
/// When a reference cannot be trained.
pub(super) fn train(
    config: &AuditConfig,
    how: &TrainReferences,
    runs: &[AuditedRun],
    missing: impl Fn(usize, usize) -> [bool; 2],
) -> Result<Vec<PathBuf>, AuditStageError> {
    let mut made = BTreeSet::new();
    for (index, run) in runs.iter().enumerate() {
        let tasks = withdrawing_tasks(run);
        let first = match how.tasks {
            ReferenceTasks::Last => tasks.len().saturating_sub(1),
            ReferenceTasks::All => 0,
        };
        for &task in tasks[first..].iter().filter(|_| !run.settings.from_scratch) {
            let [path, scratch] = missing(index, task);
            if path {
                let settings = run.settings.without_unlearning();
                let tasks = without_what_left(config, run, task)?;
                made.insert(start(config, how, run, "path", &settings, &tasks)?);
            }
            if scratch && let Some(settings) = scratch_settings(&run.settings) {
                made.insert(start(config, how, run, "scratch", &settings, &run.folder)?);
            }
        }
    }
    Ok(made.into_iter().collect())
}

/// Trains one reference of `run` on the tasks in `tasks`, and gives its run directory.
fn start(
    config: &AuditConfig,
    how: &TrainReferences,
    run: &AuditedRun,
    kind: &str,
    settings: &Settings,
    tasks: &Path,
) -> Result<PathBuf, AuditStageError> {
    let rows = artifact::hash_file(&tasks.join(AvailabilityRow::FILE))?;
    // Settings are plain values, which always become JSON.
    let text = serde_json::to_string(settings).unwrap_or_default() + &rows;
    let hash = blake3::hash(text.as_bytes()).to_hex();
    let name = format!(
        "{kind}-{}-seed-{}-{}",
        settings.approach,
        settings.seed,
        &hash[..DIGITS]
    );
    let out = config.out.join(FOLDER).join(name);
    let mut command = Command::new(&how.program);
    command.arg("--availability").arg(tasks);
    command.args(shard_flags(&config.shards));
    command.arg("--out").arg(&out);
    for (flag, file) in [
        ("--withdrawn", &config.withdrawn),
        ("--withdrawals", &config.withdrawals),
    ] {
        if let Some(file) = file {
            command.arg(flag).arg(file);
        }
    }
    command.args(flags(settings));
    command.args(["--device", &config.device.to_string()]);
    command.args(["--workers", &config.workers.to_string()]);
    if let Some(threads) = run.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    if let Some(pretrained) = how.pretrained.as_ref().filter(|_| run.features.is_none()) {
        command.arg("--pretrained").arg(pretrained);
    }
    if let Some(hash) = &run.features {
        let table = config
            .features
            .iter()
            .find(|path| artifact::hash_file(path).is_ok_and(|found| found == *hash));
        let table = table.ok_or_else(|| AuditStageError::NoFeatures {
            run: run.name.clone(),
        })?;
        command.arg("--features").arg(table);
    }
    tracing::info!(
        "{}: a {kind} reference of {} is trained",
        out.display(),
        run.name
    );
    // Its news are not this program's product.
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let status = child::run(&mut command).map_err(ArtifactError::at("run", &how.program))?;
    if status.success() {
        Ok(out)
    } else {
        Err(AuditStageError::NotTrained {
            folder: out,
            code: status.code(),
        })
    }
}

/// Deals the tasks of `run` once more, with what has departed by `task` without frames from the
/// start, as `incdec-tasks --without` does; gives the folder.
fn without_what_left(
    config: &AuditConfig,
    run: &AuditedRun,
    task: usize,
) -> Result<PathBuf, AuditStageError> {
    let mut tasks = Availability::read(&run.folder.join(AvailabilityRow::FILE))?;
    tasks.keep_list_of(task);
    // Runs of one deal share the folder: its name is what stands in it.
    let hash =
        parquet_file::rows_hash(&tasks.rows).map_err(|source| parquet_file::TableError::Arrow {
            path: run.folder.clone(),
            source,
        })?;
    let folder = config
        .out
        .join(FOLDER)
        .join(format!("tasks-{}", &hash[..DIGITS]));
    tasks.publish(&folder, &run.folder)?;
    Ok(folder)
}

/// The flags of incdec-train that name the shards and how they are read.
fn shard_flags(shards: &ShardSource) -> Vec<OsString> {
    let store = match shards {
        ShardSource::Folder(folder) => return vec!["--shards".into(), folder.into()],
        ShardSource::Store(store) => store,
    };
    let mut flags: Vec<OsString> = vec!["--shards".into(), store.address.reveal().into()];
    if let Some(cache) = &store.cache {
        flags.push("--cache".into());
        flags.push(cache.into());
    }
    let mut flag = |name: &str, value: &str| flags.push(format!("--{name}={value}").into());
    flag("cache-bytes", &store.cache_bytes.to_string());
    flag("tries", &store.retry.tries.to_string());
    flag(
        "first-wait",
        &store.retry.first_wait.as_secs_f64().to_string(),
    );
    flag("stall", &store.http.stall.as_secs_f64().to_string());
    let asked = &store.http.store;
    if let Some(endpoint) = &asked.endpoint {
        flag("endpoint", endpoint.reveal());
    }
    if let Some(region) = &asked.region {
        flag("region", region);
    }
    if matches!(asked.access, Access::Signed(_)) {
        // The credentials are in the environment, for that program too.
        flags.push("--signed".into());
    }
    flags
}

/// The settings as flags of incdec-train, which are their names.
fn flags(settings: &Settings) -> Vec<String> {
    let settings = serde_json::to_value(settings).unwrap_or_default();
    let mut flags = Vec::new();
    for (name, value) in settings.as_object().into_iter().flatten() {
        let flag = format!("--{}", name.replace('_', "-"));
        match value {
            Value::Bool(true) => flags.push(flag),
            Value::Number(number) => flags.push(format!("{flag}={number}")),
            Value::String(text) => flags.push(format!("{flag}={text}")),
            Value::Object(quirks) => {
                let on = quirks.iter().filter(|(_, on)| **on == Value::Bool(true));
                let on: Vec<&str> = on.map(|(name, _)| &name[..]).collect();
                if !on.is_empty() {
                    flags.push(format!("{flag}={}", on.join(",")));
                }
            }
            _ => {}
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Compat;
    use crate::train::settings::ApproachName;

    #[test]
    fn settings_become_the_flags_that_they_came_from() {
        let settings = Settings {
            approach: ApproachName::Ewc,
            lr_head: 3e-4,
            freeze_bn: true,
            compat: Compat {
                augment_per_frame: true,
                ..Compat::default()
            },
            ..Settings::default()
        };
        let flags = flags(&settings);
        for flag in [
            "--approach=ewc",
            "--lr-head=0.0003",
            "--freeze-bn",
            "--compat=augment_per_frame",
            "--seed=0",
        ] {
            assert!(flags.iter().any(|f| f == flag), "{flag}: {flags:?}");
        }
        assert!(!flags.iter().any(|f| f == "--from-scratch"));
    }
}
