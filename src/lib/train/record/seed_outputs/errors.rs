//! `error_analysis/`: what the model said of every clip.

use super::python::shortest;
use super::view::SeedOutputs;
use crate::clip::{ClipId, Split};
use crate::tables::PredictionRow;
use crate::train::TrainError;
use crate::train::settings::CriterionName;

/// Writes the file of one task and split, a row for each clip in the order of the list.
pub(super) fn write(
    outputs: &SeedOutputs<'_>,
    task: usize,
    split: Split,
) -> Result<(), TrainError> {
    let rows = outputs
        .folder
        .predictions
        .iter()
        .filter(|row| usize::try_from(row.task) == Ok(task) && row.split == split);
    let name = format!("error_analysis/task_{task}_{split}_error_analysis.csv");
    outputs.write_table(&name, |writer| {
        write_rows(
            writer,
            rows,
            &outputs.taxonomy().category_names(),
            outputs.config.settings.criterion,
            &outputs.data_path(),
        )
    })
}

fn write_rows<'a>(
    writer: &mut csv::Writer<Vec<u8>>,
    rows: impl Iterator<Item = &'a PredictionRow>,
    categories: &[String],
    criterion: CriterionName,
    data_path: &str,
) -> csv::Result<()> {
    let names = categories.iter().cloned();
    let header: Vec<String> = match criterion {
        CriterionName::Multilabel => ["video_path", "prediction", "subcategory"]
            .map(str::to_owned)
            .into_iter()
            .chain(names)
            .chain(categories.iter().map(|name| format!("target_{name}")))
            .collect(),
        CriterionName::Multiclass => ["video_path", "prediction", "target", "subcategory"]
            .map(str::to_owned)
            .into_iter()
            .chain(names)
            .collect(),
    };
    writer.write_record(&header)?;
    for row in rows {
        let mut fields = vec![
            video_path(data_path, &row.clip_id),
            row.prediction.to_string(),
        ];
        if criterion == CriterionName::Multiclass {
            fields.push(row.label.to_string());
        }
        fields.push(row.subcategory.clone());
        fields.extend(row.probabilities.iter().map(|p| shortest(*p)));
        if criterion == CriterionName::Multilabel {
            let target = |class: usize| {
                if usize::try_from(row.label) == Ok(class) {
                    "1.0"
                } else {
                    "0.0"
                }
            };
            fields.extend((0..categories.len()).map(|class| target(class).to_owned()));
        }
        writer.write_record(&fields)?;
    }
    Ok(())
}

/// `<data_path>/Videos/id_<youtube id>_<start, 6 digits>_<end>/jpgs`.
fn video_path(data_path: &str, clip_id: &str) -> String {
    let folder = clip_id
        .parse::<ClipId>()
        .map_or_else(|_| format!("id_{clip_id}"), |id| id.frame_folder());
    format!("{data_path}/Videos/{folder}/jpgs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> PredictionRow {
        PredictionRow {
            task: 0,
            split: Split::Test,
            position: 0,
            clip_id: "abc_000001_000011".into(),
            label: 1,
            subcategory: "texting".into(),
            prediction: 0,
            probabilities: vec![0.75, 0.1],
        }
    }

    #[test]
    fn both_criteria_have_the_seeds_columns() {
        let categories = ["food".to_owned(), "phone".to_owned()];
        let text = |criterion| {
            let mut writer = csv::Writer::from_writer(Vec::new());
            write_rows(
                &mut writer,
                [row()].iter(),
                &categories,
                criterion,
                "./Kinetics",
            )
            .unwrap();
            String::from_utf8(writer.into_inner().unwrap()).unwrap()
        };
        assert_eq!(
            text(CriterionName::Multilabel),
            "video_path,prediction,subcategory,food,phone,target_food,target_phone\n\
             ./Kinetics/Videos/id_abc_000001_000011/jpgs,0,texting,0.75,0.1,0.0,1.0\n"
        );
        assert_eq!(
            text(CriterionName::Multiclass),
            "video_path,prediction,target,subcategory,food,phone\n\
             ./Kinetics/Videos/id_abc_000001_000011/jpgs,0,1,texting,0.75,0.1\n"
        );
    }
}
