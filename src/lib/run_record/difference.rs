//! Where two documents differ, in words.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::foreign::printable;

/// What the machine's differences are listed under.
pub const MACHINE: &str = "machine";
/// Differences that a message spells out.
const DIFFERENCES_SHOWN: usize = 6;

/// The places where `theirs` and `ours` differ, with both values; `path` stands before each place
/// unless it is empty.
pub fn differences(path: &str, theirs: &impl Serialize, ours: &impl Serialize) -> Vec<String> {
    let mut found = Vec::new();
    collect(path, &plain(theirs), &plain(ours), &mut found);
    found
}

/// `value` as it is when it has been written and read.
fn plain(value: &impl Serialize) -> Value {
    // A number that is read back may differ in its last bit from the one that was written; both
    // sides go the same way.
    let text = serde_json::to_string(value).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn collect(path: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a
                .keys()
                .chain(b.keys().filter(|key| !a.contains_key(*key)))
                .collect();
            keys.sort();
            for key in keys {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                let value = |map: &Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                collect(&path, &value(a), &value(b), found);
            }
        }
        _ if theirs == ours => {}
        _ => found.push(format!("{path}: {theirs} there, {ours} now")),
    }
}

/// The first few differences as one text.
#[must_use]
pub fn listed(differences: &[String]) -> String {
    let shown: Vec<_> = differences
        .iter()
        .take(DIFFERENCES_SHOWN)
        .map(|difference| printable(difference))
        .collect();
    let mut text = shown.join("; ");
    if differences.len() > DIFFERENCES_SHOWN {
        text += &format!("; and {} more", differences.len() - DIFFERENCES_SHOWN);
    }
    text
}

/// The flag of `incdec-train` that decides what differs; none where this program's version does.
#[must_use]
pub fn flag(difference: &str) -> Option<String> {
    let (place, _) = difference.split_once(": ")?;
    let flag = match place.split('.').collect::<Vec<_>>().as_slice() {
        ["settings", "scenario"]
        | [
            "scenario" | "tasks" | "tasks_seed" | "categories" | "subcategories",
            ..,
        ]
        | ["inputs", "availability" | "schedule", ..] => "--availability",
        ["inputs", "index", ..] => "--shards",
        ["inputs", "pretrained"] => "--pretrained",
        ["pretrained"] => "--allow-partial",
        ["settings", name, ..] => return Some(format!("--{}", name.replace('_', "-"))),
        [MACHINE, name] if name.ends_with("instructions") => "--instructions",
        [MACHINE, "threads"] => "--threads",
        [MACHINE, "device"] => "--device",
        _ => return None,
    };
    Some(flag.to_owned())
}

/// The differences, each with the flag that decides it.
#[must_use]
pub fn with_flags(differences: &[String]) -> Vec<String> {
    let named = differences.iter().map(|difference| match flag(difference) {
        Some(flag) => format!("{difference} ({flag})"),
        None => format!("{difference} (this program's version)"),
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_named_by_their_place() {
        let a = json!({"settings": {"seed": 1, "lr": 0.1}, "tasks": 2});
        let b = json!({"settings": {"seed": 2, "lr": 0.1}, "tasks": 2, "new": true});
        let found = differences("", &a, &b);
        assert_eq!(
            found,
            ["new: null there, true now", "settings.seed: 1 there, 2 now"]
        );
        assert_eq!(
            listed(&vec!["x".to_owned(); 8]),
            "x; x; x; x; x; x; and 2 more"
        );
    }

    #[test]
    fn each_difference_names_the_flag_that_decides_it() {
        for (difference, flag) in [
            ("settings.lr_head: 1 there, 2 now", "--lr-head"),
            ("settings.compat.weights: true there, false now", "--compat"),
            (
                "settings.scenario: \"a\" there, \"b\" now",
                "--availability",
            ),
            (
                "inputs.schedule.parquet: \"a\" there, \"b\" now",
                "--availability",
            ),
            ("inputs.index.parquet: \"a\" there, \"b\" now", "--shards"),
            ("inputs.pretrained: null there, \"b\" now", "--pretrained"),
            ("tasks: 2 there, 3 now", "--availability"),
            ("machine.device: \"cpu\" there, \"cuda\" now", "--device"),
            (
                "machine.fused_instructions: 1 there, 2 now",
                "--instructions",
            ),
            ("version: 1 there, 2 now", "this program's version"),
            ("machine.libtorch: 1 there, 2 now", "this program's version"),
        ] {
            let named = with_flags(&[difference.to_owned()]);
            assert_eq!(named, [format!("{difference} ({flag})")]);
        }
    }

    #[test]
    fn a_number_with_many_digits_is_no_difference_to_its_own_copy() {
        let ours = json!({"lr": 0.1 + 0.2, "decay": 1.234_567_890_123_456_7e-5});
        let theirs: Value = serde_json::from_str(&ours.to_string()).unwrap();
        assert!(differences("", &theirs, &ours).is_empty());
    }
}
