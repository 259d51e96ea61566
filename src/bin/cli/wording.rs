//! What a value should have been, in words that help; the standard library's are about digits.

use std::error::Error as _;
use std::num::{IntErrorKind, ParseFloatError, ParseIntError};

use clap::Error;
use clap::error::{ContextKind, ErrorKind};

/// A value that no number could be read from, said in sensible words; any other error as it is.
pub(super) fn of_value(error: Error) -> Error {
    let Some(expected) = expected(&error) else {
        return error;
    };
    let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let (value, arg) = (
        context(ContextKind::InvalidValue),
        context(ContextKind::InvalidArg),
    );
    Error::raw(
        ErrorKind::ValueValidation,
        format!(
            "invalid value '{value}' for '{arg}': {expected}\n\nFor more information, try '--help'.\n"
        ),
    )
}

/// What was expected where an error is about a number.
fn expected(error: &Error) -> Option<&'static str> {
    let source = error.source()?;
    if let Some(error) = source.downcast_ref::<ParseIntError>() {
        return Some(match error.kind() {
            IntErrorKind::PosOverflow => "the number is too large",
            IntErrorKind::NegOverflow => "the number is too small",
            _ => "expected a whole number",
        });
    }
    source
        .downcast_ref::<ParseFloatError>()
        .map(|_| "expected a number")
}
