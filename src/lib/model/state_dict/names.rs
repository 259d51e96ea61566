//! Other programs' names of the same tensors, as the seed's.

use std::collections::BTreeSet;

use super::tensors::StateDict;

/// What wrappers put into names, at their beginning or where the wrapped part begins: `torch.compile`
/// and `torch.nn.DataParallel`.
const WRAPPERS: [&str; 2] = ["_orig_mod", "module"];
/// What Lightning and others put before every name: the attribute that holds the model.
const ATTRIBUTE: &str = "model.";
/// What the seed's names begin with.
const SEED_PARTS: [&str; 2] = ["backbone", "heads"];
/// What the names of the public port begin with.
const PORT_PARTS: [&str; 4] = ["blocks", "classifier", "conv1", "conv7"];
/// What follows `backbone` in the seed's names.
const BACKBONE_PARTS: [&str; 4] = ["blocks", "conv1", "conv7", "conv9"];
/// How many names an error spells out.
const NAMES_SHOWN: usize = 5;

/// The tensors under the seed's names. What wrappers have put into names is taken off: `_orig_mod.`
/// and `module.` wherever they stand, `model.` before all names. Names of the public port of MoViNet
/// become `backbone.*` and `heads.0.0.0.*`; a dict in which a `backbone.` name occurs stays as it is.
///
/// # Errors
/// Why these cannot be the names of a MoViNet: no name begins as one does, only some begin with
/// `model.`, or two become one.
pub fn seed_names(tensors: StateDict) -> Result<StateDict, String> {
    let mut tensors = renamed(tensors, unwrapped)?;
    loop {
        let (held, others): (Vec<&String>, Vec<&String>) =
            tensors.keys().partition(|name| name.starts_with(ATTRIBUTE));
        if held.is_empty() {
            break;
        }
        if !others.is_empty() {
            return Err(format!(
                "{} of its {} names begin with {ATTRIBUTE:?} and others do not: {}",
                held.len(),
                tensors.len(),
                listed(others)
            ));
        }
        tensors = renamed(tensors, |name| name[ATTRIBUTE.len()..].to_owned())?;
    }
    let has = |parts: &[&str]| tensors.keys().any(|name| parts.contains(&part(name, 0)));
    if has(&SEED_PARTS) {
        return Ok(tensors);
    }
    if !has(&PORT_PARTS) {
        let parts: BTreeSet<String> = tensors.keys().map(|n| part(n, 0).to_owned()).collect();
        return Err(format!(
            "its names begin with {}, and those of a MoViNet with {} or {}",
            listed(&parts),
            SEED_PARTS.join(", "),
            PORT_PARTS.join(", ")
        ));
    }
    renamed(tensors, |name| match name.strip_prefix("classifier.") {
        Some(rest) => match rest.split_once('.') {
            Some(("0", rest)) => format!("backbone.conv9.0.{rest}"),
            Some(("3", rest)) => format!("heads.0.0.0.{rest}"),
            _ => name.to_owned(),
        },
        None => format!("backbone.{name}"),
    })
}

/// Refuses tensors of which some have names that no MoViNet has, whatever its size.
///
/// # Errors
/// The names.
pub fn only_seed_names(tensors: &StateDict) -> Result<(), String> {
    let strange = tensors.keys().filter(|name| match part(name, 0) {
        "heads" => false,
        "backbone" => !BACKBONE_PARTS.contains(&part(name, 1)),
        _ => true,
    });
    let strange: Vec<&String> = strange.collect();
    if strange.is_empty() {
        return Ok(());
    }
    let count = strange.len();
    Err(format!(
        "{count} of its names are no MoViNet's: {}",
        listed(strange)
    ))
}

/// The part of a name between its dots.
fn part(name: &str, index: usize) -> &str {
    name.split('.').nth(index).unwrap_or_default()
}

/// A name without what wrappers have put into it.
fn unwrapped(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let parts = parts.into_iter().filter(|part| !WRAPPERS.contains(part));
    parts.collect::<Vec<_>>().join(".")
}

fn renamed(tensors: StateDict, rename: impl Fn(&str) -> String) -> Result<StateDict, String> {
    let mut under_new_names = StateDict::new();
    for (name, tensor) in tensors {
        let new = rename(&name);
        if under_new_names.insert(new.clone(), tensor).is_some() {
            return Err(format!(
                "two of its names both stand for {new}: {name} is one"
            ));
        }
    }
    Ok(under_new_names)
}

fn listed<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let mut names = names.into_iter();
    let shown: Vec<String> = names
        .by_ref()
        .take(NAMES_SHOWN)
        .map(|n| n.as_ref().to_owned())
        .collect();
    let more = names.count();
    let text = shown.join(", ");
    if more > 0 {
        format!("{text} and {more} more")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Tensor;

    fn dict(names: &[&str]) -> StateDict {
        let one = || Tensor::from_slice(&[1.0_f32]);
        names
            .iter()
            .map(|name| ((*name).to_owned(), one()))
            .collect()
    }

    #[test]
    fn what_wrappers_put_into_names_is_taken_off() {
        let expected = ["backbone.conv1.w", "heads.0.0.0.w"];
        for names in [
            ["backbone.conv1.w", "heads.0.0.0.w"],
            ["module.backbone.conv1.w", "module.heads.0.0.0.w"],
            ["_orig_mod.backbone.conv1.w", "_orig_mod.heads.0.0.0.w"],
            ["model.backbone.conv1.w", "model.heads.0.0.0.w"],
            [
                "model._orig_mod.module.backbone.conv1.w",
                "model._orig_mod.module.heads.0.0.0.w",
            ],
            [
                "module.model.model.backbone.conv1.w",
                "module.model.model.heads.0.0.0.w",
            ],
            ["backbone._orig_mod.conv1.w", "heads.0.0.0.w"],
            ["model.conv1.w", "model.classifier.3.w"],
            ["_orig_mod.conv1.w", "_orig_mod.classifier.3.w"],
        ] {
            let named = seed_names(dict(&names)).unwrap();
            assert!(named.keys().eq(expected), "{names:?}: {:?}", named.keys());
            only_seed_names(&named).unwrap();
        }
    }

    #[test]
    fn other_prefixes_are_refused_and_never_kept_in_silence() {
        for (names, words) in [
            (
                &["net.conv1.w", "net.blocks.w"][..],
                "its names begin with net,",
            ),
            (
                &["model.backbone.conv1.w", "loss.weight"],
                "1 of its 2 names begin with \"model.\" and others do not: loss.weight",
            ),
            (
                &["module.conv1.w", "conv1.w"],
                "two of its names both stand for conv1.w",
            ),
            (
                &["conv1.w", "loss.weight"],
                "1 of its names are no MoViNet's: backbone.loss.weight",
            ),
            (
                &["backbone.conv1.w", "optimizer.w"],
                "no MoViNet's: optimizer.w",
            ),
            (&[], "its names begin with ,"),
        ] {
            let said = seed_names(dict(names)).and_then(|named| only_seed_names(&named));
            let said = said.unwrap_err();
            assert!(said.contains(words), "{said}");
        }
    }
}
