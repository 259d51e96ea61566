//! The library's named choices as values of flags.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use incdec::choice::{self, Choice};

/// A parser that lists a choice's values in the help and takes its other spellings too.
pub(crate) fn one_of<C: Choice + Send + Sync>() -> impl TypedValueParser<Value = C> {
    let values = C::VALUES.iter().map(|value| {
        let spelling = value.spelling();
        PossibleValue::new(spelling.name)
            .help(spelling.doc.trim().trim_end_matches('.'))
            .aliases(spelling.seed.iter().chain(spelling.also).copied())
    });
    PossibleValuesParser::new(values).try_map(|text| choice::parse::<C>(&text))
}
