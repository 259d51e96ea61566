//! How a picture is turned and mirrored for display.

/// How a picture is turned for display: an optional transposition, then flips of the coded
/// picture's columns and rows.
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
    /// The orientation of a display matrix as libav keeps it: nine 32-bit integers in the machine's
    /// byte order. Angles that are no multiple of 90 degrees, and garbage, leave the picture as it
    /// is.
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
}
