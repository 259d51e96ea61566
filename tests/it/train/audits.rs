//! The audit of runs that withdraw clips, beside references that never saw them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use incdec::artifact::hash_file;
use incdec::parquet_file::{self, Provenance, Table};
use incdec::run_record::RunHead;
use incdec::tables::{
    AuditRow, AuditTimingRow, Availability, AvailabilityRow, CurveRow, ScheduleRow,
};

use super::toy::{Toy, text};
use crate::support::{self, is_running, wait_until};

/// A toy whose decremental tasks have a second deal in which what leaves was never there.
pub(super) struct World {
    pub(super) toy: Toy,
    pub(super) runs: Vec<PathBuf>,
    pub(super) features: PathBuf,
}

impl World {
    /// Runs of two seeds: nothing, a method of unlearning, an exact head, and their references.
    pub(super) fn new() -> Self {
        let toy = Toy::new();
        without_what_leaves(&toy);
        let backbone = toy.train(
            "decremental",
            "backbone",
            "--stop-after-first-task --seed 7",
        );
        let features = toy.folder.path().join("features.parquet");
        let made = Command::new(support::binary("incdec-features"))
            .arg("--checkpoint")
            .arg(backbone.join("checkpoints/task-0.safetensors"))
            .arg("--shards")
            .arg(toy.shards())
            .arg("--out")
            .arg(&features)
            .args(["--device", "cpu", "--threads", "1"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
        let table = format!("--approach ridge --features {}", features.display());
        let mut runs = Vec::new();
        for seed in 0..2 {
            let mut train = |scenario: &str, name: &str, flags: &str| {
                let flags = format!("{flags} --seed {seed}");
                runs.push(toy.train(scenario, &format!("{name}-{seed}"), &flags));
            };
            train("decremental", "none", "");
            train("decremental", "scrub", "--unlearn neggrad-plus");
            train("without", "path", "");
            train("decremental", "scratch", "--from-scratch");
            train("decremental", "ridge", &table);
            train("without", "ridge-path", &table);
            train("decremental", "refit", &format!("{table} --from-scratch"));
        }
        Self {
            toy,
            runs,
            features,
        }
    }

    fn audit(&self, out: &str, runs: &[PathBuf]) -> Output {
        Command::new(support::binary("incdec-audit"))
            .arg("--shards")
            .arg(self.toy.shards())
            .arg("--out")
            .arg(self.toy.folder.path().join(out))
            .arg("--features")
            .arg(&self.features)
            .args(["--device", "cpu", "--threads", "1", "--shadows", "32"])
            .args(runs)
            .output()
            .unwrap()
    }

    pub(super) fn folder(&self, out: &str) -> PathBuf {
        self.toy.folder.path().join(out)
    }
}

/// Deals the decremental tasks once more, with the clips that leave unusable from the start.
pub(super) fn without_what_leaves(toy: &Toy) {
    let (from, to) = (toy.tasks("decremental"), toy.tasks("without"));
    fs::create_dir_all(&to).unwrap();
    let Availability {
        mut rows,
        provenance,
        ..
    } = Availability::read(&from.join(AvailabilityRow::FILE)).unwrap();
    let last: BTreeSet<String> = rows
        .iter()
        .filter(|row| row.task == 1 && row.position.is_some())
        .map(|row| row.clip_id.clone())
        .collect();
    for row in &mut rows {
        row.usable &= last.contains(&row.clip_id);
    }
    write(&to, &rows, &provenance);
    fs::copy(from.join(ScheduleRow::FILE), to.join(ScheduleRow::FILE)).unwrap();
}

fn write(folder: &Path, rows: &[AvailabilityRow], provenance: &Provenance) {
    parquet_file::write(&folder.join(AvailabilityRow::FILE), rows, provenance).unwrap();
}

pub(super) fn rows(folder: &Path) -> Vec<AuditRow> {
    parquet_file::read(&folder.join(AuditRow::FILE)).unwrap()
}

/// The values of a figure over seeds: method, moment, population, measure, reference.
pub(super) fn pooled<'a>(rows: &'a [AuditRow], wanted: [&str; 5]) -> Vec<&'a AuditRow> {
    let [method, moment, population, measure, reference] = wanted;
    let is = |row: &&AuditRow| {
        row.run.is_none()
            && row.method == method
            && row.moment == moment
            && row.population == population
            && row.measure == measure
            && row.reference.as_deref().unwrap_or_default() == reference
    };
    rows.iter().filter(is).collect()
}

