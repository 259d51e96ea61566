//! Scenario `events`: a table says which clips come and go, and when.
//!
//! A row has a task, `arrives` or `leaves`, and one name: of a clip, a group, a subcategory or a category. It applies in every
//! split that holds such clips. Without a table of the start, task 0 holds everything that no row lets arrive. Nothing is
//! drawn: the labels and the two tables decide alone, and what contradicts them is refused with its line.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::availability::Stay;
use super::{LabelledClip, MAX_TASKS, Source};
use crate::choice::choice;
use crate::clip::Split;
use crate::exit::Exit;
use crate::foreign::{composed, printable};
use crate::hint::Hint;
use crate::named_csv::{NamedCsv, NamedCsvError, whole_number};

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

/// Why a table of events was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventsError {
    /// It cannot be read as CSV, or lacks a column.
    #[error(transparent)]
    Csv(#[from] NamedCsvError),
    /// It has no column that names clips.
    #[error("{path}: none of the columns clip, group, subcategory and category is there")]
    NoNames {
        /// The table.
        path: PathBuf,
    },
    /// It is longer than any.
    #[error("{path}: more than {MAX_EVENTS} rows")]
    TooMany {
        /// The table.
        path: PathBuf,
    },
    /// A row makes no sense, or contradicts the labels or another row.
    #[error("{path}, line {line}: {what}")]
    Row {
        /// The table.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: RowFault,
    },
    /// The first task has no clips of a split.
    #[error("{path}: task 0 has none of the {split} clips")]
    EmptyStart {
        /// The table that decides the start.
        path: PathBuf,
        /// The split.
        split: Split,
    },
}

/// What is wrong with a row of a table of events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowFault {
    /// The task is no number of one.
    #[error("\"{}\" is no task: tasks are 0 to {}", printable(.0), MAX_TASKS - 1)]
    Task(String),
    /// The change is none.
    #[error("\"{}\" is no change: it is arrives or leaves", printable(.0))]
    Change(String),
    /// A row names none, or several.
    #[error("{0} of clip, group, subcategory and category are filled, and exactly one must be")]
    Names(usize),
    /// Nothing is called so.
    #[error("the labels have no {kind} \"{}\"", printable(name))]
    Unknown {
        /// What it would be.
        kind: NamedBy,
        /// The name.
        name: String,
    },
    /// There are no clips of what a row names.
    #[error("the labels have no clips of it")]
    NoClips,
    /// Something leaves at the start.
    #[error("nothing can leave on entering task 0, before which there is nothing")]
    LeavesAtStart,
    /// A clip leaves before it has arrived.
    #[error("clip {} leaves before it has arrived{}", printable(clip), arrival(*arrives))]
    LeavesFirst {
        /// The clip.
        clip: String,
        /// Line and task of its arrival, where it has one.
        arrives: Option<(usize, usize)>,
    },
    /// All that a row names has left already.
    #[error("all that it names has left before")]
    GoneAlready,
    /// All that a row names is there already.
    #[error("all that it names is there already")]
    ThereAlready,
    /// A clip arrives and leaves on entering the same task.
    #[error(
        "clip {} arrives and leaves on entering the same task (also line {line})",
        printable(clip)
    )]
    Both {
        /// The clip.
        clip: String,
        /// The line that says the other.
        line: usize,
    },
    /// A split has no clips before these arrive.
    #[error("task 0 has none of the {split} clips: all arrive later, these first")]
    NothingBefore {
        /// The split.
        split: Split,
    },
    /// A split has no clips left.
    #[error("task {task} is left without {split} clips")]
    LeavesNothing {
        /// The task.
        task: usize,
        /// The split.
        split: Split,
    },
}

fn arrival(arrives: Option<(usize, usize)>) -> String {
    arrives.map_or(String::new(), |(line, task)| {
        format!(" (line {line} lets it arrive at task {task})")
    })
}

