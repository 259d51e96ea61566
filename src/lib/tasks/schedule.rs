//! Which subcategories each task has: the schedule of removals and exchanges, read, permuted and
//! drawn.

use std::path::{Path, PathBuf};

use super::legacy_random::{NumpyRandom, PythonRandom};
use super::place::{Places, Stay};
use super::{Scenario, TasksError};
use crate::named_csv::{NamedCsv, whole_number};
use crate::tables::ScheduleEvent;
use crate::taxonomy::Taxonomy;

/// The largest entry that a schedule may have: every one is a draw.
const MAX_COUNT: u32 = 100_000;

/// How many subcategories of each category are removed or exchanged on entering each task,
/// `[tasks][classes]`.
///
/// Row 0 says how many to remove before task 0 (decremental), or how many subcategories task 0 has
/// (incremental-decremental).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleCounts(Vec<Vec<u32>>);

impl ScheduleCounts {
    /// Makes counts from rows, one a task with an entry for each class.
    #[must_use]
    pub fn new(rows: Vec<Vec<u32>>) -> Self {
        Self(rows)
    }

    /// Reads a CSV with one column a category, found by name, and one row a task.
    ///
    /// # Errors
    /// When the file is no such table, a category has no column or a column no category, or an
    /// entry is no small count.
    pub fn read(path: &Path, taxonomy: &Taxonomy) -> Result<Self, TasksError> {
        let table = NamedCsv::open(path)?;
        let headers = table.columns().to_vec();
        let columns = columns_of(path, &headers, taxonomy)?;
        let mut rows = Vec::new();
        for record in table.rows() {
            let (line, record) = record?;
            let entry = |&column: &usize| {
                let text = record.get(column).unwrap_or_default();
                whole_number(text)
                    .filter(|&count| count <= MAX_COUNT)
                    .ok_or_else(|| TasksError::ScheduleEntry {
                        path: path.to_owned(),
                        line,
                        category: headers[column].clone(),
                        value: text.to_owned(),
                    })
            };
            rows.push(columns.iter().map(entry).collect::<Result<_, _>>()?);
        }
        Ok(Self(rows))
    }

    /// The number of tasks that the schedule is for.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.0.len()
    }

    /// The entries, `[tasks][classes]`.
    #[must_use]
    pub fn rows(&self) -> &[Vec<u32>] {
        &self.0
    }

    /// Shuffles each category's entries of rows 1 and up, in class order; row 0 stays.
    pub(super) fn permute(&mut self, numpy: &mut NumpyRandom) {
        let classes = self.0.first().map_or(0, Vec::len);
        for class in 0..classes {
            let mut entries: Vec<u32> = self.0[1..].iter().map(|row| row[class]).collect();
            numpy.shuffle(&mut entries);
            for (row, entry) in self.0[1..].iter_mut().zip(entries) {
                row[class] = entry;
            }
        }
    }
}

/// The column of each category, in class order.
fn columns_of(
    path: &Path,
    headers: &[String],
    taxonomy: &Taxonomy,
) -> Result<Vec<usize>, TasksError> {
    let known = |h: &str| taxonomy.categories().iter().any(|c| c.name == h);
    for (k, header) in headers.iter().enumerate() {
        if !known(header) || headers[..k].contains(header) {
            return Err(TasksError::ScheduleColumn {
                path: path.to_owned(),
                column: header.clone(),
                problem: if known(header) {
                    "occurs twice"
                } else {
                    "is no category of the taxonomy"
                },
            });
        }
    }
    taxonomy
        .categories()
        .iter()
        .map(|category| {
            headers
                .iter()
                .position(|h| *h == category.name)
                .ok_or_else(|| TasksError::ScheduleColumn {
                    path: path.to_owned(),
                    column: category.name.clone(),
                    problem: "is missing, though it is a category of the taxonomy",
                })
        })
        .collect()
}

/// The subcategories of one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSchedule {
    /// Per class the subcategories of the task, as indices into the category's list of the
    /// taxonomy, in the task's own order.
    pub current: Vec<Vec<usize>>,
    /// Per class the subcategories that were drawn on entering the task but had to stay where they
    /// were, being the last.
    pub refused: Vec<Vec<usize>>,
}

/// The subcategories of every task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubcategorySchedule {
    /// One entry a task.
    pub tasks: Vec<TaskSchedule>,
    /// Whether subcategories that task 0 lacks were taken away from it (rather than waiting to come
    /// in).
    removed_at_start: bool,
    /// How many subcategories each category of the taxonomy has.
    sizes: Vec<usize>,
}

