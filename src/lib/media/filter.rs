//! Motion-compensated interpolation by libavfilter, as the seed runs it: the shorter side scaled to
//! 240 pixels, then `minterpolate` at the wanted rate. Synthesises frames that were never filmed;
//! kept to reproduce the seed's data.

use ffmpeg_next as ff;
use ffmpeg_next::{filter, frame};

use super::facts::TimeBase;
use super::video::Picture;

/// The shorter side that the seed scales to before interpolating, in pixels.
const SHORT_SIDE: u32 = 240;

/// A filter graph fed with the frames of one clip.
pub struct Interpolation {
    rate: String,
    time_base: TimeBase,
    graph: Option<filter::Graph>,
    last: Option<i64>,
}

impl Interpolation {
    /// Interpolation to `rate` frames per second (a number or a fraction) of frames with times in
    /// `time_base`.
    #[must_use]
    pub fn new(rate: String, time_base: TimeBase) -> Self {
        Self {
            rate,
            time_base,
            graph: None,
            last: None,
        }
    }

    /// Takes the next frame; frames that do not come later than the one before are left out.
    /// [`Interpolation::take`] gives what is ready.
    ///
    /// # Errors
    /// When libavfilter refuses the frame.
    pub fn push(&mut self, mut picture: Picture, elapsed: i64) -> Result<(), String> {
        if self.last.is_some_and(|last| elapsed <= last) {
            return Ok(());
        }
        self.last = Some(elapsed);
        picture.set_pts(Some(elapsed));
        if self.graph.is_none() {
            self.graph = Some(self.build(&picture).map_err(text)?);
        }
        self.source()?.source().add(&picture).map_err(text)
    }

    /// Tells that no frame will follow.
    ///
    /// # Errors
    /// When libavfilter fails.
    pub fn finish(&mut self) -> Result<(), String> {
        if self.graph.is_none() {
            return Ok(());
        }
        self.source()?.source().flush().map_err(text)
    }

    /// A finished frame, if one is ready.
    #[must_use]
    pub fn take(&mut self) -> Option<Picture> {
        let mut picture = frame::Video::empty();
        let mut sink = self.graph.as_mut()?.get("out")?;
        sink.sink().frame(&mut picture).ok().map(|()| picture)
    }

    fn source(&mut self) -> Result<filter::Context, String> {
        self.graph
            .as_mut()
            .and_then(|g| g.get("in"))
            .ok_or_else(|| "the filter graph has no input".to_owned())
    }

    fn build(&self, picture: &Picture) -> Result<filter::Graph, ff::Error> {
        let named = |name| filter::find(name).ok_or(ff::Error::FilterNotFound);
        let mut graph = filter::Graph::new();
        let (width, height) = (picture.width(), picture.height());
        let format = picture
            .format()
            .descriptor()
            .map_or("yuv420p", |d| d.name());
        let (num, den) = (self.time_base.num, self.time_base.den);
        let input = format!(
            "video_size={width}x{height}:pix_fmt={format}:time_base={num}/{den}:pixel_aspect=1/1"
        );
        graph.add(&named("buffer")?, "in", &input)?;
        graph.add(&named("buffersink")?, "out", "")?;
        let scale = if width > height {
            format!("-1:{SHORT_SIDE}")
        } else {
            format!("{SHORT_SIDE}:-1")
        };
        let chain = format!("scale={scale},minterpolate=fps={}", self.rate);
        graph.output("in", 0)?.input("out", 0)?.parse(&chain)?;
        graph.validate()?;
        Ok(graph)
    }
}

#[allow(clippy::needless_pass_by_value)] // Fits map_err.
fn text(e: ff::Error) -> String {
    format!("minterpolate: {e}")
}
