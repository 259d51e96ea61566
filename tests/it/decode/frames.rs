//! Frames, colours and turns of files with a trap each, with the `ffmpeg` command line as the judge.

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
    MOVING, NUMBERED, Rgb, by_ffmpeg, frames_by_ffmpeg, full_size_by_ffmpeg, make,
    pictures_by_ffmpeg, sound_files, turned_files,
};
use crate::support;

fn raw(size: FrameSize) -> ClipSettings {
    ClipSettings {
        codec: Codec::Raw,
        frame_size: size,
        ..ClipSettings::default()
    }
}

const SMALL: FrameSize = FrameSize::Exact {
    width: 64,
    height: 48,
};

fn decode(file: &Path, settings: &ClipSettings) -> DecodedClip {
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

/// An RGB picture in floating point: width, height, 3 values a pixel.
type Exact = (usize, usize, Vec<f64>);

/// What PIL's bilinear filter makes of a picture, in floating point, from the filter's definition.
fn antialiased((width, height, rgb): &Exact, (to_width, to_height): (usize, usize)) -> Vec<f64> {
    let weights = |from: usize, to: usize| -> Vec<Vec<(usize, f64)>> {
        let scale = from as f64 / to as f64;
        let support = scale.max(1.0);
        let of = |i: usize| {
            let centre = (i as f64 + 0.5) * scale;
            let weight = |x: usize| (1.0 - (x as f64 + 0.5 - centre).abs() / support).max(0.0);
            let sum: f64 = (0..from).map(weight).sum();
            let some = (0..from).filter(|&x| weight(x) > 0.0);
            some.map(|x| (x, weight(x) / sum)).collect()
        };
        (0..to).map(of).collect()
    };
    let (columns, rows) = (weights(*width, to_width), weights(*height, to_height));
    let mut out = Vec::new();
    for row in &rows {
        for column in &columns {
            for channel in 0..3 {
                let mut sum = 0.0;
                for (y, a) in row {
                    for (x, b) in column {
                        sum += a * b * rgb[(y * width + x) * 3 + channel];
                    }
                }
                out.push(sum);
            }
        }
    }
    out
}

/// How far frames are from the antialiased reference: mean difference in levels, and PSNR in dB as the mean over frames.
fn distance(frames: &[Vec<u8>], reference: &[Exact]) -> (f64, f64) {
    let (mut difference, mut psnr) = (0.0, 0.0);
    for (frame, reference) in frames.iter().zip(reference) {
        let exact = antialiased(reference, (64, 48));
        let errors: Vec<f64> = frame
            .iter()
            .zip(&exact)
            .map(|(a, b)| f64::from(*a) - b)
            .collect();
        let mean =
            |of: fn(f64) -> f64| errors.iter().copied().map(of).sum::<f64>() / errors.len() as f64;
        difference += mean(f64::abs) / frames.len() as f64;
        psnr += 10.0 * (255.0 * 255.0 / mean(|e| e * e)).log10() / frames.len() as f64;
    }
    (difference, psnr)
}

/// The command line's frames at their own size. Its instants are counted from the container's start and ours from the first
/// frame (see the sampler); where these differ the first frame is moved to the start.
fn reference(file: &Path) -> Vec<Exact> {
    let exact = |frames: Vec<Rgb>| -> Vec<Exact> {
        let levels = |rgb: Vec<u8>| rgb.into_iter().map(f64::from).collect();
        frames
            .into_iter()
            .map(|(w, h, rgb)| (w, h, levels(rgb)))
            .collect()
    };
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    if let Some((_, layout)) = DEFINED.iter().find(|(defined, _)| *defined == name) {
        return by_definition(file, layout);
    }
    if name == "size_change.h264" {
        // It would bring all frames to the first one's size; so each part is decoded for itself.
        let part = |name| exact(full_size_by_ffmpeg(&file.with_file_name(name), ""));
        return [part("no_times.h264"), part("small.h264")].concat();
    }
    let starts_late = ["no_pts.avi", "packed.avi", "no_times.avi"].contains(&name.as_str());
    let filters = if starts_late {
        "setpts=PTS-STARTPTS,"
    } else {
        ""
    };
    exact(full_size_by_ffmpeg(file, filters))
}

/// How a file keeps its colours.
struct Layout {
    size: (usize, usize),
    /// Columns and rows of pixels that a chroma sample covers.
    shares: (usize, usize),
    ten_bits: bool,
    /// The shares of red and blue in luma.
    weights: (f64, f64),
}

/// BT.601's weights.
const BT601: (f64, f64) = (0.299, 0.114);

/// Files for which libswscale interpolates chroma or leaves some out. Their reference is made from the planes themselves.
const DEFINED: [(&str, Layout); 5] = [
    (
        "ten_bit.mp4",
        Layout {
            size: (96, 64),
            shares: (2, 2),
            ten_bits: true,
            weights: BT601,
        },
    ),
    (
        "ten_bit_2020.mp4",
        Layout {
            size: (96, 64),
            shares: (2, 2),
            ten_bits: true,
            weights: (0.2627, 0.0593),
        },
    ),
    (
        "full_chroma.mp4",
        Layout {
            size: (96, 64),
            shares: (1, 1),
            ten_bits: false,
            weights: BT601,
        },
    ),
    (
        "half_chroma.mp4",
        Layout {
            size: (96, 64),
            shares: (2, 1),
            ten_bits: false,
            weights: BT601,
        },
    ),
    (
        "odd.webm",
        Layout {
            size: (97, 65),
            shares: (2, 2),
            ten_bits: false,
            weights: BT601,
        },
    ),
];

/// Every fifth frame of the command line's planes as RGB, by the standards' definition of limited range.
fn by_definition(file: &Path, layout: &Layout) -> Vec<Exact> {
    let (width, height) = layout.size;
    let (wide, high) = layout.shares;
    let (kr, kb) = layout.weights;
    let bytes = pictures_by_ffmpeg(file);
    let samples: Vec<f64> = if layout.ten_bits {
        let words = bytes
            .chunks_exact(2)
            .map(|b| u16::from_ne_bytes([b[0], b[1]]));
        words.map(|w| f64::from(w) / 4.0).collect()
    } else {
        bytes.into_iter().map(f64::from).collect()
    };
    let (chroma_width, chroma_height) = (width.div_ceil(wide), height.div_ceil(high));
    let chroma_size = chroma_width * chroma_height;
    let picture = |planes: &[f64]| {
        let (luma, chroma) = planes.split_at(width * height);
        let mut rgb = Vec::new();
        for (row, column) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let at = row / high * chroma_width + column / wide;
            let y = (luma[row * width + column] - 16.0) / 219.0;
            let (u, v) = (
                (chroma[at] - 128.0) / 224.0,
                (chroma[chroma_size + at] - 128.0) / 224.0,
            );
            let (red, blue) = (y + 2.0 * (1.0 - kr) * v, y + 2.0 * (1.0 - kb) * u);
            let green = (y - kr * red - kb * blue) / (1.0 - kr - kb);
            rgb.extend([red, green, blue].map(|level| level * 255.0));
        }
        (width, height, rgb)
    };
    let length = width * height + 2 * chroma_size;
    samples
        .chunks_exact(length)
        .step_by(5)
        .map(picture)
        .collect()
}

#[test]
fn colours_and_sizes_are_those_of_an_antialiased_reference() {
    let folder = tempfile::tempdir().unwrap();
    for file in sound_files(folder.path()) {
        let ours = decode(&file, &raw(SMALL)).frames;
        let theirs = reference(&file);
        assert_eq!(ours.len(), theirs.len(), "{}", file.display());
        let (levels, psnr) = distance(&ours, &theirs);
        eprintln!("{}: {levels:.2} levels, {psnr:.1} dB", file.display());
        assert!(
            levels < 1.0 && psnr > 44.0,
            "{}: {levels:.2} levels, {psnr:.1} dB",
            file.display()
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
