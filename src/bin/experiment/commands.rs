//! What the seed's flags mean: the arguments of `incdec-tasks` and of `incdec-train`.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use incdec::tables::{ErasureRow, IndexRow};
use incdec::withdrawn::WITHDRAWN_FILE;

use crate::flags::{Args, YesNo};

/// The size of the seed's frames (`create_kinetics_folder.py`): they are stored byte for byte, and training resizes them.
const SEED_FRAME_SIZE: &str = "short:240";

/// The commands of an experiment: arguments without the program.
pub(crate) struct Commands {
    /// Where there are frame folders in the seed's layout and no shards yet.
    pub(crate) decode: Option<Vec<String>>,
    pub(crate) tasks: Vec<String>,
    pub(crate) train: Vec<String>,
}

impl Args {
    /// The commands, with the GPU or the processor to compute on. `given` is the whole command line, which names the run.
    pub(crate) fn commands(&self, device: &str, given: &str) -> Commands {
        let tasks_out = self.outpath.join("tasks").join(format!(
            "{}-seed-{}-{}",
            self.scenario(),
            self.seed,
            short_hash(&self.tasks_settings())
        ));
        let run = self
            .outpath
            .join(format!("{}_{}", self.approach, short_hash(given)));
        let mut train = flags(&[
            ("availability", &tasks_out.display()),
            ("shards", &self.data_path.join("shards").display()),
            ("out", &run.display()),
            ("device", &device),
        ]);
        let there = |path: PathBuf| Some(path).filter(|path| path.exists());
        train.extend(withdrawal_flags(
            there(self.data_path.join("Info").join(WITHDRAWN_FILE)).as_deref(),
            there(self.data_path.join(ErasureRow::FILE)).as_deref(),
        ));
        train.extend(self.train_settings());
        train.extend(self.seed_outputs());
        train.extend(self.passed_on.iter().cloned());
        Commands {
            decode: self.decode(),
            tasks: self.tasks(&tasks_out),
            train,
        }
    }

    /// How the seed's own frame folders become shards, where there are no shards and no clips.
    fn decode(&self) -> Option<Vec<String>> {
        let [shards, videos, raw, labels] =
            ["shards", "Videos", "raw", "Info"].map(|name| self.data_path.join(name));
        let due = !shards.join(IndexRow::FILE).exists() && videos.is_dir();
        // Without clips the frame folders are all there is.
        let clips = if raw.is_dir() { &raw } else { &videos };
        due.then(|| {
            flags(&[
                ("clips", &clips.display()),
                ("frame-folders", &videos.display()),
                ("frame-size", &SEED_FRAME_SIZE),
                ("labels", &labels.display()),
                ("out", &shards.display()),
            ])
        })
    }

    fn scenario(&self) -> String {
        match self.pipeline.as_str() {
            "baseline" => "substitution".to_owned(),
            other => other.replace('_', "-"),
        }
    }

    fn tasks(&self, out: &Path) -> Vec<String> {
        let scenario = self.scenario();
        let mut tasks = flags(&[
            ("scenario", &scenario),
            ("seed", &self.seed),
            ("tasks", &self.n_task),
            ("out", &out.display()),
        ]);
        let manifest = self.data_path.join("manifests/clips.parquet");
        tasks.extend(if manifest.exists() {
            flags(&[("manifest", &manifest.display())])
        } else {
            flags(&[("labels", &self.data_path.join("Info").display())])
        });
        if ["decremental", "incremental-decremental"].contains(&scenario.as_str()) {
            tasks.extend(flags(&[(
                "schedule",
                &self.subcategories_csv_path.display(),
            )]));
        }
        tasks.extend(switch(
            "no-randomize",
            self.subcategories_randomize == YesNo::No,
        ));
        tasks
    }

