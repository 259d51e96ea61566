//! The zip archives that `torch.save` writes since PyTorch 1.6: stored entries, `<root>/data.pkl` beside
//! `<root>/data/<key>` for each storage.

mod pickle;

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use self::pickle::{Pickle, TensorRef, Value};
use super::StateDict;

/// The most entries of an archive: two a tensor.
const MAX_ENTRIES: u64 = 1 << 20;
/// How far from its end the end record of an archive may begin.
const MAX_END_BYTES: usize = 22 + 65_535;
/// How many times its own length a file's tensors may take: some share a storage, as tied weights do, and each gets a copy
/// of its own.
const MAX_COPIES: usize = 4;
/// Keys under which a checkpoint keeps its state dict, first come first taken.
const STATE_DICT_KEYS: [&str; 3] = ["model", "state_dict", "model_state_dict"];
/// Kinds of tensors by the name of their storage class.
const STORAGE_KINDS: [(&str, Kind); 10] = [
    ("FloatStorage", Kind::Float),
    ("DoubleStorage", Kind::Double),
    ("HalfStorage", Kind::Half),
    ("BFloat16Storage", Kind::BFloat16),
    ("LongStorage", Kind::Int64),
    ("IntStorage", Kind::Int),
    ("ShortStorage", Kind::Int16),
    ("CharStorage", Kind::Int8),
    ("ByteStorage", Kind::Uint8),
    ("BoolStorage", Kind::Bool),
];

/// Whether a file begins as a zip archive does.
pub(super) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// The tensors of an archive's state dict.
pub(super) fn read(bytes: &[u8]) -> Result<StateDict, String> {
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

/// The part of a storage that a view reaches.
struct Part<'a> {
    kind: Kind,
    /// From the first element of the view to its last.
    bytes: &'a [u8],
    /// Elements of the view.
    count: usize,
}

/// The part of `storage` that `view` reaches, where it lies within.
fn part_of<'a>(view: &TensorRef<'_>, storage: &'a [u8]) -> Result<Part<'a>, String> {
    let kind = STORAGE_KINDS
        .iter()
        .find(|(class, _)| *class == view.storage.class);
    let &(_, kind) =
        kind.ok_or_else(|| format!("storage class {:?} is not known", view.storage.class))?;
    let width = kind.elt_size_in_bytes();
    let elements = storage.len() / width;
    let misfit = || {
        format!(
            "size {:?} and stride {:?} from {} do not fit {elements} elements",
            view.size, view.stride, view.offset
        )
    };
    let count = view
        .size
        .iter()
        .try_fold(1_i64, |n, &d| n.checked_mul(d).filter(|_| d >= 0))
        .and_then(|count| usize::try_from(count).ok());
    let last = view
        .size
        .iter()
        .zip(&view.stride)
        .try_fold(view.offset, |at, (&d, &stride)| {
            let reach = (d - 1).max(0).checked_mul(stride).filter(|_| stride >= 0)?;
            at.checked_add(reach)
        })
        .and_then(|last| usize::try_from(last).ok());
    let (Some(count), Some(last), Ok(first)) = (count, last, usize::try_from(view.offset)) else {
        return Err(misfit());
    };
    if view.size.len() != view.stride.len() {
        return Err(misfit());
    }
    if count == 0 {
        let bytes = &[];
        return Ok(Part { kind, bytes, count });
    }
    // A view that repeats elements could ask for any amount of memory.
    if last >= elements || count > elements {
        return Err(misfit());
    }
    let bytes = &storage[first * width..(last + 1) * width];
    Ok(Part { kind, bytes, count })
}

