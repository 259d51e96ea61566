//! How a video becomes what the model sees: what the checkpoint's header says, and flags where it
//! says nothing.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::PredictError;
use super::config::{GivenDecoding, GivenNetwork};
use crate::decode::ClipSettings;
use crate::features::Transform;
use crate::foreign::printable;
use crate::model::CriterionName;
use crate::model::checkpoint::header;
use crate::shard::Codec;

/// How a video becomes what the model sees.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recipe {
    /// From a file to stored frames.
    pub decoding: ClipSettings,
    /// From stored frames to probabilities.
    pub network: NetworkSettings,
}

/// From stored frames to probabilities, in the words of a run's settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkSettings {
    /// From stored frames to logits.
    #[serde(flatten)]
    pub transform: Transform,
    /// Whether probabilities are sigmoids or the softmax.
    pub criterion: CriterionName,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        // As a run's settings have them.
        Self {
            transform: Transform::default(),
            criterion: CriterionName::Multilabel,
        }
    }
}

impl Recipe {
    /// The recipe of the weights at `path` with this header, and of these flags. What neither says
    /// has its default; what the header does not say is logged with the value that is taken.
    ///
    /// # Errors
    /// When a flag contradicts the header, or a value cannot be understood.
    pub(super) fn new(
        path: &Path,
        metadata: &BTreeMap<String, String>,
        decoding: &GivenDecoding,
        network: &GivenNetwork,
    ) -> Result<Self, PredictError> {
        let stated = object(path, metadata, header::DECODING)?;
        let defaults = ClipSettings::default();
        let mut settled = Settled::new(path, defaults.provenance().settings, &stated, decoding)?;
        settled.values.insert("decode_all".into(), false.into());
        let decoding: ClipSettings = settled.read(path, header::DECODING)?;
        if decoding.codec == Codec::Raw {
            // Raw frames have neither.
            settled.assumed.retain(|flag| !flag.is_of_jpeg());
        }
        check(&decoding)?;
        settled.log(path, "how videos become frames");

        let stated = object(path, metadata, header::SETTINGS)?;
        let defaults = map(&NetworkSettings::default());
        let settled = Settled::new(path, defaults, &stated, network)?;
        let network = settled.read(path, header::SETTINGS)?;
        settled.log(path, "which network it is of");
        Ok(Self { decoding, network })
    }
}

/// Refuses what no video can be decoded to.
fn check(decoding: &ClipSettings) -> Result<(), PredictError> {
    let refuse = |flag: &str, why: &str| {
        Err(PredictError::Setting {
            flag: flag.to_owned(),
            why: why.to_owned(),
        })
    };
    if !(1..=100).contains(&decoding.quality) {
        return refuse("--quality", "JPEG's quality goes from 1 to 100");
    }
    if decoding.max_frames == 0 {
        return refuse("--max-frames", "a clip needs at least one frame");
    }
    Ok(())
}

/// Settings, each from the header, from a flag, or a default.
struct Settled {
    values: Map<String, Value>,
    /// Those that the header does not say.
    assumed: Vec<Assumed>,
}

/// A setting that the header does not say, and what is taken for it.
struct Assumed {
    key: String,
    value: String,
}

impl Assumed {
    fn is_of_jpeg(&self) -> bool {
        ["quality", "subsampling"].contains(&self.key.as_str())
    }
}

impl Settled {
    fn new(
        path: &Path,
        defaults: Map<String, Value>,
        stated: &Map<String, Value>,
        given: &impl Serialize,
    ) -> Result<Self, PredictError> {
        let given = map(given);
        let (mut values, mut assumed) = (Map::new(), Vec::new());
        for (key, default) in defaults {
            let (stated, given) = (stated.get(&key), given.get(&key));
            if let (Some(stated), Some(given)) = (stated, given)
                && stated != given
            {
                return Err(PredictError::Setting {
                    flag: flag(&key),
                    why: format!(
                        "{} was trained with {}, not with {}; leave the flag out",
                        path.display(),
                        text(stated),
                        text(given)
                    ),
                });
            }
            let value = stated.or(given).cloned().unwrap_or(default);
            if stated.is_none() {
                let value = text(&value);
                let key = key.clone();
                assumed.push(Assumed { key, value });
            }
            values.insert(key, value);
        }
        Ok(Self { values, assumed })
    }

    /// The settings as a type.
    fn read<T: DeserializeOwned>(&self, path: &Path, key: &'static str) -> Result<T, PredictError> {
        serde_json::from_value(Value::Object(self.values.clone())).map_err(|e| {
            PredictError::Header {
                path: path.to_owned(),
                key,
                reason: e.to_string(),
            }
        })
    }

