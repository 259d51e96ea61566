//! RMIA, a robust membership attack on single clips that one to four references suffice for
//! (Zarifzadeh et al., <https://arxiv.org/abs/2312.03262>).

use super::error::{probabilities, same_length};
use super::membership::auc;
use super::{AuditError, Rows};

/// The default of `a`, which corrects for how much better the references know the clips that they
/// saw.
pub const DEFAULT_A: f64 = 0.3;
/// No probability counts as less.
const FLOOR: f64 = 1e-30;
/// AUCs this near count as equal.
const EQUAL: f64 = 1e-12;

/// Probabilities of the true class that the attack reads.
#[derive(Clone, Copy, Debug)]
pub struct Probabilities<'a> {
    /// Of the attacked model for each clip, `[N]`.
    pub target: &'a [f64],
    /// Of the references for each clip, `[N, references]`.
    pub references: Rows<'a>,
    /// Whether a reference never saw a clip, row-major `[N, references]`.
    pub never_saw: &'a [bool],
    /// Of the attacked model for each clip of the population, `[M]`.
    pub population_target: &'a [f64],
    /// Of the references for each clip of the population, which none of them saw, `[M,
    /// references]`.
    pub population_references: Rows<'a>,
}

impl Probabilities<'_> {
    fn check(&self) -> Result<(), AuditError> {
        let clips = self.target.len();
        same_length("clips of the references", clips, self.references.count())?;
        same_length(
            "marks of what references saw",
            self.references.values().len(),
            self.never_saw.len(),
        )?;
        let population = self.population_target.len();
        same_length(
            "clips of the population",
            population,
            self.population_references.count(),
        )?;
        probabilities("probabilities of the target", self.target)?;
        probabilities("probabilities of the references", self.references.values())?;
        probabilities("probabilities of the population", self.population_target)?;
        probabilities(
            "probabilities of the population",
            self.population_references.values(),
        )
    }
}

/// The score of each clip: the share of the population whose likelihood ratio is smaller than the
/// clip's (equal: no). 0..1, higher is more of a member; `None` where every reference saw the clip
/// or there is no population.
///
/// # Errors
/// Lengths that disagree, probabilities that are none, `a` outside 0..1.
pub fn scores(input: &Probabilities<'_>, a: f64) -> Result<Vec<Option<f64>>, AuditError> {
    input.check()?;
    if !(0.0..=1.0).contains(&a) {
        return Err(AuditError::Range {
            what: "a of RMIA",
            value: a,
            low: 0.0,
            high: 1.0,
        });
    }
    let population = input.population_target.iter();
    let mut ratios: Vec<f64> = population
        .zip(input.population_references.iter())
        .filter_map(|(&p, row)| ratio(p, row.iter().copied(), a))
        .collect();
    ratios.sort_by(f64::total_cmp);
    let width = input.references.width();
    let of = |(i, &p): (usize, &f64)| {
        let seen = &input.never_saw[i * width..(i + 1) * width];
        let row = input.references.row(i).iter().zip(seen);
        let own = ratio(p, row.filter(|(_, never)| **never).map(|(&p, _)| p), a)?;
        let below = ratios.partition_point(|&r| r < own);
        (!ratios.is_empty()).then(|| below as f64 / ratios.len() as f64)
    };
    Ok(input.target.iter().enumerate().map(of).collect())
}

/// p / pbar with pbar = ((1 + a) mean of the references + 1 - a) / 2; `None` without a reference.
fn ratio(p: f64, references: impl Iterator<Item = f64>, a: f64) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_u32);
    for p in references {
        sum += p;
        count += 1;
    }
    let mean = (count > 0).then(|| sum / f64::from(count))?;
    let pbar = f64::midpoint((1.0 + a) * mean, 1.0 - a);
    Some(p.max(FLOOR) / pbar.max(FLOOR))
}

/// The choice of `a` on a model whose members are known.
#[derive(Clone, Debug, PartialEq)]
pub struct ChoiceOfA {
    /// The `a` of the largest AUC, the smallest of equal ones; `None` where no AUC is defined.
    pub a: Option<f64>,
    /// The AUC at 0, 0.1, .. 1.
    pub aucs: Vec<Option<f64>>,
}

/// Chooses `a` among 0, 0.1, .. 1 by the AUC on a model whose members are known, such as a shadow
/// head; clips without a score are left out.
///
/// # Errors
/// As [`scores`]; `member` of another length.
pub fn choose_a(input: &Probabilities<'_>, member: &[bool]) -> Result<ChoiceOfA, AuditError> {
    same_length("marks of members", input.target.len(), member.len())?;
    let mut aucs = Vec::new();
    for tenth in 0..=10_u8 {
        let scores = scores(input, f64::from(tenth) / 10.0)?;
        let side = |wanted: bool| {
            let marked = scores.iter().zip(member);
            marked
                .filter_map(|(score, member)| score.filter(|_| *member == wanted))
                .collect::<Vec<f64>>()
        };
        aucs.push(auc(&side(true), &side(false))?);
    }
    let best = aucs.iter().flatten().copied().reduce(f64::max);
    let place = best.and_then(|best| aucs.iter().position(|auc| *auc >= Some(best - EQUAL)));
    Ok(ChoiceOfA {
        a: place.map(|tenth| tenth as f64 / 10.0),
        aucs,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input<'a>(target: &'a [f64], references: &'a [f64], never: &'a [bool]) -> Probabilities<'a> {
        Probabilities {
            target,
            references: Rows::new(references, target.len(), 1).unwrap(),
            never_saw: never,
            population_target: &[0.25, 0.75],
            population_references: Rows::new(&[0.5, 0.5], 2, 1).unwrap(),
        }
    }

    #[test]
    fn a_clip_that_every_reference_saw_has_no_score() {
        let found = scores(&input(&[0.5, 0.5], &[0.5, 0.5], &[true, false]), 0.3).unwrap();
        assert_eq!(found, [Some(0.5), None]);
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        let bad = |p: f64| scores(&input(&[p], &[0.5], &[true]), 0.3).unwrap_err();
        assert!(matches!(bad(f64::NAN), AuditError::NotANumber { .. }));
        assert!(matches!(bad(1.5), AuditError::Range { .. }));
        let good = input(&[0.5], &[0.5], &[true]);
        assert!(matches!(scores(&good, 1.5), Err(AuditError::Range { .. })));
        let short = Probabilities {
            never_saw: &[],
            ..good
        };
        assert!(matches!(
            scores(&short, 0.3),
            Err(AuditError::Length { .. })
        ));
    }

    #[test]
    fn without_both_sides_no_a_is_chosen() {
        let choice = choose_a(&input(&[0.5], &[0.5], &[true]), &[true]).unwrap();
        assert_eq!(choice.a, None);
        assert_eq!(choice.aucs, [None; 11]);
    }
}
