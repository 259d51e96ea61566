//! `confusion_matrices/`: counts as numpy arrays and as text.

use super::view::SeedOutputs;
use crate::clip::Split;
use crate::npy;
use crate::train::TrainError;
use crate::train::settings::CriterionName;

/// Writes the matrices of one task and split.
pub(super) fn write(
    outputs: &SeedOutputs<'_>,
    task: usize,
    split: Split,
) -> Result<(), TrainError> {
    let categories = outputs.taxonomy().category_names();
    let count = |metric: &str, class: &str| -> i64 {
        let found = outputs.folder.metrics.iter().find(|row| {
            usize::try_from(row.task) == Ok(task)
                && row.split == split
                && row.metric == metric
                && row.category.as_deref() == Some(class)
        });
        #[allow(clippy::cast_possible_truncation)] // A count of clips, stored as a float.
        found
            .and_then(|row| row.value)
            .map_or(0, |value| value as i64)
    };
    match outputs.config.settings.criterion {
        CriterionName::Multilabel => {
            for (c, class) in categories.iter().enumerate() {
                let [tn, fp, fn_, tp] =
                    ["tn", "fp", "fn", "tp"].map(|kind| count(&format!("confusion_{kind}"), class));
                let name = format!("confusion_matrices/task_{task}_class_{c}_{split}_cm");
                both(outputs, &name, &[vec![tn, fp], vec![fn_, tp]])?;
            }
            Ok(())
        }
        CriterionName::Multiclass => {
            let of = |class: &String| {
                categories
                    .iter()
                    .map(|p| count(&format!("confusion_as_{p}"), class))
                    .collect()
            };
            let matrix: Vec<Vec<i64>> = categories.iter().map(of).collect();
            both(
                outputs,
                &format!("confusion_matrices/task_{task}_{split}_cm"),
                &matrix,
            )
        }
    }
}

fn both(outputs: &SeedOutputs<'_>, name: &str, matrix: &[Vec<i64>]) -> Result<(), TrainError> {
    let shape = [matrix.len(), matrix.first().map_or(0, Vec::len)];
    let mut array = npy::header("<i8", &shape);
    array.extend(matrix.iter().flatten().flat_map(|n| n.to_le_bytes()));
    outputs.write(&format!("{name}.npy"), &array)?;
    let line = |row: &Vec<i64>| row.iter().map(i64::to_string).collect::<Vec<_>>().join(",") + "\n";
    outputs.write(
        &format!("{name}.out"),
        matrix.iter().map(line).collect::<String>().as_bytes(),
    )
}
