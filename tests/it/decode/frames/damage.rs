//! Files that cannot be decoded, or in part.

use std::fs;

use incdec::decode::probe;
use incdec::media::limits::Limits;
use incdec::tables::ClipStatus;

use super::super::files::{MOVING, frames_by_ffmpeg, make};
use super::{SMALL, decode, raw};

#[test]
fn what_cannot_be_decoded_is_refused_with_the_reason_and_what_can_in_part_is_partial() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let x264 = ["-c:v", "libx264"];
    let sound = make(folder.path(), "sound.mp4", MOVING, &x264);
    let front = make(
        folder.path(),
        "front.mp4",
        MOVING,
        &["-c:v", "libx264", "-movflags", "+faststart"],
    );
    let bytes = fs::read(&sound).unwrap();
    fs::write(path("cut.mp4"), &bytes[..bytes.len() / 3]).unwrap();
    fs::write(path("empty.mp4"), b"").unwrap();
    fs::write(
        path("text.mp4"),
        "#EXTM3U\n#EXTINF:1,\nsound.mp4\n#EXT-X-ENDLIST\n",
    )
    .unwrap();
    make(
        folder.path(),
        "audio.mp4",
        "sine=duration=1",
        &["-c:a", "aac"],
    );
    let key = [
        "-encryption_scheme",
        "cenc-aes-ctr",
        "-encryption_key",
        "76a6c65c5ea762046bd749a2e632ccbb",
    ];
    let kid = ["-encryption_kid", "a7e61c373e219033c21091fa607bf3b8"];
    make(
        folder.path(),
        "encrypted.mp4",
        MOVING,
        &[x264.as_slice(), &key, &kid].concat(),
    );
    for (name, reason) in [
        ("cut.mp4", "cannot be opened"),
        ("empty.mp4", "cannot be opened"),
        ("text.mp4", "cannot be opened"),
        ("audio.mp4", "only audio"),
        ("encrypted.mp4", "is encrypted"),
    ] {
        let row = probe(&path(name), Limits::default());
        assert_eq!((row.frames, row.status), (0, ClipStatus::Failed), "{row}");
        assert!(row.reason.as_deref().unwrap().contains(reason), "{row}");
    }
    let bytes = fs::read(&front).unwrap();
    fs::write(path("front_cut.mp4"), &bytes[..bytes.len() * 2 / 3]).unwrap();
    let row = probe(&path("front_cut.mp4"), Limits::default());
    assert_eq!(row.status, ClipStatus::Partial, "{row}");
    assert!((1..50).contains(&row.frames), "{row}");
    assert!(row.reason.unwrap().contains("of 50 frames"));
    let clip = decode(&path("front_cut.mp4"), &raw(SMALL));
    assert_eq!(
        (clip.head.status, clip.head.source.frames_expected),
        (ClipStatus::Partial, Some(50))
    );
    assert!(!clip.frames.is_empty());
    let none = probe(
        &sound,
        Limits {
            seconds: 0,
            ..Limits::default()
        },
    );
    assert!(none.reason.unwrap().contains("took longer than 0 s"));
}

#[test]
fn damage_inside_a_file_is_counted_and_what_decodes_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["-c:v", "libx264", "-movflags", "+faststart", "-g", "10"];
    let sound = make(folder.path(), "sound.mp4", MOVING, &args);
    let mut bytes = fs::read(&sound).unwrap();
    // A bit here and there, far behind the header.
    let start = bytes.len() / 4;
    for byte in bytes[start..].iter_mut().step_by(500) {
        *byte ^= 0x10;
    }
    let damaged = folder.path().join("damaged.mp4");
    fs::write(&damaged, bytes).unwrap();
    let clip = decode(&damaged, &raw(SMALL));
    let source = &clip.head.source;
    assert_eq!(clip.head.status, ClipStatus::Partial);
    assert_eq!(source.frames_expected, Some(50));
    let row = probe(&damaged, Limits::default());
    assert_eq!(row.frames, frames_by_ffmpeg(&damaged), "{row}");
    assert!(source.frames_concealed > 0, "{row}");
    let reason = clip.head.error.unwrap();
    assert!(
        reason.contains("of 50 frames are there") && reason.contains("concealed"),
        "{reason}"
    );
    assert!(!clip.frames.is_empty());
}
