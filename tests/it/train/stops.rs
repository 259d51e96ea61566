//! A run that is stopped anywhere, by a signal or by kill -9, ends with the bytes of one that was not.
//!
//! Stops happen in processes of their own (libtorch's random generator belongs to a whole process): this test binary,
//! started anew for the one test [`child`], whose watch stops the run at a look of a given number.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use incdec::artifact::hash_file;
use incdec::hint::Hint;
use incdec::random;
use incdec::run_record::{
    Extension, Part, Position, RunHead, RunProgress, is_sealed_checkpoint, positions,
};
use incdec::signals::{Signal, Signals};
use incdec::train::approach::{Approach, Step};
use incdec::train::learner::Learner;
use incdec::train::settings::{
    ApproachName, FisherEstimate, PlateauCheck, SamplerName, SchedulerName, UnlearnName,
};
use incdec::train::watch::{Moment, Order, Watch, Watchman};
use incdec::train::{self, Settings, TrainConfig, TrainError, approach};
use rand::RngExt;
use rustix::process::{Pid, getpid, kill_process};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::extend::assert_same_values;
use super::record::stop_after_first_task;
use super::toy::{Toy, assert_same_contents, contents, text};
use crate::support;

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
enum How {
    /// By the watch.
    Order,
    /// By a SIGTERM of the process to itself, which the program's own watch notices.
    Sigterm,
    /// By kill -9.
    Kill,
}

