//! The seed's output files, TensorBoard tags and command line.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use incdec::clip::Split;
use incdec::tables::MetricRow;

use crate::event_file::Logged;

use super::toy::{CATEGORIES, SUBCATEGORIES, Toy, events, labelled, text};
use crate::support;

/// The seed's arguments in its order.
const ARGUMENTS: &str = "approach,pipeline,n_accumulation,outpath,seed,nw,freeze_bn,freeze_backbone,early_stopping_val,weight_decay,\
    ewc_lambda,lwf_lamb,lwf_T,fd_lamb,stop_first_task,epochs,batch_size,lr_first_task,lr_first_task_head,backbone_lr,head_lr,\
    scheduler_type,plateau_check,patience,device,criterion_type,dataset,data_path,subcategories_csv_path,subcategories_randomize,\
    n_task,sampler,backbone,pretrained_path";

/// Has numpy and Python's csv module read every text file and matrix of a run, write it again and compare the bytes.
fn written_as_numpy_and_python_write(run: &Path) -> String {
    let output = Command::new(support::python())
        .arg(support::root().join("tests/peers/read_seed_outputs.py"))
        .arg(run)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn lines(run: &Path, file: &str) -> Vec<String> {
    let path = run.join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(text.ends_with('\n') && !text.contains('\r'), "{file}");
    text.lines().map(str::to_owned).collect()
}

/// A matrix file: its rows of numbers, all of the same width.
fn matrix(run: &Path, file: &str) -> Vec<Vec<f64>> {
    lines(run, file)
        .iter()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(',').map(|v| v.parse().unwrap()).collect())
        .collect()
}

