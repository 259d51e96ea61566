//! The classification loss.

use tch::{Kind, Reduction, Tensor};

use super::settings::CriterionName;

impl CriterionName {
    /// The classification loss of a batch, a scalar.
    ///
    /// `logits` `[N, C]`, `labels` `[N]` class indices. Multilabel: mean over N x C of the binary
    /// cross-entropy against one-hot targets; multiclass: mean over N of the cross-entropy.
    pub fn loss(self, logits: &Tensor, labels: &Tensor) -> Tensor {
        match self {
            Self::Multilabel => {
                let targets = labels.one_hot(logits.size()[1]).to_kind(Kind::Float);
                logits.binary_cross_entropy_with_logits::<Tensor>(
                    &targets,
                    None,
                    None,
                    Reduction::Mean,
                )
            }
            Self::Multiclass => logits.cross_entropy_for_logits(labels),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_losses_equal_their_formulas() {
        let logits = Tensor::from_slice2(&[[0.3f32, -1.2, 0.8], [2.0, 0.1, -0.4]]);
        let labels = Tensor::from_slice(&[2i64, 0]);
        let rows = [[0.3f64, -1.2, 0.8], [2.0, 0.1, -0.4]];
        let mut binary = 0.0;
        let mut cross = 0.0;
        for (row, label) in rows.iter().zip([2usize, 0]) {
            let sum: f64 = row.iter().map(|z| z.exp()).sum();
            cross -= (row[label].exp() / sum).ln() / 2.0;
            for (c, z) in row.iter().enumerate() {
                let p = 1.0 / (1.0 + (-z).exp());
                binary -= if c == label { p.ln() } else { (1.0 - p).ln() } / 6.0;
            }
        }
        let value = |criterion: CriterionName| criterion.loss(&logits, &labels).double_value(&[]);
        assert!((value(CriterionName::Multilabel) - binary).abs() < 1e-6);
        assert!((value(CriterionName::Multiclass) - cross).abs() < 1e-6);
    }
}
