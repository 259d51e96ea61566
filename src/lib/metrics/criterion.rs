//! How logits become probabilities.

/// How logits were turned into probabilities, which decides the figures that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Criterion {
    /// A sigmoid per class: rows need not sum to 1, and a class is predicted at 0.5.
    Multilabel,
    /// A softmax over the classes.
    Multiclass,
}

impl Criterion {
    /// The criterion's name on command lines and in settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Multilabel => "multilabel",
            Self::Multiclass => "multiclass",
        }
    }
}

impl std::fmt::Display for Criterion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Criterion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Multilabel, Self::Multiclass]
            .into_iter()
            .find(|c| c.name() == text)
            .ok_or_else(|| format!("{text:?} is neither multilabel nor multiclass"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_are_read_by_their_names() {
        assert_eq!("multilabel".parse(), Ok(Criterion::Multilabel));
        assert_eq!("multiclass".parse(), Ok(Criterion::Multiclass));
        assert!("both".parse::<Criterion>().is_err());
    }
}
