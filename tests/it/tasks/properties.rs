//! What holds for the deal of any table, taxonomy and setting.

use std::collections::BTreeSet;

use incdec::clip::Split;
use incdec::tables::ScheduleEvent;
use incdec::tasks::availability::{Tables, TaskLists};
use incdec::tasks::schedule::ScheduleCounts;
use incdec::tasks::{DealSettings, Remainder, Scenario};
use proptest::prelude::*;

/// Any taxonomy and any tables, with a schedule for as many tasks.
#[derive(Clone, Debug)]
pub(super) struct Any {
    pub(super) tables: Tables,
    pub(super) counts: ScheduleCounts,
    pub(super) tasks: usize,
    pub(super) settings: DealSettings,
}

pub(super) fn any_deal() -> impl Strategy<Value = Any> {
    let sizes = proptest::collection::vec(1_usize..6, 1..5);
    let scenario = (0..4_usize).prop_map(|i| Scenario::ALL[i]);
    (
        sizes,
        scenario,
        1_usize..8,
        any::<u32>(),
        any::<[bool; 3]>(),
        1.0..5.0_f64,
    )
        .prop_flat_map(
            |(sizes, scenario, tasks, seed, [randomize, spread, arrivals], initial_split)| {
                let all: Vec<(usize, usize)> = sizes
                    .iter()
                    .enumerate()
                    .flat_map(|(class, &n)| (0..n).map(move |x| (class, x)))
                    .collect();
                let places = || {
                    let all = all.clone();
                    let index = proptest::sample::select(all);
                    proptest::collection::vec(index, 0..120)
                };
                let counts = proptest::collection::vec(
                    proptest::collection::vec(0_u32..4, sizes.len()),
                    tasks,
                );
                let settings = DealSettings {
                    scenario,
                    seed,
                    randomize,
                    remainder: if spread {
                        Remainder::Spread
                    } else {
                        Remainder::Stay
                    },
                    arrivals: arrivals || !scenario.takes_schedule(),
                    initial_split,
                };
                (
                    Just(sizes),
                    [places(), places(), places()],
                    counts,
                    Just(tasks),
                    Just(settings),
                )
            },
        )
        .prop_map(|(sizes, places, counts, tasks, settings)| Any {
            tables: Tables { sizes, places },
            counts: ScheduleCounts::new(counts),
            tasks,
            settings,
        })
}

/// The size of a training list by the formulas of the specification.
fn formula(any: &Any, plan: &TaskLists, task: usize) -> usize {
    let settings = &any.settings;
    let changes = any.tasks - 1;
    let moved = |len: usize| match (changes, settings.remainder) {
        (0, _) => 0,
        (k, Remainder::Stay) => task * (len / k),
        (k, Remainder::Spread) => len * task / k,
    };
    let train = &any.tables.places[0];
    let count = |place: (usize, usize)| train.iter().filter(|&&p| p == place).count();
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    let first = |n: usize| (n as f64 / settings.initial_split).trunc() as usize;
    let mut size = 0;
    for (class, &subcategories) in any.tables.sizes.iter().enumerate() {
        let counts: Vec<usize> = (0..subcategories).map(|x| count((class, x))).collect();
        let firsts: usize = counts.iter().map(|&n| first(n)).sum();
        let seconds = counts.iter().sum::<usize>() - firsts;
        size += match settings.scenario {
            Scenario::JointIncremental if changes == 0 => firsts + seconds,
            Scenario::JointIncremental => firsts + moved(seconds),
            Scenario::Substitution => firsts - moved(firsts) + moved(seconds),
            _ => plan.schedule().tasks[task].current[class]
                .iter()
                .map(|&x| {
                    let second = counts[x] - first(counts[x]);
                    first(counts[x]) + if settings.arrivals { moved(second) } else { 0 }
                })
                .sum(),
        };
    }
    size
}

proptest! {
    #[test]
    fn any_deal_keeps_its_promises(any in any_deal()) {
        let plan = TaskLists::new(&any.settings, &any.tables, any.tasks, Some(&any.counts));
        let scenario = any.settings.scenario;
        let mut gone = BTreeSet::new();
        let mut before = BTreeSet::new();
        for task in 0..any.tasks {
            let list = plan.list(Split::Train, task);
            prop_assert_eq!(list.len(), formula(&any, &plan, task));
            let now: BTreeSet<u32> = list.iter().copied().collect();
            prop_assert_eq!(now.len(), list.len(), "no clip twice in a task");
            prop_assert!(now.is_disjoint(&gone), "no removed clip ever back");
            if scenario == Scenario::JointIncremental {
                prop_assert!(now.is_superset(&before), "nothing leaves");
            }
            gone.extend(before.difference(&now).copied());
            before = now;
            let test = plan.list(Split::Test, task);
            prop_assert_eq!(test.len(), any.tables.places[2].len());
            let validation: BTreeSet<u32> = plan.list(Split::Validation, task).into_iter().collect();
            prop_assert_eq!(validation.len(), plan.list(Split::Validation, task).len());
            let current = &plan.schedule().tasks[task].current;
            for (row, &(class, x)) in (0_u32..).zip(&any.tables.places[1]) {
                prop_assert_eq!(validation.contains(&row), current[class].contains(&x));
            }
        }
    }

    #[test]
    fn a_subcategory_that_left_never_comes_back(any in any_deal()) {
        let plan = TaskLists::new(&any.settings, &any.tables, any.tasks, Some(&any.counts));
        for class in 0..any.tables.sizes.len() {
            let mut gone = BTreeSet::new();
            for task in 0..any.tasks {
                for (x, position, event) in plan.schedule().events(task, class) {
                    prop_assert!(position.is_none() || !gone.contains(&x));
                    if event == ScheduleEvent::Removed {
                        gone.insert(x);
                    }
                }
            }
        }
    }

    #[test]
    fn permuting_the_lines_of_a_table_changes_no_size(any in any_deal(), rotation in 0_usize..120) {
        let mut turned = any.clone();
        for places in &mut turned.tables.places {
            let by = rotation % places.len().max(1);
            places.rotate_left(by);
        }
        let plan = |a: &Any| TaskLists::new(&a.settings, &a.tables, a.tasks, Some(&a.counts));
        let (one, other) = (plan(&any), plan(&turned));
        for task in 0..any.tasks {
            for split in Split::ALL {
                prop_assert_eq!(one.list(split, task).len(), other.list(split, task).len());
            }
        }
    }
}
