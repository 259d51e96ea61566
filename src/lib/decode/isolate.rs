//! Decoding in child processes, so that a decoder that crashes, hangs or grows costs one clip only.
//!
//! Each worker keeps one child and asks it for one clip at a time: a JSON line goes to its standard
//! input, a length-prefixed JSON head and the frames come back on its standard output. A child that
//! dies or takes too long is replaced.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::clip::DecodedClip;
use super::source::Source;
use super::trouble::Trouble;
use super::{ClipSettings, DecodeError};
use crate::media::limits::{Deadline, Exceeded, Limits};
use crate::shard::SourceFacts;

/// Seconds beyond a clip's own limit after which its child is ended: it should have stopped by
/// itself.
const GRACE_SECONDS: u64 = 10;
/// How long a child that has closed its output may take to end before it is ended.
const END_PATIENCE: Duration = Duration::from_secs(1);
/// Largest head of an answer in bytes.
const MAX_HEAD_BYTES: u64 = 1 << 20;
/// Most frames, and bytes of one frame, that an answer may claim.
const MAX_FRAMES: u64 = 1 << 24;
const MAX_FRAME_BYTES: u64 = 256 << 20;

/// What a child is asked for.
#[derive(Serialize, Deserialize)]
struct Request {
    /// The path, a character for each of its bytes: not every path is text.
    path: String,
    is_folder: bool,
    settings: ClipSettings,
    limits: Limits,
}

impl Request {
    fn new(source: &Source, settings: &ClipSettings, limits: Limits) -> Self {
        let path = source.path().as_os_str().as_bytes();
        Self {
            path: path.iter().copied().map(char::from).collect(),
            is_folder: matches!(source, Source::Frames { .. }),
            settings: settings.clone(),
            limits,
        }
    }

    /// The source that is asked for; its size does not count here.
    fn source(&self) -> io::Result<Source> {
        let bytes: Result<Vec<u8>, _> = self.path.chars().map(u8::try_from).collect();
        let path = PathBuf::from(OsString::from_vec(bytes.map_err(io::Error::other)?));
        Ok(if self.is_folder {
            Source::Frames { path, bytes: 0 }
        } else {
            Source::File { path, bytes: 0 }
        })
    }
}

/// The child's side: answers requests until its input ends.
///
/// # Errors
/// When the limit of memory cannot be set, or input and output do not follow the protocol.
pub fn work() -> Result<(), DecodeError> {
    let failed = |e: io::Error| DecodeError::Worker {
        reason: e.to_string(),
    };
    let mut output = BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let request: Request =
            serde_json::from_str(&line.map_err(failed)?).map_err(|e| failed(e.into()))?;
        limit_memory(request.limits.memory_bytes).map_err(failed)?;
        let source = request.source().map_err(failed)?;
        let clip = source.decode(&request.settings, request.limits);
        send(&mut output, &clip).map_err(failed)?;
    }
    Ok(())
}

/// Limits the address space of this process, within what it may have at all.
fn limit_memory(bytes: u64) -> io::Result<()> {
    let maximum = getrlimit(Resource::As).maximum;
    let limit = Rlimit {
        current: Some(maximum.map_or(bytes, |maximum| maximum.min(bytes))),
        maximum,
    };
    Ok(setrlimit(Resource::As, limit)?)
}

fn send(output: &mut impl Write, clip: &DecodedClip) -> io::Result<()> {
    let head = serde_json::to_vec(clip)?;
    let number = |output: &mut dyn Write, n: usize| output.write_all(&(n as u64).to_le_bytes());
    number(output, head.len())?;
    output.write_all(&head)?;
    number(output, clip.frames.len())?;
    for frame in &clip.frames {
        number(output, frame.len())?;
        output.write_all(frame)?;
    }
    output.flush()
}

