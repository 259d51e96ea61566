//! `incdec-download`: the download stage.

#[path = "download/args.rs"]
mod args;
mod cli;
#[path = "download/environment.rs"]
mod environment;

use std::path::Path;
use std::process::ExitCode;

use incdec::download::labels;
use incdec::download::ledger::{self, Findings};
use incdec::download::plan::PlanText;
use incdec::download::{self, DownloadConfig, DownloadError};

use args::{Command, LabelsArgs, RunArgs, Task};

fn plan(config: &DownloadConfig) -> Result<(), DownloadError> {
    let (plan, summary) = download::plan_only(config)?;
    let (plan, summary, raw) = (&plan, &summary, config.raw.as_path());
    cli::product(PlanText { plan, summary, raw });
    Ok(())
}

fn check(config: &DownloadConfig) -> Result<Findings, DownloadError> {
    let findings = ledger::verify(&config.raw, &config.ledger, config.jobs)?;
    cli::product(&findings);
    Ok(findings)
}

fn check_and_mend(config: &DownloadConfig) -> Result<(), DownloadError> {
    let mended = ledger::mend(config, |findings| cli::news(findings))?;
    if let Some(summary) = mended {
        cli::news(summary);
    }
    Ok(())
}

fn labels(args: LabelsArgs) -> Result<(), DownloadError> {
    let fetched = labels::labels(&args.into())?;
    for path in &fetched.written {
        cli::news(path.display());
    }
    cli::news(format_args!(
        "{} files written, {} there already",
        fetched.written.len(),
        fetched.unchanged
    ));
    Ok(())
}

/// Does a task with a log beside the ledger: what depends on the day and the network goes there.
fn logged(
    args: RunArgs,
    task: impl FnOnce(&DownloadConfig) -> Result<(), DownloadError>,
) -> ExitCode {
    let config = DownloadConfig::from(args);
    let log = config.ledger.with_file_name("download.jsonl");
    start(Some(&log), || task(&config))
}

/// Does a task with its messages on stderr and, where there is a log, in that file too.
fn start(log: Option<&Path>, task: impl FnOnce() -> Result<(), DownloadError>) -> ExitCode {
    cli::run(log, task)
}

fn main() -> ExitCode {
    let command = cli::parse::<Command>();
    match command.task {
        Some(Task::Plan(args)) => start(None, || plan(&args.into())),
        None if command.dry_run => start(None, || plan(&command.run.into())),
        Some(Task::Verify(args)) if args.dry_run => {
            start(None, || check(&args.run.into())?.into_result())
        }
        Some(Task::Verify(args)) => logged(args.run, check_and_mend),
        Some(Task::Labels(args)) => start(None, || labels(args)),
        Some(Task::Merge(args)) => logged(args.run, |config| {
            download::merge(config, args.parts).map(|done| args.summary.print(done))
        }),
        None => logged(command.run, |config| {
            let done = match command.part {
                None => download::run(config)?,
                Some(part) => download::run_part(config, part)?,
            };
            command.summary.print(done);
            Ok(())
        }),
    }
}
