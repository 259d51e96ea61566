//! Which group a clip is of.

use std::collections::HashMap;
use std::path::Path;

use super::{GroupBy, OwnDataError};
use crate::clip::path::{has_video_ending, without_ending};
use crate::foreign::composed;
use crate::named_csv::NamedCsv;

/// The group of each of the clips, given by their ids.
pub(super) fn groups(by: &GroupBy, ids: &[&str]) -> Result<Vec<String>, OwnDataError> {
    let groups: Vec<Option<String>> = match by {
        GroupBy::Folder => ids.iter().map(|id| Some(folder(id))).collect(),
        GroupBy::Csv(path) => {
            let table = read(path)?;
            ids.iter()
                .map(|id| table.get(&*composed(id)).cloned())
                .collect()
        }
        GroupBy::Expression(expression) => {
            let group = |id: &&str| {
                let found = expression.captures(id)?;
                let part = found.get(1).or(found.get(0))?.as_str().trim();
                (!part.is_empty()).then(|| part.to_owned())
            };
            ids.iter().map(group).collect()
        }
    };
    let without = || groups.iter().zip(ids).filter(|(group, _)| group.is_none());
    if let Some((_, first)) = without().next() {
        return Err(OwnDataError::NoGroup {
            count: without().count(),
            by: match by {
                GroupBy::Folder => "folder".to_owned(),
                GroupBy::Csv(path) => path.display().to_string(),
                GroupBy::Expression(expression) => format!("the expression {expression}"),
            },
            first: (*first).to_owned(),
        });
    }
    Ok(groups.into_iter().flatten().collect())
}

/// The folder in which a clip lies.
fn folder(id: &str) -> String {
    id.rsplit_once('/')
        .map_or(".", |(folder, _)| folder)
        .to_owned()
}

/// A table of clips, with or without their endings, and groups.
fn read(path: &Path) -> Result<HashMap<String, String>, OwnDataError> {
    let table = NamedCsv::open(path)?;
    let (clip, group) = (table.column("clip")?, table.column("group")?);
    let mut groups = HashMap::new();
    for record in table.rows() {
        let (_, record) = record?;
        let field = |c: usize| record.get(c).unwrap_or_default();
        let file = Path::new(field(clip));
        let id = if has_video_ending(file) {
            without_ending(file)
        } else {
            None
        };
        let id = id.unwrap_or_else(|| field(clip).to_owned());
        if !field(group).is_empty() {
            groups.insert(composed(&id).into_owned(), field(group).to_owned());
        }
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(rule: &str, ids: &[&str]) -> Result<Vec<String>, String> {
        groups(&rule.parse().unwrap(), ids).map_err(|e| e.to_string())
    }

    #[test]
    fn known_sets_tell_their_groups_by_an_expression() {
        let ucf = [
            "ApplyLipstick/v_ApplyLipstick_g08_c01",
            "Archery/v_Archery_g12_c04",
        ];
        assert_eq!(by(r"_g(\d+)_c", &ucf).unwrap(), ["08", "12"]);
        let hmdb = ["brush_hair/April_09_brush_hair_u_nm_np1_ba_goo_0"];
        let source = r"/(.+)_[fhlu]_(?:cm|nm)_np\d_(?:ba|fr|le|ri)_(?:bad|med|goo)_\d+$";
        assert_eq!(by(source, &hmdb).unwrap(), ["April_09_brush_hair"]);
        let ntu = ["A001/S001C002P003R002A001_rgb"];
        assert_eq!(by(r"P\d{3}", &ntu).unwrap(), ["P003"]);
        let customer = ["theft/shelf/customer B/cam1/0001"];
        assert_eq!(
            by("^[^/]+/[^/]+/([^/]+)/", &customer).unwrap(),
            ["customer B"]
        );
    }

    #[test]
    fn a_folder_or_a_table_may_tell_them_and_a_clip_without_one_is_named() {
        assert_eq!(by("folder", &["a/b/x", "y"]).unwrap(), ["a/b", "."]);
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("g.csv");
        std::fs::write(&table, "group;clip\nA;a/x.avi\nB;a/y\n").unwrap();
        let rule = table.to_str().unwrap();
        assert_eq!(by(rule, &["a/x", "a/y"]).unwrap(), ["A", "B"]);
        assert!(
            by(rule, &["a/x", "z"])
                .unwrap_err()
                .contains("1 clips have no group by")
        );
        let error = by(r"_g(\d+)", &["a/x_g1", "a/y", "a/z"]).unwrap_err();
        assert!(
            error.starts_with("2 clips have no group by the expression") && error.ends_with("a/y"),
            "{error}"
        );
    }
}
