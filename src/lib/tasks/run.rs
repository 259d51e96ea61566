//! The stage itself: reads the clips, deals them out, and streams both tables to disk.

use std::ffi::OsStr;
use std::path::Path;

use super::availability::TaskLists;
use super::events::{self, EventFiles};
use super::remarks::remarks;
use super::schedule::{ScheduleCounts, ScheduleFile};
use super::writer::{AvailabilityWriter, RowRef, int};
use super::{
    DEFAULT_TASKS, DealSettings, LabelledClip, MAX_TASKS, Scenario, Source, SplitSummary,
    TaskSummary, TasksConfig, TasksError, TasksSummary,
};
use crate::artifact;
use crate::choice::Choice;
use crate::clip::Split;
use crate::lock::{Lock, Wait};
use crate::parquet_file::{self, Provenance, TableError};
use crate::tables::AvailabilityRow;
use crate::tables::{Change, ScheduleEvent, ScheduleRow};
use crate::taxonomy::Taxonomy;
use crate::withdrawn;

/// The role of the list of clips to do without, among the inputs.
const WITHOUT: &str = "without";

/// Deals the clips out to the tasks of a scenario and publishes `schedule.parquet` and, last,
/// `availability.parquet`.
///
/// # Errors
/// When an input is missing or unusable, a setting is out of range, or the disk refuses.
pub fn run(config: &TasksConfig) -> Result<TasksSummary, TasksError> {
    let deal = &config.deal;
    if !(deal.initial_split >= 1.0 && deal.initial_split.is_finite()) {
        return Err(TasksError::InitialSplit(deal.initial_split));
    }
    if !deal.arrivals && !deal.scenario.takes_schedule() {
        return Err(TasksError::ArrivalsNeeded {
            scenario: deal.scenario,
        });
    }
    // Two tables belong together. Dealing takes a moment, so a second one waits for the first.
    let _lock = Lock::folder(&config.out, "incdec-tasks", Wait::Yes)?;
    artifact::sweep(&config.out)?;
    let mut source = Source::read(&config.clips)?;
    if let Some(list) = &config.without {
        source.without(&withdrawn::read_ids(list)?);
    }
    let (plan, mut provenance) = match (&config.events, deal.scenario) {
        (Some(files), Scenario::Events) => told(files, config, &source)?,
        (None, Scenario::Events) => return Err(TasksError::EventsMissing),
        (Some(_), scenario) => return Err(TasksError::EventsUnused { scenario }),
        (None, _) => dealt(config, &source)?,
    };
    if let Some(list) = &config.without {
        let hash = artifact::hash_file(list)?;
        provenance.inputs.insert(WITHOUT.to_owned(), hash);
    }
    let summary = write(&plan, &source, deal, &provenance, &config.out)?;
    for remark in remarks(&source, &summary, deal.arrivals) {
        tracing::warn!("{remark}");
    }
    Ok(summary)
}

/// The plan that is drawn for a scenario, and where it comes from.
fn dealt(config: &TasksConfig, source: &Source) -> Result<(TaskLists, Provenance), TasksError> {
    let deal = &config.deal;
    let (tasks, schedule) = tasks_and_schedule(config, &source.taxonomy)?;
    let counts = schedule.as_ref().map(|s| &s.counts);
    let plan = TaskLists::new(deal, &source.tables(), tasks, counts);
    let mut provenance = provenance(deal, tasks, schedule.as_ref(), source);
    for file in source.files.iter().chain(schedule.iter().map(|s| &s.path)) {
        provenance = provenance.with_input(file)?;
    }
    Ok((plan, provenance))
}

