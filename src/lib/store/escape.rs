//! Names as URLs hold them. Pure.

/// A path as a URL holds it: what a URL cannot hold is escaped; what is escaped already stays, and so
/// does a query.
pub(super) fn escaped(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut url = String::with_capacity(path.len());
    for (at, byte) in bytes.iter().enumerate() {
        let bare = match byte {
            b'%' => escape_at(bytes, at).is_some(),
            b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' => false,
            byte => byte.is_ascii_graphic(),
        };
        if bare {
            url.push(char::from(*byte));
        } else {
            url += &format!("%{byte:02X}");
        }
    }
    url
}

/// A file's name as a path of a URL: what would otherwise be read as a query or an escape, escaped.
#[must_use]
pub(crate) fn escaped_name(name: &str) -> String {
    name.replace('%', "%25").replace('?', "%3F")
}

/// The name that an escaped path stands for; `None` where nothing in it is escaped.
#[must_use]
pub(crate) fn unescaped(path: &str) -> Option<String> {
    let bytes = path.as_bytes();
    let mut name = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let (byte, length) = escape_at(bytes, at).map_or((bytes[at], 1), |byte| (byte, 3));
        name.push(byte);
        at += length;
    }
    let name = String::from_utf8(name).ok()?;
    (name != path).then_some(name)
}

/// The byte that `%` and two hexadecimal digits at this place stand for.
fn escape_at(bytes: &[u8], at: usize) -> Option<u8> {
    let [b'%', high, low] = bytes.get(at..at + 3)? else {
        return None;
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_name_is_what_it_was_and_another_has_nothing_escaped() {
        assert_eq!(
            unescaped(&escaped_name("50% of what?")).unwrap(),
            "50% of what?"
        );
        assert_eq!(unescaped("plain 100%.tar"), None);
    }
}