    fn train_settings(&self) -> Vec<String> {
        let approach = self.approach.strip_prefix("incdec_").unwrap_or("finetune");
        let scheduler = match self.scheduler_type.as_str() {
            "multi_step" => "multi-step",
            "reduce_plateau" => "reduce-on-plateau",
            _ => "fixed",
        };
        let plateau_check = match self.plateau_check.as_str() {
            "class_loss" => "loss",
            _ => "map",
        };
        let mut train = flags(&[
            ("approach", &approach),
            ("accumulation", &self.n_accumulation),
            ("seed", &self.seed),
            ("workers", &self.nw),
            ("early-stop", &self.early_stopping_val),
            ("weight-decay", &self.weight_decay),
            ("ewc-lambda", &self.ewc_lambda),
            ("lwf-lambda", &self.lwf_lamb),
            ("lwf-temperature", &self.lwf_temperature),
            ("fd-lambda", &self.fd_lamb),
            ("epochs", &self.epochs),
            ("batch-size", &self.batch_size),
            ("lr-first-task", &self.lr_first_task),
            ("lr-first-task-head", &self.lr_first_task_head),
            ("lr-backbone", &self.backbone_lr),
            ("lr-head", &self.head_lr),
            ("scheduler", &scheduler),
            ("plateau-check", &plateau_check),
            ("patience", &self.patience),
            ("criterion", &self.criterion_type),
            ("sampler", &self.sampler),
            ("variant", &self.backbone.trim_start_matches("movinet")),
            ("geometry", &"seed"),
            ("compat", &"twyn2024"),
        ]);
        train.extend(switch("freeze-bn", self.freeze_bn == YesNo::Yes));
        train.extend(switch(
            "freeze-backbone",
            self.freeze_backbone == YesNo::Yes,
        ));
        train.extend(switch(
            "stop-after-first-task",
            self.stop_first_task == YesNo::Yes,
        ));
        if self.pretrained_path != "None" {
            train.extend(flags(&[("pretrained", &self.pretrained_path)]));
        }
        train
    }

    /// The seed's files, with the arguments that `incdec-train` would spell otherwise as they were given.
    fn seed_outputs(&self) -> Vec<String> {
        let given: [(&str, &dyn Display); 4] = [
            ("outpath", &self.outpath.display()),
            ("device", &self.device),
            ("data_path", &self.data_path.display()),
            (
                "subcategories_csv_path",
                &self.subcategories_csv_path.display(),
            ),
        ];
        let arguments = given
            .iter()
            .flat_map(|(name, value)| ["--seed-argument".to_owned(), format!("{name}={value}")]);
        std::iter::once("--seed-outputs".to_owned())
            .chain(arguments)
            .collect()
    }

    /// What decides the tasks, so that experiments with the same tasks share them.
    fn tasks_settings(&self) -> String {
        let randomize = self.subcategories_randomize == YesNo::Yes;
        format!(
            "{}\n{}\n{}\n{randomize}",
            self.n_task,
            self.data_path.display(),
            self.subcategories_csv_path.display()
        )
    }
}

/// Flags with their values, as a command line has them.
pub(crate) fn flags(pairs: &[(&str, &dyn Display)]) -> Vec<String> {
    pairs
        .iter()
        .flat_map(|(name, value)| [format!("--{name}"), value.to_string()])
        .collect()
}

/// The flags that name the list and the ledger of withdrawals, where there are any.
pub(crate) fn withdrawal_flags(list: Option<&Path>, ledger: Option<&Path>) -> Vec<String> {
    let named = [("withdrawn", list), ("withdrawals", ledger)].into_iter();
    let named = named.filter_map(|(name, path)| Some((name, path?.display())));
    named
        .flat_map(|(name, path)| flags(&[(name, &path)]))
        .collect()
}

fn switch(name: &str, on: bool) -> Option<String> {
    on.then(|| format!("--{name}"))
}