impl Hint for EventsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Csv(e) if e.hint().is_some() => e.hint(),
            Self::Csv(_) | Self::NoNames { .. } => Some(
                "events are a CSV with the columns task, change (arrives or leaves) and clip, group, subcategory or category"
                    .into(),
            ),
            Self::TooMany { .. } => Some("name groups, subcategories or categories instead of clips".into()),
            Self::Row { what: RowFault::LeavesFirst { .. }, .. } => Some(
                "without --start, task 0 holds only what has no row that arrives; --start FILE says who is there from the start"
                    .into(),
            ),
            Self::Row { what: RowFault::LeavesNothing { .. } | RowFault::NothingBefore { .. }, .. } | Self::EmptyStart { .. } => {
                Some("training needs clips of every split in every task".into())
            }
            Self::Row { .. } => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Csv(_) => Exit::Failed,
            // Events that contradict the labels will always do so.
            _ => Exit::Hopeless,
        }
    }
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
    let names = Names::of(source);
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

fn read_events(path: &Path, names: &Names<'_>) -> Result<Vec<Event>, EventsError> {
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

fn read_start(path: &Path, names: &Names<'_>) -> Result<Vec<Rc<Rows>>, EventsError> {
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

/// The clips by every name that a table may call them by; names are in Unicode's composed form.
struct Names<'a> {
    source: &'a Source,
    rows: HashMap<(NamedBy, String), Rc<Rows>>,
}

impl<'a> Names<'a> {
    fn of(source: &'a Source) -> Self {
        let mut rows: HashMap<(NamedBy, String), Rows> = HashMap::new();
        for category in source.taxonomy.categories() {
            let name = composed(&category.name).into_owned();
            rows.entry((NamedBy::Category, name)).or_default();
        }
        for split in Split::ALL {
            for (row, clip) in (0_u32..).zip(&source.clips[split as usize]) {
                let mut add = |kind, name: &str| {
                    let key = (kind, composed(name).into_owned());
                    rows.entry(key).or_default()[split as usize].push(row);
                };
                let category = &source.taxonomy.categories()[clip.class];
                add(NamedBy::Clip, &clip.clip_id);
                if let Some(group) = &clip.group {
                    add(NamedBy::Group, group);
                }
                add(
                    NamedBy::Subcategory,
                    &category.subcategories[clip.subcategory],
                );
                add(NamedBy::Category, &category.name);
            }
        }
        let rows = rows.into_iter().map(|(name, rows)| (name, Rc::new(rows)));
        Self {
            source,
            rows: rows.collect(),
        }
    }

    fn find(&self, kind: NamedBy, name: &str) -> Result<Rc<Rows>, RowFault> {
        let found = self.rows.get(&(kind, composed(name).into_owned()));
        if let Some(rows) = found {
            return Ok(Rc::clone(rows));
        }
        // A subcategory without clips is a name of the taxonomy all the same.
        if kind == NamedBy::Subcategory && self.source.taxonomy.find(name).is_some() {
            return Ok(Rc::default());
        }
        Err(RowFault::Unknown {
            kind,
            name: name.to_owned(),
        })
    }
}

/// How it stands with one clip.
#[derive(Clone, Copy, Default)]
struct State {
    /// The task in which it came, while it is there.
    since: Option<usize>,
    /// Whether it has ever been there.
    was_there: bool,
    /// Task and line of the last event that moved it.
    moved: Option<(usize, usize)>,
}

/// All clips while the events go by.
struct World<'a> {
    clips: &'a [Vec<LabelledClip>; 3],
    states: [Vec<State>; 3],
    /// Clips that are there.
    counts: [usize; 3],
    /// Stays that have ended.
    ended: [Vec<Stay>; 3],
    /// Line and task of the first arrival of each clip that has one: by split and row.
    arrivals: BTreeMap<(usize, u32), (usize, usize)>,
}