/// The plan that a table of events tells, and where it comes from: no seed among it.
fn told(
    files: &EventFiles,
    config: &TasksConfig,
    source: &Source,
) -> Result<(TaskLists, Provenance), TasksError> {
    if let Some(schedule) = &config.schedule {
        tracing::info!(
            "scenario events follows no schedule: {} was not used",
            schedule.display()
        );
    }
    let told = events::read(files, source)?;
    let tasks = config.tasks.map_or(told.tasks, |most| most.min(told.tasks));
    if !(1..=MAX_TASKS).contains(&tasks) {
        return Err(TasksError::TaskCount(tasks));
    }
    if tasks < told.tasks {
        tracing::info!(
            "the events go on to task {}, of which {tasks} tasks are written",
            told.tasks - 1
        );
    }
    let mut provenance = Provenance::of(&serde_json::json!({
        "scenario": Scenario::Events.name(),
        "tasks": tasks,
        "class_counts_over": Scenario::Events.class_counts_over(),
        Taxonomy::SETTING: source.taxonomy.to_json(),
        "train_class_counts": train_class_counts(source),
    }));
    for file in source
        .files
        .iter()
        .chain([&files.events])
        .chain(&files.start)
    {
        provenance = provenance.with_input(file)?;
    }
    Ok((
        TaskLists::told(&source.tables(), tasks, told.stays),
        provenance,
    ))
}

/// The number of tasks, and the schedule where the scenario takes one.
fn tasks_and_schedule(
    config: &TasksConfig,
    taxonomy: &Taxonomy,
) -> Result<(usize, Option<ScheduleFile>), TasksError> {
    let scenario = config.deal.scenario;
    let schedule = match &config.schedule {
        None if scenario.takes_schedule() => return Err(TasksError::ScheduleMissing { scenario }),
        None => None,
        Some(path) => Some(ScheduleFile {
            counts: ScheduleCounts::read(path, taxonomy)?,
            path: path.clone(),
        }),
    };
    let rows = schedule.as_ref().map(|s| s.counts.tasks());
    let tasks = config.tasks.or(rows).unwrap_or(DEFAULT_TASKS);
    if !(1..=MAX_TASKS).contains(&tasks) {
        return Err(TasksError::TaskCount(tasks));
    }
    match schedule {
        Some(file) if scenario.takes_schedule() => {
            if file.counts.tasks() != tasks {
                return Err(TasksError::ScheduleRows {
                    rows: file.counts.tasks(),
                    path: file.path,
                    tasks,
                });
            }
            Ok((tasks, Some(file)))
        }
        Some(file) => {
            tracing::info!(
                "scenario {scenario} has all subcategories in every task: of {} only the number of rows was used",
                file.path.display()
            );
            Ok((tasks, None))
        }
        None => Ok((tasks, None)),
    }
}

/// The settings that decide the content, and what training needs to know but the rows cannot tell:
/// the taxonomy's order, how many clips of each class the whole training table has and whether the
/// sampler counts those, the seed's name of the scenario and the name of the schedule's file.
fn provenance(
    deal: &DealSettings,
    tasks: usize,
    schedule: Option<&ScheduleFile>,
    source: &Source,
) -> Provenance {
    Provenance::of(&serde_json::json!({
        "scenario": deal.scenario.name(),
        "seed": deal.seed,
        "tasks": tasks,
        "randomize": deal.randomize,
        "remainder": deal.remainder.name(),
        "arrivals": deal.arrivals,
        "initial_split": deal.initial_split,
        "schedule": schedule.map(|file| file.counts.rows()),
        "schedule_file": schedule.and_then(|file| file.path.file_name()).map(OsStr::to_string_lossy),
        "pipeline": deal.scenario.seed_name(),
        "class_counts_over": deal.scenario.class_counts_over(),
        Taxonomy::SETTING: source.taxonomy.to_json(),
        "train_class_counts": train_class_counts(source),
    }))
}

/// How many training clips each class has.
fn train_class_counts(source: &Source) -> Vec<u64> {
    let mut counts = vec![0; source.taxonomy.classes()];
    for clip in &source.clips[Split::Train as usize] {
        counts[clip.class] += 1;
    }
    counts
}