#[test]
fn runs_are_judged_beside_their_references_and_twice_alike() {
    let world = World::new();
    let output = world.audit("audit", &world.runs);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("6 runs judged"), "{said}");
    assert!(said.contains("warning: fewer than 3 seeds"), "{said}");

    // The order of the runs and what is there already change no byte.
    let mut reversed = world.runs.clone();
    reversed.reverse();
    for (out, runs) in [("again", &reversed), ("audit", &world.runs)] {
        let before = rows(&world.folder("audit"));
        let output = world.audit(out, runs);
        assert!(output.status.success(), "{}", text(&output.stderr));
        for file in [AuditRow::FILE, CurveRow::FILE] {
            let [a, b] = ["audit", out].map(|out| fs::read(world.folder(out).join(file)).unwrap());
            assert!(a == b, "{file} differs");
        }
        assert_eq!(rows(&world.folder(out)), before);
    }

    let rows = rows(&world.folder("audit"));
    // Three clips of one subcategory leave; one test clip is like them.
    let accuracy = pooled(&rows, ["none", "end", "forget", "accuracy", "path"]);
    assert_eq!(accuracy.len(), 1);
    assert_eq!(accuracy[0].n, 2);
    assert!(accuracy[0].low.is_some() && accuracy[0].t_low.is_some());
    let own = |measure: &str| {
        rows.iter().find(|row| {
            row.run.as_deref() == Some("none-0")
                && row.measure == measure
                && row.population == "forget"
        })
    };
    assert_eq!(own("accuracy").unwrap().n, 3);
    // The method's own weights are judged before and after the task trains.
    for moment in ["unlearned", "end"] {
        assert_eq!(
            pooled(&rows, ["neggrad-plus", moment, "all", "tow", "path"]).len(),
            1
        );
        assert_eq!(
            pooled(
                &rows,
                ["neggrad-plus", moment, "forget", "rmia_auc", "path"]
            )
            .len(),
            1
        );
        assert_eq!(
            pooled(&rows, ["neggrad-plus", moment, "forget", "verdict", "path"]).len(),
            1
        );
    }
    assert!(pooled(&rows, ["none", "unlearned", "all", "tow", "path"]).is_empty());
    // Ridge is its refit; a network that saw the clips is not the one that never did.
    for reference in ["path", "scratch"] {
        let distance = pooled(
            &rows,
            ["ridge", "end", "all", "weight_distance_relative", reference],
        );
        for row in distance {
            assert!(row.value.unwrap() < 1e-6, "{row:?}");
        }
        let distance = pooled(
            &rows,
            ["ridge", "end", "forget", "activation_distance", reference],
        );
        assert!(distance[0].value.unwrap() < 1e-6, "{distance:?}");
    }
    let distance = pooled(
        &rows,
        ["none", "end", "forget", "activation_distance", "path"],
    );
    assert!(distance[0].value.unwrap() > 1e-6, "{distance:?}");
    assert!(
        !pooled(
            &rows,
            ["none", "end", "all", "weight_distance_floor", "path"]
        )
        .is_empty()
    );

    let curves: Vec<CurveRow> =
        parquet_file::read(&world.folder("audit").join(CurveRow::FILE)).unwrap();
    assert!(curves.iter().any(|row| row.attack == "rmia"));
    let timing: Vec<AuditTimingRow> =
        parquet_file::read(&world.folder("audit").join(AuditTimingRow::FILE)).unwrap();
    let unlearning = |run: &str| {
        timing
            .iter()
            .find(|row| row.run == run && row.task == 1 && row.phase == "unlearning")
            .unwrap()
            .seconds
    };
    assert!(unlearning("scrub-0") > unlearning("none-0"));
    assert_costs_and_traces(&rows);
}

