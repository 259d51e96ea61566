//! How far a student's answers are from a teacher's.

use tch::{Kind, Tensor};

use crate::train::settings::CriterionName;

/// T^2 KL(teacher || student) of logits `[N, C]` divided by `temperature`, a scalar from 0.
///
/// Multiclass: summed over classes, mean over N; its gradient is T (p - q) / N. Multilabel: each
/// class a Bernoulli, mean over N x C; its gradient T (p - q) / (N C). Logarithms are those of the
/// library's stable forms, so saturated logits stay finite.
pub fn distance(
    criterion: CriterionName,
    student: &Tensor,
    teacher: &Tensor,
    temperature: f64,
) -> Tensor {
    let (student, teacher) = (student / temperature, teacher.detach() / temperature);
    let scale = temperature * temperature;
    match criterion {
        CriterionName::Multiclass => {
            let (p, q) = (
                student.log_softmax(-1, None::<Kind>),
                teacher.log_softmax(-1, None::<Kind>),
            );
            let terms = q.exp() * (&q - p);
            terms.sum(None::<Kind>) * (scale / student.size()[0] as f64)
        }
        CriterionName::Multilabel => {
            let side = |sign: f64| {
                let (p, q) = (
                    (&student * sign).log_sigmoid(),
                    (&teacher * sign).log_sigmoid(),
                );
                q.exp() * (&q - p)
            };
            (side(1.0) + side(-1.0)).mean(None::<Kind>) * scale
        }
    }
}
