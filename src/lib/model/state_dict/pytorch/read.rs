//! The tensors of an archive of `torch.save`.

use super::archive::entries;
use super::pickle::{self, Pickle, Value};
use super::view::part_of;
use crate::model::state_dict::tensors::StateDict;

/// How many times its own length a file's tensors may take: some share a storage, as tied weights
/// do, and each gets a copy of its own.
const MAX_COPIES: usize = 4;
/// Keys under which a checkpoint keeps its state dict, first come first taken.
const STATE_DICT_KEYS: [&str; 3] = ["model", "state_dict", "model_state_dict"];

/// The tensors of an archive's state dict.
pub(in super::super) fn read(bytes: &[u8]) -> Result<StateDict, String> {
    let entries = entries(bytes)?;
    let mut pickles = entries
        .keys()
        .filter_map(|name| name.strip_suffix("data.pkl"));
    let root = pickles.next().ok_or("the archive holds no data.pkl")?;
    if entries
        .get(format!("{root}byteorder").as_str())
        .is_some_and(|order| *order != b"little")
    {
        return Err("its numbers are big-endian".into());
    }
    let (value, held) = pickle::read(entries[format!("{root}data.pkl").as_str()])?;
    let dict = state_dict(value, &held)?;
    let mut tensors = StateDict::new();
    let mut left = bytes.len().saturating_mul(MAX_COPIES);
    for pair in dict.chunks_exact(2) {
        let Value::Text(name) = pair[0] else {
            return Err("a key of the state dict is no text".into());
        };
        let view = held
            .tensor(pair[1])
            .ok_or_else(|| format!("{name} is no tensor"))?;
        let storage = entries.get(format!("{root}data/{}", view.storage.key).as_str());
        let storage =
            storage.ok_or_else(|| format!("{name}: storage {:?} is missing", view.storage.key))?;
        let part = part_of(view, storage).map_err(|e| format!("{name}: {e}"))?;
        left = left.checked_sub(part.bytes()).ok_or_else(|| {
            format!("its tensors take more than {MAX_COPIES} times the file's length")
        })?;
        let tensor = part.copy(view).map_err(|e| format!("{name}: {e}"))?;
        tensors.insert(name.to_owned(), tensor);
    }
    Ok(tensors)
}

/// The dict of tensors within what was saved: under one of the usual keys, or the whole.
fn state_dict<'a, 'h>(value: Value<'a>, held: &'h Pickle<'a>) -> Result<&'h [Value<'a>], String> {
    let dict = |value| match value {
        Value::Dict(_) => held.group(value),
        _ => None,
    };
    let whole = dict(value).ok_or(
        "it holds no state dict but something else (a whole model is code; save its state_dict)",
    )?;
    for key in STATE_DICT_KEYS {
        let found = whole
            .chunks_exact(2)
            .find(|pair| pair[0] == Value::Text(key))
            .and_then(|pair| dict(pair[1]));
        if let Some(inner) = found {
            return Ok(inner);
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::super::archive::{Archive, is_archive};
    use super::*;

    #[test]
    fn tensors_that_share_a_storage_are_copied_up_to_a_limit() {
        let text = |text: &str| {
            [
                b"X".as_slice(),
                &[u8::try_from(text.len()).unwrap(), 0, 0, 0],
                text.as_bytes(),
            ]
            .concat()
        };
        let of = |names: u8| {
            let mut pickle = b"\x80\x02}".to_vec();
            for name in 0..names {
                pickle.extend(text(&format!("{name}")));
                pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
                pickle.extend(text("storage"));
                pickle.extend(b"ctorch\nFloatStorage\n");
                pickle.extend([text("0"), text("cpu")].concat());
                // Persistent id, offset 0, size (25000,), stride (1,).
                pickle.extend(b"M\xa8\x61tQK\x00M\xa8\x61\x85K\x01\x85tRs");
            }
            pickle.push(b'.');
            let storage = vec![0; 100_000];
            let mut archive = Archive::new();
            for (name, content) in [("r/data.pkl", &pickle), ("r/data/0", &storage)] {
                let out = archive.entry(name.to_owned()).unwrap();
                out.write_all(content).unwrap();
            }
            read(&archive.finish().unwrap())
        };
        assert_eq!(of(4).unwrap().len(), 4);
        let said = of(12).unwrap_err();
        assert!(
            said.contains("more than 4 times the file's length"),
            "{said}"
        );
    }

    #[test]
    fn broken_archives_are_errors_and_nothing_else() {
        let good = include_bytes!("../../../../../tests/fixtures/checkpoints/mixed.pth");
        assert!(is_archive(good));
        assert_eq!(read(good).unwrap().len(), 9);
        for length in (0..good.len()).step_by(7) {
            assert!(read(&good[..length]).is_err(), "{length}");
        }
        // Every byte turned over: an error or other tensors, never a panic.
        for i in 0..good.len() {
            let mut bytes = good.to_vec();
            bytes[i] ^= 0xff;
            let _ = read(&bytes);
        }
    }
}
