//! Files of weights as other programs see them: python's safetensors package, PyTorch, and a user of `incdec-weights`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use incdec::model::checkpoint::{self, LoadMode};
use incdec::model::{Geometry, Mode, ModelConfig, ModelPath, Movinet, Variant, fill, state_dict};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tch::nn::VarStore;
use tch::{Device, Kind};

use crate::support;

/// The environment variable that names a python with PyTorch.
const PYTORCH_VARIABLE: &str = "INCDEC_PYTORCH";

/// A model of five classes under the goldens' fill, in which every weight counts.
fn filled(variant: Variant, geometry: Geometry) -> (VarStore, Movinet) {
    let store = VarStore::new(Device::Cpu);
    let config = ModelConfig {
        variant,
        geometry,
        ..ModelConfig::default()
    };
    let model = Movinet::new(&store.root(), &config);
    fill::fill(&store, 0);
    (store, model)
}

fn python(script: &str) -> Command {
    let mut command = Command::new(support::python());
    command.arg(support::root().join("tests/peers").join(script));
    command
}

fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// What python's safetensors package lists of files, by their names.
fn listed(files: &[PathBuf]) -> BTreeMap<String, Vec<String>> {
    serde_json::from_str(&stdout(python("list_tensors.py").args(files))).unwrap()
}

/// A variant's state dict as PyTorch lists it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateDict {
    tensors: usize,
    /// Of the lines, each with its newline.
    sha256: String,
    /// The lines themselves, for the smallest variant.
    lines: Option<Vec<String>>,
}

#[test]
fn names_types_and_shapes_are_pytorchs_for_pythons_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    let files = Variant::ALL.map(|variant| {
        let file = folder.path().join(variant.to_string());
        checkpoint::save(&file, &filled(variant, Geometry::Seed).0, &BTreeMap::new()).unwrap();
        file
    });
    let expected: BTreeMap<String, StateDict> =
        support::read_json(&fixture("pytorch_state_dicts.json"));
    let listed = listed(&files);
    assert!(listed.keys().eq(expected.keys()));
    for (variant, pytorch) in &expected {
        let lines = &listed[variant];
        if let Some(expected) = &pytorch.lines {
            assert_eq!(lines, expected, "{variant}");
        }
        let counters = lines
            .iter()
            .filter(|l| l.ends_with("num_batches_tracked\tI64\t[]"));
        let norms = lines
            .iter()
            .filter(|l| l.contains("norm.running_mean\tF32\t"));
        assert_eq!(counters.count(), norms.count(), "{variant}");
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let hash: String = Sha256::digest(&text)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(
            (lines.len(), &hash),
            (pytorch.tensors, &pytorch.sha256),
            "{variant}:\n{text}"
        );
    }
}

fn fixture(name: &str) -> PathBuf {
    support::root()
        .join("tests/fixtures/checkpoints")
        .join(name)
}

fn weights(arguments: &[&str], file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_incdec-weights"));
    command.arg(arguments[0]).arg(file).args(&arguments[1..]);
    command
}

#[test]
fn the_command_lists_and_converts_what_pytorch_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["port.pth", "plain.pt", "seed_model_key.pth"];
    let converted_of = |name: &str| folder.path().join(name).with_extension("safetensors");
    // What a killed conversion left beside the file is swept.
    let left = folder.path().join(".incdec-x.tmp");
    std::fs::write(&left, "half").unwrap();
    for name in names {
        let out = converted_of(name);
        let said =
            stdout(weights(&["convert", "--to", "safetensors", "--out"], &fixture(name)).arg(&out));
        assert_eq!(said.trim(), out.to_str().unwrap());
        assert!(!left.exists());
        // Under the seed's names, whatever the file's own were.
        let [before, after] =
            [fixture(name), out].map(|file| state_dict::read(&file).unwrap().tensors);
        assert!(state_dict::seed_names(before).unwrap() == after, "{name}");
    }
    for (file, lines) in listed(&names.map(converted_of)) {
        assert_eq!(lines[0], "backbone.blocks.b0_l0.alpha\tF32\t[]", "{file}");
        let ours = |line: &String| line.starts_with("backbone.") || line.starts_with("heads.");
        assert!(lines.iter().all(ours), "{file}: {lines:?}");
    }
    let inspected = stdout(&mut weights(&["inspect"], &fixture("port.pth")));
    assert!(
        inspected.contains("blocks.b0_l0.alpha\tFloat\t[]\n"),
        "{inspected}"
    );
    let text = folder.path().join("notes.pt");
    std::fs::write(&text, "no weights").unwrap();
    let refused = weights(&["inspect"], &text).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("notes.pt") && said.contains("hint: "),
        "{said}"
    );
}

