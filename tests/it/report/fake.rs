//! A run directory that might have been trained.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use incdec::artifact;
use incdec::clip::Split;
use incdec::metrics::{
    Criterion, Figures, Metrics, Names, Predictions, evaluate, flatten, forgetting_of_figures,
};
use incdec::parquet_file::{self, Provenance};
use incdec::random;
use incdec::run_record::{
    self, Machine, Rows, RunHead, RunProgress, RunSummary, Subcategory, TaskOutcome,
};
use incdec::tables::{
    self, AvailabilityRow, HistoryRow, MetricRow, PredictionRow, TimingRow, write_predictions,
};
use incdec::tasks::{self, DealSettings, LabelSource, Scenario, TasksConfig};
use incdec::taxonomy::Taxonomy;
use rand::RngExt;

use crate::support;

/// A run that might have been trained: its predictions are drawn, everything else follows from them.
pub(super) struct FakeRun<'a> {
    pub(super) scenario: Scenario,
    pub(super) approach: &'a str,
    pub(super) seed: u64,
    pub(super) criterion: Criterion,
    /// How much the true class's probability is raised; 0 is chance.
    pub(super) skill: f64,
    pub(super) pretrained: bool,
    /// Threads that it computed on.
    pub(super) threads: usize,
    pub(super) epochs: u32,
    /// Whether no test clip, and one training clip less, has frames.
    pub(super) frames_are_missing: bool,
    /// Clips that could not be read.
    pub(super) skipped: &'a [&'a str],
}

pub(super) const DECREMENTAL: FakeRun<'_> = FakeRun {
    scenario: Scenario::Decremental,
    approach: "finetune",
    seed: 0,
    criterion: Criterion::Multilabel,
    skill: 0.45,
    pretrained: false,
    threads: 1,
    epochs: 5,
    frames_are_missing: false,
    skipped: &[],
};