impl SubcategorySchedule {
    /// Draws the schedule of a scenario. `sizes` are the numbers of subcategories of the
    /// categories; `counts` must have a row for each task where the scenario takes a schedule.
    pub(super) fn draw(
        scenario: Scenario,
        sizes: &[usize],
        tasks: usize,
        counts: Option<&ScheduleCounts>,
        seed: u32,
    ) -> Self {
        let python = PythonRandom::new(seed);
        let tasks = match (scenario, counts) {
            (Scenario::Decremental, Some(counts)) => removals(sizes, counts, python),
            (Scenario::IncrementalDecremental, Some(counts)) => exchanges(sizes, counts, python),
            _ => vec![TaskSchedule::new(whole(sizes)); tasks],
        };
        Self {
            tasks,
            removed_at_start: scenario == Scenario::Decremental,
            sizes: sizes.to_vec(),
        }
    }

    /// The schedule of training clips that stay as they were told to: a subcategory is there while clips of it are. Those of task
    /// 0 stand in the taxonomy's order, those that come behind them, and who leaves is closed up.
    pub(super) fn told(sizes: &[usize], tasks: usize, stays: &[Stay], places: &Places) -> Self {
        // By task, what comes and what goes.
        let mut moves: Vec<Vec<((usize, usize), i64)>> = vec![Vec::new(); tasks];
        for stay in stays {
            let place = places[stay.row as usize];
            for (task, by) in [(stay.from, 1), (stay.until, -1)] {
                if task < tasks {
                    moves[task].push((place, by));
                }
            }
        }
        let mut counts: Vec<Vec<i64>> = sizes.iter().map(|&n| vec![0; n]).collect();
        let mut current: Vec<Vec<usize>> = vec![Vec::new(); sizes.len()];
        let tasks = moves.into_iter().map(|moves| {
            for ((class, x), by) in moves {
                counts[class][x] += by;
            }
            for (counts, current) in counts.iter().zip(&mut current) {
                current.retain(|&x| counts[x] > 0);
                let come = (0..counts.len()).filter(|x| counts[*x] > 0 && !current.contains(x));
                let come: Vec<usize> = come.collect();
                current.extend(come);
            }
            TaskSchedule::new(current.clone())
        });
        Self {
            tasks: tasks.collect(),
            removed_at_start: false,
            sizes: sizes.to_vec(),
        }
    }

    /// What happens to the subcategories of `class` on entering `task`: their index, position in
    /// the task's list, and event; those in the list first, in its order, the others after them in
    /// the taxonomy's order.
    pub fn events(
        &self,
        task: usize,
        class: usize,
    ) -> impl Iterator<Item = (usize, Option<usize>, ScheduleEvent)> + '_ {
        let all: Vec<usize> = (0..self.sizes[class]).collect();
        let before = match task {
            0 if self.removed_at_start => all.clone(),
            0 => Vec::new(),
            _ => self.tasks[task - 1].current[class].clone(),
        };
        let TaskSchedule { current, refused } = &self.tasks[task];
        let (current, refused) = (&current[class], &refused[class]);
        let listed = current.iter().enumerate().map({
            let before = before.clone();
            move |(position, &x)| {
                let event = match () {
                    () if refused.contains(&x) => ScheduleEvent::Refused,
                    () if task == 0 => ScheduleEvent::Start,
                    () if before.contains(&x) => ScheduleEvent::Kept,
                    () => ScheduleEvent::Arrived,
                };
                (x, Some(position), event)
            }
        });
        let absent = all
            .into_iter()
            .filter(|x| !current.contains(x))
            .filter_map(move |x| {
                let event = match () {
                    () if before.contains(&x) => ScheduleEvent::Removed,
                    () if refused.contains(&x) => ScheduleEvent::Refused,
                    () => return None,
                };
                Some((x, None, event))
            });
        listed.chain(absent)
    }
}

impl TaskSchedule {
    fn new(current: Vec<Vec<usize>>) -> Self {
        Self {
            refused: vec![Vec::new(); current.len()],
            current,
        }
    }
}

fn whole(sizes: &[usize]) -> Vec<Vec<usize>> {
    sizes.iter().map(|&size| (0..size).collect()).collect()
}

/// Decremental: subcategories are taken away, never the last of a category.
fn removals(
    sizes: &[usize],
    counts: &ScheduleCounts,
    mut python: PythonRandom,
) -> Vec<TaskSchedule> {
    let mut current = whole(sizes);
    let mut tasks = Vec::new();
    for row in &counts.0 {
        let mut refused = vec![Vec::new(); sizes.len()];
        for (class, &count) in row.iter().enumerate() {
            for _ in 0..count {
                let i = python.below(current[class].len());
                if current[class].len() == 1 {
                    note(&mut refused[class], current[class][i]);
                } else {
                    current[class].remove(i);
                }
            }
        }
        tasks.push(TaskSchedule {
            current: current.clone(),
            refused,
        });
    }
    tasks
}