/// Eight letters and digits that stand for a text.
fn short_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..8].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::long_flags;
    use clap::Parser;
    use std::ffi::OsString;

    /// The two command lines that a line of the seed's script becomes.
    fn commands(line: &str) -> [String; 2] {
        let given = long_flags(line.split_whitespace().map(OsString::from));
        let commands = Args::parse_from(&given).commands("cpu", line);
        [commands.tasks.join(" "), commands.train.join(" ")]
    }

    #[test]
    fn a_line_of_the_seeds_script_becomes_two_commands() {
        let [tasks, train] = commands(
            "main.py -op out --approach incdec_ewc --pipeline baseline --seed 2 --freeze_bn yes -e 7",
        );
        assert!(
            tasks.contains("--scenario substitution --seed 2 --tasks 6"),
            "{tasks}"
        );
        assert!(!tasks.contains("--schedule"), "{tasks}");
        for part in [
            "--approach ewc",
            "--epochs 7",
            "--freeze-bn",
            "--compat twyn2024",
            "--device cpu",
            "--out out/incdec_ewc_",
            "--seed-outputs --seed-argument outpath=out --seed-argument device=0",
        ] {
            assert!(train.contains(part), "{part}: {train}");
        }
        assert!(!train.contains("--pretrained"), "{train}");
    }

    #[test]
    fn flags_that_are_not_given_mean_what_the_seeds_code_means() {
        let [_, train] = commands("main.py");
        for part in [
            "--batch-size 2",
            "--sampler imbalanced",
            "--compat twyn2024",
        ] {
            assert!(train.contains(part), "{part}: {train}");
        }
    }

    #[test]
    fn the_seeds_frame_folders_become_shards_where_there_are_none() {
        let data = tempfile::tempdir().unwrap();
        let at = |name: &str| data.path().join(name);
        let decode = || {
            let line = format!("main.py --data_path {}", data.path().display());
            let given = long_flags(line.split_whitespace().map(OsString::from));
            let commands = Args::parse_from(&given).commands("cpu", &line);
            commands.decode.map(|decode| decode.join(" "))
        };
        assert_eq!(decode(), None);
        std::fs::create_dir_all(at("Videos")).unwrap();
        let [videos, shards] = ["Videos", "shards"].map(|name| at(name).display().to_string());
        let said = decode().unwrap();
        for part in [
            format!("--clips {videos} --frame-folders {videos} --frame-size short:240"),
            format!("--out {shards}"),
        ] {
            assert!(said.contains(&part), "{part}: {said}");
        }
        std::fs::create_dir_all(at("shards")).unwrap();
        std::fs::write(at("shards/index.parquet"), "there").unwrap();
        assert_eq!(decode(), None);
    }

    #[test]
    fn the_list_and_the_ledger_of_withdrawals_are_passed_on_where_they_lie() {
        let data = tempfile::tempdir().unwrap();
        let train = || {
            let [_, train] = commands(&format!("main.py --data_path {}", data.path().display()));
            train
        };
        assert!(!train().contains("--withdraw"), "{}", train());
        let [list, ledger] =
            ["Info/withdrawn.csv", "erasures.parquet"].map(|f| data.path().join(f));
        std::fs::create_dir_all(data.path().join("Info")).unwrap();
        std::fs::write(&list, "").unwrap();
        std::fs::write(&ledger, "").unwrap();
        let said = train();
        for (flag, path) in [("--withdrawn", list), ("--withdrawals", ledger)] {
            let part = format!("{flag} {}", path.display());
            assert!(said.contains(&part), "{part}: {said}");
        }
    }

    #[test]
    fn every_flag_arrives_where_the_readme_says() {
        let [tasks, train] = commands(
            "main.py --approach incdec_fd --pipeline incremental_decremental --n_accumulation 4 --outpath o --seed 3 --nw 5 \
             --freeze_bn yes --freeze_backbone yes --early_stopping_val 11 --weight_decay 0.25 --ewc_lambda 12 --lwf_lamb 13 \
             --lwf_T 14 --fd_lamb 15 --stop_first_task yes --epochs 16 --batch_size 17 --lr_first_task 0.5 \
             --lr_first_task_head 0.125 --backbone_lr 0.75 --head_lr 0.375 --scheduler_type reduce_plateau \
             --plateau_check class_loss --patience 18 --device 2 --criterion_type multiclass --dataset kinetics --data_path d \
             --subcategories_csv_path s.csv --subcategories_randomize no --n_task 19 --sampler imbalanced \
             --backbone movinetA2 --pretrained_path w.pt",
        );
        for part in [
            "--scenario incremental-decremental",
            "--seed 3",
            "--tasks 19",
            "--labels d/Info",
            "--schedule s.csv",
            "--no-randomize",
        ] {
            assert!(tasks.contains(part), "{part}: {tasks}");
        }
        for part in [
            "--approach fd",
            "--accumulation 4",
            "--out o/incdec_fd_",
            "--seed 3",
            "--workers 5",
            "--freeze-bn",
            "--freeze-backbone",
            "--early-stop 11",
            "--weight-decay 0.25",
            "--ewc-lambda 12",
            "--lwf-lambda 13",
            "--lwf-temperature 14",
            "--fd-lambda 15",
            "--stop-after-first-task",
            "--epochs 16",
            "--batch-size 17",
            "--lr-first-task 0.5",
            "--lr-first-task-head 0.125",
            "--lr-backbone 0.75",
            "--lr-head 0.375",
            "--scheduler reduce-on-plateau",
            "--plateau-check loss",
            "--patience 18",
            "--criterion multiclass",
            "--shards d/shards",
            "--sampler imbalanced",
            "--variant A2",
            "--pretrained w.pt",
            "--seed-argument device=2",
            "--seed-argument data_path=d",
            "--seed-argument subcategories_csv_path=s.csv",
        ] {
            assert!(train.contains(part), "{part}: {train}");
        }
    }
}
