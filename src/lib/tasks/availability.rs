//! Which clips each task holds: pure, from rows, a schedule and a seed; no file is touched.
//!
//! A plan keeps every clip once, dealt into a first part (there from the start) and a second part
//! (to arrive); the list of a task is read off it. So a plan of many tasks takes no more memory
//! than one of few.

use super::legacy_random::{NumpyRandom, set_order};
use super::place::{Places, Stay};
use super::schedule::{ScheduleCounts, SubcategorySchedule};
use super::{DealSettings, Remainder, Scenario};
use crate::clip::Split;

/// The labelled clips of the three splits, and the size of their taxonomy.
#[derive(Clone, Debug)]
pub struct Tables {
    /// How many subcategories each category has.
    pub sizes: Vec<usize>,
    /// The clips of each split, in the order of [`Split::ALL`].
    pub places: [Places; 3],
}

/// Clips dealt together: a category's, or a subcategory's.
#[derive(Clone, Debug)]
struct Deal {
    class: usize,
    /// The subcategory, where the scenario deals by subcategory.
    subcategory: Option<usize>,
    /// Rows that are there from the start, in shuffled order.
    first: Vec<u32>,
    /// Rows that arrive, in shuffled order.
    second: Vec<u32>,
}

/// The lists of a scenario's tasks, ready to be read off.
#[derive(Clone, Debug)]
pub struct TaskLists {
    tasks: usize,
    schedule: SubcategorySchedule,
    lists: Lists,
}

/// Where a plan's lists come from.
#[derive(Clone, Debug)]
enum Lists {
    /// They were drawn.
    Dealt(Dealt),
    /// Somebody has said when each clip is there, in the order of [`Split::ALL`]; sorted by first task and row.
    Told([Vec<Stay>; 3]),
}

/// Clips that were dealt out.
#[derive(Clone, Debug)]
struct Dealt {
    scenario: Scenario,
    remainder: Remainder,
    arrivals: bool,
    deals: Vec<Deal>,
    validation: RowsBy,
    test: RowsBy,
}

impl TaskLists {
    /// Deals the clips out. `counts` must have a row for each task where the scenario takes a
    /// schedule.
    #[must_use]
    pub fn new(
        settings: &DealSettings,
        tables: &Tables,
        tasks: usize,
        counts: Option<&ScheduleCounts>,
    ) -> Self {
        let scenario = settings.scenario;
        let mut numpy = NumpyRandom::new(settings.seed);
        let mut counts = counts.filter(|_| scenario.takes_schedule()).cloned();
        if let Some(counts) = counts.as_mut().filter(|_| settings.randomize) {
            counts.permute(&mut numpy);
        }
        let schedule = SubcategorySchedule::draw(
            scenario,
            &tables.sizes,
            tasks,
            counts.as_ref(),
            settings.seed,
        );
        let [train, validation, test] = &tables.places;
        let train = RowsBy::new(&tables.sizes, train);
        let deals = if scenario == Scenario::JointIncremental && tasks == 1 {
            whole(&train)
        } else {
            deal(settings, &train, &mut numpy)
        };
        Self {
            tasks,
            schedule,
            lists: Lists::Dealt(Dealt {
                scenario,
                remainder: settings.remainder,
                arrivals: settings.arrivals,
                deals,
                validation: RowsBy::new(&tables.sizes, validation),
                test: RowsBy::new(&tables.sizes, test),
            }),
        }
    }

    /// A plan that was not drawn but told: `stays` of each split, sorted by first task and row. A subcategory is in a task while
    /// the task has training clips of it.
    #[must_use]
    pub(super) fn told(tables: &Tables, tasks: usize, stays: [Vec<Stay>; 3]) -> Self {
        Self {
            tasks,
            schedule: SubcategorySchedule::told(&tables.sizes, tasks, &stays[0], &tables.places[0]),
            lists: Lists::Told(stays),
        }
    }

    /// The number of tasks.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.tasks
    }

    /// The subcategories of every task.
    #[must_use]
    pub fn schedule(&self) -> &SubcategorySchedule {
        &self.schedule
    }

    /// The rows of a split in the list of `task`, in the list's order.
    ///
    /// # Panics
    /// When `task` is not one of the plan's.
    #[must_use]
    pub fn list(&self, split: Split, task: usize) -> Vec<u32> {
        assert!(task < self.tasks, "task {task} of {}", self.tasks);
        let dealt = match &self.lists {
            Lists::Dealt(dealt) => dealt,
            Lists::Told(stays) => {
                let stays = stays[split as usize].iter();
                let there = stays.filter(|stay| stay.from <= task && task < stay.until);
                return there.map(|stay| stay.row).collect();
            }
        };
        let current = &self.schedule.tasks[task].current;
        match split {
            Split::Train => dealt.train_list(task, self.tasks, current),
            Split::Validation if dealt.scenario.takes_schedule() => {
                let subcategories = current.iter().enumerate();
                subcategories
                    .flat_map(|(class, list)| list.iter().map(move |&x| (class, x)))
                    .flat_map(|(class, x)| set_order(&dealt.validation.subcategory(class, x)))
                    .collect()
            }
            Split::Validation => dealt.validation.by_category(),
            Split::Test => dealt.test.by_category(),
        }
    }
}

