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

/// The most dicts that are looked into for a state dict, and how deep.
const MAX_DICTS: usize = 1000;
const MAX_DEPTH: usize = 4;

/// The tensors of an archive's state dict: of that at `key`, or of the one that there is.
pub(in super::super) fn read(bytes: &[u8], key: Option<&str>) -> Result<StateDict, String> {
    let entries = entries(bytes)?;
    if entries.keys().any(|name| name.ends_with("constants.pkl")) {
        return Err(
            "it is a TorchScript archive, which is code; save the state_dict of the model it was made from"
                .into(),
        );
    }
    let mut pickles = entries
        .keys()
        .filter_map(|name| name.strip_suffix("data.pkl"));
    let root = pickles
        .next()
        .ok_or("it is a ZIP file, but none of torch.save: it holds no data.pkl")?;
    if entries
        .get(format!("{root}byteorder").as_str())
        .is_some_and(|order| *order != b"little")
    {
        return Err("its numbers are big-endian".into());
    }
    let (value, held) = pickle::read(entries[format!("{root}data.pkl").as_str()])?;
    let dict = state_dict(value, &held, key)?;
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

/// The dict of tensors within what was saved: that at `key`; or the whole, or that under one of the
/// usual keys, or the only one there is.
fn state_dict<'a, 'h>(
    value: Value<'a>,
    held: &'h Pickle<'a>,
    key: Option<&str>,
) -> Result<&'h [Value<'a>], String> {
    let whole = dict(value, held).ok_or(
        "it holds no state dict but something else (a whole model is code; save its state_dict)",
    )?;
    let found = dicts_of_tensors(value, held);
    let keys = || {
        let keys: Vec<&str> = found.iter().map(|(key, _)| key.as_str()).collect();
        keys.join(", ")
    };
    let at = |key: &str| found.iter().find(|(k, _)| k == key).map(|(_, dict)| *dict);
    if let Some(key) = key {
        return at(key).ok_or_else(|| {
            format!(
                "at the key {key} there is no dict of tensors; there are some at: {}",
                keys()
            )
        });
    }
    if let Some(usual) = STATE_DICT_KEYS.iter().find_map(|key| at(key)) {
        return Ok(usual);
    }
    match &found[..] {
        [(_, only)] => Ok(only),
        [] if whole.is_empty() => Err("it holds an empty dict and no tensor".into()),
        // The first entry that is no tensor is then named.
        [] if whole
            .chunks_exact(2)
            .any(|pair| held.tensor(pair[1]).is_some()) =>
        {
            Ok(whole)
        }
        [] => Err("it holds no dict of tensors".into()),
        _ => Err(format!(
            "it holds several dicts of tensors; choose one with --key: {}",
            keys()
        )),
    }
}

fn dict<'a, 'h>(value: Value<'a>, held: &'h Pickle<'a>) -> Option<&'h [Value<'a>]> {
    match value {
        Value::Dict(_) => held.group(value),
        _ => None,
    }
}

/// The dicts whose values all are tensors, some at least, with the keys on the way to them.
fn dicts_of_tensors<'a, 'h>(
    value: Value<'a>,
    held: &'h Pickle<'a>,
) -> Vec<(String, &'h [Value<'a>])> {
    let mut found = Vec::new();
    let mut left = vec![(String::new(), value, 0)];
    let mut looked_into = 0;
    while let Some((path, value, depth)) = left.pop() {
        let Some(pairs) = dict(value, held) else {
            continue;
        };
        looked_into += 1;
        if looked_into > MAX_DICTS {
            break;
        }
        let mut values = pairs.chunks_exact(2).map(|pair| pair[1]);
        if !pairs.is_empty() && values.all(|value| held.tensor(value).is_some()) {
            found.push((path, pairs));
        } else if depth < MAX_DEPTH {
            // From the last to the first, so that the first is looked into first.
            left.extend(
                pairs
                    .chunks_exact(2)
                    .rev()
                    .filter_map(|pair| match pair[0] {
                        Value::Text(key) if path.is_empty() => {
                            Some((key.to_owned(), pair[1], depth + 1))
                        }
                        Value::Text(key) => Some((format!("{path}.{key}"), pair[1], depth + 1)),
                        _ => None,
                    }),
            );
        }
    }
    found
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
            read(&archive.finish().unwrap(), None)
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
        assert_eq!(read(good, None).unwrap().len(), 9);
        for length in (0..good.len()).step_by(7) {
            assert!(read(&good[..length], None).is_err(), "{length}");
        }
        // Every byte turned over: an error or other tensors, never a panic.
        for i in 0..good.len() {
            let mut bytes = good.to_vec();
            bytes[i] ^= 0xff;
            let _ = read(&bytes, None);
        }
    }
}