#[test]
#[cfg_attr(not(feature = "media"), ignore = "a bundle has no python with numpy")]
fn all_files_of_a_multilabel_run_have_the_seeds_shapes_headers_and_units() {
    let toy = Toy::new();
    let run = toy.train(
        "decremental",
        "incdec_lwf_0a1b2c3d",
        "--approach lwf --seed-outputs",
    );
    for folder in ["logger", "validation_logger"] {
        for file in [
            "acc",
            "mean_ap",
            "map_weighted",
            "exact_match",
            "forg_acc",
            "forg_mean_ap",
            "best_epoch_tasks",
        ] {
            let rows = matrix(&run, &format!("{folder}/{file}.out"));
            assert_eq!(
                rows.iter().map(Vec::len).collect::<Vec<_>>(),
                [1, 1],
                "{file}"
            );
        }
        for file in [
            "ap",
            "acc_per_class",
            "precision_per_class",
            "recall_per_class",
            "forg_ap",
            "forg_recall_per_class",
            "forg_precision_per_class",
            "forg_accuracy_per_class",
        ] {
            let rows = matrix(&run, &format!("{folder}/{file}.out"));
            assert_eq!(
                rows.iter().map(Vec::len).collect::<Vec<_>>(),
                [2, 2],
                "{file}"
            );
        }
        for metric in ["ap", "recall", "precision", "accuracy"] {
            let file = format!("{folder}/forg_{metric}_per_subcategory.out");
            let names: Vec<_> = SUBCATEGORIES.iter().map(|s| s.1).collect();
            assert_eq!(lines(&run, &file)[0], format!("# {}", names.join(",")));
            assert_eq!(
                matrix(&run, &file).iter().map(Vec::len).collect::<Vec<_>>(),
                [4, 4]
            );
        }
    }
    let summary: serde_json::Value =
        serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    for (task, row) in matrix(&run, "logger/mean_ap.out").iter().enumerate() {
        let percent = summary["tasks"][task]["mean_ap"].as_f64().unwrap() * 100.0;
        assert!(
            (row[0] - percent).abs() <= 5e-4,
            "percent: {row:?} {percent}"
        );
    }
    assert!(
        matrix(&run, "logger/ap.out")
            .iter()
            .flatten()
            .all(|v| (0.0..=1.0).contains(v))
    );
    assert!(
        matrix(&run, "validation_logger/forg_acc.out")
            .iter()
            .flatten()
            .all(|v| *v == 0.0)
    );
    assert_eq!(
        lines(&run, "subcategories_task/task_1"),
        ["eating cake,eating chips", "texting,"]
    );
    for (task, class, split) in [(0, 0, "validation"), (1, 1, "test")] {
        let stem = format!("confusion_matrices/task_{task}_class_{class}_{split}_cm");
        let counts = matrix(&run, &format!("{stem}.out"));
        assert_eq!(counts.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
        assert!((counts.iter().flatten().sum::<f64>() - 4.0).abs() < 1e-9);
        assert_eq!(
            std::fs::read(run.join(format!("{stem}.npy")))
                .unwrap()
                .len(),
            128 + 32
        );
    }
    let errors = lines(&run, "error_analysis/task_1_test_error_analysis.csv");
    assert_eq!(
        errors[0],
        "video_path,prediction,subcategory,food,phone,target_food,target_phone"
    );
    assert_eq!(errors.len(), 1 + 4);
    assert!(
        errors[1].contains("/Videos/id_te00_000000_000010/jpgs,"),
        "{}",
        errors[1]
    );
    assert!(errors[1].ends_with(",1.0,0.0"), "{}", errors[1]);
    let parameters = lines(&run, "parameters.csv");
    assert_eq!(parameters.len(), 2);
    assert_eq!(parameters[0], format!("Model_name,{ARGUMENTS}"));
    let (root, data) = (run.parent().unwrap(), toy.folder.path());
    assert_eq!(
        parameters[1],
        format!(
            "incdec_lwf_0a1b2c3d,incdec_lwf,decremental,0,{},0,2,no,no,1000,0.0005,500.0,1.0,1.0,0.1,no,1,4,0.0001,0.0001,0.0001,\
             0.0001,fixd,map,10,cpu,multilabel,kinetics,{data},{data}/Info/subcategories_to_remove.csv,yes,2,balanced,movinetA0,\
             None",
            root.display(),
            data = data.display()
        )
    );
    let summary = lines(&run, "summary.csv");
    assert_eq!(summary[0], format!("{},mAP,weighted_mAP", parameters[0]));
    let [maps, weighted] = [1, 0].map(|from_the_end| {
        let values = summary[1].rsplit(',').nth(from_the_end).unwrap();
        values
            .split('#')
            .map(|v| v.parse::<f64>().unwrap())
            .collect::<Vec<_>>()
    });
    let percent =
        |file: &str| -> Vec<f64> { matrix(&run, file).iter().map(|row| row[0]).collect() };
    assert_eq!(maps, percent("logger/mean_ap.out"));
    assert_eq!(weighted, percent("logger/map_weighted.out"));
    assert!(summary[1].starts_with(&parameters[1]));
    assert_eq!(lines(&run, "avg_time.csv")[0], "Avg_Time_per_ep");
    for name in [
        "_model.pth",
        "best_mAP_task_0_model.pth",
        "best_mAP_task_1_model.pth",
    ] {
        assert!(run.join(name).exists(), "{name}");
    }
    let printed: BTreeSet<_> = std::fs::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("std") && name.ends_with(".txt"))
        .map(|name| name[..7].to_owned())
        .collect();
    assert_eq!(
        printed.into_iter().collect::<Vec<_>>(),
        ["stderr-", "stdout-"]
    );
    // 19 files a logger; matrices of 2 tasks x 2 splits x 2 classes; 4 error analyses, 2 lists of subcategories, 3 others.
    let counted = written_as_numpy_and_python_write(&run);
    assert_eq!(counted, "38 loggers, 8 matrices, 9 tables\n");
}