impl FakeRun<'_> {
    /// Writes the run directory under `root` and returns it.
    pub(super) fn write(&self, root: &Path) -> PathBuf {
        let taxonomy = Taxonomy::read(&support::root().join("Kinetics/Info/classes.csv")).unwrap();
        let folder = root.join(format!("{}-{}-{}", self.scenario, self.approach, self.seed));
        let head = self.deal(root, &folder, &taxonomy);
        let rows: Vec<AvailabilityRow> =
            parquet_file::read(&folder.join("availability.parquet")).unwrap();
        let categories: Vec<String> = taxonomy
            .categories()
            .iter()
            .map(|c| c.name.clone())
            .collect();
        let subcategories: Vec<(usize, String)> = taxonomy
            .subcategories()
            .map(|(class, name)| (class, name.to_owned()))
            .collect();
        let names = Names {
            categories: &categories,
            subcategories: &subcategories,
        };
        let (mut metrics, mut predictions, mut history) = (Vec::new(), Vec::new(), Vec::new());
        let mut earlier: Vec<Figures> = Vec::new();
        for task in 0..6 {
            for split in [Split::Validation, Split::Test] {
                let listed: Vec<&AvailabilityRow> = rows
                    .iter()
                    .filter(|r| r.task == task && r.split == split && r.position.is_some())
                    .collect();
                let drawn = self.predictions(task, &listed, &categories);
                let judged = self.judge(&drawn, &subcategories, categories.len());
                let forgotten = (split == Split::Test).then(|| {
                    earlier.push(judged.figures.clone());
                    forgetting_of_figures(&earlier.iter().collect::<Vec<_>>())
                });
                for row in flatten(&judged, forgotten.as_ref(), names) {
                    metrics.push(MetricRow {
                        task,
                        split,
                        metric: row.metric,
                        category: row.category,
                        subcategory: row.subcategory,
                        value: row.value,
                        forgetting: row.forgetting,
                    });
                }
                predictions.extend(drawn.into_iter().zip(judged.predicted).map(
                    |(mut row, predicted)| {
                        row.prediction = i32::try_from(predicted).unwrap();
                        row
                    },
                ));
            }
            history.extend(history_of(task, self.epochs));
        }
        let write_rows = |name: &str| folder.join(name);
        let provenance = head.provenance();
        parquet_file::write(&write_rows("metrics.parquet"), &metrics, &provenance).unwrap();
        parquet_file::write(&write_rows("history.parquet"), &history, &provenance).unwrap();
        let timing = [TimingRow {
            task: 0,
            epoch: Some(0),
            phase: "train".into(),
            seconds: 12.5,
            clips: 1850,
        }];
        parquet_file::write(&write_rows("timing.parquet"), &timing, &provenance).unwrap();
        write_predictions(
            &write_rows("predictions.parquet"),
            &categories,
            &predictions,
            &provenance,
        )
        .unwrap();
        for task in 0..6 {
            let weights = write_rows(&run_record::checkpoint_file(task));
            fs::create_dir_all(weights.parent().unwrap()).unwrap();
            fs::write(weights, format!("weights of task {task}")).unwrap();
        }
        let skipped = self.skipped.iter().map(|&clip| clip.to_owned());
        let outcome = TaskOutcome {
            skipped: skipped.collect(),
            ..TaskOutcome::default()
        };
        write_progress(&folder, vec![outcome; 6]);
        let summary = RunSummary {
            run_id: head.run_id.clone(),
            ..RunSummary::default()
        };
        run_record::write_summary(&folder, &summary).unwrap();
        folder
    }

    /// Deals clips as the tasks stage does, and writes the settings.
    fn deal(&self, root: &Path, folder: &Path, taxonomy: &Taxonomy) -> RunHead {
        let labels = root.join("labels");
        fs::create_dir_all(&labels).unwrap();
        let info = support::root().join("Kinetics/Info");
        fs::copy(info.join("classes.csv"), labels.join("classes.csv")).unwrap();
        for (split, clips) in Split::ALL.into_iter().zip([12, 2, 4]) {
            let mut text = String::from("label,youtube_id,time_start,time_end\n");
            for (k, (_, name)) in taxonomy.subcategories().enumerate() {
                for i in 0..clips {
                    text += &format!("{name},{split}{k}-{i},0,10\n");
                }
            }
            fs::write(labels.join(format!("{split}.csv")), text).unwrap();
        }
        let schedule = match self.scenario {
            Scenario::Decremental => Some(info.join("subcategories_to_remove.csv")),
            Scenario::IncrementalDecremental => Some(info.join("subcategories_to_substitute.csv")),
            _ => None,
        };
        let seed = u32::try_from(self.seed).unwrap();
        tasks::run(&TasksConfig {
            clips: LabelSource::Labels(labels),
            without: None,
            deal: DealSettings::published(self.scenario, seed),
            events: None,
            schedule,
            tasks: None,
            out: folder.to_owned(),
        })
        .unwrap();
        if self.frames_are_missing {
            lose_frames(&folder.join("availability.parquet"));
        }
        let mut inputs = BTreeMap::new();
        for name in ["availability.parquet", "schedule.parquet"] {
            let hash = artifact::hash_file(&folder.join(name)).unwrap();
            inputs.insert(name.to_owned(), hash);
        }
        if self.pretrained {
            inputs.insert("pretrained".to_owned(), "ab12".to_owned());
        }
        let provenance = Provenance {
            inputs,
            ..Provenance::of(&serde_json::json!({
                "approach": self.approach, "criterion": self.criterion.name(), "seed": self.seed,
                "epochs": self.epochs, "variant": "A0", "compat": {"augment_per_frame": false},
            }))
        };
        let listed = taxonomy.subcategories().map(|(class, name)| Subcategory {
            category: taxonomy.categories()[class].name.clone(),
            subcategory: name.to_owned(),
        });
        let head = RunHead {
            run_id: run_record::run_id(&provenance),
            scenario: self.scenario.name().to_owned(),
            tasks: 6,
            categories: taxonomy.category_names(),
            subcategories: listed.collect(),
            settings: provenance.settings,
            inputs: provenance.inputs,
            machine: Some(Machine {
                threads: self.threads,
                instructions: "native".into(),
                device: "cpu".into(),
                ..Machine::default()
            }),
            ..RunHead::default()
        };
        head.write(folder).unwrap();
        head
    }

    #[allow(clippy::cast_possible_truncation)] // Made-up probabilities.
    fn predictions(
        &self,
        task: i32,
        listed: &[&AvailabilityRow],
        categories: &[String],
    ) -> Vec<PredictionRow> {
        let key = u64::try_from(task).unwrap();
        let mut rng = random::stream(self.seed, "fake predictions", &[key]);
        // A little is forgotten in every task.
        let skill = self.skill * (1.0 - 0.08 * f64::from(task));
        listed
            .iter()
            .map(|row| PredictionRow {
                task,
                split: row.split,
                position: row.position.unwrap(),
                clip_id: row.clip_id.clone(),
                label: row.label,
                subcategory: row.subcategory.clone(),
                prediction: 0,
                probabilities: (0..categories.len())
                    .map(|class| {
                        let raised = if i32::try_from(class) == Ok(row.label) {
                            skill
                        } else {
                            0.0
                        };
                        (rng.random::<f32>() * 0.55) + raised as f32
                    })
                    .collect(),
            })
            .collect()
    }

    fn judge(
        &self,
        rows: &[PredictionRow],
        subcategories: &[(usize, String)],
        classes: usize,
    ) -> Metrics {
        let probabilities: Vec<f32> = rows
            .iter()
            .flat_map(|r| r.probabilities.iter().copied())
            .collect();
        let index = |r: &PredictionRow| {
            subcategories
                .iter()
                .position(|(_, n)| *n == r.subcategory)
                .unwrap()
        };
        evaluate(&Predictions {
            probabilities: &probabilities,
            labels: &rows
                .iter()
                .map(|r| usize::try_from(r.label).unwrap())
                .collect::<Vec<_>>(),
            subcategories: &rows.iter().map(index).collect::<Vec<_>>(),
            class_of_subcategory: &subcategories.iter().map(|(c, _)| *c).collect::<Vec<_>>(),
            classes,
            criterion: self.criterion,
        })
        .unwrap()
    }
}