impl Part<'_> {
    /// What a copy of the view takes at most, in bytes.
    fn bytes(&self) -> usize {
        let count = self.count.saturating_mul(self.kind.elt_size_in_bytes());
        self.bytes.len().max(count)
    }

    /// A copy of the view, so that one small view does not keep its whole storage.
    fn copy(&self, view: &TensorRef<'_>) -> Result<Tensor, String> {
        let says = |e: tch::TchError| e.to_string();
        if self.count == 0 {
            return Tensor::f_zeros(&view.size, (self.kind, tch::Device::Cpu)).map_err(says);
        }
        let elements = self.bytes.len() / self.kind.elt_size_in_bytes();
        let shape = [i64::try_from(elements).map_err(|e| e.to_string())?];
        let flat = Tensor::f_from_data_size(self.bytes, &shape, self.kind).map_err(says)?;
        let strided = flat
            .f_as_strided(&view.size, &view.stride, 0)
            .map_err(says)?;
        let mut own = strided.f_empty_like().map_err(says)?;
        own.f_copy_(&strided).map_err(says)?;
        own.f_contiguous().map_err(says)
    }
}

/// Little-endian numbers at places of a file, where there are any.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn slice(&self, at: u64, length: u64) -> Result<&'a [u8], String> {
        let range = usize::try_from(at)
            .ok()
            .zip(at.checked_add(length).and_then(|e| usize::try_from(e).ok()));
        let bytes = range.and_then(|(from, to)| self.0.get(from..to));
        bytes.ok_or_else(|| "the archive is cut short".into())
    }

    fn number(&self, at: u64, width: u64) -> Result<u64, String> {
        Ok(self
            .slice(at, width)?
            .iter()
            .rev()
            .fold(0, |n, &byte| n << 8 | u64::from(byte)))
    }
}

/// The end of an archive: entries, and where their list begins.
fn end_record(file: &Fields<'_>) -> Result<(u64, u64), String> {
    let bytes = file.0;
    let from = bytes.len().saturating_sub(MAX_END_BYTES);
    let found = bytes[from..].windows(4).rposition(|w| w == b"PK\x05\x06");
    let end = (from + found.ok_or("the archive has no end: it was not written whole")?) as u64;
    let (entries, list) = (file.number(end + 10, 2)?, file.number(end + 16, 4)?);
    if entries != 0xffff && list != 0xffff_ffff {
        return Ok((entries, list));
    }
    // The 64-bit record, whose place is told just before.
    let locator = end
        .checked_sub(20)
        .ok_or("the archive's 64-bit end is missing")?;
    if file.slice(locator, 4)? != b"PK\x06\x07" {
        return Ok((entries, list));
    }
    let wide = file.number(locator + 8, 8)?;
    if file.slice(wide, 4)? != b"PK\x06\x06" {
        return Err("the archive's 64-bit end is missing".into());
    }
    Ok((
        file.number(wide.saturating_add(32), 8)?,
        file.number(wide.saturating_add(48), 8)?,
    ))
}

/// The stored bytes of every entry, by name.
fn entries(bytes: &[u8]) -> Result<BTreeMap<&str, &[u8]>, String> {
    let file = Fields(bytes);
    let (count, mut at) = end_record(&file)?;
    if count > MAX_ENTRIES {
        return Err(format!("the archive states {count} entries"));
    }
    let mut entries = BTreeMap::new();
    for _ in 0..count {
        if file.slice(at, 4)? != b"PK\x01\x02" {
            return Err("the archive's list of entries is broken".into());
        }
        let method = file.number(at + 10, 2)?;
        let mut sizes = [
            file.number(at + 20, 4)?,
            file.number(at + 24, 4)?,
            file.number(at + 42, 4)?,
        ];
        let [name_length, extra_length, comment_length] = [
            file.number(at + 28, 2)?,
            file.number(at + 30, 2)?,
            file.number(at + 32, 2)?,
        ];
        let name =
            std::str::from_utf8(file.slice(at + 46, name_length)?).map_err(|e| e.to_string())?;
        wide_sizes(
            &Fields(file.slice(at + 46 + name_length, extra_length)?),
            &mut sizes,
        )?;
        let [packed, plain, header] = sizes;
        if method != 0 || packed != plain {
            return Err(format!(
                "entry {name:?} is compressed, which torch.save never does"
            ));
        }
        if file.slice(header, 4)? != b"PK\x03\x04" {
            return Err(format!("entry {name:?} is not where the list says"));
        }
        let before = 30 + file.number(header + 26, 2)? + file.number(header + 28, 2)?;
        entries.insert(name, file.slice(header + before, plain)?);
        at += 46 + name_length + extra_length + comment_length;
    }
    Ok(entries)
}

