//! How far the weights of two models are apart, by part of the network. Two seeds of a reference
//! can differ by more than an unlearned model and the one before it do, so this is never evidence
//! alone.

use std::collections::BTreeMap;

use super::AuditError;
use super::error::finite;

/// The group of running statistics.
pub const BUFFERS: &str = "buffers";
/// The group of everything but running statistics.
pub const ALL: &str = "all";

/// A distance between two models' tensors of one group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distance {
    /// The Euclidean norm of the difference, from 0.
    pub l2: f64,
    /// The same over the norm of the reference's; `None` where that is 0.
    pub relative: Option<f64>,
}

/// Distances by group: `backbone.conv1`, each `backbone.blocks.bI_lJ`, `backbone.conv7`,
/// `backbone.conv9`, `heads`, [`BUFFERS`] and [`ALL`]. Tensors by name, flat.
///
/// # Errors
/// A tensor that one model lacks or has in another size, or that holds what is no finite number.
pub fn weight_distance(
    unlearned: &BTreeMap<String, Vec<f64>>,
    reference: &BTreeMap<String, Vec<f64>>,
) -> Result<BTreeMap<String, Distance>, AuditError> {
    if let Some(name) = reference.keys().find(|name| !unlearned.contains_key(*name)) {
        return Err(AuditError::Tensor { name: name.clone() });
    }
    let mut squares: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (name, u) in unlearned {
        let r = reference.get(name).filter(|r| r.len() == u.len());
        let r = r.ok_or_else(|| AuditError::Tensor { name: name.clone() })?;
        finite("weights of the unlearned model", u)?;
        finite("weights of the reference", r)?;
        let difference: f64 = u.iter().zip(r).map(|(u, r)| (u - r).powi(2)).sum();
        let norm: f64 = r.iter().map(|r| r * r).sum();
        let group = group(name);
        let all = (group != BUFFERS).then(|| ALL.to_owned());
        for group in std::iter::once(group).chain(all) {
            let sums = squares.entry(group).or_default();
            sums.0 += difference;
            sums.1 += norm;
        }
    }
    let distance = |(difference, norm): (f64, f64)| Distance {
        l2: difference.sqrt(),
        relative: (norm > 0.0).then(|| difference.sqrt() / norm.sqrt()),
    };
    Ok(squares
        .into_iter()
        .map(|(group, sums)| (group, distance(sums)))
        .collect())
}

/// The group that a tensor belongs to by its name.
fn group(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    if parts
        .last()
        .is_some_and(|last| last.starts_with("running_"))
    {
        return BUFFERS.to_owned();
    }
    let depth = match parts[..] {
        ["backbone", "blocks", ..] => 3,
        ["backbone", ..] => 2,
        _ => 1,
    };
    parts[..depth.min(parts.len())].join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_the_group() {
        assert_eq!(
            group("backbone.blocks.b0_l0.se.fc1.conv_1.conv3d.bias"),
            "backbone.blocks.b0_l0"
        );
        assert_eq!(group("backbone.conv7.conv_1.norm.weight"), "backbone.conv7");
        assert_eq!(group("backbone.conv7.conv_1.norm.running_var"), BUFFERS);
        assert_eq!(group("heads.1.conv_1.conv3d.weight"), "heads");
    }

    #[test]
    fn models_of_other_tensors_are_refused() {
        let model =
            |name: &str, values: &[f64]| BTreeMap::from([(name.to_owned(), values.to_vec())]);
        let one = model("heads.a", &[1.0]);
        for other in [
            model("heads.b", &[1.0]),
            model("heads.a", &[1.0, 2.0]),
            BTreeMap::new(),
        ] {
            assert!(matches!(
                weight_distance(&one, &other),
                Err(AuditError::Tensor { .. })
            ));
            assert!(matches!(
                weight_distance(&other, &one),
                Err(AuditError::Tensor { .. })
            ));
        }
        assert!(weight_distance(&one, &model("heads.a", &[f64::NAN])).is_err());
        let zero = weight_distance(&one, &model("heads.a", &[0.0])).unwrap();
        assert_eq!(
            zero[ALL],
            Distance {
                l2: 1.0,
                relative: None
            }
        );
    }
}
