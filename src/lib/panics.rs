//! Panics as errors: of code that reads hostile bytes, and of a process that others wait for.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Does `work`. Where it panics, the panic's message; the caller must not go on with what `work` may have left half done.
///
/// # Errors
/// The message of the panic.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| message(&*payload))
}

/// What the payload of a panic says.
#[must_use]
pub fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_its_message() {
        assert_eq!(caught(|| 3), Ok(3));
        assert_eq!(caught(|| -> i32 { panic!("plain") }), Err("plain".into()));
        let number = 4;
        assert_eq!(
            caught(|| -> i32 { panic!("of {number}") }),
            Err("of 4".into())
        );
    }
}
