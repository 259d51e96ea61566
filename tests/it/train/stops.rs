//! A run that is stopped anywhere, by a signal or by kill -9, ends with the bytes of one that was not.
//!
//! Stops happen in processes of their own (libtorch's random generator belongs to a whole process): this test binary,
//! started anew for the one test [`child`], whose watch stops the run at a look of a given number.

mod checkpoints;
mod erased;
mod signals;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs};

use incdec::hint::Hint;
use incdec::random;
use incdec::run_record::{Extension, positions};
use incdec::signals::Signal;
use incdec::train::approach::{self};
use incdec::train::settings::{
    ApproachName, FisherEstimate, PlateauCheck, SamplerName, SchedulerName, UnlearnName,
};
use incdec::train::watch::{Moment, Order, Watch, Watchman};
use incdec::train::{self, Settings, TrainConfig, TrainError};
use rand::RngExt;
use rustix::process::{getpid, kill_process};
use serde::{Deserialize, Serialize};

use super::toy::{Toy, contents, text};
use crate::support;
use signals::started;

/// Where the child finds what to do.
const TASK_VARIABLE: &str = "INCDEC_TEST_STOP";

/// The seed of the stops that are drawn; by default another each time.
const SEED_VARIABLE: &str = "INCDEC_TEST_SEED";

/// Stops that are drawn in all.
const STOPS: usize = 20;

/// Looks between two checkpoints.
const KEEP_EVERY: usize = 3;

/// How a run is stopped.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum How {
    /// By the watch.
    Order,
    /// By a SIGTERM of the process to itself, which the program's own watch notices.
    Sigterm,
    /// By kill -9.
    Kill,
}

/// What a child does.
#[derive(Serialize, Deserialize)]
pub(super) struct Errand {
    availability: PathBuf,
    shards: PathBuf,
    out: PathBuf,
    workers: usize,
    settings: Settings,
    extend: Extension,
    /// The look at which it stops, from 0.
    stop: Option<(usize, How)>,
    /// Takes the name of every moment, a line each.
    moments: PathBuf,
}

/// Stops at one look, keeps a checkpoint at every few, and writes down all.
pub(super) struct Script {
    stop: Option<(usize, How)>,
    moments: Vec<Moment>,
    watchman: Watchman,
}

impl Watch for Script {
    fn begin(&mut self) -> std::io::Result<()> {
        self.watchman.begin()
    }

    fn look(&mut self, moment: Moment) -> Order {
        let number = self.moments.len();
        self.moments.push(moment);
        match self.stop {
            Some((at, How::Order)) if at == number => return Order::Stop(Signal::Terminate),
            Some((at, How::Sigterm)) if at == number => {
                // To this very thread, so that it has come when this returns.
                signal_hook::low_level::raise(signal_hook::consts::SIGTERM).unwrap();
            }
            Some((at, How::Kill)) if at == number => {
                kill_process(getpid(), rustix::process::Signal::KILL).unwrap();
            }
            _ => {}
        }
        match self.watchman.look(moment) {
            Order::GoOn if number.is_multiple_of(KEEP_EVERY) => Order::Checkpoint,
            order => order,
        }
    }
}

#[test]
#[ignore = "runs in a process that the other tests of this file start"]
pub(super) fn child() {
    let errand: Errand = serde_json::from_str(&env::var(TASK_VARIABLE).unwrap()).unwrap();
    let mut config = TrainConfig::new(errand.availability, errand.shards, errand.out);
    config.device = support::device_choice();
    config.threads = Some(1);
    config.workers = errand.workers;
    config.settings = errand.settings;
    config.extend = errand.extend;
    let mut script = Script {
        stop: errand.stop,
        moments: Vec::new(),
        watchman: Watchman::of_process(config.checkpoint_every),
    };
    let result = train::run_watched(&config, approach::make(&config.settings), &mut script);
    let moments: Vec<String> = script.moments.iter().map(|m| format!("{m:?}")).collect();
    fs::write(errand.moments, moments.join("\n")).unwrap();
    match (result, errand.stop) {
        (Ok(_), None) => {}
        (Err(error @ TrainError::Stopped { .. }), Some(_)) => {
            assert_eq!(error.exit().code(), 143);
            assert!(error.to_string().contains("stopped by SIGTERM"), "{error}");
            assert!(error.hint().unwrap().contains("the same command again"));
        }
        // One that goes on may end before it comes to that look.
        (Ok(_), Some((at, _))) if script.moments.len() <= at => {}
        (result, stop) => panic!("{stop:?}: {result:?}"),
    }
}

