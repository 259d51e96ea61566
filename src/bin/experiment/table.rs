//! A table of experiments: every scenario by every method by every seed, each cell a run of its own.

use std::iter;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use clap::ValueEnum;
use crossbeam::queue::SegQueue;
use incdec::exit::Exit;
use incdec::run_record::RUN_FILE;
use incdec::tables::{AvailabilityRow, IndexRow};
use incdec::tasks::Scenario;

use crate::commands::{flags, withdrawal_flags};
use crate::stage::{Stage, StageError};
use crate::{cli, program};

/// The page of the whole table and its figures, within the folder of the runs.
const PAGE: &str = "reproduction.html";
const FIGURES: &str = "reproduction.parquet";

/// Train a whole table of experiments: every scenario by every method by every seed.
///
/// Each cell is a run of its own, <runs>/<scenario>-<method>-seed-<seed>; the methods share the tasks of a scenario and seed,
/// <tasks-dir>/<scenario>/seed-<seed>, which are dealt first. What is done is passed over, what was stopped goes on. When
/// every run is there, incdec-report writes reproduction.html and reproduction.parquet into <runs>. The programs incdec-tasks,
/// incdec-train and incdec-report are those beside this one; their commands are printed.
#[derive(clap::Args)]
pub(crate) struct Table {
    /// Folder of the two schedules, subcategories_to_remove.csv and subcategories_to_substitute.csv
    #[arg(long, value_name = "DIR")]
    labels: PathBuf,
    /// Manifest (clips.parquet) that the tasks are dealt from
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// Folder of the frame shards
    #[arg(long, value_name = "DIR")]
    shards: PathBuf,
    /// The list of withdrawn clips (withdrawn.csv), where there is one
    #[arg(long, value_name = "FILE")]
    withdrawn: Option<PathBuf>,
    /// The ledger of withdrawals, where there is one
    #[arg(long, value_name = "LEDGER")]
    withdrawals: Option<PathBuf>,
    /// Folder of the tasks
    #[arg(long, value_name = "DIR")]
    tasks_dir: PathBuf,
    /// Folder of the run directories
    #[arg(long, value_name = "DIR")]
    runs: PathBuf,
    /// How the data changes from task to task
    #[arg(long, required = true, num_args = 1.., value_name = "SCENARIO", value_parser = cli::one_of::<Scenario>())]
    scenarios: Vec<Scenario>,
    /// How the model is updated
    #[arg(long, required = true, num_args = 1.., value_name = "METHOD")]
    methods: Vec<Method>,
    /// Seeds of the tasks and of the training
    #[arg(long, required = true, num_args = 1.., value_name = "SEED")]
    seeds: Vec<u32>,
    /// Runs at a time
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::MIN)]
    jobs: NonZeroUsize,
    /// Pass over a run that fails, name it at the end, and end with status 1
    #[arg(long)]
    keep_going: bool,
    /// Flags passed on to incdec-train as they are
    #[arg(last = true, value_name = "FLAGS FOR incdec-train")]
    train_flags: Vec<String>,
}

/// A column of the published table.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Method {
    /// Train on, with nothing against forgetting.
    Finetune,
    /// Only the head learns after task 0.
    FeatureExtraction,
    /// Elastic Weight Consolidation.
    Ewc,
    /// Learning without Forgetting.
    Lwf,
    /// Feature distillation.
    Fd,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Finetune => "finetune",
            Self::FeatureExtraction => "feature-extraction",
            Self::Ewc => "ewc",
            Self::Lwf => "lwf",
            Self::Fd => "fd",
        }
    }

    /// The approach of incdec-train; feature extraction is a preset of finetuning.
    fn approach(self) -> &'static str {
        match self {
            Self::FeatureExtraction => Self::Finetune.name(),
            other => other.name(),
        }
    }
}

/// The tasks that the runs of a scenario and seed share.
#[derive(Clone, Copy)]
struct Deal {
    scenario: Scenario,
    seed: u32,
}

/// One run of the table.
#[derive(Clone, Copy)]
struct Cell {
    deal: Deal,
    method: Method,
}

impl Cell {
    /// The name of the run, which is its folder's.
    fn name(self) -> String {
        let Deal { scenario, seed } = self.deal;
        format!("{scenario}-{}-seed-{seed}", self.method.name())
    }
}

