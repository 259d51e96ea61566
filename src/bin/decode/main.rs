//! `incdec-decode`: from clips to frame shards.

mod args;
#[path = "../cli/mod.rs"]
mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use incdec::decode::{self, DecodeError};
use incdec::media;
use incdec::media::limits::Limits;

use args::{Cli, Command};

fn main() -> ExitCode {
    let args = cli::parse_linked::<Cli>(&[format!("FFmpeg {}", media::version())]);
    cli::run(None, || match (args.command, args.stage) {
        (
            Some(Command::Probe {
                files,
                clip_seconds,
            }),
            _,
        ) => probe(&files, clip_seconds),
        (Some(Command::Worker), _) => decode::work(),
        (Some(Command::Verify { shards }), _) => {
            decode::verify(&shards).and_then(|summary| report_damage(&summary))
        }
        (Some(Command::Merge(merge)), _) => {
            let summary = cli::Summary::of(merge.json);
            decode::merge(&merge.into()).map(|done| summary.print(done))
        }
        (None, Some(stage)) => {
            let summary = cli::Summary::of(stage.json);
            decode::run(&stage.into()).map(|done| summary.print(done))
        }
        // Clap asks for the stage's flags where there is no subcommand.
        (None, None) => Ok(()),
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
