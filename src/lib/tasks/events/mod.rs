//! Scenario `events`: a table says which clips come and go, and when.
//!
//! A row has a task, `arrives` or `leaves`, and one name: of a clip, a group, a subcategory or a category. It applies in every
//! split that holds such clips. Without a table of the start, task 0 holds everything that no row lets arrive. Nothing is
//! drawn: the labels and the two tables decide alone, and what contradicts them is refused with its line.
//!
//! `names` finds the clips of a name, `world` lets the events go by and is pure.

mod clips_by_name;
mod error;
mod world;

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::place::Stay;
use super::{MAX_TASKS, Source};
use crate::choice::choice;
use crate::named_csv::{NamedCsv, whole_number};
use clips_by_name::ClipsByName;
pub use error::{EventsError, RowFault};
use world::World;

/// Most rows of a table of events.
const MAX_EVENTS: usize = 1_000_000;

choice! {
    /// What a row says of the clips that it names.
    pub enum Change: "change" {
        /// They come in on entering the task.
        Arrives = "arrives",
        /// They are gone on entering the task.
        Leaves = "leaves",
    }
}

choice! {
    /// What clips are named by: the columns of the tables.
    pub enum NamedBy: "kind of name" {
        /// The clip's id.
        Clip = "clip",
        /// The clips' group.
        Group = "group",
        /// Their subcategory.
        Subcategory = "subcategory",
        /// Their category.
        Category = "category",
    }
}

/// The tables of the scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventFiles {
    /// Who comes and goes.
    pub events: PathBuf,
    /// Who is there from the start; without it all that no event lets arrive.
    pub start: Option<PathBuf>,
}

/// The rows of the three splits that a name stands for.
type Rows = [Vec<u32>; 3];

/// A row of the table, with the clips that it names.
struct Event {
    line: usize,
    task: usize,
    change: Change,
    rows: Rc<Rows>,
}

/// What the tables say: how many tasks there are, and when each clip is there.
pub(super) struct Told {
    pub(super) tasks: usize,
    pub(super) stays: [Vec<Stay>; 3],
}

/// Reads the tables and checks them against the labels.
pub(super) fn read(files: &EventFiles, source: &Source) -> Result<Told, EventsError> {
    let names = ClipsByName::of(source);
    let mut events = read_events(&files.events, &names)?;
    let tasks = events.iter().map(|event| event.task + 1).max().unwrap_or(1);
    let start = match &files.start {
        Some(path) => Some(read_start(path, &names)?),
        None => None,
    };
    let mut world = World::new(source, start.as_deref(), &events);
    world.arrivals(&events);
    events.sort_by_key(|event| event.task);
    let first_table = files.start.as_ref().unwrap_or(&files.events);
    let mut rest = &events[..];
    for task in 0..tasks {
        let (now, later) = rest.split_at(rest.partition_point(|event| event.task == task));
        rest = later;
        for event in now {
            world
                .apply(event)
                .map_err(|what| at(&files.events, event.line, what))?;
        }
        if let Some(split) = world.empty_split() {
            let names_some = |event: &&Event| !event.rows[split as usize].is_empty();
            let leaves = now
                .iter()
                .rev()
                .find(|event| event.change == Change::Leaves && names_some(event));
            // Without a table of the start, what arrives later is what the start lacks.
            let arrives = rest
                .iter()
                .find(names_some)
                .filter(|_| files.start.is_none());
            return Err(match (leaves, arrives) {
                (Some(event), _) => at(
                    &files.events,
                    event.line,
                    RowFault::LeavesNothing { task, split },
                ),
                (None, Some(event)) => {
                    at(&files.events, event.line, RowFault::NothingBefore { split })
                }
                (None, None) => EventsError::EmptyStart {
                    path: first_table.clone(),
                    split,
                },
            });
        }
    }
    Ok(Told {
        tasks,
        stays: world.stays(),
    })
}

fn at(path: &Path, line: usize, what: RowFault) -> EventsError {
    EventsError::Row {
        path: path.to_owned(),
        line,
        what,
    }
}

/// The columns of a table that name clips.
fn name_columns<R: std::io::Read>(
    table: &NamedCsv<R>,
    path: &Path,
) -> Result<Vec<(NamedBy, usize)>, EventsError> {
    let columns = NamedBy::ALL.iter();
    let columns: Vec<_> = columns
        .filter_map(|kind| Some((*kind, table.position(kind.name())?)))
        .collect();
    if columns.is_empty() {
        return Err(EventsError::NoNames {
            path: path.to_owned(),
        });
    }
    Ok(columns)
}

/// The one name that a row has.
fn name_of<'r>(
    record: &'r csv::StringRecord,
    columns: &[(NamedBy, usize)],
) -> Result<(NamedBy, &'r str), RowFault> {
    let cells = columns
        .iter()
        .map(|(kind, c)| (*kind, record.get(*c).unwrap_or_default()));
    let filled: Vec<_> = cells.filter(|(_, name)| !name.is_empty()).collect();
    match filled[..] {
        [one] => Ok(one),
        _ => Err(RowFault::Names(filled.len())),
    }
}

fn read_events(path: &Path, names: &ClipsByName<'_>) -> Result<Vec<Event>, EventsError> {
    let table = NamedCsv::open(path)?;
    let (task, change) = (table.column("task")?, table.column("change")?);
    let columns = name_columns(&table, path)?;
    let mut events = Vec::new();
    for record in table.rows() {
        let (line, record) = record?;
        if events.len() == MAX_EVENTS {
            return Err(EventsError::TooMany {
                path: path.to_owned(),
            });
        }
        let event = || {
            let text = record.get(task).unwrap_or_default();
            let number = whole_number(text).and_then(|n| usize::try_from(n).ok());
            let task = number
                .filter(|n| *n < MAX_TASKS)
                .ok_or_else(|| RowFault::Task(text.to_owned()))?;
            let text = record.get(change).unwrap_or_default();
            let change: Change = text
                .parse()
                .map_err(|_| RowFault::Change(text.to_owned()))?;
            if task == 0 && change == Change::Leaves {
                return Err(RowFault::LeavesAtStart);
            }
            let (kind, name) = name_of(&record, &columns)?;
            Ok(Event {
                line,
                task,
                change,
                rows: names.find(kind, name)?,
            })
        };
        events.push(event().map_err(|what| at(path, line, what))?);
    }
    Ok(events)
}

fn read_start(path: &Path, names: &ClipsByName<'_>) -> Result<Vec<Rc<Rows>>, EventsError> {
    let table = NamedCsv::open(path)?;
    let columns = name_columns(&table, path)?;
    let mut start = Vec::new();
    for record in table.rows() {
        let (line, record) = record?;
        if start.len() == MAX_EVENTS {
            return Err(EventsError::TooMany {
                path: path.to_owned(),
            });
        }
        let named = name_of(&record, &columns).and_then(|(kind, name)| names.find(kind, name));
        start.push(named.map_err(|what| at(path, line, what))?);
    }
    Ok(start)
}

#[cfg(test)]
mod tests;
