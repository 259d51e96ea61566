//! How a picture is turned and mirrored for display.

/// How a picture is turned for display: an optional transposition, then flips of the coded picture's columns and rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orientation {
    /// Rows become columns.
    pub transpose: bool,
    /// The coded picture's columns are read from right to left.
    pub flip_columns: bool,
    /// The coded picture's rows are read from bottom to top.
    pub flip_rows: bool,
    /// The rotation in degrees clockwise: 0, 90, 180 or 270.
    pub degrees: i32,
}

impl Orientation {
    /// The orientation of a display matrix as libav keeps it: nine 32-bit integers in the machine's byte order. Angles that
    /// are no multiple of 90 degrees, and garbage, leave the picture as it is.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut matrix = [0; 9];
        if bytes.len() < 36 {
            return None;
        }
        for (value, bytes) in matrix.iter_mut().zip(bytes.chunks_exact(4)) {
            *value = i32::from_ne_bytes(bytes.try_into().ok()?);
        }
        Some(Self::from_matrix(&matrix))
    }

    /// The orientation of a display matrix, by the rules of the `ffmpeg` command line.
    #[must_use]
    pub fn from_matrix(matrix: &[i32; 9]) -> Self {
        let entry = |i: usize| f64::from(matrix[i]);
        let (a, b) = (entry(0).hypot(entry(3)), entry(1).hypot(entry(4)));
        if a == 0.0 || b == 0.0 {
            return Self::default();
        }
        let turned = (entry(1) / b).atan2(entry(0) / a).to_degrees().round();
        let theta = turned - 360.0 * (turned / 360.0 + 0.9 / 360.0).floor();
        let near = |degrees: f64| (theta - degrees).abs() < 1.0;
        let none = Self::default();
        if near(90.0) {
            Self {
                transpose: true,
                flip_rows: matrix[3] <= 0,
                degrees: 90,
                ..none
            }
        } else if near(180.0) {
            Self {
                flip_columns: matrix[0] < 0,
                flip_rows: matrix[4] < 0,
                degrees: 180,
                ..none
            }
        } else if near(270.0) {
            Self {
                transpose: true,
                flip_columns: true,
                flip_rows: matrix[3] < 0,
                degrees: 270,
            }
        } else if near(0.0) {
            Self {
                flip_rows: matrix[4] < 0,
                ..none
            }
        } else {
            none
        }
    }

    /// Where the pixels of a coded picture of `width` x `height` go in the displayed one.
    #[must_use]
    pub(super) fn placement(self, width: usize, height: usize) -> Placement {
        // From a coded pixel to the next in its row, and to the one below it.
        let (right, down) = if self.transpose {
            (height, 1)
        } else {
            (1, width)
        };
        let directed = |step: usize, count: usize, flipped: bool| {
            let step = step.cast_signed();
            if flipped {
                (step * (count - 1).cast_signed(), -step)
            } else {
                (0, step)
            }
        };
        let (from_column, right) = directed(right, width, self.flip_columns);
        let (from_row, down) = directed(down, height, self.flip_rows);
        Placement {
            first: from_column + from_row,
            right,
            down,
        }
    }
}

/// Positions in a displayed picture, counted in pixels row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    first: isize,
    right: isize,
    down: isize,
}

impl Placement {
    /// Where the coded pixel at `column` and `row` is shown. Inside the displayed picture for every pixel of the coded one.
    pub(super) fn of(self, column: usize, row: usize) -> usize {
        (self.first + column.cast_signed() * self.right + row.cast_signed() * self.down)
            .cast_unsigned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_matrices_turn_as_the_command_line_turns() {
        let fixed = |matrix: [i32; 9]| Orientation::from_matrix(&matrix.map(|x| x * 65_536));
        let turned = |o: Orientation| (o.degrees, o.transpose, o.flip_columns, o.flip_rows);
        assert_eq!(
            turned(fixed([1, 0, 0, 0, 1, 0, 0, 0, 16_384])),
            (0, false, false, false)
        );
        assert_eq!(
            turned(fixed([0, 1, 0, -1, 0, 0, 0, 0, 16_384])),
            (90, true, false, true)
        );
        assert_eq!(
            turned(fixed([-1, 0, 0, 0, -1, 0, 0, 0, 16_384])),
            (180, false, true, true)
        );
        assert_eq!(
            turned(fixed([0, -1, 0, 1, 0, 0, 0, 0, 16_384])),
            (270, true, true, false)
        );
        assert_eq!(
            turned(fixed([1, 0, 0, 0, -1, 0, 0, 0, 16_384])),
            (0, false, false, true)
        );
        assert_eq!(Orientation::from_matrix(&[i32::MIN; 9]).degrees % 90, 0);
        assert_eq!(Orientation::from_matrix(&[0; 9]), Orientation::default());
        assert_eq!(Orientation::from_bytes(&[0; 35]), None);
    }

    /// The coded pixels 0, 1, 2 / 3, 4, 5 as they are shown, row by row.
    fn shown(orientation: Orientation) -> [usize; 6] {
        let placement = orientation.placement(3, 2);
        let mut shown = [9; 6];
        for (row, column) in (0..2).flat_map(|row| (0..3).map(move |column| (row, column))) {
            shown[placement.of(column, row)] = row * 3 + column;
        }
        shown
    }

    #[test]
    fn pixels_move_where_they_are_shown() {
        let none = Orientation::default();
        assert_eq!(shown(none), [0, 1, 2, 3, 4, 5]);
        let clockwise = Orientation {
            transpose: true,
            flip_rows: true,
            degrees: 90,
            ..none
        };
        assert_eq!(shown(clockwise), [3, 0, 4, 1, 5, 2]);
        let counter = Orientation {
            transpose: true,
            flip_columns: true,
            degrees: 270,
            ..none
        };
        assert_eq!(shown(counter), [2, 5, 1, 4, 0, 3]);
        let upside_down = Orientation {
            flip_columns: true,
            flip_rows: true,
            degrees: 180,
            ..none
        };
        assert_eq!(shown(upside_down), [5, 4, 3, 2, 1, 0]);
        let mirrored = Orientation {
            flip_rows: true,
            ..none
        };
        assert_eq!(shown(mirrored), [3, 4, 5, 0, 1, 2]);
    }
}
