//! Golden cases whose inputs and answers are JSON, in which `"inf"`, `"-inf"` and `"nan"` are words.

use std::path::Path;

use incdec::audit::Rows;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// A file of cases.
// The field is named as the file has it.
#[allow(clippy::struct_field_names)]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cases {
    pub(crate) cases: Vec<Case>,
    #[serde(rename = "format")]
    _format: String,
    #[serde(rename = "version")]
    _version: u32,
    #[serde(rename = "specification")]
    _specification: String,
    #[serde(rename = "made_by")]
    _made_by: String,
    #[serde(rename = "numbers")]
    _numbers: String,
}

/// One case: what is computed from what, and the answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) function: String,
    pub(crate) inputs: Fields,
    pub(crate) expected: Value,
    pub(crate) tolerance: f64,
    #[serde(rename = "checked_against", default)]
    _checked_against: Option<String>,
    #[serde(rename = "note", default)]
    _note: Option<String>,
}

impl Case {
    /// Holds `ours` against the golden: numbers within the tolerance, relative where they are above 1.
    pub(crate) fn compare(&self, file: &Path, ours: &Value) {
        let name = format!("{} {}", file.display(), self.id);
        self.same(&name, &self.expected, ours);
    }

    fn same(&self, name: &str, golden: &Value, ours: &Value) {
        match (golden, ours) {
            (Value::Array(golden), Value::Array(ours)) => {
                assert_eq!(golden.len(), ours.len(), "{name}");
                for (i, (golden, ours)) in golden.iter().zip(ours).enumerate() {
                    self.same(&format!("{name}[{i}]"), golden, ours);
                }
            }
            (Value::Object(golden), Value::Object(ours)) => {
                for key in golden.keys().chain(ours.keys()) {
                    let of = |side: &serde_json::Map<String, Value>| {
                        side.get(key)
                            .cloned()
                            .unwrap_or_else(|| panic!("{name}: only one has {key}"))
                    };
                    self.same(&format!("{name} {key}"), &of(golden), &of(ours));
                }
            }
            _ => {
                let close = match (golden.as_f64(), ours.as_f64()) {
                    (Some(golden), Some(ours)) => {
                        (golden - ours).abs() <= self.tolerance * golden.abs().max(1.0)
                    }
                    _ => golden == ours,
                };
                assert!(close, "{name}: {golden} is the golden, {ours} ours");
            }
        }
    }
}

/// A number as goldens write it; an infinite one is a word.
pub(crate) fn word(value: Option<f64>) -> Value {
    match value {
        Some(f64::INFINITY) => json!("inf"),
        Some(f64::NEG_INFINITY) => json!("-inf"),
        value => json!(value),
    }
}

/// Named values.
#[derive(Deserialize)]
pub(crate) struct Fields(serde_json::Map<String, Value>);

impl Fields {
    fn get(&self, name: &str) -> &Value {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("there is no {name}"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn parse<T: DeserializeOwned>(&self, name: &str) -> T {
        let value = self.get(name).clone();
        serde_json::from_value(value).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name)
            .as_str()
            .unwrap_or_else(|| panic!("{name} is no text"))
    }

    pub(crate) fn whole(&self, name: &str) -> usize {
        self.parse(name)
    }

    pub(crate) fn number(&self, name: &str) -> f64 {
        number(self.get(name)).unwrap_or_else(|| panic!("{name} is no number"))
    }

    /// A number or null.
    pub(crate) fn maybe(&self, name: &str) -> Option<f64> {
        number(self.get(name))
    }

    pub(crate) fn numbers(&self, name: &str) -> Vec<f64> {
        let values = self.optional(name).into_iter();
        values
            .map(|v| v.unwrap_or_else(|| panic!("{name} has a null")))
            .collect()
    }

    /// Numbers and nulls.
    pub(crate) fn optional(&self, name: &str) -> Vec<Option<f64>> {
        self.parse::<Vec<Value>>(name).iter().map(number).collect()
    }

    pub(crate) fn matrix(&self, name: &str) -> Matrix {
        let rows: Vec<Vec<Value>> = self.parse(name);
        let width = rows.first().map_or(0, Vec::len);
        let values = rows
            .iter()
            .flatten()
            .map(|v| number(v).unwrap_or_else(|| panic!("{name} has a null")));
        Matrix {
            values: values.collect(),
            count: rows.len(),
            width,
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(
            text.parse()
                .unwrap_or_else(|_| panic!("{text} is no number")),
        ),
        value => Some(
            value
                .as_f64()
                .unwrap_or_else(|| panic!("{value} is no number")),
        ),
    }
}

/// An owned matrix.
pub(crate) struct Matrix {
    values: Vec<f64>,
    count: usize,
    width: usize,
}

impl Matrix {
    pub(crate) fn rows(&self) -> Rows<'_> {
        Rows::new(&self.values, self.count, self.width).unwrap()
    }
}
