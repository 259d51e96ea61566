//! Settings with a fixed set of values: one macro gives the enum, its texts, its aliases and its place in settings files.

use std::fmt;

/// A setting that is one of a few named values.
pub trait Choice: Copy + PartialEq + Sized + 'static {
    /// What the setting is called in messages.
    const WHAT: &'static str;
    /// Every value with its text, in the order in which help lists them.
    const ALL: &'static [(&'static str, Self)];
    /// Other texts that mean the same, as the seed spells them.
    const ALIASES: &'static [(&'static str, Self)];

    /// The value's text.
    #[must_use]
    fn name(self) -> &'static str {
        // Every value stands in `ALL`: the macro below writes both from one list.
        Self::ALL
            .iter()
            .find(|(_, value)| *value == self)
            .map_or("", |(name, _)| name)
    }
}

/// A text that names no value of a setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}: expected one of {}", expected.join(", "))]
pub struct ChoiceError {
    /// What the setting is called.
    pub what: &'static str,
    /// What was given.
    pub text: String,
    /// What could have been given.
    pub expected: Vec<&'static str>,
}

/// Reads a value from its text or one of its aliases.
///
/// # Errors
/// When the text names no value.
pub fn parse<C: Choice>(text: &str) -> Result<C, ChoiceError> {
    C::ALL
        .iter()
        .chain(C::ALIASES)
        .find(|(name, _)| *name == text)
        .map(|(_, value)| *value)
        .ok_or_else(|| ChoiceError {
            what: C::WHAT,
            text: text.to_owned(),
            expected: C::ALL.iter().map(|(name, _)| *name).collect(),
        })
}

/// Writes a value's text.
pub(super) fn show<C: Choice>(value: C, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(value.name())
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$value_doc:meta])* $value:ident = $text:literal $(, $alias:literal)*;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$value_doc])* #[serde(rename = $text)] $value,)+
        }

        impl $crate::train::choice::Choice for $name {
            const WHAT: &'static str = $what;
            const ALL: &'static [(&'static str, Self)] = &[$(($text, Self::$value)),+];
            const ALIASES: &'static [(&'static str, Self)] = &[$($(($alias, Self::$value),)*)+];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                $crate::train::choice::show(*self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::train::choice::ChoiceError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::train::choice::parse(text)
            }
        }
    };
}
pub(crate) use choice;

#[cfg(test)]
mod tests {
    use crate::train::settings::ApproachName;

    #[test]
    fn texts_aliases_and_refusals() {
        assert_eq!("ewc".parse::<ApproachName>().unwrap(), ApproachName::Ewc);
        assert_eq!(
            "incdec".parse::<ApproachName>().unwrap(),
            ApproachName::Finetune
        );
        assert_eq!(ApproachName::Fd.to_string(), "fd");
        let e = "icarl".parse::<ApproachName>().unwrap_err();
        assert_eq!(
            e.to_string(),
            "\"icarl\" is no approach: expected one of finetune, lwf, fd, ewc"
        );
    }
}
