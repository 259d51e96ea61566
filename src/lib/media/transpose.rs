//! Columns made of rows.

// It becomes part of the loop that calls it.
#![allow(clippy::inline_always)]

use std::array;
#[cfg(target_arch = "x86_64")]
use std::mem;

/// Side of the squares in which a plane is transposed.
const SQUARE: usize = 8;

/// Makes columns of rows.
pub(super) fn transpose(from: &[u16], width: usize, height: usize, to: &mut [u16]) {
    for top in (0..height).step_by(SQUARE) {
        for left in (0..width).step_by(SQUARE) {
            if top + SQUARE <= height && left + SQUARE <= width {
                let row = |i: usize| &from[(top + i) * width + left..][..SQUARE];
                let turned = turn(array::from_fn(|y| array::from_fn(|x| row(y)[x])));
                for (i, column) in turned.iter().enumerate() {
                    to[(left + i) * height + top..][..SQUARE].copy_from_slice(column);
                }
                continue;
            }
            for column in left..width.min(left + SQUARE) {
                for row in top..height.min(top + SQUARE) {
                    to[column * height + row] = from[row * width + column];
                }
            }
        }
    }
}

/// Transposes a square. Interleaving its upper half with its lower one, row by row, turns each
/// sample's position by one of its six bits; three times exchange row and column.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn turn(square: [[u16; SQUARE]; SQUARE]) -> [[u16; SQUARE]; SQUARE] {
    use std::arch::x86_64::{__m128i, _mm_unpackhi_epi16, _mm_unpacklo_epi16};
    let interleave = |rows: [__m128i; SQUARE]| {
        array::from_fn(|i| {
            let (upper, lower) = (rows[i / 2], rows[i / 2 + SQUARE / 2]);
            // SAFETY: every x86-64 processor has SSE2.
            unsafe {
                if i % 2 == 0 {
                    _mm_unpacklo_epi16(upper, lower)
                } else {
                    _mm_unpackhi_epi16(upper, lower)
                }
            }
        })
    };
    // SAFETY: a row is as large as a register, and in both any bits are a value.
    unsafe {
        let rows: [__m128i; SQUARE] = mem::transmute(square);
        mem::transmute(interleave(interleave(interleave(rows))))
    }
}

/// Transposes a square.
#[cfg(not(target_arch = "x86_64"))]
fn turn(square: [[u16; SQUARE]; SQUARE]) -> [[u16; SQUARE]; SQUARE] {
    array::from_fn(|column| array::from_fn(|row| square[row][column]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_made_of_rows_at_any_size() {
        for (width, height) in [(1, 1), (8, 8), (7, 30), (33, 16), (40, 25)] {
            let from: Vec<u16> = (0..1320).map(|i| i * 7).take(width * height).collect();
            let mut to = vec![0; from.len()];
            transpose(&from, width, height, &mut to);
            for (x, y) in (0..width).flat_map(|x| (0..height).map(move |y| (x, y))) {
                assert_eq!(to[x * height + y], from[y * width + x], "{width}x{height}");
            }
        }
    }
}
