//! `parameters.csv`, `summary.csv`, `avg_time.csv`: one header line, one row.

use super::{SUMMARY_FILE, SeedOutputs, finished};
use crate::clip::Split;
use crate::model::Variant;
use crate::train::TrainError;
use crate::train::device::DeviceChoice;
use crate::train::settings::{ApproachName, PlateauCheck, SchedulerName};

/// `parameters.csv`: what the run was started with, under the seed's names.
pub(super) fn write_parameters(outputs: &SeedOutputs<'_>) -> Result<(), TrainError> {
    write_row(outputs, "parameters.csv", columns(outputs))
}

/// `summary.csv`: the same, and the test values of every task in percent, joined by `#`.
pub(super) fn write_summary(outputs: &SeedOutputs<'_>) -> Result<(), TrainError> {
    let mut columns = columns(outputs);
    for (name, metric) in [("mAP", "mean_ap"), ("weighted_mAP", "mean_ap_weighted")] {
        let of_task = |task: usize| {
            let found = outputs.record.metrics.iter().find(|row| {
                usize::try_from(row.task) == Ok(task)
                    && row.split == Split::Test
                    && row.metric == metric
                    && row.class.is_none()
            });
            match found {
                None => "0.0".to_owned(),
                Some(row) => row
                    .value
                    .map_or_else(|| "nan".to_owned(), |v| python((v * 1e5).round() / 1e3)),
            }
        };
        columns.push((
            name,
            (0..outputs.tasks())
                .map(of_task)
                .collect::<Vec<_>>()
                .join("#"),
        ));
    }
    write_row(outputs, SUMMARY_FILE, columns)
}

/// `avg_time.csv`: mean seconds of an epoch, training and validation, over all epochs of all tasks.
pub(super) fn write_average_time(outputs: &SeedOutputs<'_>) -> Result<(), TrainError> {
    let epochs: u32 = outputs
        .record
        .progress
        .tasks
        .iter()
        .map(|outcome| outcome.epochs)
        .sum();
    let seconds: f64 = outputs
        .record
        .timing
        .iter()
        .filter(|row| row.epoch.is_some())
        .map(|row| row.seconds)
        .sum();
    let mean = seconds / f64::from(epochs.max(1));
    write_row(
        outputs,
        "avg_time.csv",
        vec![("Avg_Time_per_ep", python(mean))],
    )
}

fn write_row(
    outputs: &SeedOutputs<'_>,
    file: &str,
    columns: Vec<(&'static str, String)>,
) -> Result<(), TrainError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let (names, values): (Vec<&str>, Vec<String>) = columns.into_iter().unzip();
    writer.write_record(names)?;
    writer.write_record(values)?;
    outputs.write(file, &finished(writer)?)
}

/// The seed's arguments in its order, with the values of this run.
fn columns(outputs: &SeedOutputs<'_>) -> Vec<(&'static str, String)> {
    let (config, s) = (outputs.config, &outputs.config.settings);
    let name = |path: &std::path::Path| {
        path.file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned())
    };
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let approach = match s.approach {
        ApproachName::Finetune => "incdec",
        ApproachName::Lwf => "incdec_lwf",
        ApproachName::Fd => "incdec_fd",
        ApproachName::Ewc => "incdec_ewc",
    };
    let pipeline = match outputs.plan.scenario.as_str() {
        "substitution" => "baseline".to_owned(),
        other => other.replace('-', "_"),
    };
    let scheduler = match s.scheduler {
        SchedulerName::Fixed => "fixd",
        SchedulerName::MultiStep => "multi_step",
        SchedulerName::ReduceOnPlateau => "reduce_plateau",
    };
    let data_path = outputs.data_path();
    let backbone = match s.variant {
        Variant::A0 => "movinetA0".to_owned(),
        other => format!("movinet{other}"),
    };
    vec![
        ("Model_name", name(&config.out)),
        ("approach", approach.to_owned()),
        ("pipeline", pipeline),
        ("n_accumulation", s.accumulation.to_string()),
        (
            "outpath",
            config
                .out
                .parent()
                .map_or_else(String::new, |p| p.display().to_string()),
        ),
        ("seed", s.seed.to_string()),
        ("nw", config.workers.to_string()),
        ("freeze_bn", yes_no(s.freeze_bn)),
        ("freeze_backbone", yes_no(s.freeze_backbone)),
        ("early_stopping_val", s.early_stop.to_string()),
        ("weight_decay", python(s.weight_decay)),
        ("ewc_lambda", python(s.ewc_lambda)),
        ("lwf_lamb", python(s.lwf_lambda)),
        ("lwf_T", python(s.lwf_temperature)),
        ("fd_lamb", python(s.fd_lambda)),
        ("stop_first_task", yes_no(s.stop_after_first_task)),
        ("epochs", s.epochs.to_string()),
        ("batch_size", s.batch_size.to_string()),
        ("lr_first_task", python(s.lr_first_task)),
        ("lr_first_task_head", python(s.lr_first_task_head)),
        ("backbone_lr", python(s.lr_backbone)),
        ("head_lr", python(s.lr_head)),
        ("scheduler_type", scheduler.to_owned()),
        (
            "plateau_check",
            if s.plateau_check == PlateauCheck::Map {
                "map"
            } else {
                "class_loss"
            }
            .to_owned(),
        ),
        ("patience", s.patience.to_string()),
        (
            "device",
            match config.device {
                DeviceChoice::Cuda(index) => index.to_string(),
                DeviceChoice::Auto => "0".to_owned(),
                DeviceChoice::Cpu => "cpu".to_owned(),
            },
        ),
        ("criterion_type", s.criterion.to_string()),
        ("dataset", "kinetics".to_owned()),
        (
            "subcategories_csv_path",
            format!("{data_path}/Info/subcategories_to_remove.csv"),
        ),
        ("data_path", data_path),
        ("subcategories_randomize", yes_no(outputs.plan.randomized)),
        ("n_task", outputs.tasks().to_string()),
        ("sampler", s.sampler.to_string()),
        ("backbone", backbone),
        (
            "pretrained_path",
            config
                .pretrained
                .as_ref()
                .map_or_else(|| "None".to_owned(), |p| p.display().to_string()),
        ),
    ]
}

/// A number as Python prints it: always with a point or an exponent, exponents below 1e-4 with two digits at least.
fn python(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-4 {
        let text = format!("{value:e}");
        match text.split_once("e-") {
            Some((mantissa, exponent)) if exponent.len() == 1 => format!("{mantissa}e-0{exponent}"),
            _ => text,
        }
    } else {
        format!("{value:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_python_writes_them() {
        for (value, text) in [
            (500.0, "500.0"),
            (0.0005, "0.0005"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (63.279, "63.279"),
            (0.0, "0.0"),
        ] {
            assert_eq!(python(value), text);
        }
    }
}