/// What unlearning cost, how fast what left comes back, and what shadow heads tell.
fn assert_costs_and_traces(rows: &[AuditRow]) {
    let own = |method: &str, population: &str, measure: &str| {
        let found = pooled(rows, [method, "end", population, measure, ""]);
        found.first().and_then(|row| row.value)
    };
    // F has one batch and R two, and each step takes one of both.
    for (set, passes) in [("forget", 10.0), ("retain", 5.0)] {
        let measure = format!("unlearning_passes_{set}");
        assert_eq!(own("neggrad-plus", "all", &measure), Some(passes));
        assert_eq!(own("none", "all", &measure), None);
    }
    for method in ["none", "neggrad-plus", "path", "scratch"] {
        let steps = own(method, "forget", "relearn_steps").unwrap();
        assert!((0.0..=20.0).contains(&steps), "{method}: {steps}");
    }
    let before = |row: &&AuditRow| row.measure == "relearn_steps" && row.moment == "before";
    // The model before knows what left.
    assert!(rows.iter().filter(before).all(|row| row.value == Some(0.0)));
    assert!(rows.iter().any(|row| before(&row)));
    let ratios = rows.iter().filter(|row| row.measure == "relearn_log_ratio");
    let bounds = ["exact", "at least", "at most", "undefined"];
    let mut count = 0;
    for row in ratios {
        assert!(bounds.contains(&row.group.as_deref().unwrap()), "{row:?}");
        count += 1;
    }
    assert!(count > 0);
    assert_eq!(own("ridge", "forget", "relearn_steps"), None);
    // Exact heads must not tell what they unlearned.
    for method in ["none", "neggrad-plus", "ridge"] {
        let auc = own(method, "forget", "lira_auc");
        assert!(
            auc.is_some_and(|auc| (0.0..=1.0).contains(&auc)),
            "{method}: {auc:?}"
        );
    }
    let exact = own("ridge", "forget", "lira_auc").unwrap();
    assert!((exact - 0.5).abs() < 0.25, "{exact}");
    assert!(own("ridge", "forget", "forget_quality").is_some());
    // So few heads say nothing of divergences.
    assert!(!rows.iter().any(|row| row.measure.contains("klom")));
}

#[test]
fn what_cannot_be_judged_is_refused_with_what_is_lacking() {
    let world = World::new();
    let by_name = |names: &[&str]| -> Vec<PathBuf> {
        let named = |run: &&PathBuf| names.iter().any(|name| run.ends_with(name));
        world.runs.iter().filter(named).cloned().collect()
    };
    for (runs, said) in [
        (by_name(&["none-0"]), "none-0: no path reference of task 1"),
        (by_name(&["path-0"]), "none of the 1 runs withdraws a clip"),
        (vec![world.folder("shards")], "it holds no run"),
        // A reference of another seed is none.
        (
            by_name(&["none-0", "path-1"]),
            "none-0: no path reference of task 1",
        ),
        (
            [by_name(&["none-0"]), by_name(&["none-0"])].concat(),
            "two run directories are called none-0",
        ),
    ] {
        let output = world.audit("refused", &runs);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            text(&output.stderr).contains(said),
            "{}",
            text(&output.stderr)
        );
        assert!(!world.folder("refused").join(AuditRow::FILE).exists());
    }
    // One seed is judged, without intervals over seeds.
    let one = world.audit("one", &by_name(&["none-0", "path-0"]));
    assert!(one.status.success(), "{}", text(&one.stderr));
    let rows = rows(&world.folder("one"));
    let tow = pooled(&rows, ["none", "end", "all", "tow", "path"]);
    assert!(tow[0].value.is_some() && tow[0].t_low.is_none());
}

