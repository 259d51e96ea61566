//! The model that weights are for: what to build where nothing else is asked for.

use super::PublishedWeights;
use crate::model::{Geometry, ModelConfig, Variant};

/// The model to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelChoice {
    /// Its size.
    pub variant: Variant,
    /// Its paddings.
    pub geometry: Geometry,
    /// One sentence, where published weights are of another model than the one that was asked for.
    pub contradiction: Option<String>,
}

impl ModelChoice {
    /// What is asked for; else the model that published weights to start from are of; else the
    /// default.
    #[must_use]
    pub fn new(
        variant: Option<Variant>,
        geometry: Option<Geometry>,
        weights: Option<&PublishedWeights>,
    ) -> Self {
        let default = ModelConfig::default();
        let published_variant = weights.and_then(|weights| weights.variant.parse().ok());
        let published_geometry = weights.and_then(|weights| weights.geometry.parse().ok());
        let choice = Self {
            variant: variant.or(published_variant).unwrap_or(default.variant),
            geometry: geometry.or(published_geometry).unwrap_or(default.geometry),
            contradiction: None,
        };
        let contradicts = |weights: &&PublishedWeights| {
            weights.variant != choice.variant.name() || weights.geometry != choice.geometry.name()
        };
        let contradiction = weights.filter(contradicts).map(|weights| {
            format!(
                "the weights are the published {}, which are of --variant {} --geometry {}, but the model is built with \
                 --variant {} --geometry {}",
                weights.name, weights.variant, weights.geometry, choice.variant, choice.geometry
            )
        });
        Self {
            contradiction,
            ..choice
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::{PUBLISHED, named};

    #[test]
    fn the_model_is_that_of_the_published_weights_where_nothing_else_is_asked_for() {
        for entry in &PUBLISHED {
            let choice = ModelChoice::new(None, None, Some(entry));
            assert_eq!(choice.variant.name(), entry.variant);
            assert_eq!(choice.geometry.name(), entry.geometry);
            assert_eq!(choice.contradiction, None);
        }
        let default = ModelConfig::default();
        let choice = ModelChoice::new(None, None, None);
        assert_eq!(choice.variant, default.variant);
        assert_eq!(choice.geometry, default.geometry);
    }

    #[test]
    fn what_is_asked_for_counts_and_a_contradiction_is_one_sentence() {
        let a1 = named("kinetics-600-a1").unwrap();
        let choice = ModelChoice::new(None, Some(Geometry::Seed), Some(a1));
        assert_eq!(choice.variant, Variant::A1);
        assert_eq!(choice.geometry, Geometry::Seed);
        assert_eq!(
            choice.contradiction.unwrap(),
            "the weights are the published kinetics-600-a1, which are of --variant A1 --geometry tf, but the model is built \
             with --variant A1 --geometry seed"
        );
        let choice = ModelChoice::new(Some(Variant::A2), None, Some(a1));
        assert_eq!(choice.variant, Variant::A2);
        assert!(choice.contradiction.unwrap().contains("--variant A2"));
        for asked in [Some(Geometry::Tf), None] {
            let choice = ModelChoice::new(Some(Variant::A1), asked, Some(a1));
            assert_eq!(choice.contradiction, None);
        }
        let choice = ModelChoice::new(None, Some(Geometry::Tf), None);
        assert_eq!(choice.geometry, Geometry::Tf);
        assert_eq!(choice.contradiction, None);
    }
}
