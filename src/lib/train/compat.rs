//! The seed's quirks that can move a number: off by default, one switch each.

use serde::{Deserialize, Serialize};

use crate::choice::did_you_mean;

/// What each field of the seed's behaviour brings back where ours differs by default and a number
/// can move.
///
/// `--compat twyn2024` sets all of them. Each field is one quirk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)] // One independent switch for each quirk is the point of this struct.
pub struct Compat {
    /// Crop and flip are drawn anew for every frame (ours: one draw for the clip).
    pub augment_per_frame: bool,
    /// With frozen batch norm the running statistics go on moving (ours: they stay).
    pub frozen_statistics_move: bool,
    /// Only finetune honours a frozen backbone (ours: every approach does).
    pub freeze_backbone_only_finetune: bool,
    /// From task 1 on a plateau of the mAP is looked for as if less were better (ours: more is
    /// better).
    pub plateau_map_minimised: bool,
    /// The plateau check of the loss is fed the mAP (ours: the loss).
    pub plateau_loss_fed_map: bool,
    /// When the rate falls, the weights go back to the best before this epoch is judged, so that
    /// old weights can be saved under a new epoch's figure (ours: judged and saved first).
    pub rollback_before_best: bool,
    /// EWC's penalty is q + lambda q (ours: lambda q).
    pub ewc_penalty_counted_twice: bool,
    /// The Fisher information is taken over the training loader, shuffled or weighted, and
    /// augmented (ours: in the list's order, unaugmented).
    pub fisher_over_training_loader: bool,
    /// A task's final figures are logged to TensorBoard at its last epoch (ours: at its best).
    pub final_metrics_at_last_epoch: bool,
}

impl Compat {
    /// All of the seed's quirks.
    pub const TWYN2024: Self = Self {
        augment_per_frame: true,
        frozen_statistics_move: true,
        freeze_backbone_only_finetune: true,
        plateau_map_minimised: true,
        plateau_loss_fed_map: true,
        rollback_before_best: true,
        ewc_penalty_counted_twice: true,
        fisher_over_training_loader: true,
        final_metrics_at_last_epoch: true,
    };
}

impl std::str::FromStr for Compat {
    type Err = String;

    /// Reads `none`, `twyn2024`, or the names of fields, separated by commas.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => return Ok(Self::default()),
            "twyn2024" => return Ok(Self::TWYN2024),
            _ => {}
        }
        // Through the serialised form, so that the fields' names stand in one place.
        let mut fields = serde_json::json!(Self::default());
        for name in text.split(',').map(|name| name.trim().replace('-', "_")) {
            let known: Vec<String> = fields
                .as_object()
                .into_iter()
                .flat_map(|map| map.keys().cloned())
                .collect();
            if !known.contains(&name) {
                return Err(format!(
                    "{name:?} is no quirk: expected none, twyn2024, or of {}{}",
                    known.join(", "),
                    did_you_mean(&name, known.iter().map(String::as_str))
                ));
            }
            fields[name] = true.into();
        }
        serde_json::from_value(fields).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirks_are_named_singly_or_all_together() {
        assert_eq!("none".parse(), Ok(Compat::default()));
        assert_eq!("twyn2024".parse(), Ok(Compat::TWYN2024));
        let two: Compat = "augment-per-frame,rollback_before_best".parse().unwrap();
        assert!(two.augment_per_frame && two.rollback_before_best && !two.plateau_loss_fed_map);
        assert!(
            "nonsense"
                .parse::<Compat>()
                .unwrap_err()
                .contains("augment_per_frame")
        );
    }
}
