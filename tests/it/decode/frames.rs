//! Frames, colours and turns of files with a trap each, with the `ffmpeg` command line as the judge.

mod colours;
mod damage;

use std::fs;
use std::path::Path;
use std::process::Command;

use incdec::decode::clip::{DecodedClip, decode_video};
use incdec::decode::{ClipSettings, Fps, Resample, probe};
use incdec::media::frame_size::{FrameSize, SampleAspect};
use incdec::media::limits::Limits;
use incdec::media::video::{Picture, Video};
use incdec::shard::Codec;
use incdec::tables::ClipStatus;

use super::files::{
    MOVING, NUMBERED, by_ffmpeg, frames_by_ffmpeg, make, pictures_by_ffmpeg, sound_files,
    turned_files,
};
use crate::support;
use colours::{distance, reference};

pub(super) fn raw(size: FrameSize) -> ClipSettings {
    ClipSettings {
        codec: Codec::Raw,
        frame_size: size,
        ..ClipSettings::default()
    }
}

pub(super) const SMALL: FrameSize = FrameSize::Exact {
    width: 64,
    height: 48,
};

pub(super) fn decode(file: &Path, settings: &ClipSettings) -> DecodedClip {
    decode_video(file, settings, Limits::default())
}

#[test]
fn every_frame_that_the_command_line_gives_is_there_whatever_the_trap() {
    let folder = tempfile::tempdir().unwrap();
    for file in sound_files(folder.path()) {
        let row = probe(&file, Limits::default());
        assert_eq!(row.frames, frames_by_ffmpeg(&file), "{row}");
        assert_eq!(row.status, ClipStatus::Ok, "{row}");
    }
}

/// The bytes of a picture without its rows' padding.
fn bytes_of(picture: &Picture) -> Vec<u8> {
    let sample = match format!("{:?}", picture.format()) {
        deep if deep.contains("10") => 2,
        packed if packed.contains("BGRA") => 4,
        _ => 1,
    };
    let mut bytes = Vec::new();
    for plane in 0..picture.planes() {
        for row in picture.data(plane).chunks(picture.stride(plane)) {
            bytes.extend(&row[..picture.plane_width(plane) as usize * sample]);
        }
    }
    bytes
}

#[test]
fn pictures_are_those_of_the_command_line_to_the_bit_and_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    for file in sound_files(folder.path()) {
        if file.ends_with("size_change.h264") {
            // The command line brings all frames to the first one's size.
            continue;
        }
        let mut video = Video::open(&file, Limits::default()).unwrap();
        let mut ours = Vec::new();
        while let Some(shown) = video.next_frame(None).unwrap() {
            ours.extend(bytes_of(&shown.picture));
        }
        assert!(ours == pictures_by_ffmpeg(&file), "{}", file.display());
    }
}

#[test]
fn frames_that_nobody_wants_may_be_dropped_without_changing_the_others() {
    let folder = tempfile::tempdir().unwrap();
    for file in sound_files(folder.path()) {
        for fps in [5, 7] {
            let settings = ClipSettings {
                fps: Fps::whole(fps),
                ..raw(SMALL)
            };
            let all = ClipSettings {
                decode_all: true,
                ..settings.clone()
            };
            let (some, all) = (decode(&file, &settings), decode(&file, &all));
            assert!(!some.frames.is_empty());
            assert!(some == all, "{} at {fps} per second", file.display());
        }
    }
}

#[test]
fn frames_are_dropped_where_the_container_has_times_and_where_it_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let files = sound_files(folder.path());
    for name in [
        "reordered.mp4",
        "pyramid.mkv",
        "no_times.avi",
        "no_times.h264",
        "ten_bit.mp4",
    ] {
        let file = files.iter().find(|f| f.ends_with(name)).unwrap();
        let mut video = Video::open(file, Limits::default()).unwrap();
        let unit = video.time_base();
        // The first frame of each fifth of a second, whatever the unit.
        let fifths = |time: i64| (time * unit.num * 5 + unit.den - 1) / unit.den;
        let wanted = |from, to| fifths(from) < fifths(to);
        while video.next_frame(Some(&wanted)).unwrap().is_some() {}
        let tally = video.tally();
        assert_eq!(tally.frames + tally.passed_over, 50, "{name}: {tally:?}");
        assert!(tally.passed_over > 10, "{name}: {tally:?}");
    }
}

#[test]
fn sampled_frames_are_those_on_display_as_the_command_line_picks_them() {
    let folder = tempfile::tempdir().unwrap();
    let x264 = ["-c:v", "libx264", "-crf", "4", "-bf", "3"];
    let sources = [
        ("steady.mp4", NUMBERED.to_owned()),
        ("ntsc.mp4", NUMBERED.replace("rate=25", "rate=30000/1001")),
        ("slow.mp4", NUMBERED.replace("rate=25", "rate=3")),
        (
            "gaps.mkv",
            format!("{NUMBERED},select='not(between(n,20,43))*not(eq(mod(n,7),3))'"),
        ),
        ("late.ts", NUMBERED.to_owned()),
    ];
    for (name, source) in sources {
        let mut args = x264.to_vec();
        if name == "late.ts" {
            args.extend(["-output_ts_offset", "5"]);
        }
        if name == "gaps.mkv" {
            args.extend(["-fps_mode", "vfr"]);
        }
        let file = make(folder.path(), name, &source, &args);
        let ours: Vec<u8> = decode(&file, &raw(SMALL))
            .frames
            .iter()
            .map(|f| f[0])
            .collect();
        let theirs = by_ffmpeg(&file, "fps=5:round=up");
        let theirs: Vec<u8> = theirs.chunks(64 * 48 * 3).map(|f| f[0]).collect();
        assert_eq!(ours.len(), theirs.len(), "{name}: {ours:?} {theirs:?}");
        // Two levels of luma apart are more than two of RGB.
        assert!(
            ours.iter().zip(&theirs).all(|(a, b)| a.abs_diff(*b) <= 1),
            "{name}: {ours:?} {theirs:?}"
        );
    }
}