impl Table {
    /// Deals the tasks, trains what is due and writes the page; gives the exit status, after saying what failed.
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let mut failures = Vec::new();
        let dealt = self.run_all(&self.deals(), Self::dealing, &mut failures);
        let begun = failures.is_empty() || self.keep_going;
        let cells = dealt.into_iter().filter(|_| begun);
        let cells: Vec<Cell> = cells.flat_map(|deal| self.cells(deal)).collect();
        let done = self.run_all(&cells, Self::training, &mut failures);
        if failures.is_empty() {
            return self.report(&done);
        }
        Ok(self.give_up(&failures, done.len()))
    }

    /// Runs a stage for each of those wanted, where it is due: in their order, some at a time. Where one fails and failures
    /// are not passed over, those under way come to their end and no other begins. Gives those that are done.
    fn run_all<T: Copy>(
        &self,
        wanted: &[T],
        stage: impl Fn(&Self, T) -> Stage,
        failures: &mut Vec<(String, StageError)>,
    ) -> Vec<T> {
        let (waiting, ended) = (SegQueue::new(), SegQueue::new());
        for (place, what) in wanted.iter().enumerate() {
            waiting.push((place, stage(self, *what)));
        }
        let stopped = AtomicBool::new(false);
        let work = || {
            while !stopped.load(Ordering::Relaxed)
                && let Some((place, stage)) = waiting.pop()
            {
                let outcome = stage.run().map_err(|error| (stage.name, error));
                if outcome.is_err() && !self.keep_going {
                    stopped.store(true, Ordering::Relaxed);
                }
                ended.push((place, outcome));
            }
        };
        thread::scope(|scope| {
            for _ in 0..self.jobs.get().min(wanted.len()) {
                scope.spawn(work);
            }
        });
        let mut ended: Vec<_> = ended.into_iter().collect();
        ended.sort_by_key(|(place, _)| *place);
        let mut done = Vec::new();
        for (place, outcome) in ended {
            match outcome {
                Ok(()) => done.push(wanted[place]),
                Err(failure) => failures.push(failure),
            }
        }
        done
    }

    /// Writes the page of the whole table.
    fn report(&self, cells: &[Cell]) -> anyhow::Result<ExitCode> {
        let (page, figures) = (self.runs.join(PAGE), self.runs.join(FIGURES));
        let mut arguments = flags(&[("out", &page.display()), ("table", &figures.display())]);
        arguments.extend(withdrawal_flags(
            self.withdrawn.as_deref(),
            self.withdrawals.as_deref(),
        ));
        let runs = cells.iter().map(|cell| self.run_folder(*cell));
        arguments.extend(runs.map(|run| run.display().to_string()));
        Ok(cli::same_status(program::run("incdec-report", &arguments)?))
    }

    /// Says what failed and what is missing, and gives the exit status: where one failure ended it all, that one's.
    fn give_up(&self, failures: &[(String, StageError)], done: usize) -> ExitCode {
        let wanted = self.deals().len() * distinct(&self.methods).len();
        let missing = wanted - done;
        cli::complain(format_args!(
            "error: {missing} of {wanted} runs are missing"
        ));
        for (name, error) in failures {
            cli::complain(format_args!("  {name}: {error}"));
        }
        cli::complain(if self.keep_going {
            "hint: what is done is kept; the same command tries the rest once more"
        } else {
            "hint: what is done is kept, and the same command goes on; --keep-going (make -k) passes over what fails"
        });
        match failures {
            [(_, StageError::Ended { status, .. }), ..] if !self.keep_going => {
                cli::same_status(*status)
            }
            _ => ExitCode::from(Exit::Failed.code()),
        }
    }

    /// Every scenario with every seed.
    fn deals(&self) -> Vec<Deal> {
        let seeds = distinct(&self.seeds);
        let of = |scenario| seeds.iter().map(move |&seed| Deal { scenario, seed });
        distinct(&self.scenarios).into_iter().flat_map(of).collect()
    }

    /// Every method on the tasks of a deal.
    fn cells(&self, deal: Deal) -> Vec<Cell> {
        let of = |method| Cell { deal, method };
        distinct(&self.methods).into_iter().map(of).collect()
    }

    /// The stage that deals the tasks.
    fn dealing(&self, deal: Deal) -> Stage {
        let Deal { scenario, seed } = deal;
        let folder = self.tasks_folder(deal);
        let schedule = self.schedule(scenario);
        let mut settings = flags(&[("scenario", &scenario), ("seed", &seed)]);
        if let Some(schedule) = &schedule {
            settings.extend(flags(&[("schedule", &schedule.display())]));
        }
        Stage {
            name: format!("tasks of {scenario} seed {seed}"),
            program: "incdec-tasks",
            inputs: iter::once(self.manifest.clone()).chain(schedule).collect(),
            places: flags(&[
                ("manifest", &self.manifest.display()),
                ("out", &folder.display()),
            ]),
            settings,
            made_from: None,
            folder,
            record: AvailabilityRow::FILE,
        }
    }

    /// The stage that trains a cell.
    fn training(&self, cell: Cell) -> Stage {
        let (tasks, folder) = (self.tasks_folder(cell.deal), self.run_folder(cell));
        let mut settings = flags(&[
            ("approach", &cell.method.approach()),
            ("seed", &cell.deal.seed),
        ]);
        settings.extend(self.train_flags.iter().cloned());
        if cell.method == Method::FeatureExtraction {
            settings.extend(flags(&[("preset", &cell.method.name())]));
        }
        let mut places = flags(&[
            ("availability", &tasks.display()),
            ("shards", &self.shards.display()),
            ("out", &folder.display()),
        ]);
        places.extend(withdrawal_flags(
            self.withdrawn.as_deref(),
            self.withdrawals.as_deref(),
        ));
        Stage {
            name: cell.name(),
            program: "incdec-train",
            inputs: [
                tasks.join(AvailabilityRow::FILE),
                self.shards.join(IndexRow::FILE),
            ]
            .into_iter()
            .chain(self.withdrawn.clone())
            .collect(),
            places,
            settings,
            made_from: Some(tasks),
            folder,
            record: RUN_FILE,
        }
    }

    fn tasks_folder(&self, deal: Deal) -> PathBuf {
        let scenario = self.tasks_dir.join(deal.scenario.name());
        scenario.join(format!("seed-{}", deal.seed))
    }

    fn run_folder(&self, cell: Cell) -> PathBuf {
        self.runs.join(cell.name())
    }

    /// The schedule that the published experiments used under a scenario.
    fn schedule(&self, scenario: Scenario) -> Option<PathBuf> {
        let name = scenario.published_schedule()?;
        Some(self.labels.join(name))
    }
}

/// The values, each where it stands first.
fn distinct<T: Copy + PartialEq>(values: &[T]) -> Vec<T> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(value) {
            distinct.push(*value);
        }
    }
    distinct
}