/// Runs a test of this file in a process of its own.
pub(super) fn in_a_process(test: &str, errand: &str) -> (ExitStatus, String) {
    let test = format!("train::stops::{test}");
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", &test, "--ignored", "--nocapture"])
        .env(TASK_VARIABLE, errand)
        .env("OMP_NUM_THREADS", "1")
        .output()
        .unwrap();
    (output.status, text(&output.stdout) + &text(&output.stderr))
}

impl Errand {
    fn new(toy: &Toy, name: &str, settings: &Settings) -> Self {
        Self {
            availability: toy.tasks("substitution"),
            shards: toy.shards(),
            out: toy.run(name),
            workers: 1,
            settings: settings.clone(),
            extend: Extension::default(),
            stop: None,
            moments: toy.folder.path().join(format!("{name}.moments")),
        }
    }

    /// Does it in a process of its own.
    fn run(&self) -> (ExitStatus, String) {
        in_a_process("child", &serde_json::to_string(self).unwrap())
    }

    fn succeed(&self) {
        let (status, said) = self.run();
        assert!(status.success(), "{said}");
    }

    /// The moments of the last run, by their names.
    fn moments(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.moments).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

pub(super) fn small() -> Settings {
    Settings {
        frames: 4,
        resize: 68,
        size: 64,
        epochs: 2,
        batch_size: 2,
        lr_first_task: 1e-3,
        lr_backbone: 1e-3,
        ..Settings::default()
    }
}

/// Every approach, both samplers, every scheduler, and what else a checkpoint holds something of.
fn cases() -> Vec<(&'static str, Settings)> {
    let case = |change: fn(&mut Settings)| {
        let mut settings = small();
        change(&mut settings);
        settings
    };
    vec![
        ("finetune", case(|s| s.sampler = SamplerName::Imbalanced)),
        (
            "lwf",
            case(|s| {
                s.approach = ApproachName::Lwf;
                s.accumulation = 2;
            }),
        ),
        (
            "fd",
            case(|s| {
                s.approach = ApproachName::Fd;
                s.scheduler = SchedulerName::MultiStep;
                s.lr_head = 1e-3;
            }),
        ),
        ("ewc", case(|s| s.approach = ApproachName::Ewc)),
        (
            "ewc-per-sample",
            case(|s| {
                s.approach = ApproachName::Ewc;
                s.fisher = FisherEstimate::PerSample;
                s.sampler = SamplerName::Imbalanced;
                s.freeze_bn = true;
            }),
        ),
        ("from-scratch", case(|s| s.from_scratch = true)),
        (
            "unlearning",
            case(|s| {
                s.approach = ApproachName::Ewc;
                s.unlearn = UnlearnName::Finetune;
            }),
        ),
        (
            "der++",
            case(|s| {
                s.approach = ApproachName::DerPlusPlus;
                s.batch_size = 4;
            }),
        ),
        (
            "rollback",
            case(|s| {
                s.approach = ApproachName::Ewc;
                s.unlearn = UnlearnName::Rollback;
            }),
        ),
        (
            "plateau",
            case(|s| {
                s.scheduler = SchedulerName::ReduceOnPlateau;
                s.plateau_check = PlateauCheck::Loss;
                s.patience = 0;
                s.epochs = 4;
            }),
        ),
    ]
}

/// Moments that stops are drawn from, one after the other.
const MOMENTS: [&str; 8] = [
    "Unlearning",
    "Training",
    "Evaluation",
    "Closing",
    "EpochEnd",
    "Publishing",
    "BetweenTasks",
    "Training",
];

pub(super) fn seed() -> u64 {
    let given = env::var(SEED_VARIABLE).ok().and_then(|s| s.parse().ok());
    given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_secs()
    })
}