/// Publishes the tables of a plan in the folder `out`, the schedule first. Buffers one batch of
/// rows beside the plan.
///
/// # Errors
/// When the disk refuses.
pub fn write(
    plan: &TaskLists,
    source: &Source,
    deal: &DealSettings,
    provenance: &Provenance,
    out: &Path,
) -> Result<TasksSummary, TasksError> {
    let mut summary = TasksSummary {
        scenario: deal.scenario,
        seed: deal.seed,
        tasks: vec![TaskSummary::default(); plan.tasks()],
    };
    let schedule = schedule_rows(plan, &source.taxonomy, &mut summary);
    parquet_file::write(&out.join(ScheduleRow::FILE), &schedule, provenance)?;
    let mut writer = AvailabilityWriter::create(
        &out.join(AvailabilityRow::FILE),
        &source.taxonomy,
        provenance,
    )?;
    let mut present: [Vec<bool>; 3] = source.clips.each_ref().map(|c| vec![false; c.len()]);
    for (task, task_summary) in summary.tasks.iter_mut().enumerate() {
        for split in Split::ALL {
            let list = plan.list(split, task);
            let clips = &source.clips[split as usize];
            let mut rows = TaskRows {
                task,
                split,
                clips,
                writer: &mut writer,
            };
            task_summary.splits[split as usize] =
                rows.write(&list, &mut present[split as usize])?;
        }
    }
    writer.finish()?;
    Ok(summary)
}

fn schedule_rows(
    plan: &TaskLists,
    taxonomy: &Taxonomy,
    summary: &mut TasksSummary,
) -> Vec<ScheduleRow> {
    let mut rows = Vec::new();
    for (task, summary) in summary.tasks.iter_mut().enumerate() {
        for (class, category) in taxonomy.categories().iter().enumerate() {
            for (x, position, event) in plan.schedule().events(task, class) {
                let name = (category.name.clone(), category.subcategories[x].clone());
                match event {
                    ScheduleEvent::Arrived => summary.arrived.push(name),
                    ScheduleEvent::Removed => summary.removed.push(name),
                    ScheduleEvent::Refused => summary.refused.push(name),
                    ScheduleEvent::Start | ScheduleEvent::Kept => {}
                }
                rows.push(ScheduleRow {
                    task: int(task),
                    category: category.name.clone(),
                    subcategory: category.subcategories[x].clone(),
                    position: position.map(int),
                    event,
                });
            }
        }
    }
    rows
}

/// The rows of one split of one task.
struct TaskRows<'a, 'w> {
    task: usize,
    split: Split,
    clips: &'a [LabelledClip],
    writer: &'a mut AvailabilityWriter<'w>,
}

impl TaskRows<'_, '_> {
    /// Writes the list in its order, then what has left; `present` goes from the task before to
    /// this one.
    fn write(&mut self, list: &[u32], present: &mut [bool]) -> Result<SplitSummary, TableError> {
        let mut summary = SplitSummary {
            listed: list.len(),
            ..SplitSummary::default()
        };
        let mut now = vec![false; present.len()];
        for (position, &row) in list.iter().enumerate() {
            let row = row as usize;
            now[row] = true;
            let change = match (self.task, present[row]) {
                (0, _) => Change::Initial,
                (_, true) => Change::Kept,
                (_, false) => Change::Arrived,
            };
            summary.arrived += usize::from(change == Change::Arrived);
            summary.unusable += usize::from(!self.clips[row].usable);
            self.push(Some(position), row, change)?;
        }
        for row in 0..now.len() {
            if present[row] && !now[row] {
                summary.removed += 1;
                self.push(None, row, Change::Removed)?;
            }
        }
        present.copy_from_slice(&now);
        Ok(summary)
    }

    fn push(
        &mut self,
        position: Option<usize>,
        row: usize,
        change: Change,
    ) -> Result<(), TableError> {
        self.writer.push(&RowRef {
            task: int(self.task),
            split: self.split,
            position: position.map(int),
            row: int(row),
            clip: &self.clips[row],
            change,
        })
    }
}