/// Writes `progress.json` with the hashes of the files that lie in `folder` now.
pub(super) fn write_progress(folder: &Path, tasks: Vec<TaskOutcome>) {
    let (categories, predictions) =
        tables::read_predictions(&folder.join("predictions.parquet")).unwrap();
    let history: Vec<HistoryRow> = parquet_file::read(&folder.join("history.parquet")).unwrap();
    let metrics: Vec<MetricRow> = parquet_file::read(&folder.join("metrics.parquet")).unwrap();
    let rows = Rows {
        history: &history,
        metrics: &metrics,
        categories: &categories,
        predictions: &predictions,
    };
    let mut progress = RunProgress {
        run_id: RunHead::read(folder).unwrap().unwrap().id(),
        tasks,
        ..RunProgress::default()
    };
    progress.add_hashes(folder, &rows).unwrap();
    progress.write(folder).unwrap();
}

/// Takes the frames of every test clip and of one other.
fn lose_frames(file: &Path) {
    let mut rows: Vec<AvailabilityRow> = parquet_file::read(file).unwrap();
    let clip = rows[0].clip_id.clone();
    for row in rows
        .iter_mut()
        .filter(|r| r.split == Split::Test || r.clip_id == clip)
    {
        row.usable = false;
    }
    parquet_file::write(file, &rows, &Provenance::default()).unwrap();
}

fn history_of(task: i32, epochs: u32) -> Vec<HistoryRow> {
    let epochs = i32::try_from(epochs).unwrap();
    let mut rows = Vec::new();
    for epoch in 0..epochs {
        let progress = f64::from(epoch) / f64::from(epochs);
        for (split, metric, value) in [
            (Split::Train, "loss", 0.6 - 0.3 * progress),
            (Split::Validation, "loss", 0.65 - 0.2 * progress),
            (Split::Validation, "mean_ap", 0.3 + 0.4 * progress),
        ] {
            rows.push(HistoryRow {
                task,
                epoch,
                split,
                metric: metric.into(),
                value: Some(value),
            });
        }
    }
    rows
}