/// Incremental-decremental: task 0 starts with some subcategories; later ones are exchanged against
/// those of task 0.
fn exchanges(
    sizes: &[usize],
    counts: &ScheduleCounts,
    mut python: PythonRandom,
) -> Vec<TaskSchedule> {
    let mut pool = whole(sizes);
    let mut current = vec![Vec::new(); sizes.len()];
    // Only what was there at the start can ever leave.
    let mut old: Vec<Vec<usize>> = Vec::new();
    let mut tasks = Vec::new();
    for (task, row) in counts.0.iter().enumerate() {
        let mut refused = vec![Vec::new(); sizes.len()];
        for (class, &count) in row.iter().enumerate() {
            for _ in 0..count {
                let (pool, current) = (&mut pool[class], &mut current[class]);
                if pool.is_empty() {
                    break;
                }
                let i = python.below(pool.len());
                if task == 0 {
                    if pool.len() == 1 {
                        note(&mut refused[class], pool[i]);
                    } else {
                        current.push(pool.remove(i));
                    }
                    continue;
                }
                let old = &mut old[class];
                if !old.is_empty() {
                    let j = python.below(old.len());
                    let gone = old[j];
                    if current[..] == [gone] {
                        note(&mut refused[class], gone);
                    } else {
                        current.retain(|&x| x != gone);
                        old.remove(j);
                    }
                }
                current.push(pool.remove(i));
            }
        }
        if task == 0 {
            old.clone_from(&current);
        }
        tasks.push(TaskSchedule {
            current: current.clone(),
            refused,
        });
    }
    tasks
}

fn note(refused: &mut Vec<usize>, subcategory: usize) {
    if !refused.contains(&subcategory) {
        refused.push(subcategory);
    }
}

/// A schedule's file and what it says, for settings and lineage.
#[derive(Clone, Debug)]
pub(super) struct ScheduleFile {
    pub(super) path: PathBuf,
    pub(super) counts: ScheduleCounts,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(scenario: Scenario, sizes: &[usize], rows: &[&[u32]]) -> SubcategorySchedule {
        let counts = ScheduleCounts::new(rows.iter().map(|r| r.to_vec()).collect());
        SubcategorySchedule::draw(scenario, sizes, rows.len(), Some(&counts), 0)
    }

    fn events(
        schedule: &SubcategorySchedule,
        task: usize,
    ) -> Vec<(usize, Option<usize>, ScheduleEvent)> {
        schedule.events(task, 0).collect()
    }

    #[test]
    fn the_last_subcategory_of_a_category_is_never_removed_and_the_refusal_is_kept() {
        let schedule = draw(Scenario::Decremental, &[2], &[&[0], &[2]]);
        assert_eq!(schedule.tasks[1].current[0].len(), 1);
        let left = schedule.tasks[1].current[0][0];
        assert_eq!(
            events(&schedule, 1),
            [
                (left, Some(0), ScheduleEvent::Refused),
                (1 - left, None, ScheduleEvent::Removed)
            ]
        );
    }

    #[test]
    fn removals_before_task_0_are_recorded_there() {
        let schedule = draw(Scenario::Decremental, &[3], &[&[1]]);
        let events: Vec<_> = events(&schedule, 0).into_iter().map(|e| e.2).collect();
        let expected = [
            ScheduleEvent::Start,
            ScheduleEvent::Start,
            ScheduleEvent::Removed,
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn an_exchange_takes_only_what_was_there_at_the_start_and_never_brings_it_back() {
        let schedule = draw(
            Scenario::IncrementalDecremental,
            &[6],
            &[&[2], &[1], &[1], &[1], &[5]],
        );
        let start = &schedule.tasks[0].current[0];
        let last = &schedule.tasks[4].current[0];
        assert_eq!(start.len(), 2);
        assert!(start.iter().all(|x| !last.contains(x)));
        // The pool is empty after four arrivals; the draws that were left over did nothing.
        assert_eq!(last.len(), 4);
    }

    #[test]
    fn a_category_with_one_subcategory_starts_empty_and_gets_it_later() {
        let schedule = draw(Scenario::IncrementalDecremental, &[1], &[&[1], &[1]]);
        assert_eq!(events(&schedule, 0), [(0, None, ScheduleEvent::Refused)]);
        assert_eq!(events(&schedule, 1), [(0, Some(0), ScheduleEvent::Arrived)]);
    }

    #[test]
    fn the_only_one_left_stays_when_its_exchange_is_drawn() {
        let schedule = draw(Scenario::IncrementalDecremental, &[2], &[&[1], &[1]]);
        let kept = schedule.tasks[0].current[0][0];
        assert_eq!(
            events(&schedule, 1),
            [
                (kept, Some(0), ScheduleEvent::Refused),
                (1 - kept, Some(1), ScheduleEvent::Arrived)
            ]
        );
    }
}
