//! How lines and points are told apart: colours, dashes and marks, and which of them belong to
//! which approach and unlearning method. A name looks the same on every page.

use plotters::style::RGBColor;

use super::colors::{INK, MUTED, color, colors};

/// Length of a dash and of the gap behind it, in pixels.
pub(super) type Dash = (u32, u32);

/// The dashes that tell lines of one colour apart.
const DASHES: [Option<Dash>; 5] = [
    None,
    Some((9, 4)),
    Some((2, 4)),
    Some((14, 7)),
    Some((5, 8)),
];
/// What marks look like: paths around the point, in pixels. Each may be filled or hollow.
const SHAPES: [&str; 8] = [
    "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z",
    "m-3-3h6v6h-6z",
    "m0-4l4 4l-4 4l-4-4z",
    "m0-4l4 7h-8z",
    "m0 4l4-7h-8z",
    "m4 0l-7 4v-8z",
    "m-4 0l7 4v-8z",
    "m-4-4h8l-8 8h8z",
];
/// The approaches and unlearning methods; a name's place gives its colour and its dashes. New names
/// go to the end, or every page would look another way.
const NAMES: [&str; 27] = [
    "finetune",
    "feature-extraction",
    "ewc",
    "lwf",
    "fd",
    "er",
    "der++",
    "gdumb",
    "ridge",
    "ranpac",
    "sisa",
    "head-finetune",
    "none",
    "retrain",
    "rollback",
    "gradient-ascent",
    "neggrad-plus",
    "scrub",
    "scrub-r",
    "random-label",
    "salun",
    "l1-sparse",
    "bad-teacher",
    "ssd",
    "lfssd",
    "msg",
    "ct",
];

/// What a point is marked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark(usize);

impl Mark {
    /// The k-th mark, the filled ones first; they repeat when they run out.
    pub(super) fn nth(k: usize) -> Self {
        Self(k % (SHAPES.len() * 2))
    }

    /// Whether it is the one of a line that needs none to be told apart.
    pub(super) fn is_plain(self) -> bool {
        self == Self::default()
    }

    /// Its outline from the point on, as a path of SVG.
    pub(super) fn path(self) -> &'static str {
        SHAPES[self.0 % SHAPES.len()]
    }

    pub(super) fn is_hollow(self) -> bool {
        self.0 >= SHAPES.len()
    }
}

/// How a line and its points are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Look {
    pub(super) color: RGBColor,
    pub(super) dash: Option<Dash>,
    pub(super) mark: Mark,
}

impl Look {
    /// The path reference of an audit.
    pub(super) const PATH: Self = Self::reference(INK, 1);
    /// The scratch reference.
    pub(super) const SCRATCH: Self = Self::reference(MUTED, 2);
    /// The model before it was made to forget.
    pub(super) const BEFORE: Self = Self::reference(MUTED, 1);

    const fn reference(color: RGBColor, dash: usize) -> Self {
        Self {
            color,
            dash: DASHES[dash],
            mark: Mark(0),
        }
    }

    /// The look of an approach, of an unlearning method, or of a method behind its approach, as in
    /// `ewc+salun`: that has the method's colour and dashes, and the approach's mark. Names that
    /// this version does not know share a look.
    pub(super) fn of(name: &str) -> Self {
        // An approach's own name may end in plus signs.
        let parts = name.rsplit_once('+');
        if let Some((approach, method)) = parts.filter(|(_, method)| place(method).is_some()) {
            return Self::of(method).behind(approach);
        }
        let place = place(name).unwrap_or(NAMES.len());
        Self {
            color: color(place),
            dash: DASHES[place / colors() % DASHES.len()],
            mark: Mark::default(),
        }
    }

    /// The same with the mark of an approach.
    pub(super) fn behind(self, approach: &str) -> Self {
        let mark = Mark::nth(place(approach).unwrap_or(0));
        Self { mark, ..self }
    }
}

fn place(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::colors::hex;
    use super::*;
    use crate::train::settings::{ApproachName, UnlearnName};

    /// Each look with the first name that has it; panics where a second has it too.
    fn told_apart(looks: impl IntoIterator<Item = (String, Look)>) -> usize {
        let mut seen: BTreeMap<(String, Option<Dash>, usize), String> = BTreeMap::new();
        for (name, look) in looks {
            let key = (hex(look.color), look.dash, look.mark.0);
            if let Some(other) = seen.insert(key, name.clone()) {
                assert_eq!(other, name, "two names of one look");
            }
        }
        seen.len()
    }

    #[test]
    fn every_name_is_known_and_has_a_line_of_its_own() {
        let approaches = ApproachName::ALL.map(ApproachName::name);
        let methods = UnlearnName::ALL.map(UnlearnName::name);
        for name in approaches.iter().chain(&methods) {
            assert!(NAMES.contains(name), "{name} has no look of its own");
        }
        // A line without points has no mark.
        let plain = |name: &str| (name.to_owned(), Look::of(name));
        assert!(NAMES.iter().all(|name| Look::of(name).mark.is_plain()));
        assert_eq!(told_apart(NAMES.map(plain)), NAMES.len());
        // What stands on the page of an audit: methods behind an approach, and references.
        let mut all: Vec<(String, Look)> = NAMES.map(plain).to_vec();
        for approach in approaches.iter().filter(|name| **name != "finetune") {
            let behind = methods.iter().map(|method| format!("{approach}+{method}"));
            all.extend(behind.map(|name| plain(&name)));
            all.push((format!("{approach} path"), Look::PATH.behind(approach)));
            all.push((
                format!("{approach} scratch"),
                Look::SCRATCH.behind(approach),
            ));
        }
        for look in [Look::PATH, Look::SCRATCH, Look::BEFORE] {
            all.push((format!("{look:?}"), look));
        }
        let names = all.len();
        assert_eq!(told_apart(all), names);
    }

    #[test]
    fn a_name_keeps_its_look_from_version_to_version() {
        let looks = |name: &str| {
            let look = Look::of(name);
            (hex(look.color), look.dash, look.mark.0)
        };
        assert_eq!(looks("finetune"), ("#0072b2".to_owned(), None, 0));
        assert_eq!(looks("er"), ("#3d8fc6".to_owned(), None, 0));
        assert_eq!(looks("ridge"), ("#0072b2".to_owned(), Some((9, 4)), 0));
        assert_eq!(looks("ct"), ("#009e73".to_owned(), Some((14, 7)), 0));
        assert_eq!(looks("ewc+ct"), ("#009e73".to_owned(), Some((14, 7)), 2));
        // The plus signs of a name are no approach's.
        assert_eq!(looks("der++"), ("#9a6a3f".to_owned(), None, 0));
        assert_eq!(looks("of a later version"), looks("of another"));
    }

    #[test]
    fn marks_differ_until_they_run_out() {
        let marks: Vec<Mark> = (0..16).map(Mark::nth).collect();
        for (k, mark) in marks.iter().enumerate() {
            let same = |other: &&Mark| {
                (other.path(), other.is_hollow()) == (mark.path(), mark.is_hollow())
            };
            assert_eq!(marks.iter().filter(same).count(), 1, "mark {k}");
        }
        assert_eq!(Mark::nth(16), Mark::nth(0));
    }
}
