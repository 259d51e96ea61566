//! One video after another: decoded, cut into clips, judged.

use std::path::{Path, PathBuf};

use tch::{Kind, Tensor, no_grad};

use super::PredictError;
use super::clips::dataset;
use super::config::PredictConfig;
use super::failed::FailedVideo;
use super::recipe::Recipe;
use super::weights::Weights;
use super::windows;
use crate::data::{Batch, Batches, DataError, LoaderConfig, Normaliser, StreamKeys};
use crate::decode::clip::{DecodedClip, decode_video};
use crate::foreign::printable;
use crate::model::Mode;
use crate::panics::caught;
use crate::tables::ClipStatus;

/// What the model says of a clip.
#[derive(Clone, Debug, PartialEq)]
pub struct ClipPrediction {
    /// The video.
    pub video: PathBuf,
    /// Where in the video the clip begins, in seconds from the first frame.
    pub start_s: f64,
    /// Frames of the clip that the video had; where the model takes more, they are repeated from
    /// the first.
    pub frames: usize,
    /// How decoding the video went: `Ok` or `Partial`.
    pub status: ClipStatus,
    /// The class with the highest probability.
    pub class: usize,
    /// Probabilities in class order.
    pub probabilities: Vec<f32>,
}

/// What a run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PredictSummary {
    /// Videos that were asked for.
    pub videos: usize,
    /// Clips with an answer.
    pub clips: usize,
    /// Videos without one.
    pub failed: Vec<FailedVideo>,
}

impl PredictSummary {
    /// An error where a video has no answer.
    ///
    /// # Errors
    /// [`PredictError::Videos`].
    pub fn into_result(self) -> Result<(), PredictError> {
        if self.failed.is_empty() {
            return Ok(());
        }
        Err(PredictError::Videos {
            failed: self.failed,
            videos: self.videos,
        })
    }
}

/// Why a video has no answer.
enum Fault {
    /// It is the video's: the others go on.
    Video(String),
    /// No video will have one.
    Everything(PredictError),
}

impl From<PredictError> for Fault {
    fn from(error: PredictError) -> Self {
        Self::Everything(error)
    }
}

/// A model that is asked for its opinion of videos.
pub struct Predictor {
    config: PredictConfig,
    weights: Weights,
    normaliser: Normaliser,
}

impl Predictor {
    /// Loads the weights that `config` names.
    ///
    /// # Errors
    /// When they cannot be read, lack a head, are of another network than said, or settings make no
    /// sense.
    pub fn open(config: PredictConfig) -> Result<Self, PredictError> {
        if let Some(threads) = config.threads {
            tch::set_num_threads(i32::from(threads));
        }
        let weights = Weights::read(&config)?;
        windows::check(config.every, &weights.recipe.decoding)?;
        Ok(Self {
            config,
            weights,
            normaliser: Normaliser::default(),
        })
    }

    /// The file that the weights came from.
    #[must_use]
    pub fn checkpoint(&self) -> &Path {
        &self.weights.path
    }

    /// How a video becomes what the model sees.
    #[must_use]
    pub fn recipe(&self) -> &Recipe {
        &self.weights.recipe
    }

    /// The categories in class order.
    #[must_use]
    pub fn categories(&self) -> &[String] {
        &self.weights.categories
    }

    /// Gives what the model says of each clip of each video to `answer`, in their order. A video
    /// that cannot be decoded is logged and counted, and the next one follows.
    ///
    /// # Errors
    /// When the model or libtorch fails.
    pub fn run(
        &mut self,
        mut answer: impl FnMut(ClipPrediction),
    ) -> Result<PredictSummary, PredictError> {
        let mut summary = PredictSummary {
            videos: self.config.videos.len(),
            ..PredictSummary::default()
        };
        for video in self.config.videos.clone() {
            let mut counted = |clip| {
                summary.clips += 1;
                answer(clip);
            };
            match self.video(&video, &mut counted) {
                Ok(()) => {}
                Err(Fault::Everything(error)) => return Err(error),
                Err(Fault::Video(reason)) => {
                    let failed = FailedVideo { video, reason };
                    tracing::warn!("{failed}");
                    summary.failed.push(failed);
                }
            }
        }
        Ok(summary)
    }

    /// Answers for one video.
    fn video(&mut self, path: &Path, answer: &mut dyn FnMut(ClipPrediction)) -> Result<(), Fault> {
        let video = self.decode(path).map_err(Fault::Video)?;
        let (status, fps) = (video.head.status, video.head.fps);
        let windows = windows::windows(
            video.frames.len(),
            &self.weights.recipe.decoding,
            self.config.every,
        );
        let list = dataset(&path.to_string_lossy(), video, &windows);
        let order = (0..list.len()).collect();
        let batches = Batches::start(&list, order, StreamKeys::default(), &self.loader(), 0);
        for batch in batches {
            let batch = batch.map_err(|error| match error {
                DataError::Clip { fault, .. } => Fault::Video(fault.to_string()),
                error => Fault::Everything(error.into()),
            })?;
            let classes = self.weights.categories.len();
            let probabilities = self.probabilities(&batch)?;
            for (&clip, probabilities) in batch.samples.iter().zip(probabilities.chunks(classes)) {
                if probabilities.iter().any(|p| !p.is_finite()) {
                    let video = path.to_owned();
                    return Err(PredictError::NotFinite { video }.into());
                }
                let window = &windows[clip];
                answer(ClipPrediction {
                    video: path.to_owned(),
                    start_s: window.start as f64 / fps,
                    frames: window.len(),
                    status,
                    class: first_of_the_largest(probabilities),
                    probabilities: probabilities.to_vec(),
                });
            }
        }
        Ok(())
    }

    /// The stored frames of a video, or why there are none.
    fn decode(&self, path: &Path) -> Result<DecodedClip, String> {
        let mut settings = self.weights.recipe.decoding.clone();
        if self.config.every.is_some() {
            settings.max_frames = windows::most_frames(&settings);
        }
        let decoded = caught(|| decode_video(path, &settings, self.config.limits));
        let video = decoded.map_err(|message| format!("the decoder panicked: {message}"))?;
        let shown = printable(&path.to_string_lossy()).into_owned();
        let head = &video.head;
        let reason = head.error.as_deref().unwrap_or("it has no frames");
        if video.frames.is_empty() {
            return Err(reason.to_owned());
        }
        if head.status == ClipStatus::Partial {
            tracing::warn!("{shown} is damaged: {}", printable(reason));
        }
        if self.config.every.is_some() && video.frames.len() >= settings.max_frames as usize {
            tracing::warn!(
                "{shown}: only its first {} frames are looked at",
                video.frames.len()
            );
        }
        Ok(video)
    }

    fn loader(&self) -> LoaderConfig {
        LoaderConfig {
            workers: 0,
            ..self.weights.recipe.network.transform.loader()
        }
    }

    /// Probabilities of a batch's clips, row-major [N, C].
    fn probabilities(&mut self, batch: &Batch) -> Result<Vec<f32>, PredictError> {
        let weights = &self.weights;
        let clips = self.normaliser.apply(&batch.clips, weights.device);
        let probabilities: Tensor = no_grad(|| {
            let logits = weights.model.forward(&clips, Mode::Evaluate).logits;
            weights
                .recipe
                .network
                .criterion
                .probabilities(&logits)
                .to_kind(Kind::Float)
                .reshape([-1])
        });
        Ok(Vec::<f32>::try_from(probabilities)?)
    }
}

/// Where the largest of `values` stands; of equal ones the first.
fn first_of_the_largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (place, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = place;
        }
    }
    best
}
