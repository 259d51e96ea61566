//! Many models at once: heads on the features of one run, one for every deal of a pool of clips to
//! trained and unlearned, trained and kept, never seen.
//!
//! | file | what it is for |
//! |---|---|
//! | `pool` | the clips that are dealt, and what shadow heads say of them |
//! | `kernel` | exact heads, by one factor and two matrix products over the feature table |
//! | `by_gradient` | heads trained together in one matrix product a step, each then unlearned by the run's method |
//! | `figures` | U-LiRA, forget quality, `KLoM` and memorisation of what they say |

mod by_gradient;
mod figures;
mod kernel;
mod pool;

use super::AuditStageError;
use super::single::Comparison;
use crate::audit::lira::deal;
use crate::tables::AuditRow;
use crate::train::settings::ApproachName;

use figures::Shadows;
pub(super) use kernel::Kernel;
use pool::Pool;

/// The figures of `count` shadow heads of a run at the end of a task; none where its method cannot be
/// applied to a head, or its equations cannot be solved.
///
/// # Errors
/// When features are missing, or a measure refuses.
pub(super) fn rows(
    comparison: &Comparison<'_>,
    count: usize,
) -> Result<Vec<AuditRow>, AuditStageError> {
    let about = comparison.about;
    let pool = Pool::of(&comparison.sets);
    if !pool.has_both() || comparison.sets.retain.clips.is_empty() {
        return Ok(Vec::new());
    }
    let dealt = (0..count as u64).map(|shadow| deal(about.seed_evaluate, shadow, pool.clips()));
    let dealt: Vec<_> = dealt.collect();
    let said = match about.run.settings.approach {
        ApproachName::Ridge | ApproachName::Ranpac => kernel::logits(comparison, &pool, &dealt)?,
        // It trains its shards again.
        ApproachName::Sisa => None,
        _ => by_gradient::logits(comparison, &pool, &dealt)?,
    };
    let Some(said) = said else {
        return Ok(Vec::new());
    };
    let failed = AuditStageError::of(&about.run.name);
    let shadows = Shadows::of(about.run.criterion(), &pool, &said, &dealt).map_err(&failed)?;
    shadows.rows(comparison, &pool).map_err(failed)
}