impl<'a> World<'a> {
    /// The clips of `start`, else those that no event lets arrive.
    fn new(source: &'a Source, start: Option<&[Rc<Rows>]>, events: &[Event]) -> Self {
        let named = |all: &mut dyn Iterator<Item = &Rc<Rows>>| -> HashSet<(usize, u32)> {
            all.flat_map(|rows| rows.iter().enumerate())
                .flat_map(|(split, rows)| rows.iter().map(move |row| (split, *row)))
                .collect()
        };
        let (listed, is_start) = match start {
            Some(start) => (named(&mut start.iter()), true),
            None => {
                let arriving = events
                    .iter()
                    .filter(|event| event.change == Change::Arrives);
                (named(&mut arriving.map(|event| &event.rows)), false)
            }
        };
        let mut counts = [0; 3];
        let states = Split::ALL.map(|split| {
            let rows = 0_u32..;
            let states = rows.zip(&source.clips[split as usize]).map(|(row, _)| {
                let is_there = listed.contains(&(split as usize, row)) == is_start;
                counts[split as usize] += usize::from(is_there);
                State {
                    since: is_there.then_some(0),
                    was_there: is_there,
                    moved: None,
                }
            });
            states.collect()
        });
        Self {
            clips: &source.clips,
            states,
            counts,
            ended: Default::default(),
            arrivals: BTreeMap::new(),
        }
    }

    /// Notes when each clip first arrives, for the error of one that leaves before.
    fn arrivals(&mut self, events: &[Event]) {
        for event in events
            .iter()
            .filter(|event| event.change == Change::Arrives)
        {
            for (split, rows) in event.rows.iter().enumerate() {
                for row in rows {
                    let first = (event.line, event.task);
                    let known = self.arrivals.entry((split, *row)).or_insert(first);
                    if event.task < known.1 {
                        *known = first;
                    }
                }
            }
        }
    }

    fn apply(&mut self, event: &Event) -> Result<(), RowFault> {
        if event.rows.iter().all(Vec::is_empty) {
            return Err(RowFault::NoClips);
        }
        let mut moved = 0;
        for (split, rows) in event.rows.iter().enumerate() {
            for &row in rows {
                moved += usize::from(self.move_clip(split, row, event)?);
            }
        }
        match (moved, event.change) {
            (0, Change::Arrives) => Err(RowFault::ThereAlready),
            (0, Change::Leaves) => Err(RowFault::GoneAlready),
            _ => Ok(()),
        }
    }

    /// Moves one clip; says whether the event speaks of it at all, and not of what is there or gone since an earlier task.
    fn move_clip(&mut self, split: usize, row: u32, event: &Event) -> Result<bool, RowFault> {
        let state = &mut self.states[split][row as usize];
        let id = || self.clips[split][row as usize].clip_id.clone();
        let now = state.moved.filter(|(task, _)| *task == event.task);
        let is_there = state.since.is_some();
        match (event.change, now) {
            // Said twice for the same task.
            (Change::Arrives, Some(_)) if is_there => return Ok(true),
            (Change::Leaves, Some(_)) if !is_there => return Ok(true),
            (_, Some((_, line))) => return Err(RowFault::Both { clip: id(), line }),
            (Change::Arrives, None) if is_there => return Ok(event.task == 0),
            (Change::Leaves, None) if !is_there && state.was_there => return Ok(false),
            (Change::Leaves, None) if !is_there => {
                return Err(RowFault::LeavesFirst {
                    clip: id(),
                    arrives: self.arrivals.get(&(split, row)).copied(),
                });
            }
            (_, None) => {}
        }
        state.moved = Some((event.task, event.line));
        state.was_there = true;
        if let Some(from) = state.since.take() {
            let until = event.task;
            self.ended[split].push(Stay { row, from, until });
            self.counts[split] -= 1;
        } else {
            state.since = Some(event.task);
            self.counts[split] += 1;
        }
        Ok(true)
    }

    /// The first split that has clips, but none now.
    fn empty_split(&self) -> Option<Split> {
        let is_empty = |split: &Split| {
            self.counts[*split as usize] == 0 && !self.clips[*split as usize].is_empty()
        };
        Split::ALL.into_iter().find(is_empty)
    }

    /// When each clip is there, in the order of the tasks' lists.
    fn stays(mut self) -> [Vec<Stay>; 3] {
        for (stays, states) in self.ended.iter_mut().zip(&self.states) {
            let open = (0_u32..).zip(states).filter_map(|(row, state)| {
                let (from, until) = (state.since?, usize::MAX);
                Some(Stay { row, from, until })
            });
            stays.extend(open);
            stays.sort_unstable_by_key(|stay| (stay.from, stay.row));
        }
        self.ended
    }
}

#[cfg(test)]
mod tests;
