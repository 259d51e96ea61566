//! Over what the ranks exchange the tensors that lie on their GPUs: over NCCL where every rank has a GPU of its own and the
//! library for it, else over Gloo, through host memory.

use super::nccl::Uuid;

/// What a rank says of its device, as a row of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It computes on the processor.
    Processor,
    /// On a GPU, and cannot use NCCL.
    WithoutNccl,
    /// On this GPU, and can.
    Ready(Uuid),
}

impl Side {
    /// Bytes of a row.
    const SIZE: usize = 1 + size_of::<Uuid>();

    /// The row: what it is, and the GPU.
    pub(super) fn row(self) -> [u8; Self::SIZE] {
        let mut row = [0; Self::SIZE];
        match self {
            Self::Processor => {}
            Self::WithoutNccl => row[0] = 1,
            Self::Ready(uuid) => {
                row[0] = 2;
                row[1..].copy_from_slice(&uuid);
            }
        }
        row
    }

    /// What [`Side::row`] says; a row of another program says nothing of NCCL.
    pub(super) fn of_row(row: &[u8]) -> Self {
        match row.split_first() {
            Some((0, _)) => Self::Processor,
            Some((2, uuid)) => uuid.try_into().map_or(Self::WithoutNccl, Self::Ready),
            _ => Self::WithoutNccl,
        }
    }
}

/// What follows from what all ranks have said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    /// There is no GPU.
    Host,
    /// The GPUs exchange their tensors themselves.
    Nccl,
    /// Gloo serves the GPUs, too, for rank `of` cannot use NCCL.
    Lacking {
        /// That rank.
        of: usize,
    },
    /// Gloo serves the GPUs, too, for two ranks have the same, which NCCL does not take.
    Shared([usize; 2]),
}

impl Exchange {
    /// What all ranks do, from what each has said, in the order of the ranks.
    pub(super) fn of(sides: &[Side]) -> Self {
        // Ranks on different devices are about to be refused.
        if sides.contains(&Side::Processor) {
            return Self::Host;
        }
        if let Some(of) = sides.iter().position(|side| *side == Side::WithoutNccl) {
            return Self::Lacking { of };
        }
        for (second, side) in sides.iter().enumerate() {
            if let Some(first) = sides[..second].iter().position(|other| other == side) {
                return Self::Shared([first, second]);
            }
        }
        Self::Nccl
    }
}

#[cfg(test)]
mod tests {
    use super::{Exchange, Side};

    const A: Side = Side::Ready([7; 16]);
    const B: Side = Side::Ready([8; 16]);

    #[test]
    fn a_row_says_what_it_was_made_of() {
        for side in [Side::Processor, Side::WithoutNccl, A] {
            assert_eq!(Side::of_row(&side.row()), side);
        }
        assert_eq!(Side::of_row(&[2, 1]), Side::WithoutNccl);
        assert_eq!(Side::of_row(&[]), Side::WithoutNccl);
    }

    #[test]
    fn nccl_serves_where_every_rank_has_it_and_a_gpu_of_its_own() {
        assert_eq!(Exchange::of(&[A, B]), Exchange::Nccl);
        assert_eq!(Exchange::of(&[A, B, A]), Exchange::Shared([0, 2]));
        let lacking = Exchange::Lacking { of: 1 };
        assert_eq!(Exchange::of(&[A, Side::WithoutNccl, A]), lacking);
        assert_eq!(Exchange::of(&[Side::Processor; 2]), Exchange::Host);
        assert_eq!(Exchange::of(&[A, Side::Processor]), Exchange::Host);
    }
}
