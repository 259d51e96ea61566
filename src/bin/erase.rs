//! `incdec-erase`: what is held of clips, taking it away everywhere, and seeing that nothing is
//! left.

#[path = "erase/args.rs"]
mod args;
mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use incdec::erase::{self, EraseConfig, EraseError, Places, Selector};
use incdec::lock::Wait;

use args::{Arguments, Command};

/// Prints a plan; one that finds nothing fails.
fn plan(
    places: &Places,
    selectors: &[Selector],
    out: Option<PathBuf>,
    runs: bool,
) -> Result<(), EraseError> {
    let mut plan = erase::plan(places, selectors)?;
    if runs {
        plan.keep_taints();
    }
    if let Some(out) = out {
        plan.write(&out)?;
    }
    cli::product(&plan);
    if plan.is_empty() && !runs {
        return Err(EraseError::Nothing {
            clips: plan.clips.len(),
        });
    }
    Ok(())
}

fn verify(places: &Places) -> Result<(), EraseError> {
    let verdict = erase::verify(places)?;
    cli::product(&verdict);
    if verdict.is_clean() {
        return Ok(());
    }
    Err(EraseError::Left {
        left: verdict.left.len(),
        problems: verdict.problems.len(),
        unsearched: verdict.unsearched.len(),
    })
}

fn run(command: Command) -> Result<(), EraseError> {
    match command {
        Command::Plan {
            places,
            chosen,
            out,
            runs,
        } => plan(&places.into(), &Vec::from(chosen), out, runs),
        Command::Apply {
            places,
            chosen,
            dry_run: true,
            out,
            ..
        } => plan(&places.into(), &Vec::from(chosen), out, false),
        Command::Apply {
            places,
            chosen,
            request,
            reason,
            archives,
            wait,
            ..
        } => {
            let config = EraseConfig {
                places: places.into(),
                selectors: chosen.into(),
                request,
                reason,
                archives,
                wait: if wait { Wait::Yes } else { Wait::No },
            };
            erase::apply(&config).map(cli::news)
        }
        Command::Verify { places } => verify(&places.into()),
    }
}

fn main() -> ExitCode {
    let arguments = cli::parse::<Arguments>();
    cli::run(None, || run(arguments.command))
}