#[test]
#[cfg_attr(not(feature = "media"), ignore = "a bundle has no python with numpy")]
fn a_multiclass_run_has_other_matrices_and_its_weights_are_those_of_the_checkpoint() {
    let toy = Toy::new();
    // Written after the run, from its tables.
    let flags = "--criterion multiclass --stop-after-first-task";
    let run = toy.train("substitution", "late", flags);
    assert!(!run.join("logger").exists());
    toy.train("substitution", "late", &format!("{flags} --seed-outputs"));
    assert!(!run.join("logger/exact_match.out").exists());
    assert!(!run.join("subcategories_task").exists());
    // The second task never came.
    assert_eq!(lines(&run, "logger/best_epoch_tasks.out"), ["0", "-1"]);
    assert_eq!(lines(&run, "logger/ap.out")[1], "0.000,0.000");
    let counts = matrix(&run, "confusion_matrices/task_0_test_cm.out");
    assert_eq!(
        counts
            .iter()
            .map(|row| row.iter().sum::<f64>())
            .collect::<Vec<_>>(),
        [2.0, 2.0]
    );
    let errors = lines(&run, "error_analysis/task_0_validation_error_analysis.csv");
    assert_eq!(
        errors[0],
        "video_path,prediction,target,subcategory,food,phone"
    );
    let counted = written_as_numpy_and_python_write(&run);
    assert_eq!(counted, "36 loggers, 2 matrices, 5 tables\n");
    let [saved, kept] = [
        "best_mAP_task_0_model.pth",
        "checkpoints/task-0.safetensors",
    ]
    .map(|file| {
        incdec::model::state_dict::read(&run.join(file))
            .unwrap()
            .tensors
    });
    assert!(saved == kept, "names and values");
}

#[test]
fn the_epoch_that_ends_a_task_is_not_written_as_its_best() {
    let toy = Toy::new();
    // Early stopping after no epoch without a better mAP ends each task with its first one.
    for (name, late) in [("at-once", false), ("later", true)] {
        let flags = "--epochs 3 --early-stop 0";
        let outputs = format!("{flags} --seed-outputs");
        let mut run = toy.train("substitution", name, if late { flags } else { &outputs });
        if late {
            run = toy.train("substitution", name, &outputs);
        }
        for folder in ["logger", "validation_logger"] {
            let file = format!("{folder}/best_epoch_tasks.out");
            assert_eq!(lines(&run, &file), ["-1", "-1"], "{name}");
        }
    }
}

#[test]
fn tensorboard_has_the_seeds_tags_with_scalars_and_images() {
    let toy = Toy::new();
    let run = toy.train(
        "substitution",
        "tags",
        "--criterion multiclass --epochs 2 --stop-after-first-task",
    );
    let logged = events(&run);
    for split in [None, Some("validation"), Some("test")] {
        let wanted: Vec<(String, bool)> = match split {
            None => [
                "training_classification_loss",
                "dataset_0_classification_loss",
                "dataset_0_accuracy",
                "dataset_0_mAP",
                "dataset_0_weighted_mAP",
            ]
            .map(|n| (format!("training_task_0/{n}"), false))
            .to_vec(),
            Some(split) => [
                ("accuracy", false),
                ("mAP", false),
                ("weighted_mAP", false),
                ("pr_curve", true),
                ("confusion_matrix", true),
            ]
            .map(|(n, image)| (format!("{split}_dataset_0/task_0_{n}"), image))
            .to_vec(),
        };
        for (tag, image) in wanted {
            let found: Vec<_> = logged.iter().filter(|(t, ..)| *t == tag).collect();
            assert_eq!(found.len(), if split.is_none() { 2 } else { 1 }, "{tag}");
            match &found[0].2 {
                Logged::Scalar(value) => assert!(!image && value.is_finite(), "{tag}"),
                Logged::Png(bytes) => assert!(image && bytes.starts_with(b"\x89PNG"), "{tag}"),
            }
        }
    }
}

