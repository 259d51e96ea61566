//! Any bytes as a tar within a sound gzip file: an error or a tally, never a panic, never more kept than the members hold.
#![no_main]

use std::io::{Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use incdec::clip::ClipId;
use incdec::download::archive::{ExtractError, Gunzip, Keeper, extract};
use incdec::download::ledger::KeptClip;
use libfuzzer_sys::fuzz_target;

/// Takes every clip and counts its bytes.
struct Counter(u64);

impl Keeper for Counter {
    fn wants(&self, _: &ClipId) -> bool {
        true
    }

    fn keep(
        &mut self,
        clip: &ClipId,
        ending: &'static str,
        bytes: u64,
        body: &mut dyn Read,
    ) -> Result<KeptClip, ExtractError> {
        assert!(!format!("{clip}.{ending}").contains(['/', '\0']));
        let read = std::io::copy(body, &mut std::io::sink())?;
        self.0 += read;
        if read != bytes {
            return Err(ExtractError::Damaged("short".into()));
        }
        Ok(KeptClip {
            clip_id: clip.to_string(),
            bytes,
            blake3: String::new(),
            container: String::new(),
        })
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("written to memory");
    let gzip = encoder.finish().expect("written to memory");
    let mut counter = Counter(0);
    let result = extract(&mut Gunzip::new(gzip.as_slice()), &mut counter);
    assert!(counter.0 <= bytes.len() as u64);
    if let Ok(tally) = result {
        assert_eq!(tally.kept.iter().map(|k| k.bytes).sum::<u64>(), counter.0);
    }
    // The same bytes as the gzip file itself: an error, most likely.
    let _ = extract(&mut Gunzip::new(bytes), &mut Counter(0));
});
