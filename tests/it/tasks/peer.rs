//! The deal against a second implementation of the specification in Python, which draws from numpy's and CPython's own
//! generators and lists CPython's own sets: any seed, taxonomy, table and setting, not the golden cases alone.

use std::io::Write as _;
use std::process::{Command, Stdio};

use incdec::clip::Split;
use incdec::random;
use incdec::tasks::availability::{Tables, TaskLists};
use incdec::tasks::schedule::ScheduleCounts;
use incdec::tasks::{DealSettings, Remainder, Scenario};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use rand::RngExt;
use serde::Deserialize;

use super::properties::{Any, any_deal};
use crate::support;

/// Small cases of every kind.
const CASES: usize = 300;
/// Clips of the one subcategory of the largest case: CPython's sets grow otherwise from 50,000 members on.
const LARGE: usize = 60_000;

/// What the peer says of a case.
#[derive(Deserialize)]
struct Answer {
    /// Subcategories by task and class, in the task's order.
    current: Vec<Vec<Vec<usize>>>,
    /// Rows by task.
    train: Vec<Vec<u32>>,
    validation: Vec<Vec<u32>>,
    test: Vec<Vec<u32>>,
}

#[test]
fn other_seeds_tables_and_settings_are_dealt_as_numpy_and_cpython_deal_them() {
    let mut runner = TestRunner::deterministic();
    let mut cases: Vec<Any> = (0..CASES)
        .map(|_| any_deal().new_tree(&mut runner).unwrap().current())
        .collect();
    cases.extend((0..12).map(realistic));
    cases.push(large());
    // The four that draw.
    for scenario in Scenario::ALL[..4].iter().copied() {
        let of = cases.iter().filter(|c| c.settings.scenario == scenario);
        assert!(of.count() > CASES / 8, "{scenario} is drawn too seldom");
    }
    let answers = ask(&cases);
    assert_eq!(answers.len(), cases.len());
    for (k, (any, answer)) in cases.iter().zip(answers).enumerate() {
        let plan = TaskLists::new(&any.settings, &any.tables, any.tasks, Some(&any.counts));
        let what = format!("case {k}: {:?}, {} tasks", any.settings, any.tasks);
        for task in 0..any.tasks {
            let current = &plan.schedule().tasks[task].current;
            assert_eq!(*current, answer.current[task], "{what}, task {task}");
            for (split, lists) in [
                (Split::Train, &answer.train),
                (Split::Validation, &answer.validation),
                (Split::Test, &answer.test),
            ] {
                let same = plan.list(split, task) == lists[task];
                assert!(same, "{what}: {split} list of task {task}");
            }
        }
    }
}

/// A taxonomy, table and schedule of the published kind and size, in random order, under another seed each.
fn realistic(k: u64) -> Any {
    let mut rng = random::stream(k, "realistic deal", &[]);
    let sizes: Vec<usize> = (0..rng.random_range(2..7))
        .map(|_| rng.random_range(1..15))
        .collect();
    let all: Vec<(usize, usize)> = sizes
        .iter()
        .enumerate()
        .flat_map(|(class, &n)| (0..n).map(move |x| (class, x)))
        .collect();
    let places = [4_000, 400, 400].map(|clips| {
        (0..clips)
            .map(|_| all[rng.random_range(0..all.len())])
            .collect()
    });
    let tasks = 6;
    let counts = (0..tasks)
        .map(|_| sizes.iter().map(|_| rng.random_range(0..3)).collect())
        .collect();
    let scenario = Scenario::ALL[usize::try_from(k).unwrap() % 4];
    Any {
        tables: Tables { sizes, places },
        counts: ScheduleCounts::new(counts),
        tasks,
        settings: DealSettings::published(scenario, rng.random()),
    }
}

/// One subcategory with more members than a small set has.
fn large() -> Any {
    let mut rng = random::stream(0, "large deal", &[]);
    let places = |clips: usize, rng: &mut rand_chacha::ChaCha8Rng| {
        (0..clips)
            .map(|_| (0, usize::from(rng.random_range(0..10) == 0)))
            .collect()
    };
    Any {
        tables: Tables {
            sizes: vec![2],
            places: [LARGE * 10 / 9, 10, 10].map(|clips| places(clips, &mut rng)),
        },
        counts: ScheduleCounts::new(vec![vec![0]; 3]),
        tasks: 3,
        settings: DealSettings::published(Scenario::Decremental, u32::MAX),
    }
}

/// Hands all cases to one run of the peer.
fn ask(cases: &[Any]) -> Vec<Answer> {
    let json: Vec<serde_json::Value> = cases
        .iter()
        .map(|any| {
            let settings = &any.settings;
            serde_json::json!({
                "scenario": settings.scenario.name(),
                "seed": settings.seed,
                "tasks": any.tasks,
                "randomize": settings.randomize,
                "spread": settings.remainder == Remainder::Spread,
                "arrivals": settings.arrivals,
                "divisor": settings.initial_split,
                "sizes": any.tables.sizes,
                "places": any.tables.places,
                "counts": any.counts.rows(),
            })
        })
        .collect();
    let mut peer = Command::new(support::python())
        .arg(support::root().join("tests/peers/splits.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = peer.stdin.take().unwrap();
    let question = serde_json::to_vec(&json).unwrap();
    let asking = std::thread::spawn(move || stdin.write_all(&question));
    let output = peer.wait_with_output().unwrap();
    asking.join().unwrap().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}
