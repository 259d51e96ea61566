//! The classes that a filter names: separated by commas, which some classes have in their names.

use std::collections::BTreeSet;

/// The known classes that the texts name, each text one class or several with commas between them.
/// Of several readings the one with the longest names is taken.
///
/// # Errors
/// The first name that is no class.
pub(super) fn named(given: &[String], known: &BTreeSet<&str>) -> Result<BTreeSet<String>, String> {
    let mut classes = BTreeSet::new();
    for text in given {
        let mut rest = Some(text.as_str());
        while let Some(text) = rest {
            let ends = text.match_indices(',').map(|(at, _)| at);
            let mut ends: Vec<usize> = ends.chain([text.len()]).collect();
            let first = ends[0];
            ends.retain(|end| known.contains(text[..*end].trim()));
            let Some(end) = ends.pop() else {
                return Err(text[..first].trim().to_owned());
            };
            classes.insert(text[..end].trim().to_owned());
            rest = text.get(end + 1..);
        }
    }
    Ok(classes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_separate_classes_unless_they_belong_to_one() {
        let known = BTreeSet::from(["yawning", "cutting, peeling", "cutting"]);
        let of = |given: &str| {
            let named = named(&[given.to_owned()], &known)?;
            Ok::<_, String>(named.into_iter().collect::<Vec<_>>().join("|"))
        };
        assert_eq!(of("yawning, cutting"), Ok("cutting|yawning".into()));
        assert_eq!(
            of("cutting, peeling,yawning"),
            Ok("cutting, peeling|yawning".into())
        );
        assert_eq!(of("yawning,flying,x"), Err("flying".into()));
        assert_eq!(of("yawning,"), Err(String::new()));
        assert_eq!(named(&[], &known), Ok(BTreeSet::new()));
    }
}
