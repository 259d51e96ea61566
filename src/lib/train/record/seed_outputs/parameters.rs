//! `parameters.csv`, `summary.csv`, `avg_time.csv`: one header line, one row.

use std::path::Path;

use super::names::{PARAMETERS_FILE, SUMMARY_FILE};
use super::python::shortest;
use super::view::SeedOutputs;
use crate::choice::Choice;
use crate::clip::Split;
use crate::train::TrainError;
use crate::train::device::DeviceChoice;

/// The seed's default schedule, which it names where it reads none.
const DEFAULT_SCHEDULE: &str = "subcategories_to_remove.csv";

/// `parameters.csv`: what the run was started with, under the seed's names.
pub(super) fn write_parameters(outputs: &SeedOutputs<'_>) -> Result<(), TrainError> {
    write_row(outputs, PARAMETERS_FILE, columns(outputs)?)
}

/// `summary.csv`: the same, and the test values of every task in percent, joined by `#`.
pub(super) fn write_summary(outputs: &SeedOutputs<'_>) -> Result<(), TrainError> {
    let mut columns = columns(outputs)?;
    for (name, metric) in [("mAP", "mean_ap"), ("weighted_mAP", "mean_ap_weighted")] {
        let of_task = |task: usize| {
            let found = outputs.folder.metrics.iter().find(|row| {
                usize::try_from(row.task) == Ok(task)
                    && row.split == Split::Test
                    && row.metric == metric
                    && row.category.is_none()
            });
            match found {
                None => "0.0".to_owned(),
                Some(row) => row
                    .value
                    .map_or_else(|| "nan".to_owned(), |v| shortest((v * 1e5).round() / 1e3)),
            }
        };
        let values: Vec<String> = (0..outputs.tasks()).map(of_task).collect();
        columns.push((name, values.join("#")));
    }
    write_row(outputs, SUMMARY_FILE, columns)
}

/// `avg_time.csv`: mean seconds of an epoch, training and validation, over all epochs of all tasks.
pub(super) fn write_average_time(outputs: &SeedOutputs<'_>) -> Result<(), TrainError> {
    let epochs: u32 = outputs
        .folder
        .progress
        .tasks
        .iter()
        .map(|outcome| outcome.epochs)
        .sum();
    let seconds: f64 = outputs
        .folder
        .timing
        .iter()
        .filter(|row| row.epoch.is_some())
        .map(|row| row.seconds)
        .sum();
    let mean = seconds / f64::from(epochs.max(1));
    write_row(
        outputs,
        "avg_time.csv",
        vec![("Avg_Time_per_ep", shortest(mean))],
    )
}

fn write_row(
    outputs: &SeedOutputs<'_>,
    file: &str,
    columns: Vec<Column>,
) -> Result<(), TrainError> {
    let (names, values): (Vec<&str>, Vec<String>) = columns.into_iter().unzip();
    outputs.write_table(file, |writer| {
        writer.write_record(names)?;
        writer.write_record(values)
    })
}

/// The folder's name and the seed's arguments in its order, with the values of this run; those that
/// were given as the seed's command line spelt them stand as they were given.
fn columns(outputs: &SeedOutputs<'_>) -> Result<Vec<Column>, TrainError> {
    let mut columns = vec![("Model_name", file_name(&outputs.config.out))];
    columns.extend(arguments_of_training(outputs));
    columns.extend(arguments_of_data(outputs));
    for (name, value) in &outputs.config.seed_arguments {
        let column = columns.iter_mut().skip(1).find(|(known, _)| known == name);
        let column = column.ok_or_else(|| TrainError::Setting {
            flag: "--seed-argument",
            why: format!("{name:?} is no argument of the seed's command line"),
        })?;
        column.1.clone_from(value);
    }
    Ok(columns)
}

/// A column's name and its one value.
type Column = (&'static str, String);

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |n| n.to_string_lossy().into_owned())
}

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// From `approach` to `patience`.
fn arguments_of_training(outputs: &SeedOutputs<'_>) -> [Column; 24] {
    let (config, s) = (outputs.config, &outputs.config.settings);
    let out = config.out.parent();
    [
        ("approach", s.approach.seed_name().to_owned()),
        ("pipeline", outputs.data.deal.pipeline.clone()),
        ("n_accumulation", s.accumulation.to_string()),
        (
            "outpath",
            out.map_or_else(String::new, |p| p.display().to_string()),
        ),
        ("seed", s.seed.to_string()),
        ("nw", config.workers.to_string()),
        ("freeze_bn", yes_no(s.freeze_bn)),
        ("freeze_backbone", yes_no(s.freeze_backbone)),
        ("early_stopping_val", s.early_stop.to_string()),
        ("weight_decay", shortest(s.weight_decay)),
        ("ewc_lambda", shortest(s.ewc_lambda)),
        ("lwf_lamb", shortest(s.lwf_lambda)),
        ("lwf_T", shortest(s.lwf_temperature)),
        ("fd_lamb", shortest(s.fd_lambda)),
        ("stop_first_task", yes_no(s.stop_after_first_task)),
        ("epochs", s.epochs.to_string()),
        ("batch_size", s.batch_size.to_string()),
        ("lr_first_task", shortest(s.lr_first_task)),
        ("lr_first_task_head", shortest(s.lr_first_task_head)),
        ("backbone_lr", shortest(s.lr_backbone)),
        ("head_lr", shortest(s.lr_head)),
        ("scheduler_type", s.scheduler.seed_name().to_owned()),
        ("plateau_check", s.plateau_check.seed_name().to_owned()),
        ("patience", s.patience.to_string()),
    ]
}

/// From `device` to `pretrained_path`.
fn arguments_of_data(outputs: &SeedOutputs<'_>) -> [Column; 10] {
    let (config, s) = (outputs.config, &outputs.config.settings);
    let device = match config.device {
        DeviceChoice::Cuda(index) => index.to_string(),
        DeviceChoice::Auto => "0".to_owned(),
        DeviceChoice::Cpu => "cpu".to_owned(),
    };
    let data_path = outputs.data_path();
    let deal = &outputs.data.deal;
    let schedule = deal.schedule_file.as_deref().unwrap_or(DEFAULT_SCHEDULE);
    let pretrained = config.pretrained.as_ref();
    [
        ("device", device),
        ("criterion_type", s.criterion.seed_name().to_owned()),
        ("dataset", "kinetics".to_owned()),
        ("data_path", data_path.clone()),
        (
            "subcategories_csv_path",
            format!("{data_path}/Info/{schedule}"),
        ),
        ("subcategories_randomize", yes_no(deal.randomized)),
        ("n_task", outputs.tasks().to_string()),
        ("sampler", s.sampler.seed_name().to_owned()),
        ("backbone", s.variant.seed_name().to_owned()),
        (
            "pretrained_path",
            pretrained.map_or_else(|| "None".to_owned(), |p| p.display().to_string()),
        ),
    ]
}
