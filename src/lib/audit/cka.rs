//! Centred kernel alignment of two models' features of the same clips (Kornblith et al.,
//! <https://arxiv.org/abs/1905.00414>).

use super::error::same_length;
use super::{AuditError, Rows};
use crate::cholesky::dot;

/// How alike two sets of features are; 1 is the same up to rotation and scale.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cka {
    /// |X'Y|^2 / (|X'X| |Y'Y|), 0..1. With more features than clips it is near 1 for anything. `None` where a side does not vary.
    pub biased: Option<f64>,
    /// The one to read: from unbiased HSIC, about 0 for independent features, at most 1. `None`
    /// below 4 clips or where a side's own HSIC is not positive.
    pub debiased: Option<f64>,
}

/// CKA of `x` `[N, D]` and `y` `[N, E]`; columns are centred. Takes N^2 (D + E) / 2 multiplications
/// and no N x N matrix.
///
/// # Errors
/// Other numbers of clips, features that are not finite.
pub fn cka(x: Rows<'_>, y: Rows<'_>) -> Result<Cka, AuditError> {
    same_length("clips", x.count(), y.count())?;
    x.finite("features")?;
    y.finite("features")?;
    let (centred_x, centred_y) = (centred(&x), centred(&y));
    let pairs = Pairs::of(
        &Rows::new(&centred_x, x.count(), x.width())?,
        &Rows::new(&centred_y, y.count(), y.width())?,
    );
    let biased = pairs.normalised(|sums| Some(sums.product + sums.diagonal));
    let debiased = pairs.normalised(|sums| sums.hsic(x.count()));
    Ok(Cka { biased, debiased })
}

/// The features less the means of their columns. The first row is taken off before, so that a
/// constant column becomes 0.
fn centred(rows: &Rows<'_>) -> Vec<f64> {
    if rows.count() == 0 {
        return Vec::new();
    }
    let first = rows.row(0);
    let shifted: Vec<f64> = rows
        .iter()
        .flat_map(|row| row.iter().zip(first).map(|(x, first)| x - first))
        .collect();
    let mut means = vec![0.0; rows.width()];
    for (at, x) in shifted.iter().enumerate() {
        means[at % rows.width()] += x / rows.count() as f64;
    }
    let centred = shifted.iter().enumerate();
    centred
        .map(|(at, x)| x - means[at % rows.width()])
        .collect()
}

/// What the HSIC of two Gram matrices K and L is made of.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// Sum of `K_ij` `L_ij` off the diagonal.
    product: f64,
    /// The same on the diagonal.
    diagonal: f64,
    /// Sum of all of K off the diagonal.
    first: f64,
    /// The same of L.
    second: f64,
    /// Sum over i of the products of both row sums off the diagonal.
    rows: f64,
}

impl Sums {
    /// The unbiased HSIC (Song et al., 2012) of n clips; `None` below 4.
    fn hsic(&self, clips: usize) -> Option<f64> {
        let n = clips as f64;
        (clips >= 4).then(|| {
            let whole = self.first * self.second / ((n - 1.0) * (n - 2.0));
            (self.product + whole - 2.0 / (n - 2.0) * self.rows) / (n * (n - 3.0))
        })
    }
}

/// The sums of X with X, X with Y, and Y with Y.
#[derive(Default)]
struct Pairs {
    xx: Sums,
    xy: Sums,
    yy: Sums,
}

impl Pairs {
    fn of(x: &Rows<'_>, y: &Rows<'_>) -> Self {
        let mut pairs = Self::default();
        let mut row_sums = vec![(0.0, 0.0); x.count()];
        for i in 0..x.count() {
            for j in 0..=i {
                let (k, l) = (dot(x.row(i), x.row(j)), dot(y.row(i), y.row(j)));
                let products = [k * k, k * l, l * l];
                let all = [&mut pairs.xx, &mut pairs.xy, &mut pairs.yy];
                for (sums, product) in all.into_iter().zip(products) {
                    if i == j {
                        sums.diagonal += product;
                    } else {
                        sums.product += 2.0 * product;
                    }
                }
                if i != j {
                    for place in [i, j] {
                        row_sums[place].0 += k;
                        row_sums[place].1 += l;
                    }
                }
            }
        }
        let sum = |of: &dyn Fn(&(f64, f64)) -> f64| row_sums.iter().map(of).sum::<f64>();
        let (first, second) = (sum(&|s| s.0), sum(&|s| s.1));
        let all = [&mut pairs.xx, &mut pairs.xy, &mut pairs.yy];
        let of_sides = [(first, first), (first, second), (second, second)];
        let rows = [
            sum(&|s| s.0 * s.0),
            sum(&|s| s.0 * s.1),
            sum(&|s| s.1 * s.1),
        ];
        for ((sums, (first, second)), rows) in all.into_iter().zip(of_sides).zip(rows) {
            (sums.first, sums.second, sums.rows) = (first, second, rows);
        }
        pairs
    }

    /// A similarity of X and Y over the root of both sides' own; `None` where one of those is not
    /// positive.
    fn normalised(&self, similarity: impl Fn(&Sums) -> Option<f64>) -> Option<f64> {
        let positive = |sums| similarity(sums).filter(|&own| own > 0.0);
        Some(similarity(&self.xy)? / (positive(&self.xx)?.sqrt() * positive(&self.yy)?.sqrt()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn broken_inputs_are_refused_and_constant_ones_undefined() {
        let rows = |v| Rows::new(v, <[f64]>::len(v), 1).unwrap();
        assert!(cka(rows(&[1.0]), rows(&[1.0, 2.0])).is_err());
        assert!(cka(rows(&[f64::NAN]), rows(&[1.0])).is_err());
        assert_eq!(cka(rows(&[]), rows(&[])).unwrap(), Cka::default());
        let tenth = [0.1; 5];
        let found = cka(rows(&tenth), rows(&[1.0, 2.0, 4.0, 3.0, 9.0])).unwrap();
        assert_eq!(found, Cka::default());
    }

    #[test]
    fn independent_features_wider_than_the_clips_look_alike_only_to_the_biased_one() {
        use rand::RngExt;
        let mut rng = crate::random::stream(1, "cka test", &[]);
        let mut noise = || {
            (0..20 * 400)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect::<Vec<f64>>()
        };
        let (x, y) = (noise(), noise());
        let found = cka(
            Rows::new(&x, 20, 400).unwrap(),
            Rows::new(&y, 20, 400).unwrap(),
        )
        .unwrap();
        assert!(found.biased.unwrap() > 0.9);
        assert!(found.debiased.unwrap().abs() < 0.2);
    }

    proptest! {
        #[test]
        fn scale_and_shift_do_not_matter(
            x in prop::collection::vec(-1.0..1.0_f64, 12),
            y in prop::collection::vec(-1.0..1.0_f64, 12),
        ) {
            let rows = |v| Rows::new(v, 6, 2).unwrap();
            let moved: Vec<f64> = x.iter().map(|v| 3.0 * v + 5.0).collect();
            let (a, b) = (cka(rows(&x), rows(&y)).unwrap(), cka(rows(&moved), rows(&y)).unwrap());
            for (a, b) in [(a.biased, b.biased), (a.debiased, b.debiased)] {
                if let (Some(a), Some(b)) = (a, b) {
                    prop_assert!((a - b).abs() < 1e-6);
                }
            }
            prop_assert!(a.biased.unwrap() <= 1.0 + 1e-12);
        }
    }
}