fn receive(input: &mut impl Read) -> io::Result<DecodedClip> {
    let number = |input: &mut dyn Read, limit: u64| -> io::Result<usize> {
        let mut bytes = [0; 8];
        input.read_exact(&mut bytes)?;
        let n = u64::from_le_bytes(bytes);
        let fits = usize::try_from(n).ok().filter(|_| n <= limit);
        fits.ok_or_else(|| io::Error::other(format!("a length of {n} where {limit} is the limit")))
    };
    let exactly = |input: &mut dyn Read, n: usize| -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; n];
        input.read_exact(&mut bytes)?;
        Ok(bytes)
    };
    let length = number(input, MAX_HEAD_BYTES)?;
    let mut clip: DecodedClip = serde_json::from_slice(&exactly(input, length)?)?;
    for _ in 0..number(input, MAX_FRAMES)? {
        let length = number(input, MAX_FRAME_BYTES)?;
        clip.frames.push(exactly(input, length)?);
    }
    Ok(clip)
}

/// The parent's side: one worker and its child.
pub(super) struct Isolated {
    program: PathBuf,
    child: Option<Running>,
}

struct Running {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<Answers>,
}

/// A child's output, read until a clip's time is up.
struct Answers {
    pipe: ChildStdout,
    deadline: Deadline,
}

/// Why a child gave no answer.
enum Lost {
    /// It took too long and was ended.
    Overdue,
    /// It has ended; the status is none where it would not end by itself.
    Died(Option<ExitStatus>),
}

impl Isolated {
    pub(super) fn new(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            child: None,
        }
    }

    /// Decodes one source in the child, which is started when there is none.
    ///
    /// # Errors
    /// When no child can be started: that is no clip's fault.
    pub(super) fn decode(
        &mut self,
        source: &Source,
        settings: &ClipSettings,
        limits: Limits,
    ) -> Result<DecodedClip, DecodeError> {
        let mut running = match self.child.take() {
            Some(running) => running,
            None => start(&self.program).map_err(|source| DecodeError::Process {
                program: self.program.clone(),
                source,
            })?,
        };
        let request = Request::new(source, settings, limits);
        let lost = match running.exchange(&request) {
            Ok(clip) => {
                self.child = Some(running);
                return Ok(clip);
            }
            Err(lost) => lost,
        };
        let facts = SourceFacts {
            // The child would have hashed it. Only a file with the same hash is the same file
            // later.
            blake3: source.hash(settings, limits),
            ..SourceFacts::default()
        };
        Ok(DecodedClip::failed(settings, facts, lost.trouble(limits)))
    }
}

impl Lost {
    /// What it says of the clip. Only an access to memory that is not there is sure to be the
    /// clip's doing.
    fn trouble(&self, limits: Limits) -> Trouble {
        let crashes = [Signal::SEGV, Signal::ILL, Signal::FPE].map(Signal::as_raw);
        match self {
            Self::Overdue => Trouble::Starved(Exceeded::Seconds(limits.seconds).to_string()),
            Self::Died(None) => Trouble::Starved("the decoder process broke off".into()),
            Self::Died(Some(status)) => {
                let reason = format!("the decoder process died ({status})");
                match status.signal() {
                    Some(signal) if crashes.contains(&signal) => Trouble::Damaged(reason),
                    _ => Trouble::Starved(reason),
                }
            }
        }
    }
}

impl Running {
    /// Sends the request and waits for the answer.
    fn exchange(&mut self, request: &Request) -> Result<DecodedClip, Lost> {
        let seconds = request.limits.seconds.saturating_add(GRACE_SECONDS);
        self.answers.get_mut().deadline = Deadline::after(seconds);
        let answer = serde_json::to_string(request)
            .map_err(io::Error::other)
            .and_then(|line| writeln!(self.requests, "{line}"))
            .and_then(|()| self.requests.flush())
            .and_then(|()| receive(&mut self.answers));
        answer.map_err(|e| match e.kind() {
            io::ErrorKind::TimedOut => Lost::Overdue,
            _ => Lost::Died(self.ended()),
        })
    }

