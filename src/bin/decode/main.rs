//! `incdec-decode`: from clips to frame shards.

mod args;
#[path = "../cli/mod.rs"]
mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use incdec::decode::{self, DecodeError};
use incdec::media;
use incdec::media::limits::Limits;

use args::{Stage, Task};

fn main() -> ExitCode {
    let asked =
        cli::parse_linked::<cli::RunOr<Stage, Task>>(&[format!("FFmpeg {}", media::version())]);
    cli::run(None, || match asked {
        cli::RunOr::Run(mut stage) => {
            let (summary, goal) = (cli::Summary::of(stage.json), stage.goal()?);
            let done = decode::run(&(*stage).into())?;
            goal.publish().map(|()| summary.print(done))
        }
        cli::RunOr::Task(Task::Probe {
            files,
            clip_seconds,
        }) => probe(&files, clip_seconds),
        cli::RunOr::Task(Task::Worker) => decode::work(),
        cli::RunOr::Task(Task::Verify { shards }) => {
            decode::verify(&shards).and_then(|summary| report_damage(&summary))
        }
        cli::RunOr::Task(Task::Merge(mut merge)) => {
            let (summary, goal) = (cli::Summary::of(merge.json), merge.goal()?);
            let done = decode::merge(&merge.into())?;
            goal.publish().map(|()| summary.print(done))
        }
    })
}

fn probe(files: &[PathBuf], clip_seconds: u64) -> Result<(), DecodeError> {
    let limits = Limits {
        seconds: clip_seconds,
        ..Limits::default()
    };
    cli::product("file\tframes\tstatus\treason");
    let mut refused = 0;
    for file in files {
        let row = decode::probe(file, limits);
        cli::product(&row);
        refused += usize::from(row.frames == 0);
    }
    match refused {
        0 => Ok(()),
        refused => Err(DecodeError::Refused {
            refused,
            files: files.len(),
        }),
    }
}

fn report_damage(summary: &decode::VerifySummary) -> Result<(), DecodeError> {
    for damage in &summary.damaged {
        cli::product(format_args!(
            "{}\t{}\t{}\t{}",
            damage.clip_id, damage.shard, damage.shard_row, damage.reason
        ));
    }
    cli::product(format_args!(
        "{} clips, {} frames, {} bytes read; {} damaged",
        summary.clips,
        summary.frames,
        summary.bytes,
        summary.damaged.len()
    ));
    match summary.damaged.len() {
        0 => Ok(()),
        damaged => Err(DecodeError::Damaged {
            damaged,
            clips: summary.clips,
        }),
    }
}
