//! What a file is that holds no weights that are read: told by its first bytes, in words.

/// What `torch.save` began its files with before PyTorch 1.6: a pickle of a number of its own.
const LEGACY_PYTORCH: [u8; 15] = *b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// Bytes of a file that are looked at.
const LOOKED_AT_BYTES: usize = 1024;
/// Where the word `ustar` stands in a tar's first header.
const USTAR_AT: usize = 257;

/// Whether a file begins as safetensors do: the length of the header, below 4 GiB, in eight bytes,
/// then JSON.
fn is_safetensors(begin: &[u8]) -> bool {
    begin.get(4..9) == Some(b"\0\0\0\0{")
}

/// What the file is, with the remedy; `None` where its first bytes do not tell.
pub(super) fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    let begin = &bytes[..bytes.len().min(LOOKED_AT_BYTES)];
    let text = begin.trim_ascii_start();
    let is = |word: &[u8]| {
        let head = text.get(..word.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(word))
    };
    let kind = if begin.is_empty() {
        "the file is empty: fetch it again"
    } else if is(b"version https://git-lfs") {
        "it is a pointer of Git LFS and not the file itself: `git lfs pull` fetches that"
    } else if is(b"<!doctype html") || is(b"<html") {
        "it is a web page (HTML) and not the file itself: its address leads to a page about it"
    } else if is(b"<?xml") || is(b"<error") {
        "it is a message in XML, such as an object store's refusal, and not the file itself"
    } else if begin.starts_with(&LEGACY_PYTORCH)
        || begin.get(USTAR_AT..USTAR_AT + 5) == Some(b"ustar")
    {
        "it was saved by a PyTorch before 1.6, in a format that is not read: load it in PyTorch and save its state dict again"
    } else if begin.starts_with(b"\x80")
        && begin.get(1).is_some_and(|version| *version <= 5)
        && !is_safetensors(begin)
    {
        "it is a pickle outside of an archive of torch.save: load it in Python and save its state dict with torch.save"
    } else if begin.starts_with(&[0x1f, 0x8b]) {
        "it is compressed with gzip: unpack it first"
    } else if begin.starts_with(b"\x89HDF") {
        "it is an HDF5 file, as Keras writes: convert it to a state dict first"
    } else {
        return None;
    };
    Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_reason() {
        for (bytes, word) in [
            (&b""[..], "empty"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid",
                "git lfs pull",
            ),
            (b"\n<!DOCTYPE HTML>", "web page"),
            (b"<Error><Code>AccessDenied", "XML"),
            (&LEGACY_PYTORCH, "before 1.6"),
            (b"\x80\x04\x95", "outside of an archive"),
            (&[0x1f, 0x8b, 8], "gzip"),
        ] {
            let kind = kind_of(bytes).unwrap();
            assert!(kind.contains(word), "{kind}");
        }
        assert_eq!(kind_of(b"no weights at all"), None);
        // Headers of 8, 128 and 640 bytes: the latter two begin as a pickle does.
        for length in [[8, 0], [0x80, 0], [0x80, 2]] {
            let bytes = [&length[..], &[0; 6], b"{"].concat();
            assert_eq!(kind_of(&bytes), None);
        }
    }
}