    /// How the child has ended. Gives it a moment for that: it may have closed its output just now.
    fn ended(&mut self) -> Option<ExitStatus> {
        let until = Instant::now() + END_PATIENCE;
        while Instant::now() < until {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            thread::sleep(END_PATIENCE / 100);
        }
        None
    }
}

impl Read for Answers {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A time that is too long for the system is as good as none.
        let left = self
            .deadline
            .left()
            .and_then(|left| Timespec::try_from(left).ok());
        let mut pipe = [PollFd::new(&self.pipe, PollFlags::IN)];
        if poll(&mut pipe, left.as_ref())? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.pipe.read(buffer)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be dead already; waiting keeps it from staying a zombie.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(program: &Path) -> io::Result<Running> {
    // Decoders' libraries may print where nobody can stop them; that must not reach our output.
    let mut child = Command::new(program)
        .arg("worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(requests), Some(pipe)) => Ok(Running {
            child,
            requests,
            answers: BufReader::new(Answers {
                pipe,
                deadline: Deadline::after(0),
            }),
        }),
        _ => Err(io::Error::other("no pipe")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::hint::Hint;
    use crate::shard::{Cause, ClipHead, Codec};
    use crate::tables::ClipStatus;

    #[test]
    fn a_clip_survives_the_pipe_and_hostile_lengths_are_refused() {
        let clip = DecodedClip {
            frames: vec![vec![1, 2, 3], vec![], vec![4]],
            head: ClipHead {
                codec: Codec::Jpeg,
                width: 2,
                height: 1,
                fps: 5.0,
                source: SourceFacts {
                    codec: Some("h264".into()),
                    // A reader of JSON that is not exact gives the float beside it.
                    duration_s: Some(1.034_366_666_666_666_7),
                    ..SourceFacts::default()
                },
                status: ClipStatus::Partial,
                error: Some("cut off".into()),
            },
            cause: None,
            starved: false,
        };
        let mut pipe = Vec::new();
        send(&mut pipe, &clip).unwrap();
        assert_eq!(receive(&mut pipe.as_slice()).unwrap(), clip);
        assert!(receive(&mut &pipe[..pipe.len() - 1]).is_err());
        assert!(
            receive(&mut [0xffu8; 64].as_slice())
                .unwrap_err()
                .to_string()
                .contains("limit")
        );
    }

    fn decode(program: &str) -> Result<DecodedClip, DecodeError> {
        let source = Source::File {
            path: "clip.mp4".into(),
            bytes: 1,
        };
        let limits = Limits::default();
        Isolated::new(Path::new(program)).decode(&source, &ClipSettings::default(), limits)
    }

    #[test]
    fn a_child_that_dies_costs_one_clip_and_that_is_not_the_clips_fault() {
        let died = decode("false").unwrap();
        assert_eq!(died.head.status, ClipStatus::Failed);
        assert_eq!(died.cause, Some(Cause::NotDecoded));
        assert!(died.head.error.unwrap().contains("died"));
    }

    #[test]
    fn a_program_that_cannot_be_started_is_no_clips_fault() {
        let error = decode("/nonexistent/program").unwrap_err();
        assert!(error.to_string().contains("/nonexistent/program"));
        assert_eq!(error.exit(), Exit::Failed);
    }

    #[test]
    fn paths_of_any_bytes_cross_the_pipe() {
        let path = PathBuf::from(OsString::from_vec(b"clips \xff\n\xe4/a.mp4".to_vec()));
        let source = Source::File {
            path: path.clone(),
            bytes: 1,
        };
        let request = Request::new(&source, &ClipSettings::default(), Limits::default());
        let line = serde_json::to_string(&request).unwrap();
        assert!(!line.contains('\n'));
        let received: Request = serde_json::from_str(&line).unwrap();
        assert_eq!(received.source().unwrap().path(), path);
    }
}
