//! Named choices: enums whose spellings stand in one list.
//!
//! The list gives the enum, its texts in flags, tables and settings files, the spellings that mean the same, and the words
//! of a refusal.

use std::fmt;

/// How a value of a [`Choice`] is spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spelling {
    /// The value's text in flags, tables and settings files.
    pub name: &'static str,
    /// The seed's text, where that is another.
    pub seed: Option<&'static str>,
    /// Other texts that mean the same.
    pub also: &'static [&'static str],
    /// What the value stands for, as its documentation says.
    pub doc: &'static str,
}

/// A setting, state or kind that is one of a few named values.
pub trait Choice: Copy + Sized + 'static {
    /// What it is called in messages.
    const WHAT: &'static str;
    /// Every value, in the order in which help lists them.
    const VALUES: &'static [Self];

    /// How the value is spelt.
    fn spelling(self) -> Spelling;

    /// The seed's text of the value; ours where the seed has none of its own.
    fn seed_name(self) -> &'static str {
        let spelling = self.spelling();
        spelling.seed.unwrap_or(spelling.name)
    }
}

/// A text that names no value of a choice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: expected one of {}{}", expected.join(", "), did_you_mean(text, expected.iter().copied()))]
pub struct ChoiceError {
    /// What the choice is called.
    pub what: &'static str,
    /// What was given.
    pub text: String,
    /// What could have been given.
    pub expected: Vec<&'static str>,
}

/// Reads a value from any of its spellings.
///
/// # Errors
/// When the text names no value.
pub fn parse<C: Choice>(text: &str) -> Result<C, ChoiceError> {
    let means = |value: &C| {
        let Spelling {
            name, seed, also, ..
        } = value.spelling();
        name == text || seed == Some(text) || also.contains(&text)
    };
    let found = C::VALUES.iter().copied().find(means);
    found.ok_or_else(|| ChoiceError {
        what: C::WHAT,
        text: text.to_owned(),
        expected: C::VALUES.iter().map(|v| v.spelling().name).collect(),
    })
}

/// `; did you mean ewc?` where one of the names is near `text`, and nothing where none is.
pub(crate) fn did_you_mean<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let text = text.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&text, &name.to_lowercase());
    let near = names.into_iter().map(|name| (distance(name), name));
    // A third of the letters may be wrong, and one always.
    let near = near.filter(|(wrong, name)| *wrong <= (name.chars().count() / 3).max(1));
    near.min()
        .map_or_else(String::new, |(_, name)| format!("; did you mean {name}?"))
}

/// Writes a value's text, padded where the format asks for it.
pub(crate) fn show<C: Choice>(value: C, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.pad(value.spelling().name)
}

/// Makes an enum a [`Choice`]: `Value = "name" (seed "its name there") (also "another"),` for each value.
macro_rules! choice {
    (
        $(#[$attribute:meta])*
        $visibility:vis enum $name:ident: $what:literal {
            $(
                $(#[doc = $doc:literal])+
                $(#[default $(($is_default:tt))?])?
                $value:ident = $text:literal $((seed $seed:literal))? $((also $($also:literal)+))?,
            )+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        $visibility enum $name {
            $(
                $(#[doc = $doc])+
                $(#[default $($is_default)?])?
                #[serde(rename = $text)]
                $value,
            )+
        }

        // What one enum does not use of these, another does.
        #[allow(dead_code)]
        impl $name {
            /// Every value.
            $visibility const ALL: [Self; [$($text),+].len()] = [$(Self::$value),+];

            /// The value's text in flags, tables and settings files.
            #[must_use]
            $visibility const fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $text,)+
                }
            }
        }

        impl $crate::choice::Choice for $name {
            const WHAT: &'static str = $what;
            const VALUES: &'static [Self] = &Self::ALL;

            fn spelling(self) -> $crate::choice::Spelling {
                match self {
                    $(Self::$value => $crate::choice::Spelling {
                        name: $text,
                        seed: [$($seed)?].first().copied(),
                        also: &[$($($also),+)?],
                        doc: concat!($($doc),+),
                    },)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::choice::show(*self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::choice::ChoiceError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::choice::parse(text)
            }
        }
    };
}
pub(crate) use choice;

#[cfg(test)]
mod tests {
    use super::*;

    choice! {
        /// A fruit.
        #[derive(Default)]
        enum Fruit: "fruit" {
            /// Grows on trees.
            #[default]
            Apple = "apple" (seed "malus") (also "pomme" "mela"),
            /// Grows on
            /// bushes.
            Berry = "berry",
        }
    }

    #[test]
    fn every_spelling_means_its_value_and_the_name_is_what_is_written() {
        for text in ["apple", "malus", "pomme", "mela"] {
            assert_eq!(text.parse(), Ok(Fruit::Apple), "{text}");
        }
        assert_eq!(Fruit::Apple.to_string(), "apple");
        assert_eq!(format!("{:>7}|", Fruit::Berry), "  berry|");
        assert_eq!(
            serde_json::json!(Fruit::ALL),
            serde_json::json!(["apple", "berry"])
        );
        assert_eq!(Fruit::default().seed_name(), "malus");
        assert_eq!(Fruit::Berry.seed_name(), "berry");
        assert_eq!(Fruit::Berry.spelling().doc, " Grows on bushes.");
    }

    #[test]
    fn a_refusal_lists_what_could_have_been_given() {
        assert_eq!(
            "pear".parse::<Fruit>().unwrap_err().to_string(),
            "\"pear\" is no fruit: expected one of apple, berry"
        );
    }

    #[test]
    fn a_slip_of_the_keys_is_told_what_was_meant() {
        let refused = |text: &str| text.parse::<Fruit>().unwrap_err().to_string();
        for slip in ["aplpe", "Appel", "aple", "APPLE"] {
            assert!(refused(slip).ends_with("; did you mean apple?"), "{slip}");
        }
        assert!(refused("bery").ends_with("; did you mean berry?"));
        assert!(!refused("x").contains("did you mean"));
    }
}