/// What a child does.
#[derive(Serialize, Deserialize)]
struct Errand {
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
struct Script {
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
fn child() {
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
fn in_a_process(test: &str, errand: &str) -> (ExitStatus, String) {
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

fn small() -> Settings {
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

fn seed() -> u64 {
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

fn wait_until(child: &mut Child, happened: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !happened() {
        assert!(Instant::now() < deadline);
        assert!(child.try_wait().unwrap().is_none(), "it ended too early");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn send(child: &Child, signal: rustix::process::Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Starts a training and waits for a checkpoint behind those that are there.
fn started(toy: &Toy, scenario: &str, flags: &str) -> Child {
    let run = toy.run("stopped");
    let last = positions(&run).unwrap().last().copied();
    let mut command = toy.command(scenario, "stopped", flags);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let newest = || positions(&run).unwrap().last().copied();
    wait_until(&mut child, || newest() > last);
    child
}

#[test]
fn signals_end_the_program_in_order_with_their_status_and_the_same_command_goes_on() {
    use rustix::process::Signal;
    let toy = Toy::new();
    let flags = "--approach ewc --epochs 6 --batch-size 2";
    let whole = toy.train("substitution", "whole", flags);
    for (signal, name, code) in [
        (Signal::TERM, "SIGTERM", 143),
        (Signal::INT, "SIGINT", 130),
        (Signal::USR1, "SIGUSR1", 143),
    ] {
        let child = started(&toy, "substitution", flags);
        send(&child, signal);
        let output = child.wait_with_output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(
            said.contains(&format!("stopped by {name} in task ")),
            "{said}"
        );
        assert!(
            said.contains("hint: give the same command again to go on"),
            "{said}"
        );
        assert!(!said.contains("error"), "{said}");
    }
    toy.train("substitution", "stopped", flags);
    assert_same_contents(&whole, &toy.run("stopped"));
}

#[test]
#[ignore = "ends its process, which another test of this file starts"]
fn interrupted_twice() {
    let signals = Signals::catch().unwrap();
    let interrupt = || signal_hook::low_level::raise(signal_hook::consts::SIGINT).unwrap();
    interrupt();
    assert_eq!(signals.caught(), Some(Signal::Interrupt));
    interrupt();
    panic!("it lives on");
}

#[test]
fn a_second_sigint_ends_at_once() {
    let (status, said) = in_a_process("interrupted_twice", "");
    assert_eq!(status.code(), Some(130), "{said}");
}

#[test]
fn the_same_position_has_the_same_bytes_whenever_and_wherever_it_is_reached() {
    let toy = Toy::new();
    let settings = Settings {
        approach: ApproachName::Ewc,
        ..small()
    };
    let [one, other] = [1, 3].map(|workers| {
        let mut errand = Errand::new(&toy, &format!("workers-{workers}"), &settings);
        errand.workers = workers;
        // In the second task.
        errand.stop = Some((30, How::Order));
        errand.succeed();
        positions(&errand.out).unwrap().into_iter().map(move |p| {
            let bytes = fs::read(errand.out.join(p.file())).unwrap();
            assert!(is_sealed_checkpoint(&bytes));
            (p, bytes)
        })
    });
    let (one, other): (Vec<_>, Vec<_>) = (one.collect(), other.collect());
    assert!(!one.is_empty());
    assert!(one == other);
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

/// A run that was stopped in its first task, with two checkpoints.
fn with_two_checkpoints(toy: &Toy, flags: &str) -> Vec<Position> {
    let run = toy.run("stopped");
    let mut child = started(toy, "substitution", flags);
    wait_until(&mut child, || positions(&run).unwrap().len() == 2);
    send(&child, rustix::process::Signal::TERM);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(143));
    positions(&run).unwrap()
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_is_used() {
    let toy = Toy::new();
    let flags = "--approach lwf --epochs 6 --batch-size 2";
    let whole = toy.train("substitution", "whole", flags);
    let kept = with_two_checkpoints(&toy, flags);
    assert_eq!(kept.len(), 2, "{kept:?}");
    let run = toy.run("stopped");
    let newest = kept[1].file();
    let bytes = fs::read(run.join(&newest)).unwrap();
    assert!(is_sealed_checkpoint(&bytes));
    let header = text(&bytes[8..20_000.min(bytes.len())]);
    let folder = toy.folder.path().display().to_string();
    assert!(!header.contains(&folder) && !header.contains("thread"));
    let mut rng = random::stream(0, "flips", &[]);
    let mut flipped = bytes.clone();
    for _ in 0..30 {
        flipped.clone_from(&bytes);
        flipped[rng.random_range(0..bytes.len())] ^= 1 << rng.random_range(0..8);
        assert!(!is_sealed_checkpoint(&flipped));
    }
    fs::write(run.join(&newest), &flipped).unwrap();
    let output = toy
        .command("substitution", "stopped", flags)
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&newest) && said.contains("damaged"), "{said}");
    assert!(said.contains(&format!("going on in {}", kept[0])), "{said}");
    assert_same_contents(&whole, &run);
}

#[test]
fn a_run_with_a_checkpoint_is_not_replaced_by_another_and_clean_takes_it_away() {
    let toy = Toy::new();
    with_two_checkpoints(&toy, "--epochs 40 --batch-size 2");
    let run = toy.run("stopped");
    // As if the first epoch had not ended yet.
    fs::remove_file(run.join("history.parquet")).unwrap();
    let mut other = toy.command("substitution", "stopped", "--epochs 40 --seed 9");
    let output = other.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("settings.seed: 0 there, 9 now"));
    let clean = Command::new(support::binary("incdec-clean"))
        .arg("train")
        .arg(&run)
        .output()
        .unwrap();
    support::say(&text(&clean.stderr));
    assert!(
        positions(&run).unwrap().is_empty(),
        "{}",
        text(&clean.stdout)
    );
}

#[test]
fn without_checkpoints_inside_a_task_a_signal_says_that_nothing_is_kept() {
    let toy = Toy::new();
    let flags = "--epochs 40 --batch-size 2 --checkpoint-every 0";
    let run = toy.run("stopped");
    let mut command = toy.command("substitution", "stopped", flags);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    wait_until(&mut child, || run.join("history.parquet").exists());
    send(&child, rustix::process::Signal::TERM);
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(143), "{said}");
    assert!(said.contains("no checkpoint of it is kept"), "{said}");
    assert!(positions(&run).unwrap().is_empty());
}

#[test]
fn a_last_task_that_was_stopped_behind_its_epochs_goes_back_for_more() {
    let toy = Toy::new();
    let settings = |epochs| Settings {
        epochs,
        stop_after_first_task: true,
        ..small()
    };
    let longer = Errand::new(&toy, "longer", &settings(3));
    longer.succeed();
    let whole = Errand::new(&toy, "whole", &settings(2));
    whole.succeed();
    let moments = whole.moments();
    let publishing = moments.iter().position(|m| m == "Publishing").unwrap();
    let mut errand = Errand::new(&toy, "stopped", &settings(2));
    errand.stop = Some((publishing, How::Order));
    errand.succeed();
    let newest = *positions(&errand.out).unwrap().last().unwrap();
    assert_eq!(newest.part, Part::Closing);
    errand.stop = None;
    errand.extend.epochs = Some(3);
    errand.succeed();
    assert_same_values(&longer.out, &errand.out);
}

/// Makes `run` one whose settings.json says otherwise.
fn change_head(run: &Path, change: impl FnOnce(&mut RunHead)) {
    let mut head = RunHead::read(run).unwrap().unwrap();
    change(&mut head);
    head.write(run).unwrap();
    let path = run.join("progress.json");
    let mut progress: RunProgress = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let hash = hash_file(&run.join("settings.json")).unwrap();
    progress.files.insert("settings.json".into(), hash);
    progress.write(run).unwrap();
}

#[test]
fn an_unfinished_run_of_the_version_before_is_refused_and_a_complete_one_left_as_it_is() {
    let toy = Toy::new();
    let run = toy.train("substitution", "old", "");
    change_head(&run, |head| head.version = 1);
    let before = contents(&run);
    toy.train("substitution", "old", "");
    assert!(before == contents(&run));
    stop_after_first_task(&run);
    let output = toy.command("substitution", "old", "").output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("was begun under version 1 of run directories"),
        "{said}"
    );
    assert!(said.contains("hint: choose another --out"), "{said}");
}

#[test]
fn an_unfinished_run_of_another_kind_of_device_is_refused_by_name() {
    let toy = Toy::new();
    let run = toy.train("substitution", "run", "");
    stop_after_first_task(&run);
    change_head(&run, |head| {
        head.machine.as_mut().unwrap().device = "abacus".into();
    });
    let output = toy.command("substitution", "run", "").output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("machine.device: \"abacus\" there, \"") && said.contains(" now (--device)"),
        "{said}"
    );
    assert!(
        said.contains("hint: go on with that many --threads, that --device"),
        "{said}"
    );
}

/// Adds nothing for some steps, and then what is no number.
struct Poison(Cell<usize>);

impl Approach for Poison {
    fn penalty(&self, _learner: &Learner, step: &Step<'_>) -> Option<Tensor> {
        self.0.set(self.0.get().saturating_sub(1));
        let value = if self.0.get() == 0 { f64::NAN } else { 0.0 };
        Some(step.output.logits.sum(tch::Kind::Float) * value)
    }
}

#[test]
fn a_loss_that_is_no_number_names_the_last_good_checkpoint_of_its_task() {
    let toy = Toy::new();
    let mut config = TrainConfig::new(toy.tasks("substitution"), toy.shards(), toy.run("run"));
    config.device = support::device_choice();
    config.settings = small();
    let mut script = Script {
        stop: None,
        moments: Vec::new(),
        watchman: Watchman::new(config.checkpoint_every),
    };
    // In the second epoch, which has as many steps as the first.
    let poison = Box::new(Poison(Cell::new(8)));
    let error = train::run_watched(&config, poison, &mut script).unwrap_err();
    let newest = positions(&config.out).unwrap().last().unwrap().file();
    let said = error.to_string();
    assert!(said.starts_with("task 0, epoch 1: "), "{said}");
    let named = format!("last good weights: {}", config.out.join(newest).display());
    assert!(said.contains(&named), "{said}");
}

#[test]
fn what_an_ended_task_left_is_removed() {
    let toy = Toy::new();
    let run = toy.train("substitution", "run", "");
    let left = Position::start(0);
    fs::write(run.join(left.file()), "left").unwrap();
    toy.train("substitution", "run", "");
    assert!(positions(&run).unwrap().is_empty());
}
