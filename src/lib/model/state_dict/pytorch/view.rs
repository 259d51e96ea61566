//! The part of a storage that a tensor reaches.

use tch::{Kind, Tensor};

use super::pickle::TensorRef;
use crate::model::state_dict::tensors::STORED_KINDS;

/// The part of a storage that a view reaches.
pub(super) struct Part<'a> {
    kind: Kind,
    /// From the first element of the view to its last.
    bytes: &'a [u8],
    /// Elements of the view.
    count: usize,
}

/// The part of `storage` that `view` reaches, where it lies within.
pub(super) fn part_of<'a>(view: &TensorRef<'_>, storage: &'a [u8]) -> Result<Part<'a>, String> {
    let class = view.storage.class;
    let stored = STORED_KINDS.iter().find(|stored| stored.storage == class);
    let kind = stored
        .ok_or_else(|| format!("storage class {class:?} is not known"))?
        .kind;
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
    pub(super) fn bytes(&self) -> usize {
        let count = self.count.saturating_mul(self.kind.elt_size_in_bytes());
        self.bytes.len().max(count)
    }

    /// A copy of the view, so that one small view does not keep its whole storage.
    pub(super) fn copy(&self, view: &TensorRef<'_>) -> Result<Tensor, String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::state_dict::pytorch::pickle::StorageRef;

    #[test]
    fn a_view_must_lie_within_its_storage() {
        let view = |offset, size: &[i64], stride: &[i64]| TensorRef {
            storage: StorageRef {
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
            storage: StorageRef {
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
}
