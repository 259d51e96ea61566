//! A run that might have been trained, with everything that a run may leave.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use incdec::artifact;
use incdec::clip::Split;
use incdec::parquet_file::{self, Provenance};
use incdec::run_record::{self, Rows, RunHead, RunProgress, RunSummary, TaskOutcome};
use incdec::tables::{HistoryRow, MetricRow, PredictionRow, TimingRow, write_predictions};

use super::{SUBCATEGORIES, TASKS, World};

impl World {
    /// A complete run with everything that a run may leave.
    pub(in crate::erase) fn fake_run(&self, name: &str) -> PathBuf {
        let folder = self.path("runs").join(name);
        for part in ["checkpoints", "error_analysis", "tensorboard"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        let mut inputs = BTreeMap::new();
        for table in ["availability.parquet", "schedule.parquet"] {
            let path = self.path("tasks/substitution/seed-0").join(table);
            inputs.insert(table.to_owned(), artifact::hash_file(&path).unwrap());
            fs::copy(path, folder.join(table)).unwrap();
        }
        let index = self.path("shards/index.parquet");
        inputs.insert(
            "index.parquet".to_owned(),
            artifact::hash_file(&index).unwrap(),
        );
        let features = self.path("features/features.parquet");
        if features.exists() {
            inputs.insert(
                "features".to_owned(),
                artifact::hash_file(&features).unwrap(),
            );
        }
        let provenance = Provenance {
            inputs,
            ..Provenance::of(&serde_json::json!({"approach": "finetune", "seed": 0, "name": name}))
        };
        let head = RunHead {
            format: "incdec.run".into(),
            version: 1,
            run_id: run_record::run_id(&provenance),
            scenario: "substitution".into(),
            tasks: TASKS,
            settings: provenance.settings.clone(),
            inputs: provenance.inputs.clone(),
            ..RunHead::default()
        };
        head.write(&folder).unwrap();
        let categories = ["food".to_owned(), "phone".to_owned()];
        let (predictions, metrics, history) = self.tables_of_run();
        write_predictions(
            &folder.join("predictions.parquet"),
            &categories,
            &predictions,
            &provenance,
        )
        .unwrap();
        parquet_file::write(&folder.join("metrics.parquet"), &metrics, &provenance).unwrap();
        parquet_file::write(&folder.join("history.parquet"), &history, &provenance).unwrap();
        let timing: [TimingRow; 0] = [];
        parquet_file::write(&folder.join("timing.parquet"), &timing, &provenance).unwrap();
        let unread = self.clip(Split::Train).id.clone();
        for task in 0..TASKS {
            fs::write(
                folder.join(run_record::checkpoint_file(task)),
                format!("{name} {task}"),
            )
            .unwrap();
        }
        let mut progress = RunProgress {
            run_id: head.run_id.clone(),
            tasks: vec![
                TaskOutcome {
                    epochs: 2,
                    skipped: vec![unread.clone()],
                    ..TaskOutcome::default()
                };
                TASKS
            ],
            ..RunProgress::default()
        };
        let rows = Rows {
            history: &history,
            metrics: &metrics,
            categories: &categories,
            predictions: &predictions,
        };
        progress.add_hashes(&folder, &rows).unwrap();
        progress.write(&folder).unwrap();
        let summary = RunSummary {
            run_id: head.run_id.clone(),
            skipped_clips: vec![unread],
            ..RunSummary::default()
        };
        run_record::write_summary(&folder, &summary).unwrap();
        self.texts_of_run(&folder);
        folder
    }

    /// What a run says of clips in words: seed outputs, a log, a page.
    fn texts_of_run(&self, folder: &Path) {
        let lines = self
            .clips
            .iter()
            .map(|clip| format!("/x/Videos/id_{}/jpgs,1\n", clip.id));
        let table = format!("video_path,prediction\n{}", lines.collect::<String>());
        fs::write(
            folder.join("error_analysis/task_0_test_error_analysis.csv"),
            table,
        )
        .unwrap();
        let lines = self
            .clips
            .iter()
            .map(|clip| format!("{{\"clip\":\"{}\"}}\n", clip.id));
        fs::write(folder.join("log.jsonl"), lines.collect::<String>()).unwrap();
        let names = self
            .clips
            .iter()
            .map(|clip| format!("<td>{}</td>", clip.id));
        fs::write(folder.join("report.html"), names.collect::<String>()).unwrap();
        fs::write(folder.join("tensorboard/events"), [0, 1, 2, 255]).unwrap();
    }

    #[allow(clippy::type_complexity)] // The three tables.
    fn tables_of_run(&self) -> (Vec<PredictionRow>, Vec<MetricRow>, Vec<HistoryRow>) {
        let listed = self.availability().into_iter();
        let listed = listed.filter(|row| row.position.is_some() && row.split != Split::Train);
        let predictions = listed.map(|row| PredictionRow {
            task: row.task,
            split: row.split,
            position: row.position.unwrap(),
            clip_id: row.clip_id,
            label: row.label,
            subcategory: row.subcategory,
            prediction: row.label,
            probabilities: vec![0.25, 0.75],
        });
        let tasks = 0..TASKS as i32;
        let (category, subcategory) = SUBCATEGORIES[0];
        let metrics = tasks.clone().flat_map(|task| {
            let accuracy = MetricRow {
                task,
                split: Split::Test,
                metric: "accuracy".into(),
                category: None,
                subcategory: None,
                value: Some(0.5),
                forgetting: Some(0.0),
            };
            // Something is forgotten of one subcategory, so that a page has something to show.
            let average_precision = MetricRow {
                metric: "ap_per_subcategory".into(),
                category: Some(category.into()),
                subcategory: Some(subcategory.into()),
                forgetting: Some(0.25),
                ..accuracy.clone()
            };
            [accuracy, average_precision]
        });
        let history = tasks.map(|task| HistoryRow {
            task,
            epoch: 0,
            split: Split::Train,
            metric: "loss".into(),
            value: Some(1.0),
        });
        (predictions.collect(), metrics.collect(), history.collect())
    }
}