#[test]
fn pictures_are_turned_and_mirrored_as_the_command_line_does() {
    let folder = tempfile::tempdir().unwrap();
    for (file, degrees) in turned_files(folder.path()) {
        let clip = decode(&file, &raw(SMALL));
        assert_eq!(clip.head.source.rotation, degrees, "{}", file.display());
        let (levels, psnr) = distance(&clip.frames, &reference(&file));
        assert!(
            levels < 1.0 && psnr > 44.0,
            "{}: {levels:.2} levels, {psnr:.1} dB",
            file.display()
        );
        let short = decode(&file, &raw(FrameSize::Short(32)));
        let upright = if degrees % 180 == 0 {
            (48, 32)
        } else {
            (32, 48)
        };
        assert_eq!(
            (short.head.width, short.head.height),
            upright,
            "{}",
            file.display()
        );
    }
}

#[test]
fn the_aspect_of_pixels_counts_where_the_size_keeps_the_aspect_and_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let files = sound_files(folder.path());
    let size = |name: &str, aspect| {
        let file = files.iter().find(|f| f.ends_with(name)).unwrap();
        let settings = ClipSettings {
            sample_aspect: aspect,
            ..raw(FrameSize::Short(32))
        };
        let clip = decode(file, &settings);
        (clip.head.width, clip.head.height)
    };
    assert_eq!(size("reordered.mp4", SampleAspect::Squash), (48, 32));
    assert_eq!(size("reordered.mp4", SampleAspect::Honour), (48, 32));
    assert_eq!(size("wide_pixels.mp4", SampleAspect::Squash), (48, 32));
    assert_eq!(size("wide_pixels.mp4", SampleAspect::Honour), (96, 32));
    // Here the container alone says it: a picture of 3:1 from 96x64 pixels.
    assert_eq!(size("container_aspect.mp4", SampleAspect::Squash), (48, 32));
    assert_eq!(size("container_aspect.mp4", SampleAspect::Honour), (96, 32));
}

#[test]
fn probing_prints_its_rows_and_nothing_of_the_libraries() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["-c:v", "libx264", "-movflags", "+faststart"];
    let sound = make(folder.path(), "sound.mp4", MOVING, &args);
    let bytes = fs::read(&sound).unwrap();
    let cut = folder.path().join("cut.mp4");
    fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let noise = folder.path().join("noise.avi");
    fs::write(
        &noise,
        bytes.iter().map(|b| b.rotate_left(3)).collect::<Vec<u8>>(),
    )
    .unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_incdec-decode"))
        .arg("probe")
        .args([&sound, &cut, &noise])
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let statuses: Vec<&str> = stdout
        .lines()
        .map(|l| l.split('\t').nth(2).unwrap())
        .collect();
    assert_eq!(statuses, ["status", "ok", "partial", "failed"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(stderr, "error: 1 of 3 files cannot be decoded\n");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn motion_interpolation_gives_the_seeds_frames() {
    let folder = tempfile::tempdir().unwrap();
    let file = make(folder.path(), "a.mp4", MOVING, &["-c:v", "libx264"]);
    let settings = ClipSettings {
        resample: Resample::Minterpolate,
        ..raw(FrameSize::Short(240))
    };
    let clip = decode(&file, &settings);
    let theirs = by_ffmpeg(&file, "scale=-1:240,minterpolate=5");
    assert_eq!((clip.head.width, clip.head.height), (360, 240));
    let ours = clip.frames.concat();
    assert_eq!(ours.len(), theirs.len());
    // The same pictures; the two ways to RGB round differently.
    let sum: u64 = ours
        .iter()
        .zip(&theirs)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    let levels = sum as f64 / ours.len() as f64;
    assert!(levels < 1.0, "{levels}");
}

#[test]
fn frame_counts_of_the_collected_files_agree_where_they_are_there() {
    let Some(clips) = support::optional_data("clips") else {
        return;
    };
    let expected = fs::read_to_string(clips.join("traps/EXPECTED.tsv")).unwrap();
    for line in expected.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let row = probe(&clips.join("traps").join(fields[0]), Limits::default());
        assert_eq!(row.frames.to_string(), fields[2], "{row}");
        assert_eq!(row.status == ClipStatus::Failed, fields[2] == "0", "{row}");
    }
    let list = fs::read_to_string(clips.join("LIST.tsv")).unwrap();
    for line in list.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let file = clips
            .join("raw")
            .join(fields[2])
            .join(format!("{}.mp4", fields[0]));
        if fields[5] == "?" {
            continue;
        }
        if file.exists() {
            assert_eq!(
                probe(&file, Limits::default()).frames.to_string(),
                fields[5],
                "{}",
                fields[0]
            );
        } else {
            support::say(&format!("{} is absent: it is skipped", file.display()));
        }
    }
}
