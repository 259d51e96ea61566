//! How many steps bring what left back: the audit's relearn time.

use super::clips::{Clips, Set};
use super::descent::{Descent, Recipe, classification};
use super::measured;
use crate::model::Mode;
use crate::train::TrainError;
use crate::train::learner::Learner;

/// How relearning is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relearn {
    /// How it steps: the run's optimizer at its later rate, without decay. Its epochs do not count.
    pub recipe: Recipe,
    /// The rate of the head's parameters, where the rule is Adam.
    pub head_rate: f64,
    /// The evaluated mean loss on F at which it is known again.
    pub target: f64,
    /// Steps between two looks at the loss.
    pub check_every: usize,
    /// Steps after which it is given up.
    pub most_steps: usize,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Relearned {
    /// Steps made.
    pub steps: usize,
    /// Whether it was given up.
    pub censored: bool,
    /// The losses looked at, the first before any step.
    pub checks: Vec<f64>,
}

/// Trains `learner` on F alone, in evaluation mode, until it knows F again. `None` without a clip.
///
/// # Errors
/// When a batch cannot be had or a loss is not finite.
pub fn relearn(
    learner: &Learner,
    clips: &dyn Clips,
    how: &Relearn,
) -> Result<Option<Relearned>, TrainError> {
    let Some(first) = measured::loss(learner, clips, Set::Forget)? else {
        return Ok(None);
    };
    let mut found = Relearned {
        steps: 0,
        censored: false,
        checks: vec![first],
    };
    if first <= how.target {
        return Ok(Some(found));
    }
    let descent = Descent::new(learner, &how.recipe, clips.task());
    let mut descent = descent.with_head_rate(how.head_rate);
    let passes = (0..).flat_map(|pass| clips.pass(Set::Forget, pass));
    for batch in passes.take(how.most_steps) {
        descent.begin();
        let value = descent.mean(&[batch?], 1.0, &classification(Mode::Evaluate))?;
        descent.step(how.recipe.rate, value);
        found.steps += 1;
        if found.steps.is_multiple_of(how.check_every.max(1)) {
            let loss = measured::loss(learner, clips, Set::Forget)?.unwrap_or(f64::NAN);
            found.checks.push(loss);
            if loss <= how.target {
                return Ok(Some(found));
            }
        }
    }
    found.censored = true;
    Ok(Some(found))
}
