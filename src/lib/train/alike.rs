//! Ranks that train one run: before the first step each must be about to compute the same, and behind every epoch each must
//! have computed the same.

use std::collections::BTreeMap;
use std::env;

use serde_json::{Value, json};

use super::TrainError;
use super::learner::Learner;
use super::settings::TrainConfig;
use super::task_sequence::TaskSequence;
use super::world::World;
use crate::artifact::{ArtifactError, hash_file};
use crate::model::checkpoint::CheckpointError;
use crate::model::state_dict::{self, StateDict};
use crate::run_record::{Machine, flag};

/// Refuses ranks whose settings, data or code differ.
///
/// # Errors
/// When something differs, with its name and both values; when a rank is lost.
pub(super) fn check(
    world: &World,
    config: &TrainConfig,
    data: &TaskSequence,
    machine: &Machine,
) -> Result<(), TrainError> {
    if world.size() == 1 {
        return Ok(());
    }
    let pretrained = config.pretrained.as_deref().map(hash_file).transpose()?;
    let own = env::current_exe().map_err(ArtifactError::at("find", "this program".as_ref()))?;
    let facts = json!({
        "settings": config.settings,
        "inputs": data.inputs,
        "pretrained": pretrained,
        "machine": machine,
        "program": hash_file(&own)?,
        "extend": config.extend,
        "on_bad_clip": config.on_bad_clip.to_string(),
        "max_bad": config.max_bad,
    });
    let mut named = BTreeMap::new();
    collect("", &facts, &mut named);
    Ok(world.agree(&named)?)
}

/// The values within `value`, each by its place and, where one decides it, its flag.
fn collect(place: &str, value: &Value, named: &mut BTreeMap<String, String>) {
    if let Value::Object(fields) = value {
        for (name, value) in fields {
            let place = if place.is_empty() {
                name.clone()
            } else {
                format!("{place}.{name}")
            };
            collect(&place, value, named);
        }
        return;
    }
    let name = match flag(&format!("{place}: ")) {
        Some(flag) => format!("{place} ({flag})"),
        None => place.to_owned(),
    };
    named.insert(name, value.to_string());
}

/// Makes sure that all ranks have the same weights and statistics behind `epoch` of `task`.
///
/// # Errors
/// When they differ; when a rank is lost.
pub(super) fn same_weights(
    world: &World,
    learner: &Learner,
    task: usize,
    epoch: u32,
) -> Result<(), TrainError> {
    if world.size() == 1 {
        return Ok(());
    }
    let weights: StateDict = learner.store().variables().into_iter().collect();
    let bytes = state_dict::to_bytes(&weights).map_err(CheckpointError::from)?;
    let hash = blake3::hash(&bytes).to_hex().to_string();
    let name = format!("the weights behind task {task}, epoch {epoch},");
    Ok(world.agree(&BTreeMap::from([(name, hash)]))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compared_has_its_place_and_flag() {
        let mut named = BTreeMap::new();
        let facts =
            json!({"settings": {"lr_head": 0.5}, "inputs": {"index": "ab"}, "program": "c"});
        collect("", &facts, &mut named);
        let named: Vec<(String, String)> = named.into_iter().collect();
        let expected = [
            ("inputs.index (--shards)", "\"ab\""),
            ("program", "\"c\""),
            ("settings.lr_head (--lr-head)", "0.5"),
        ];
        assert_eq!(named, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}