/// Replaces the sizes and the place that did not fit 32 bits by those of the extra field 1: plain, packed, place.
fn wide_sizes(extra: &Fields<'_>, sizes: &mut [u64; 3]) -> Result<(), String> {
    let mut at = 0;
    while at + 4 <= extra.0.len() as u64 {
        let (id, length) = (extra.number(at, 2)?, extra.number(at + 2, 2)?);
        let mut from = at + 4;
        for slot in [1, 0, 2] {
            if id == 1 && sizes[slot] == 0xffff_ffff {
                sizes[slot] = extra.number(from, 8)?;
                from += 8;
            }
        }
        at += 4 + length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_must_lie_within_its_storage() {
        let view = |offset, size: &[i64], stride: &[i64]| TensorRef {
            storage: pickle::StorageRef {
                class: "FloatStorage",
                key: "0",
            },
            offset,
            size: size.to_vec(),
            stride: stride.to_vec(),
        };
        let storage = [0_u8; 24];
        let tensor = |view: &TensorRef<'_>, storage| part_of(view, storage)?.copy(view);
        assert_eq!(
            tensor(&view(0, &[3, 2], &[1, 3]), &storage).unwrap().size(),
            [3, 2]
        );
        assert_eq!(tensor(&view(5, &[], &[]), &storage).unwrap().numel(), 1);
        assert_eq!(
            tensor(&view(9, &[0, 4], &[4, 1]), &storage)
                .unwrap()
                .numel(),
            0
        );
        for hostile in [
            view(6, &[], &[]),
            view(-1, &[2], &[1]),
            view(0, &[7], &[1]),
            view(0, &[2], &[-1]),
            view(0, &[2, 3], &[1]),
            view(0, &[-1], &[1]),
            view(0, &[1 << 40], &[0]),
            view(0, &[i64::MAX, i64::MAX], &[i64::MAX, 1]),
        ] {
            assert!(tensor(&hostile, &storage).is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn a_view_takes_no_more_of_its_storage_than_it_reaches() {
        let numbers: Vec<u8> = (0..100_i32)
            .flat_map(|i| (i as f32).to_le_bytes())
            .collect();
        let view = TensorRef {
            storage: pickle::StorageRef {
                class: "FloatStorage",
                key: "0",
            },
            offset: 40,
            size: vec![2, 2],
            stride: vec![1, 3],
        };
        let part = part_of(&view, &numbers).unwrap();
        assert_eq!((part.bytes.len(), part.bytes()), (20, 20));
        let tensor = part.copy(&view).unwrap().reshape([-1]);
        assert_eq!(
            Vec::<f32>::try_from(tensor).unwrap(),
            [40.0, 43.0, 41.0, 44.0]
        );
    }

    /// An archive of the stored entries `data.pkl` and `data/0`, as small as readers take it.
    fn archive(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
        let (mut file, mut list) = (Vec::new(), Vec::new());
        let number = |n: usize, width: usize| n.to_le_bytes()[..width].to_vec();
        for (name, body) in [("r/data.pkl", pickle), ("r/data/0", storage)] {
            let place = number(file.len(), 4);
            let sizes = [number(body.len(), 4), number(body.len(), 4)].concat();
            let name_length = number(name.len(), 2);
            file.extend(
                [
                    b"PK\x03\x04".as_slice(),
                    &[0; 14],
                    &sizes,
                    &name_length,
                    &[0; 2],
                ]
                .concat(),
            );
            file.extend([name.as_bytes(), body].concat());
            list.extend(
                [
                    b"PK\x01\x02".as_slice(),
                    &[0; 16],
                    &sizes,
                    &name_length,
                    &[0; 12],
                    &place,
                ]
                .concat(),
            );
            list.extend(name.as_bytes());
        }
        let place = number(file.len(), 4);
        file.extend(list);
        file.extend(
            [
                b"PK\x05\x06".as_slice(),
                &[0; 6],
                &number(2, 2),
                &[0; 4],
                &place,
                &[0; 2],
            ]
            .concat(),
        );
        file
    }

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
            read(&archive(&pickle, &vec![0; 100_000]))
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
