//! `incdec-tasks`: deals the labelled clips out to the tasks of a scenario.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgGroup, Parser};
use incdec::tasks::{
    self, DEFAULT_TASKS, DealSettings, EventFiles, LabelSource, Remainder, Scenario, TasksConfig,
};

const EXAMPLE: &str = "\
Scenarios:
  substitution             old clips leave and new ones arrive, the same number in each task (alias baseline)
  decremental              whole subcategories are withdrawn
  incremental-decremental  subcategories of the start are exchanged for others
  joint-incremental        clips only arrive
  events                   clips, groups, subcategories or categories arrive and leave as a table says; nothing is drawn, so
                           that --seed changes nothing

A table of events has the columns task, change (arrives or leaves) and one or more of clip, group, subcategory and category,
one of which is filled in each row: \"2,leaves,customer B\" under the header task,change,group. It applies in every split that
holds the clips. Positions follow the label tables in task 0; who arrives comes behind, in their order, and who leaves is
closed up.

Examples:
  incdec-tasks --manifest own/manifests/clips.parquet --scenario events \\
    --events leave.csv --out own/tasks/events/seed-0
  incdec-tasks --labels Kinetics/Info --scenario decremental --seed 0 \\
    --schedule Kinetics/Info/subcategories_to_remove.csv --out Kinetics/tasks/decremental/seed-0

Writes schedule.parquet and, last, availability.parquet: which clips each task has, and what arrived and left. The same
tables, settings and seed give the same clips in the same order as the published experiments.";

/// Deal the labelled clips out to the tasks of a scenario.
#[derive(Parser)]
#[command(name = "incdec-tasks", version, after_help = cli::after_help(EXAMPLE))]
#[command(group = ArgGroup::new("clips").required(true))]
struct Args {
    /// Manifest (clips.parquet) of the clips; it also knows which of them have no frames
    #[arg(long, value_name = "FILE", group = "clips")]
    manifest: Option<PathBuf>,
    /// Folder of classes.csv, train.csv, validation.csv and test.csv, instead of a manifest
    #[arg(long, value_name = "DIR", group = "clips")]
    labels: Option<PathBuf>,
    /// How the data changes from task to task: substitution, decremental, incremental-decremental,
    /// joint-incremental or events
    #[arg(long, value_parser = cli::one_of::<Scenario>(), default_value_t)]
    scenario: Scenario,
    /// CSV with a column for each category and a row for each task: how many subcategories are
    /// removed or exchanged (decremental and incremental-decremental)
    #[arg(long, value_name = "CSV")]
    schedule: Option<PathBuf>,
    /// Who comes and goes when (scenario events)
    #[arg(long, value_name = "CSV")]
    events: Option<PathBuf>,
    /// Who is there in task 0 (scenario events): columns clip, group, subcategory or category
    /// [default: all that has no event that arrives]
    #[arg(long, value_name = "CSV", requires = "events")]
    start: Option<PathBuf>,
    #[arg(
        long,
        value_name = "N",
        help = format!("Number of tasks [default: the schedule's rows, {DEFAULT_TASKS} without a schedule]; events have as many as their largest task says, and at most this")
    )]
    tasks: Option<usize>,
    /// Seed of every draw, 0 to 4294967295
    #[arg(long, default_value_t = DealSettings::default().seed)]
    seed: u32,
    /// Deal as if these clips had never had frames: a file with one id a line, or a CSV with a column clip_id. All others keep
    /// their places
    #[arg(long, value_name = "LIST")]
    without: Option<PathBuf>,
    /// Folder of the tables to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Take the schedule's rows in the order of the file instead of shuffling each category's
    /// entries
    #[arg(long)]
    no_randomize: bool,
    /// What becomes of clips that do not divide evenly among the tasks: stay (as published) or
    /// spread
    #[arg(long, value_parser = cli::one_of::<Remainder>(), default_value_t)]
    remainder: Remainder,
    /// Let no clip arrive after task 0 in the subcategories that a task has (decremental and
    /// incremental-decremental)
    #[arg(long)]
    no_arrivals: bool,
    /// Start with 1/D of each subcategory's training clips; a number of at least 1
    #[arg(long, value_name = "D", default_value_t = DealSettings::default().initial_split)]
    initial_split: f64,
    #[command(flatten)]
    summary: cli::Summary,
}

fn main() -> ExitCode {
    let args = cli::parse::<Args>();
    let summary = args.summary;
    let clips = match (args.manifest, args.labels) {
        (Some(file), _) => LabelSource::Manifest(file),
        (None, folder) => LabelSource::Labels(folder.unwrap_or_default()),
    };
    let config = TasksConfig {
        clips,
        without: args.without,
        deal: DealSettings {
            scenario: args.scenario,
            seed: args.seed,
            randomize: !args.no_randomize,
            remainder: args.remainder,
            arrivals: !args.no_arrivals,
            initial_split: args.initial_split,
        },
        events: args.events.map(|events| EventFiles {
            events,
            start: args.start,
        }),
        schedule: args.schedule,
        tasks: args.tasks,
        out: args.out,
    };
    cli::run(None, || tasks::run(&config).map(|done| summary.print(done)))
}
