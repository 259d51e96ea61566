//! The arithmetic of `on_paper.md`, done again from its constants, and those held against the model and the benchmarks.

use incdec::model::{ModelConfig, Movinet};
use incdec::shard::DEFAULT_CLIPS_PER_SHARD;
use tch::nn::VarStore;
use tch::{Device, Tensor};

use super::read;

/// Frames of a clip as a run takes them by default.
const FRAMES: f64 = 50.0;
/// Bytes of a frame as they are stored by default: JPEG of quality 90 with half the colour.
const FRAME_BYTES: f64 = 10_083.0;
/// Clips that a core loads in a second.
const LOADED_CLIPS: f64 = 143.7;
/// Bytes of the gradients of a batch.
const GRADIENT_BYTES: f64 = 7.6e6;
/// Clips that a GPU is taken to train on in a second, and clips of a batch.
const GPU_CLIPS: f64 = 100.0;
const BATCH: f64 = 16.0;
/// Batches of a step.
const STEP: f64 = 64.0;
/// Clips of the training set that is taken.
const CLIPS: f64 = 80_000.0;

/// What a process sends and takes in a second, in bytes.
const CONNECTIONS: [(&str, f64); 2] = [("25 Gb/s Ethernet", 25e9 / 8.0), ("200 Gb/s", 200e9 / 8.0)];

/// Two significant digits.
#[allow(clippy::cast_possible_truncation)] // A logarithm of a float is far within.
fn two(value: f64) -> String {
    let digits = 1 - value.log10().floor() as i32;
    let unit = 10f64.powi(-digits);
    let decimals = usize::try_from(digits).unwrap_or(0);
    format!("{:.decimals$}", (value / unit).round() * unit)
}

fn bytes(value: f64) -> String {
    if value >= 1e9 {
        format!("{} GB", two(value / 1e9))
    } else {
        format!("{} MB", two(value / 1e6))
    }
}

fn milliseconds(seconds: f64) -> String {
    format!("{} ms", two(seconds * 1e3))
}

/// Rows of so many GPUs: what they read in a second, and the cores that load it.
fn reading() -> String {
    let machines = [
        ("1", 1.0),
        ("8, one machine", 8.0),
        ("64, sixty-four machines", 64.0),
        ("512, sixty-four machines of eight", 512.0),
    ];
    let row = |(name, gpus): (&str, f64)| {
        let read = gpus * GPU_CLIPS * FRAMES * FRAME_BYTES;
        let cores = gpus * GPU_CLIPS / LOADED_CLIPS;
        format!("| {name} | {} | {} |\n", bytes(read), two(cores))
    };
    machines.map(row).concat()
}

/// Rows of so many processes over a connection: the exchange of a batch and of a step, and what a batch takes to compute.
fn exchange() -> String {
    let rows = [
        ("8, eight machines", 8.0, CONNECTIONS[0]),
        ("64, sixty-four machines", 64.0, CONNECTIONS[0]),
        ("64, sixty-four machines", 64.0, CONNECTIONS[1]),
    ];
    let row = |(name, processes, (connection, rate)): (&str, f64, (&str, f64))| {
        let exchange = GRADIENT_BYTES / rate;
        let computing = BATCH / (processes * GPU_CLIPS);
        format!(
            "| {name} | {connection} | {} | {} | {} | {} % |\n",
            milliseconds(exchange),
            milliseconds(STEP * exchange),
            milliseconds(computing),
            two(100.0 * exchange / computing),
        )
    };
    rows.map(row).concat()
}

#[test]
fn the_tables_on_paper_follow_from_their_constants() {
    let page = read("src/lib/guide/on_paper.md");
    for table in [reading(), exchange()] {
        assert!(page.contains(&table), "{table}");
    }
    let prose = page.split_whitespace().collect::<Vec<_>>().join(" ");
    // The processes at which exchange and computing take as long.
    let limit = |rate: f64| two(BATCH * rate / (GPU_CLIPS * GRADIENT_BYTES));
    let shards = (CLIPS / f64::from(DEFAULT_CLIPS_PER_SHARD.get())).ceil();
    for said in [
        format!("{} processes at 25 Gb/s", limit(CONNECTIONS[0].1)),
        format!("{} at 200 Gb/s", limit(CONNECTIONS[1].1)),
        format!("{shards} shards, {}", bytes(CLIPS * FRAMES * FRAME_BYTES)),
        format!("a step of {} clips", STEP * BATCH),
    ] {
        assert!(prose.contains(&said), "{said}: {prose}");
    }
}

#[test]
fn the_constants_on_paper_are_those_of_the_model_and_of_the_benchmarks() {
    let store = VarStore::new(Device::Cpu);
    let _model = Movinet::new(
        &store.root(),
        &ModelConfig {
            classes: 5,
            ..ModelConfig::default()
        },
    );
    let parameters = store.trainable_variables();
    let floats: usize = parameters.iter().map(Tensor::numel).sum();
    assert_eq!(two(floats as f64 * 4.0), two(GRADIENT_BYTES));
    // What is stored by default, with its bytes and how fast it loads.
    let benchmarks = read("src/lib/guide/benchmarks.md");
    let stored = benchmarks
        .lines()
        .find(|line| line.starts_with("| 90, 4:2:0 |"))
        .unwrap()
        .replace(',', "");
    let cells: Vec<&str> = stored.split('|').map(str::trim).collect();
    assert_eq!(cells[2], FRAME_BYTES.to_string());
    assert_eq!(cells[5], LOADED_CLIPS.to_string());
    let page = read("src/lib/guide/on_paper.md");
    for constant in ["10,083", "144 clips", "7.6 MB"] {
        assert!(page.contains(constant), "{constant}");
    }
}
