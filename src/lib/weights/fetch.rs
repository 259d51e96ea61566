//! Fetching one file of weights: resumed where it broke, published when its content is right.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::published::PublishedWeights;
use super::{WeightsError, blob_id};
use crate::artifact::{self, ArtifactError};
use crate::download::source::connect;
use crate::lock::{Lock, Wait};
use crate::progress::{Progress, Unit};
use crate::store::{
    Client, Facts, Fault, HttpConfig, Link, RemoteError, RetryConfig, Stream, fault_in,
};

/// Largest file of weights.
const MAX_BYTES: u64 = 1 << 30;
/// Bytes that are written at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// What is to be fetched, and where to.
#[derive(Clone, Debug)]
pub struct WeightsConfig {
    /// Which weights.
    pub weights: &'static PublishedWeights,
    /// The file to write.
    pub out: PathBuf,
    /// Replaces the published address: a URL or a folder of the same layout. Default none.
    pub source: Option<Link>,
    /// How failures are retried.
    pub retry: RetryConfig,
    /// The connection.
    pub http: HttpConfig,
}

/// What a fetch came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The file was there already, and is the published one.
    Unchanged,
    /// It was fetched: so many bytes in all, of which so many lay there from an attempt before.
    Written {
        /// Bytes of the file.
        bytes: u64,
        /// Bytes that were not fetched again.
        resumed: u64,
    },
}

/// Fetches published weights into a file, which is there only when its content is right.
///
/// # Errors
/// When the source cannot be reached or gives something else, another file lies at the place, or
/// the disk refuses.
pub fn fetch(config: &WeightsConfig) -> Result<Fetched, WeightsError> {
    let weights = config.weights;
    let folder = artifact::parent(&config.out);
    fs::create_dir_all(folder).map_err(ArtifactError::at("create folder", folder))?;
    let _lock = Lock::folder(folder, "incdec-weights", Wait::No)?;
    if config.out.exists() {
        let found = blob_id(&config.out)?;
        return if found == weights.blob {
            Ok(Fetched::Unchanged)
        } else {
            Err(WeightsError::Occupied {
                path: config.out.clone(),
                found,
                expected: weights.blob,
            })
        };
    }
    let base = config.source.clone();
    let base = base.unwrap_or_else(|| Link::new(weights.base));
    let client = connect(&base, &config.http, config.retry, None)?;
    let partial = partial(folder, weights);
    let resumed = complete(&client, weights.path, &partial)?;
    let found = blob_id(&partial)?;
    if found != weights.blob {
        fs::remove_file(&partial).map_err(ArtifactError::at("remove", &partial))?;
        return Err(WeightsError::Content {
            url: format!("{base}/{}", weights.path),
            found,
            expected: weights.blob,
        });
    }
    let bytes = size(&partial)?;
    artifact::rename(&partial, &config.out)?;
    Ok(Fetched::Written { bytes, resumed })
}

/// Where the file grows. The id is in the name, so that only the same weights go on there.
fn partial(folder: &Path, weights: &PublishedWeights) -> PathBuf {
    folder.join(format!(".incdec-weights-{}.partial", weights.blob))
}

/// The size of a file; 0 where there is none.
fn size(path: &Path) -> Result<u64, ArtifactError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(ArtifactError::at("read", path)(error)),
    }
}

/// Fetches what `partial` lacks of a file, and gives how much it had.
fn complete(client: &Client, path: &str, partial: &Path) -> Result<u64, WeightsError> {
    let facts = client.patiently(|| client.remote.facts(path))?;
    let mut begun = size(partial)?;
    // More than the source has is of another file.
    if facts.bytes.is_some_and(|total| begun > total) {
        begun = 0;
    }
    let mut file = OpenOptions::new();
    let file = file.create(true).append(true).open(partial);
    let mut file = file.map_err(ArtifactError::at("write", partial))?;
    file.set_len(begun)
        .map_err(ArtifactError::at("write", partial))?;
    if facts.bytes == Some(begun) {
        return Ok(begun);
    }
    let progress = Progress::new("fetching weights", facts.bytes, Unit::Bytes);
    progress.inc(begun);
    let stream = Stream::new(client, path, Facts::default()).starting_at(begun);
    let result = append(stream, &mut file, begun, path, partial, &progress);
    progress.finish();
    file.sync_all()
        .map_err(ArtifactError::at("write", partial))?;
    result.map(|()| begun)
}

/// Copies a stream to the end of a file.
fn append(
    mut stream: impl Read,
    file: &mut File,
    begun: u64,
    path: &str,
    partial: &Path,
    progress: &Progress,
) -> Result<(), WeightsError> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut held = begun;
    loop {
        let n = match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => n,
            Err(error) => {
                return Err(match fault_in(error) {
                    Ok(remote) => remote.into(),
                    Err(error) => ArtifactError::at("read", partial)(error).into(),
                });
            }
        };
        held += n as u64;
        if held > MAX_BYTES {
            return Err(WeightsError::Remote(RemoteError {
                url: path.into(),
                kind: Fault::TooLarge {
                    limit_bytes: MAX_BYTES,
                },
            }));
        }
        file.write_all(&buffer[..n])
            .map_err(ArtifactError::at("write", partial))?;
        progress.inc(n as u64);
    }
}
