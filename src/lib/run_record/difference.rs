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
    fn a_number_with_many_digits_is_no_difference_to_its_own_copy() {
        let ours = json!({"lr": 0.1 + 0.2, "decay": 1.234_567_890_123_456_7e-5});
        let theirs: Value = serde_json::from_str(&ours.to_string()).unwrap();
        assert!(differences("", &theirs, &ours).is_empty());
    }
}