#[test]
fn first_weights_are_drawn_as_the_seed_draws_them() {
    let store = VarStore::new(Device::Cpu);
    let _ = Movinet::new(&store.root(), &ModelConfig::default());
    let mut convolutions = 0;
    for (name, tensor) in store.variables() {
        let value = tensor.to_kind(Kind::Double);
        let all = |expected: f64| value.eq(expected).all().int64_value(&[]) == 1;
        let shape = tensor.size();
        if name.starts_with("heads.") {
            // PyTorch's default, uniform within the root of the 2048 inputs, for weight and bias.
            let bound = 1.0 / 2048_f64.sqrt();
            let largest = value.abs().max().double_value(&[]);
            assert!(
                largest <= bound && (shape.len() == 1 || largest > 0.999 * bound),
                "{name}"
            );
        } else if name.ends_with("conv3d.weight") {
            // Normal with 2 / fan out, to which groups and thus depthwise kernels make no difference.
            let fan_out = (shape[0] * shape[2..].iter().product::<i64>()) as f64;
            let count = tensor.numel() as f64;
            let deviation = value.square().mean(Kind::Double).sqrt().double_value(&[]);
            let ratio = deviation / (2.0 / fan_out).sqrt();
            // Five standard errors of a standard deviation.
            assert!(
                (ratio - 1.0).abs() < 5.0 / (2.0 * count).sqrt(),
                "{name}: {ratio}"
            );
            convolutions += 1;
        } else {
            let expected =
                f64::from(name.ends_with("norm.weight") || name.ends_with("running_var"));
            assert!(all(expected), "{name}");
        }
    }
    assert!(convolutions > 80);
}

#[test]
#[ignore = "needs PyTorch: make test-pytorch"]
fn pytorch_loads_our_files_by_name_and_computes_the_same_logits() {
    let pytorch = std::env::var_os(PYTORCH_VARIABLE)
        .unwrap_or_else(|| panic!("{PYTORCH_VARIABLE} names no python; `make test-pytorch` does"));
    let folder = tempfile::tempdir().unwrap();
    let at = |name: String| folder.path().join(name);
    let mut cases = 0;
    for variant in Variant::ALL {
        // PyTorch's model pools by the parity of the width alone, so what is padded as TensorFlow does it is square.
        for (geometry, size) in [(Geometry::Seed, [64, 71]), (Geometry::Tf, [48, 48])] {
            let (store, mut model) = filled(variant, geometry);
            model.set_path(ModelPath::Fast);
            let case = format!("{variant}-{geometry}");
            let clips = fill::input(&case, &[2, 3, 4, size[0], size[1]]);
            let logits = tch::no_grad(|| model.forward(&clips, Mode::Evaluate).logits);
            let none = BTreeMap::new();
            checkpoint::save(&at(format!("{case}.safetensors")), &store, &none).unwrap();
            checkpoint::save_pytorch(&at(format!("{case}.pth")), &store).unwrap();
            let tensors =
                BTreeMap::from([("clips".to_owned(), clips), ("logits".to_owned(), logits)]);
            checkpoint::write(&at(format!("{case}.logits.safetensors")), &tensors, &none).unwrap();
            cases += 1;
        }
    }
    let said = stdout(
        Command::new(pytorch)
            .arg(support::root().join("tests/peers/check_checkpoints.py"))
            .arg(folder.path()),
    );
    // From safetensors and from .pth.
    assert_eq!(said.lines().count(), 2 * cases, "{said}");
    println!("{said}");
}

#[test]
fn a_written_state_dict_loads_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.pth");
    let (store, _) = filled(Variant::A0, Geometry::Seed);
    checkpoint::save_pytorch(&file, &store).unwrap();
    let other = VarStore::new(Device::Cpu);
    let _ = Movinet::new(&other.root(), &ModelConfig::default());
    let loaded = checkpoint::load(&file, &other, LoadMode::Exact).unwrap();
    assert_eq!((loaded.matched, loaded.is_complete()), (store.len(), true));
}

/// A `.pth` file with one small tensor of each name, `before` and `after` put around its dict.
fn saved(file: &Path, names: &[&str], before: &[u8], after: &[u8]) {
    let tensors = names.iter().enumerate();
    let tensors = tensors.map(|(n, name)| ((*name).to_owned(), tch::Tensor::from(n as f32)));
    state_dict::write_pytorch(file, &tensors.collect()).unwrap();
    let mut archive = zip::ZipArchive::new(std::fs::File::open(file).unwrap()).unwrap();
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let name = entry.name().to_owned();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        if name.ends_with("data.pkl") {
            let dict = &bytes[2..bytes.len() - 1];
            bytes = [b"\x80\x04", before, dict, after, b"."].concat();
        }
        let stored = zip::CompressionMethod::Stored;
        let options = zip::write::FileOptions::default().compression_method(stored);
        out.start_file(name, options).unwrap();
        std::io::Write::write_all(&mut out, &bytes).unwrap();
    }
    std::fs::write(file, out.finish().unwrap().into_inner()).unwrap();
}

/// A dict's key in a pickle.
fn pickled(key: &str) -> Vec<u8> {
    [
        b"\x8c",
        &[u8::try_from(key.len()).unwrap()][..],
        key.as_bytes(),
    ]
    .concat()
}

