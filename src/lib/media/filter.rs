//! What libavfilter does to the frames of a clip.
//!
//! Motion-compensated interpolation, as the seed runs it: the shorter side scaled to 240 pixels,
//! then `minterpolate` at the wanted rate. It synthesises frames that were never filmed; kept to
//! reproduce the seed's data. And what people may ask for: whole pictures from the fields of
//! interlaced ones, the usual dynamic range from a high one.

use ffmpeg_next as ff;
use ffmpeg_next::{filter, frame};

use super::facts::TimeBase;
use super::high_range::HighRange;
use super::video::Picture;

/// The shorter side that the seed scales to before interpolating, in pixels.
const SHORT_SIDE: u32 = 240;
/// Each frame as one of its own, by the lines of those before and after; progressive ones stay.
const DEINTERLACE: &str = "yadif=mode=send_frame:deint=interlaced";
/// Light as it is, the colours of BT.709, Hable's curve, and back to levels; white is 100 cd/m2.
const TONE_MAP: &str = "zscale=transfer=linear:npl=100,format=gbrpf32le,zscale=primaries=bt709,\
    tonemap=tonemap=hable:desat=0,zscale=transfer=bt709:matrix=bt709:range=limited,format=yuv420p";

/// What is done to frames, each of which stays one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Treatment {
    /// Whole pictures from fields.
    pub deinterlace: bool,
    /// The usual dynamic range from a high one.
    pub tone_map: bool,
}

enum Purpose {
    Interpolation { rate: String },
    Treatment(Treatment),
}

/// A filter graph fed with the frames of one clip.
pub struct Filter {
    purpose: Purpose,
    time_base: TimeBase,
    graph: Option<filter::Graph>,
    last: Option<i64>,
}

impl Filter {
    /// Interpolation to `rate` frames per second (a number or a fraction) of frames with times in
    /// `time_base`.
    #[must_use]
    pub fn interpolation(rate: String, time_base: TimeBase) -> Self {
        Self::new(Purpose::Interpolation { rate }, time_base)
    }

    /// Treatment of frames with times in `time_base`, which they keep.
    #[must_use]
    pub fn treatment(treatment: Treatment, time_base: TimeBase) -> Self {
        Self::new(Purpose::Treatment(treatment), time_base)
    }

    fn new(purpose: Purpose, time_base: TimeBase) -> Self {
        Self {
            purpose,
            time_base,
            graph: None,
            last: None,
        }
    }

    /// Takes the next frame; frames that do not come later than the one before are left out.
    /// [`Filter::take`] gives what is ready.
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
            self.graph = Some(self.build(&picture).map_err(|e| self.text(e))?);
        }
        let added = self.source()?.source().add(&picture);
        added.map_err(|e| self.text(e))
    }

    /// Tells that no frame will follow.
    ///
    /// # Errors
    /// When libavfilter fails.
    pub fn finish(&mut self) -> Result<(), String> {
        if self.graph.is_none() {
            return Ok(());
        }
        let flushed = self.source()?.source().flush();
        flushed.map_err(|e| self.text(e))
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
        let chain = self.chain(picture);
        graph.output("in", 0)?.input("out", 0)?.parse(&chain)?;
        graph.validate()?;
        Ok(graph)
    }

    fn chain(&self, picture: &Picture) -> String {
        match &self.purpose {
            Purpose::Interpolation { rate } => {
                let scale = if picture.width() > picture.height() {
                    format!("-1:{SHORT_SIDE}")
                } else {
                    format!("{SHORT_SIDE}:-1")
                };
                format!("scale={scale},minterpolate=fps={rate}")
            }
            Purpose::Treatment(treatment) => {
                let is_high = HighRange::of(picture).is_some();
                let filters = [
                    treatment.deinterlace.then_some(DEINTERLACE),
                    (treatment.tone_map && is_high).then_some(TONE_MAP),
                ];
                let TimeBase { num, den } = self.time_base;
                // yadif counts in halves of the unit.
                let units = format!("settb={num}/{den}");
                let filters = filters.into_iter().flatten().chain([units.as_str()]);
                filters.collect::<Vec<_>>().join(",")
            }
        }
    }

    #[allow(clippy::needless_pass_by_value)] // Fits map_err.
    fn text(&self, e: ff::Error) -> String {
        match self.purpose {
            Purpose::Interpolation { .. } => format!("minterpolate: {e}"),
            Purpose::Treatment(_) => format!("deinterlacing or tone mapping: {e}"),
        }
    }
}
