//! `confusion_matrices/`: counts as numpy arrays and as text.

use super::view::SeedOutputs;
use crate::clip::Split;
use crate::train::TrainError;
use crate::train::settings::CriterionName;

/// numpy's `.npy` files begin with this, then version 1.0.
const NPY_MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
/// The header of a `.npy` file fills up to a multiple of this many bytes.
const NPY_ALIGNMENT: usize = 64;

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
                && row.class.as_deref() == Some(class)
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
    outputs.write(&format!("{name}.npy"), &npy(matrix))?;
    let line = |row: &Vec<i64>| row.iter().map(i64::to_string).collect::<Vec<_>>().join(",") + "\n";
    outputs.write(
        &format!("{name}.out"),
        matrix.iter().map(line).collect::<String>().as_bytes(),
    )
}

/// A matrix of 64-bit integers, little-endian, in C order, as a `.npy` file of version 1.0.
fn npy(matrix: &[Vec<i64>]) -> Vec<u8> {
    let (rows, columns) = (matrix.len(), matrix.first().map_or(0, Vec::len));
    let mut header =
        format!("{{'descr': '<i8', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    // Magic, the header's length in two bytes, the header, a newline.
    let unpadded = NPY_MAGIC.len() + 2 + header.len() + 1;
    header += &" ".repeat(unpadded.next_multiple_of(NPY_ALIGNMENT) - unpadded);
    header.push('\n');
    let mut bytes = NPY_MAGIC.to_vec();
    // Two numbers never make a header of 64 KiB.
    bytes.extend(
        u16::try_from(header.len())
            .unwrap_or(u16::MAX)
            .to_le_bytes(),
    );
    bytes.extend(header.as_bytes());
    bytes.extend(
        matrix
            .iter()
            .flatten()
            .flat_map(|value| value.to_le_bytes()),
    );
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_npy_file_is_laid_out_as_numpy_does() {
        let bytes = npy(&[vec![1, 2], vec![3, -1]]);
        assert_eq!(bytes.len(), 128 + 32);
        assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
        assert_eq!(u16::from_le_bytes([bytes[8], bytes[9]]), 118);
        let header = std::str::from_utf8(&bytes[10..128]).unwrap();
        assert!(header.starts_with("{'descr': '<i8', 'fortran_order': False, 'shape': (2, 2), }"));
        assert!(header.ends_with(" \n"));
        assert_eq!(&bytes[128..136], &1i64.to_le_bytes());
        assert_eq!(&bytes[152..], &(-1i64).to_le_bytes());
    }
}