#[test]
fn references_that_are_missing_are_trained_once() {
    let toy = Toy::new();
    let runs = [0, 1].map(|seed| {
        let flags = format!("--seed {seed} --approach ewc --unlearn ssd");
        toy.train("decremental", &format!("ssd-{seed}"), &flags)
    });
    let out = toy.folder.path().join("audit");
    let list = toy.folder.path().join("withdrawn.csv");
    let columns = "clip_id,withdrawn_on,request\n";
    fs::write(&list, columns).unwrap();
    let start = || {
        Command::new(support::binary("incdec-audit"))
            .arg("--shards")
            .arg(toy.shards())
            .arg("--out")
            .arg(&out)
            .arg("--withdrawn")
            .arg(&list)
            .args(["--device", "cpu", "--threads", "1", "--train-references"])
            .args(&runs)
            .output()
            .unwrap()
    };
    let audit = || {
        let output = start();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let said = audit();
    assert!(said.contains("ewc+ssd"), "{said}");
    let names = || {
        let entries = fs::read_dir(out.join("references")).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    };
    let found = names();
    for start in [
        "path-ewc-seed-0-",
        "path-ewc-seed-1-",
        "scratch-finetune-seed-0-",
        "tasks-",
    ] {
        assert!(
            found.iter().any(|name| name.starts_with(start)),
            "{start}: {found:?}"
        );
    }
    let rows = rows(&out);
    for reference in ["path", "scratch"] {
        assert_eq!(
            pooled(&rows, ["ewc+ssd", "end", "all", "tow", reference])[0].n,
            2
        );
    }
    let before = fs::read(out.join(AuditRow::FILE)).unwrap();
    audit();
    assert_eq!(names(), found);
    assert!(fs::read(out.join(AuditRow::FILE)).unwrap() == before);
    // The list stands in the lineage of the tables and of the references.
    let hash = hash_file(&list).unwrap();
    let tables = parquet_file::provenance(&out.join(AuditRow::FILE), &AuditRow::FORMAT).unwrap();
    assert_eq!(tables.inputs["withdrawn.csv"], hash);
    for name in found.iter().filter(|name| !name.starts_with("tasks-")) {
        let head = RunHead::read(&out.join("references").join(name)).unwrap();
        assert_eq!(head.unwrap().inputs["withdrawn.csv"], hash, "{name}");
    }
    let line = "te10_000000_000010,2026-03-31,R-1\n";
    fs::write(&list, format!("{columns}{line}")).unwrap();
    let output = start();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("still holds the frames of 1 withdrawn clips"),
        "{said}"
    );
}

/// The programs that a process has started and that have not ended.
fn children(parent: u32) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let is_child = |pid: &String| {
        // Behind the name in brackets: the state, then the parent.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        fields.next() != Some("Z") && fields.next() == Some(&parent.to_string())
    };
    names
        .filter(|name| name.parse::<u32>().is_ok())
        .filter(is_child)
        .collect()
}

#[test]
fn however_an_audit_is_ended_the_training_of_a_reference_ends_too() {
    let toy = Toy::new();
    let run = toy.train("decremental", "none", "");
    // The reference waits for an index that nobody writes.
    let index = toy.shards().join("index.parquet");
    fs::remove_file(&index).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&index)
            .status()
            .unwrap()
            .success()
    );
    for (signal, status) in [
        ("-TERM", Some(143)),
        ("-USR1", Some(143)),
        ("-INT", Some(130)),
        ("-KILL", None),
    ] {
        let mut audit = Command::new(support::binary("incdec-audit"))
            .arg("--shards")
            .arg(toy.shards())
            .arg("--out")
            .arg(toy.folder.path().join("audit"))
            .args(["--device", "cpu", "--threads", "1", "--train-references"])
            .arg(&run)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let waits = || {
            children(audit.id()).into_iter().find(|child| {
                let path = fs::read_link(format!("/proc/{child}/exe")).unwrap_or_default();
                path.ends_with("incdec-train")
            })
        };
        wait_until("the training of a reference", || waits().is_some());
        let child = waits().unwrap();
        assert!(is_running(&child));
        let pid = audit.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(audit.wait().unwrap().code(), status, "{signal}");
        wait_until("the end of the training", || !is_running(&child));
    }
}
