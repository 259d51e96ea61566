//! `incdec-predict`: applies a checkpoint to videos.

mod args;
#[path = "../cli/mod.rs"]
mod cli;
mod table;

use std::process::ExitCode;

use incdec::media;
use incdec::model::instructions::libtorch_version;
use incdec::predict::{ClipPrediction, PredictConfig, PredictError, Predictor};
use serde_json::{Map, Value, json};

use args::Args;
use table::Table;

fn main() -> ExitCode {
    let args = cli::parse_linked::<Args>(&[
        format!("FFmpeg {}", media::version()),
        format!("libtorch {}", libtorch_version()),
    ]);
    let show = if args.json { as_json } else { as_table };
    let config = PredictConfig::from(args);
    cli::run(None, || show(config))
}

/// A line for each clip, as soon as there is an answer.
fn as_table(config: PredictConfig) -> Result<(), PredictError> {
    let table = Table::new(&config.videos);
    let mut predictor = Predictor::open(config)?;
    let categories = predictor.categories().to_vec();
    cli::product(table.head(&categories));
    let summary = predictor.run(|clip| cli::product(table.row(&categories, &clip)))?;
    summary.into_result()
}

/// Everything as one JSON object.
fn as_json(config: PredictConfig) -> Result<(), PredictError> {
    let mut predictor = Predictor::open(config)?;
    let mut clips = Vec::new();
    let categories = predictor.categories().to_vec();
    let summary = predictor.run(|clip| clips.push(object(&categories, &clip)))?;
    cli::product(json!({
        "checkpoint": predictor.checkpoint(),
        "settings": predictor.recipe(),
        "categories": categories,
        "clips": clips,
        "failed": summary.failed,
    }));
    summary.into_result()
}

fn object(categories: &[String], clip: &ClipPrediction) -> Value {
    let probabilities = categories.iter().zip(&clip.probabilities);
    let probabilities = probabilities.map(|(name, p)| (name.clone(), json!(p)));
    json!({
        "video": clip.video.to_string_lossy(),
        "start_s": clip.start_s,
        "frames": clip.frames,
        "status": clip.status,
        "prediction": categories.get(clip.class),
        "probabilities": probabilities.collect::<Map<_, _>>(),
    })
}
