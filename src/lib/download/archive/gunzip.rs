//! Gunzip of a whole file: one member after the other, each with its checksum, padding allowed
//! behind the last.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

/// Compressed bytes that are read at a time.
const BUFFER_BYTES: usize = 128 * 1024;
/// Compressed bytes in a row that may unpack to nothing: zeros behind the last member, empty
/// members, empty blocks. Tools pad to a tape's record at most.
const MAX_EMPTY_BYTES: usize = 16 << 20;

/// The unpacked bytes of a gzip file of one or more members.
///
/// A wrong checksum, a damaged block, an early end, anything but zeros behind the last member, and
/// very many bytes that unpack to nothing are errors of the kinds `InvalidData`, `InvalidInput` and
/// `UnexpectedEof`.
pub struct Gunzip<R: Read> {
    state: State<R>,
}

enum State<R: Read> {
    Member(Box<GzDecoder<BufReader<Hashed<R>>>>),
    Between(Box<BufReader<Hashed<R>>>),
    /// Only while one state becomes another, and after an error.
    Moving,
}

/// Hashes what passes, so that the ledger knows the archive.
pub(super) struct Hashed<R> {
    inner: R,
    hasher: blake3::Hasher,
    /// Bytes read since one was unpacked.
    empty_bytes: usize,
}

impl<R: Read> Hashed<R> {
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            hasher: blake3::Hasher::new(),
            empty_bytes: 0,
        }
    }

    /// Takes note that what was read last did unpack to something.
    pub(super) fn unpacked_some(&mut self) {
        self.empty_bytes = 0;
    }

    /// The hash of all that passed, in hexadecimal, and the reader below.
    pub(super) fn finish(self) -> (String, R) {
        (self.hasher.finalize().to_hex().to_string(), self.inner)
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..n]);
        self.empty_bytes += n;
        if self.empty_bytes > MAX_EMPTY_BYTES {
            let text = format!("more than {MAX_EMPTY_BYTES} bytes in a row that unpack to nothing");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(n)
    }
}

impl<R: Read> Gunzip<R> {
    /// Unpacks `inner`, which begins with a gzip header.
    #[must_use]
    pub fn new(inner: R) -> Self {
        let buffered = BufReader::with_capacity(BUFFER_BYTES, Hashed::new(inner));
        Self {
            state: State::Member(Box::new(GzDecoder::new(buffered))),
        }
    }

    /// The BLAKE3 hash of the compressed bytes read so far, in hexadecimal, and the reader below;
    /// after the end these are all bytes. `None` after an error.
    #[must_use]
    pub fn finish(self) -> Option<(String, R)> {
        let hashed = match self.state {
            State::Member(decoder) => decoder.into_inner().into_inner(),
            State::Between(buffered) => (*buffered).into_inner(),
            State::Moving => return None,
        };
        Some(hashed.finish())
    }

    /// Goes on with the next member, if there is one.
    fn next_member(mut buffered: Box<BufReader<Hashed<R>>>) -> io::Result<(State<R>, bool)> {
        loop {
            let ahead = buffered.fill_buf()?;
            if ahead.is_empty() {
                return Ok((State::Between(buffered), false));
            }
            let zeros = ahead.iter().take_while(|&&b| b == 0).count();
            if zeros == 0 {
                // The decoder refuses whatever is no gzip header.
                return Ok((State::Member(Box::new(GzDecoder::new(*buffered))), true));
            }
            buffered.consume(zeros);
        }
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.state, State::Moving) {
                State::Member(mut decoder) => {
                    let n = decoder.read(buffer)?;
                    if n > 0 {
                        decoder.get_mut().get_mut().unpacked_some();
                        self.state = State::Member(decoder);
                        return Ok(n);
                    }
                    self.state = State::Between(Box::new(decoder.into_inner()));
                }
                State::Between(buffered) => {
                    let (state, more) = Self::next_member(buffered)?;
                    self.state = state;
                    if !more {
                        return Ok(0);
                    }
                }
                State::Moving => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn gunzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Gunzip::new(bytes).read_to_end(&mut out).map(|_| out)
    }

    #[test]
    fn members_follow_each_other_and_zeros_may_pad_them() {
        let mut file = gzip(b"one ");
        file.extend(gzip(b"two"));
        file.extend([0; 700]);
        assert_eq!(gunzip(&file).unwrap(), b"one two");
        let mut reader = Gunzip::new(&file[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        let (hash, _) = reader.finish().unwrap();
        assert_eq!(hash, blake3::hash(&file).to_hex().to_string());
    }

    #[test]
    fn what_unpacks_to_nothing_for_ever_is_refused() {
        let refused = |begin: &[u8], endless: &[u8]| {
            let endless = endless.repeat(2 * MAX_EMPTY_BYTES / endless.len());
            gunzip(&[begin, &endless].concat()).unwrap_err().to_string()
        };
        let whole = gzip(b"one");
        // The header of a member, and stored blocks without content that are not the last.
        let (header, empty_block) = (&whole[..10], [0, 0, 0, 0xff, 0xff]);
        for text in [
            refused(&whole, &[0]),
            refused(&whole, &gzip(b"")),
            refused(header, &empty_block),
        ] {
            assert!(text.contains("unpack to nothing"), "{text}");
        }
    }

    #[test]
    fn every_flipped_bit_and_every_early_end_is_noticed() {
        let text: Vec<u8> = (0..2000_u32).flat_map(u32::to_le_bytes).collect();
        let file = gzip(&text);
        for end in 0..file.len() {
            assert!(gunzip(&file[..end]).is_err(), "cut at {end}");
        }
        for at in (0..file.len()).step_by(7) {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << (at % 8);
            if let Ok(same) = gunzip(&damaged) {
                // Times, flags without effect and the system's name are in the header, outside the
                // checksum.
                assert!(at < 10 && same == text, "bit at {at}");
            }
        }
        let mut trailing = file.clone();
        trailing.extend(b"garbage");
        assert!(gunzip(&trailing).is_err());
    }
}