#[test]
fn tensorboard_has_curves_over_tasks_beside_the_seeds_tags() {
    let toy = Toy::new();
    let run = toy.train("substitution", "curves", "--epochs 1");
    let metrics: Vec<MetricRow> = incdec::parquet_file::read(&run.join("metrics.parquet")).unwrap();
    let logged = events(&run);
    for (split, tag, metric) in [
        (Split::Test, "test/mAP", "mean_ap"),
        (Split::Validation, "validation/accuracy", "accuracy"),
    ] {
        let curve: Vec<_> = logged.iter().filter(|(t, ..)| t == tag).collect();
        let rows = metrics
            .iter()
            .filter(|r| r.split == split && r.metric == metric);
        let values: Vec<f64> = rows.map(|r| r.value.unwrap()).collect();
        assert!(values.len() > 1);
        assert_eq!(curve.len(), values.len(), "{tag}");
        for (task, ((_, step, found), value)) in curve.iter().zip(values).enumerate() {
            assert_eq!(usize::try_from(*step).unwrap(), task, "{tag}");
            let Logged::Scalar(found) = found else {
                panic!("{tag} is no scalar")
            };
            assert!((f64::from(*found) - value).abs() < 1e-6, "{tag}");
        }
    }
}

#[test]
fn a_line_of_the_seeds_script_runs() {
    let toy = Toy::new();
    let data = toy.folder.path();
    let info = data.join("Info");
    std::fs::create_dir(&info).unwrap();
    let mut classes = String::from("Category,Subcategory\n");
    for (class, subcategory) in SUBCATEGORIES {
        classes += &format!("{},{subcategory}\n", CATEGORIES[class]);
    }
    std::fs::write(info.join("classes.csv"), classes).unwrap();
    for split in incdec::clip::Split::ALL {
        let mut table = String::from("label,youtube_id,time_start,time_end,split\n");
        for clip in labelled().iter().filter(|clip| clip.split == split) {
            let youtube_id = clip.clip_id.split('_').next().unwrap();
            table += &format!(
                "{},{youtube_id},0,10,train\n",
                SUBCATEGORIES[clip.subcategory].1
            );
        }
        std::fs::write(info.join(format!("{split}.csv")), table).unwrap();
    }
    let script = "--approach incdec_lwf --pipeline baseline --n_accumulation 2 --seed 1 --nw 1 --freeze_bn no --epochs 1 \
        --batch_size 4 --lr_first_task 0.0001 --scheduler_type fixd --criterion_type multilabel --dataset kinetics --n_task 2 \
        --sampler imbalanced --pretrained_path None --device 99";
    let output = Command::new(support::binary("incdec-experiment"))
        .args(script.split_whitespace())
        .arg("-op")
        .arg(data.join("out"))
        .arg("--data_path")
        .arg(data)
        .args("-- --frames 4 --resize 68 --size 64 --threads 1".split(' '))
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("warning: there is no GPU 99"));
    assert!(
        said.contains("incdec-tasks --scenario substitution"),
        "{said}"
    );
    assert!(said.contains("incdec-train --availability"), "{said}");
    let run = std::fs::read_dir(data.join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("incdec_lwf_")
        })
        .unwrap();
    assert_eq!(lines(&run, "logger/acc.out").len(), 2);
    // What the two commands cannot know stands as it was given.
    let parameters = lines(&run, "parameters.csv");
    let column = |name: &str| {
        let place = parameters[0].split(',').position(|n| n == name).unwrap();
        parameters[1].split(',').nth(place).unwrap().to_owned()
    };
    assert_eq!(column("outpath"), data.join("out").to_str().unwrap());
    assert_eq!(column("device"), "99");
    assert_eq!(column("data_path"), data.to_str().unwrap());
    assert_eq!(
        column("subcategories_csv_path"),
        "./Kinetics/Info/subcategories_to_remove.csv"
    );
}

#[test]
fn an_argument_that_the_seed_does_not_have_is_refused() {
    let toy = Toy::new();
    for (argument, said) in [
        (
            "colour=red",
            "\"colour\" is no argument of the seed's command line",
        ),
        ("Model_name=other", "\"Model_name\" is no argument"),
    ] {
        let flags = format!("--seed-outputs --seed-argument {argument}");
        let output = toy.command("decremental", "run", &flags).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(
            text(&output.stderr).contains(said),
            "{}",
            text(&output.stderr)
        );
    }
    let unwanted = toy
        .command("decremental", "run", "--seed-argument seed=1")
        .output();
    assert_eq!(unwanted.unwrap().status.code(), Some(2));
}