/// Status and messages of a conversion, and the names in the file that it wrote.
fn converted(file: &Path, more: &[&str]) -> (Option<i32>, String, Vec<String>) {
    let out = file.with_extension("out.safetensors");
    let _ = std::fs::remove_file(&out);
    let mut command = weights(&["convert", "--to", "safetensors", "--out"], file);
    let output = command.arg(&out).args(more).output().unwrap();
    let names = state_dict::read(&out).map(|held| held.tensors.into_keys().collect());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.success(), out.exists(), "{said}");
    (output.status.code(), said, names.unwrap_or_default())
}

const NAMES: [&str; 2] = ["backbone.conv1.weight", "heads.0.0.0.bias"];

#[test]
fn prefixes_of_wrappers_are_taken_off_and_others_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.pth");
    for prefix in [
        "",
        "_orig_mod.",
        "module.",
        "model.",
        "model._orig_mod.",
        "module.model.",
    ] {
        let names = NAMES.map(|name| format!("{prefix}{name}"));
        saved(&file, &names.each_ref().map(String::as_str), b"", b"");
        let (code, said, names) = converted(&file, &[]);
        assert_eq!(
            (code, names),
            (Some(0), NAMES.map(str::to_owned).to_vec()),
            "{said}"
        );
    }
    for (names, word) in [
        (["net.conv1.weight", "net.bias"], "its names begin with net"),
        (
            ["model.backbone.conv1.weight", "loss.weight"],
            "others do not: loss.weight",
        ),
        (
            ["backbone.conv1.weight", "optimizer.step"],
            "no MoViNet's: optimizer.step",
        ),
    ] {
        saved(&file, &names, b"", b"");
        let (code, said, _) = converted(&file, &[]);
        assert_eq!(code, Some(1));
        assert!(said.contains(word) && said.contains("hint: "), "{said}");
    }
}

#[test]
fn a_state_dict_under_another_key_is_found_or_the_keys_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.pth");
    let expected = NAMES.map(str::to_owned).to_vec();
    // Beside it: a number, bytes, a set, numpy's scalar, an empty dict.
    let beside = [
        &pickled("epoch")[..],
        b"K\x03",
        &pickled("rng"),
        b"C\x03abc",
        &pickled("seen"),
        b"\x8f(K\x01\x90",
        &pickled("best"),
        b"cnumpy\nfloat64\nC\x08\0\0\0\0\0\0\xe0?\x85R",
        &pickled("optimizer"),
        b"}",
    ];
    let beside = [&beside.concat()[..], b"u"].concat();
    for key in ["ema", "network", "model"] {
        saved(&file, &NAMES, &[b"}(", &pickled(key)[..]].concat(), &beside);
        let (code, said, names) = converted(&file, &[]);
        assert_eq!((code, &names), (Some(0), &expected), "{said}");
    }
    // One within another.
    let begin = [b"}(", &pickled("checkpoint")[..], b"}(", &pickled("net")].concat();
    saved(&file, &NAMES, &begin, b"uu");
    assert_eq!(converted(&file, &[]).2, expected);
    assert_eq!(converted(&file, &["--key", "checkpoint.net"]).2, expected);
    // Two of them, one tensor of the first again in the second: the second is a copy by reference.
    let begin = [b"}(", &pickled("student")[..]].concat();
    let end = [b"\x94", &pickled("teacher")[..], b"h\x00u"].concat();
    saved(&file, &NAMES, &begin, &end);
    let (code, said, _) = converted(&file, &[]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("choose one with --key: student, teacher"),
        "{said}"
    );
    assert_eq!(converted(&file, &["--key", "teacher"]).2, expected);
    let (code, said, _) = converted(&file, &["--key", "nobody"]);
    assert!(
        code == Some(1) && said.contains("at the key nobody"),
        "{said}"
    );
    let listed = stdout(weights(&["inspect", "--key", "student"], &file).env("NO_COLOR", "1"));
    assert!(listed.contains("heads.0.0.0.bias"), "{listed}");
}

#[test]
fn what_holds_no_weights_is_called_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.pth");
    for (bytes, word) in [
        (
            &b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03."[..],
            "before 1.6",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "git lfs pull",
        ),
        (b"<!DOCTYPE html>\n<html><head>", "web page"),
        (b"", "empty"),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let (code, said, _) = converted(&file, &[]);
        assert!(code == Some(1) && said.contains(word), "{said}");
    }
    saved(&file, &[], b"", b"");
    let (code, said, _) = converted(&file, &[]);
    assert!(code == Some(1) && said.contains("empty dict"), "{said}");
    let none = folder.path().join("none.safetensors");
    state_dict::write_safetensors(&none, &BTreeMap::new(), &BTreeMap::new()).unwrap();
    let (code, said, _) = converted(&none, &[]);
    assert!(code == Some(1) && said.contains("no tensor"), "{said}");
}