impl Dealt {
    /// The training list of one of `tasks` tasks, which has the subcategories `current` of each class.
    fn train_list(&self, task: usize, tasks: usize, current: &[Vec<usize>]) -> Vec<u32> {
        let mut list = Vec::new();
        for deal in &self.deals {
            if let Some(x) = deal.subcategory
                && !current[deal.class].contains(&x)
            {
                continue;
            }
            let gone = if self.scenario == Scenario::Substitution {
                self.steps(deal.first.len(), task, tasks)
            } else {
                0
            };
            let come = if self.arrivals {
                self.steps(deal.second.len(), task, tasks)
            } else {
                0
            };
            list.extend_from_slice(&deal.first[gone..]);
            list.extend_from_slice(&deal.second[..come]);
        }
        list
    }

    /// How many of `len` clips have moved when `task` of `tasks` begins.
    fn steps(&self, len: usize, task: usize, tasks: usize) -> usize {
        match (tasks - 1, self.remainder) {
            (0, _) => 0,
            (changes, Remainder::Stay) => len / changes * task,
            (changes, Remainder::Spread) => len * task / changes,
        }
    }
}

/// The rows of one split by class and subcategory, each list ascending.
#[derive(Clone, Debug)]
struct RowsBy {
    rows: Vec<Vec<Vec<u32>>>,
}

impl RowsBy {
    fn new(sizes: &[usize], places: &Places) -> Self {
        let mut rows: Vec<Vec<Vec<u32>>> = sizes.iter().map(|&n| vec![Vec::new(); n]).collect();
        for (row, &(class, x)) in (0_u32..).zip(places) {
            rows[class][x].push(row);
        }
        Self { rows }
    }

    fn subcategory(&self, class: usize, x: usize) -> Vec<u32> {
        self.rows[class][x].clone()
    }

    /// All rows of a category, ascending.
    fn category(&self, class: usize) -> Vec<u32> {
        let mut rows = self.rows[class].concat();
        rows.sort_unstable();
        rows
    }

    fn by_category(&self) -> Vec<u32> {
        (0..self.rows.len())
            .flat_map(|c| self.category(c))
            .collect()
    }

    /// Classes and subcategories in the taxonomy's order.
    fn subcategories(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let classes = self.rows.iter().enumerate();
        classes.flat_map(|(class, lists)| (0..lists.len()).map(move |x| (class, x)))
    }
}

/// Everything from the start, undealt.
fn whole(train: &RowsBy) -> Vec<Deal> {
    (0..train.rows.len())
        .map(|class| Deal {
            class,
            subcategory: None,
            first: train.category(class),
            second: Vec::new(),
        })
        .collect()
}

/// The draws over the training table: first the parts of every subcategory, then the dealing
/// shuffles.
fn deal(settings: &DealSettings, train: &RowsBy, numpy: &mut NumpyRandom) -> Vec<Deal> {
    let rows: usize = train.rows.iter().flatten().map(Vec::len).sum();
    let mut in_first = vec![false; rows];
    for (class, x) in train.subcategories() {
        let mut rows = set_order(&train.subcategory(class, x));
        numpy.shuffle(&mut rows);
        for &row in &rows[..first_part(rows.len(), settings.initial_split)] {
            in_first[row as usize] = true;
        }
    }
    let mut deals = Vec::new();
    let mut shuffled = |class, subcategory, mut rows: Vec<u32>| {
        numpy.shuffle(&mut rows);
        let (first, second) = rows.into_iter().partition(|&row| in_first[row as usize]);
        deals.push(Deal {
            class,
            subcategory,
            first,
            second,
        });
    };
    if settings.scenario.takes_schedule() {
        for (class, x) in train.subcategories() {
            shuffled(class, Some(x), set_order(&train.subcategory(class, x)));
        }
    } else {
        for class in 0..train.rows.len() {
            shuffled(class, None, train.category(class));
        }
    }
    deals
}

/// How many of `len` clips are there from the start.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)] // ScheduleCounts of clips; the divisor is at least 1, so the result is within 0..=len.
fn first_part(len: usize, divisor: f64) -> usize {
    ((len as f64 / divisor) as usize).min(len)
}