    /// Says which of them the header does not say.
    fn log(&self, path: &Path, what: &str) {
        if self.assumed.is_empty() {
            return;
        }
        let taken = self.assumed.iter();
        let taken = taken.map(|assumed| format!("{} {}", flag(&assumed.key), assumed.value));
        tracing::info!(
            "{} does not say in full {what}; taken are {}",
            path.display(),
            taken.collect::<Vec<_>>().join(", ")
        );
    }
}

/// The flag of a setting.
fn flag(key: &str) -> String {
    format!("--{}", key.replace('_', "-"))
}

/// A value as it is typed.
fn text(value: &Value) -> String {
    let text = value.as_str().map(str::to_owned);
    printable(&text.unwrap_or_else(|| value.to_string())).into_owned()
}

/// A struct as a JSON object.
fn map(settings: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// A field of the header that is a JSON object; empty where it is absent.
fn object(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    key: &'static str,
) -> Result<Map<String, Value>, PredictError> {
    let Some(text) = metadata.get(key) else {
        return Ok(Map::new());
    };
    serde_json::from_str(text).map_err(|e| PredictError::Header {
        path: path.to_owned(),
        key,
        reason: e.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Fps;
    use crate::exit::Exit;
    use crate::hint::Hint;
    use crate::model::Geometry;

    fn recipe(
        metadata: &[(&str, Value)],
        decoding: &GivenDecoding,
    ) -> Result<Recipe, PredictError> {
        let metadata = metadata.iter().map(|(key, value)| {
            let text = value.as_str().map(str::to_owned);
            ((*key).to_owned(), text.unwrap_or_else(|| value.to_string()))
        });
        let metadata = metadata.collect();
        Recipe::new(
            Path::new("weights"),
            &metadata,
            decoding,
            &GivenNetwork::default(),
        )
    }

    #[test]
    fn a_header_gives_back_the_settings_of_its_shards_and_of_its_run() {
        for codec in [Codec::Jpeg, Codec::Raw] {
            let decoding = ClipSettings {
                fps: "30000/1001".parse().unwrap(),
                frame_size: "short:64".parse().unwrap(),
                codec,
                max_frames: 7,
                ..ClipSettings::default()
            };
            let network = NetworkSettings {
                transform: Transform {
                    frames: 8,
                    size: 64,
                    geometry: Geometry::Tf,
                    ..Transform::default()
                },
                criterion: CriterionName::Multiclass,
            };
            let mut settings = map(&network);
            settings.insert("epochs".into(), 3.into());
            let metadata = [
                (
                    header::DECODING,
                    Value::Object(decoding.provenance().settings),
                ),
                (header::SETTINGS, Value::Object(settings)),
            ];
            let found = recipe(&metadata, &GivenDecoding::default()).unwrap();
            assert_eq!(found, Recipe { decoding, network });
        }
    }

    #[test]
    fn flags_say_what_the_header_does_not_and_may_not_contradict_it() {
        let given = GivenDecoding {
            fps: Some(Fps::whole(10)),
            ..GivenDecoding::default()
        };
        assert_eq!(recipe(&[], &given).unwrap().decoding.fps, Fps::whole(10));
        let stated = [(header::DECODING, serde_json::json!({ "fps": "5" }))];
        let error = recipe(&stated, &given).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert_eq!(
            error.to_string(),
            "--fps: weights was trained with 5, not with 10; leave the flag out"
        );
        let same = GivenDecoding {
            fps: Some(Fps::whole(5)),
            ..GivenDecoding::default()
        };
        assert_eq!(recipe(&stated, &same).unwrap().decoding.fps, Fps::whole(5));
    }

    #[test]
    fn a_header_that_makes_no_sense_is_an_error_by_its_field() {
        let nothing = GivenDecoding::default();
        for value in [
            Value::from("{"),
            serde_json::json!([1]),
            serde_json::json!({ "fps": "\u{1b}[2J" }),
        ] {
            let error = recipe(&[(header::DECODING, value)], &nothing).unwrap_err();
            let said = error.to_string();
            assert!(
                said.starts_with("weights: incdec.decoding of its header: "),
                "{said}"
            );
            assert!(!said.contains('\u{1b}'), "{said}");
        }
        let zero = serde_json::json!({ "max_frames": 0 });
        let error = recipe(&[(header::DECODING, zero)], &nothing).unwrap_err();
        assert!(error.to_string().starts_with("--max-frames: "), "{error}");
    }
}
