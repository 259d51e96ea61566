//! Decoding in child processes, so that a decoder that crashes, hangs or grows costs one clip only.
//!
//! Each worker keeps one child and asks it for one clip at a time: a JSON line goes to its standard input, a length-prefixed
//! JSON head and the frames come back on its standard output. A child that dies or takes too long is replaced.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use crossbeam::channel::{RecvTimeoutError, bounded};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::clip::{DecodedClip, decode_file};
use super::folder::decode_folder;
use super::source::Source;
use super::{ClipSettings, DecodeError};
use crate::media::decode::Limits;
use crate::shard::SourceFacts;

/// Seconds beyond a clip's own limit after which its child is ended: it should have stopped by itself.
const GRACE_SECONDS: u64 = 10;
/// Largest head of an answer in bytes.
const MAX_HEAD_BYTES: u64 = 1 << 20;
/// Most frames, and bytes of one frame, that an answer may claim.
const MAX_FRAMES: u64 = 1 << 24;
const MAX_FRAME_BYTES: u64 = 256 << 20;

/// What a child is asked for.
#[derive(Serialize, Deserialize)]
struct Request {
    path: PathBuf,
    is_folder: bool,
    settings: ClipSettings,
    limits: Limits,
}

/// Decodes one source in this process.
pub(super) fn decode_here(source: &Source, settings: &ClipSettings, limits: Limits) -> DecodedClip {
    match source {
        Source::File { path, .. } => decode_file(path, settings, limits),
        Source::Frames { path, .. } => decode_folder(path, settings),
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
        let bytes = request.limits.memory_bytes;
        setrlimit(
            Resource::As,
            Rlimit {
                current: Some(bytes),
                maximum: None,
            },
        )
        .map_err(|e| failed(e.into()))?;
        let clip = if request.is_folder {
            decode_folder(&request.path, &request.settings)
        } else {
            decode_file(&request.path, &request.settings, request.limits)
        };
        send(&mut output, &clip).map_err(failed)?;
    }
    Ok(())
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
    answers: BufReader<ChildStdout>,
}

impl Isolated {
    pub(super) fn new(program: &Path) -> Self {
        Self {
            program: program.to_owned(),
            child: None,
        }
    }

    /// Decodes one source in the child, which is started when there is none.
    pub(super) fn decode(
        &mut self,
        source: &Source,
        settings: &ClipSettings,
        limits: Limits,
    ) -> DecodedClip {
        let request = Request {
            path: source.path().to_owned(),
            is_folder: matches!(source, Source::Frames { .. }),
            settings: settings.clone(),
            limits,
        };
        self.ask(&request)
            .unwrap_or_else(|reason| DecodedClip::failed(SourceFacts::default(), reason))
    }

    fn ask(&mut self, request: &Request) -> Result<DecodedClip, String> {
        let mut running = match self.child.take() {
            Some(running) => running,
            None => start(&self.program)
                .map_err(|e| format!("the decoder process cannot be started: {e}"))?,
        };
        let seconds = request.limits.seconds;
        match running.exchange(request, Duration::from_secs(seconds + GRACE_SECONDS)) {
            Ok(clip) => {
                self.child = Some(running);
                Ok(clip)
            }
            Err(true) => Err(format!("took longer than {seconds} s")),
            Err(false) => {
                let end = running
                    .child
                    .wait()
                    .map_or_else(|e| e.to_string(), |status| status.to_string());
                Err(format!("the decoder process died ({end})"))
            }
        }
    }
}

impl Running {
    /// Sends the request and waits for the answer; the error says whether the time was up.
    fn exchange(&mut self, request: &Request, time: Duration) -> Result<DecodedClip, bool> {
        let line = serde_json::to_string(request).map_err(|_| false)?;
        writeln!(self.requests, "{line}")
            .and_then(|()| self.requests.flush())
            .map_err(|_| false)?;
        let (done, wait) = bounded::<()>(1);
        let (child, answers) = (&mut self.child, &mut self.answers);
        thread::scope(|scope| {
            // Ends the child when it is overdue; reading below then meets the end of its output.
            let overdue = scope.spawn(move || {
                let late = wait.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
                late && child.kill().is_ok()
            });
            let answer = receive(answers);
            drop(done);
            let late = overdue.join().unwrap_or(false);
            answer.map_err(|_| late)
        })
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
        (Some(requests), Some(answers)) => Ok(Running {
            child,
            requests,
            answers: BufReader::new(answers),
        }),
        _ => Err(io::Error::other("no pipe")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage_tables::ClipStatus;

    #[test]
    fn a_clip_survives_the_pipe_and_hostile_lengths_are_refused() {
        let clip = DecodedClip {
            frames: vec![vec![1, 2, 3], vec![], vec![4]],
            width: 2,
            height: 1,
            source: SourceFacts {
                codec: Some("h264".into()),
                ..SourceFacts::default()
            },
            status: ClipStatus::Partial,
            error: Some("cut off".into()),
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

    #[test]
    fn a_child_that_dies_or_hangs_costs_one_clip() {
        let source = Source::File {
            path: "clip.mp4".into(),
            bytes: 1,
        };
        let limits = Limits {
            seconds: 1,
            ..Limits::default()
        };
        let decode = |program: &str| {
            Isolated::new(Path::new(program)).decode(&source, &ClipSettings::default(), limits)
        };
        let died = decode("false");
        assert_eq!(died.status, ClipStatus::Failed);
        assert!(
            died.error.unwrap().contains("died"),
            "a child that ends at once"
        );
        let absent = decode("/nonexistent/program");
        assert!(absent.error.unwrap().contains("cannot be started"));
    }
}