#[test]
fn a_run_that_is_stopped_anywhere_ends_as_one_that_is_not() {
    let seed = seed();
    support::say(&format!(
        "the stops are drawn from seed {seed}: {SEED_VARIABLE}={seed} draws them again"
    ));
    let mut rng = random::stream(seed, "stops", &[]);
    let (toy, cases) = (Toy::new(), cases());
    let mut wholes = BTreeMap::new();
    let (mut stops, mut round) = (0, 0);
    while stops < STOPS {
        let (case, settings) = &cases[round % cases.len()];
        let moments = wholes.entry(*case).or_insert_with(|| {
            let whole = Errand::new(&toy, case, settings);
            whole.succeed();
            whole.moments()
        });
        // Every third run is stopped several times in a row.
        let times = if round % 3 == 2 { 3 } else { 1 };
        let name = format!("{case}-{round}");
        let mut told = Vec::new();
        for _ in 0..times.min(STOPS - stops) {
            let wanted = MOMENTS[stops % MOMENTS.len()];
            let places: Vec<usize> = (0..moments.len())
                .filter(|&i| moments[i] == wanted)
                .collect();
            let at = if places.is_empty() {
                rng.random_range(1..moments.len() - 1)
            } else {
                places[rng.random_range(0..places.len())]
            };
            let how = [How::Order, How::Kill, How::Sigterm][rng.random_range(0..3)];
            let mut errand = Errand::new(&toy, &name, settings);
            // A run that goes on looks less often than a whole one.
            errand.stop = Some((if told.is_empty() { at } else { at % 4 }, how));
            errand.workers = rng.random_range(0..4);
            let (status, said) = errand.run();
            told.push(format!("{how:?} at look {at} ({})", moments[at]));
            let killed = matches!(how, How::Kill) && status.signal() == Some(9);
            assert!(
                killed || status.success(),
                "seed {seed}, {case}: {told:?}: {said}"
            );
            assert!(positions(&errand.out).unwrap().len() <= 2);
            stops += 1;
        }
        let mut errand = Errand::new(&toy, &name, settings);
        errand.workers = rng.random_range(0..4);
        let (status, said) = errand.run();
        assert!(status.success(), "seed {seed}, {case}: {told:?}: {said}");
        let (whole, stopped) = (contents(&toy.run(case)), contents(&errand.out));
        assert!(
            whole.keys().eq(stopped.keys()),
            "seed {seed}, {case}: {told:?}: {:?}",
            stopped.keys()
        );
        for (file, bytes) in &whole {
            assert!(
                *bytes == stopped[file],
                "seed {seed}, {case}: {told:?}: {file} differs"
            );
        }
        fs::remove_dir_all(&errand.out).unwrap();
        round += 1;
    }
}

pub(super) fn wait_until(child: &mut Child, happened: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !happened() {
        assert!(Instant::now() < deadline);
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn ewc_over_three_tasks_killed_six_times_ends_with_the_same_bytes() {
    let toy = Toy::new();
    let flags = "--approach ewc --epochs 5 --batch-size 2 --checkpoint-every 1 --seed-outputs";
    let whole = toy.train("three-tasks", "whole", flags);
    for _ in 0..6 {
        let mut child = started(&toy, "three-tasks", flags);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let run = toy.train("three-tasks", "stopped", flags);
    let (whole, stopped) = (contents(&whole), contents(&run));
    assert!(whole.keys().eq(stopped.keys()), "{:?}", stopped.keys());
    for (file, bytes) in &whole {
        // The run's folder stands in them.
        if !["parameters.csv", "summary.csv"].contains(&file.as_str()) {
            assert!(*bytes == stopped[file], "{file} differs");
        }
    }
}
