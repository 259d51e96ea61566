"""Times the loader beside its Python peers on the same clips, in one run.

    cargo build --release --bins
    python3 tests/bench/load_peers.py --python .venv/bin/python --work build/bench-load --json build/bench-load.json
    python3 tests/bench/load_peers.py --python .venv/bin/python --work build/bench-load --clips ../clips/raw --labels ../clips/Info

Without --clips, toy clips are written first. They are decoded to JPEG and to raw shards of 200 x 200 pixels at 5 frames per
second; incdec-bench-load exports the JPEG frames as they are stored to the folders that the peers (tests/peers/load.py) read.
Then every program loads all clips, without workers, in turns, --rounds times; its best round counts. Clips per second of processor
time, all of the process; the first epoch of each is not counted for ours, and the fastest epoch counts for all.
A peer that cannot run is named with the reason. Standard library alone; the peers run in --python, which needs torch, torchvision
and pillow for them.
"""

import argparse
import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

PEERS = ("pil", "torchvision")


def call(command):
    """Runs a command to its end; its output, or exit with what it said."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def toy_clips(binaries, work):
    """Writes toy clips of 10 seconds, 3 for each of the 37 subcategories; the folders of clips and labels."""
    toy, clips = work / "toy", work / "raw"
    shape = ["--train", 3, "--validation", 0, "--test", 0, "--seconds", 10, "--size", 256, "--fps", 10]
    call([binaries / "incdec-toy", "write", "--out", toy, *shape])
    call([binaries / "incdec-download", "--labels", toy / "Info", "--out", clips, "--ledger", work / "downloads.parquet", "--source", toy])
    return clips, toy / "Info"


def decode(binaries, clips, labels, folder, *flags):
    """Decodes the clips into shards in a folder; the folder."""
    call([binaries / "incdec-decode", "--clips", clips, "--labels", labels, "--out", folder, "--max-failed", 1, *flags])
    return folder


def list_all(binaries, work, labels, shards):
    """Lists all clips of the shards in one task; the availability's folder."""
    manifest, tasks = work / "clips.parquet", work / "tasks"
    call([binaries / "incdec-manifest", "--labels", labels, "--shards", shards, "--out", manifest])
    call([binaries / "incdec-tasks", "--manifest", manifest, "--out", tasks, "--scenario", "joint-incremental", "--tasks", 1])
    return tasks


def store(binaries, work, clips, labels):
    """Decodes the clips with both codecs and lists all of them in one task; the availability's folder and the shards' folders."""
    shards = [decode(binaries, clips, labels, work / f"shards-{codec}", "--codec", codec) for codec in ("jpeg", "raw")]
    return list_all(binaries, work, labels, shards[0]), shards


def run(command):
    """The figures that a program prints as its last line, or {"missing": why} where it cannot run."""
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    except OSError as error:
        return {"missing": str(error)}
    if done.returncode:
        return {"missing": done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"status {done.returncode}"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def measure(args, availability, shards, export):
    """Runs all programs in turns; {name: its best figures}."""
    ours = [args.bin / "incdec-bench-load", "--availability", availability, "--epochs", args.epochs, "--shards"]
    programs = {f"incdec {folder.name}": [*ours, folder] for folder in shards}
    programs |= {peer: [args.python, args.peers, peer, export, "--epochs", args.epochs] for peer in PEERS}
    # The peers read what the first folder of shards holds, and nothing that an earlier run left.
    shutil.rmtree(export, ignore_errors=True)
    run([*ours, shards[0], "--export", export])
    best = {}
    for _ in range(args.rounds):
        for name, command in programs.items():
            found = run(command)
            if name not in best or found.get("clips_per_cpu_s", 0) > best[name].get("clips_per_cpu_s", 0):
                best[name] = found
    clips = {found["clips"] for found in best.values() if "clips" in found}
    assert len(clips) <= 1, f"the programs loaded different numbers of clips: {clips}"
    return best


def processor():
    """The processor's name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def ratios(results):
    """How many times each peer's clips per second of processor time ours loads."""
    ours = next(iter(results.values()))
    return {peer: round(ours["clips_per_cpu_s"] / results[peer]["clips_per_cpu_s"], 2) for peer in PEERS if "missing" not in results[peer]}


def table(results, faster):
    """The table of figures as text."""
    lines = [f"{'':24}{'float32':>10}{'u8 alone':>10}{'of a copy':>11}{'ours is':>9}   clips per CPU second, {processor()}"]
    for name, found in results.items():
        if "missing" in found:
            lines.append(f"{name:24}not measured: {found['missing']}")
            continue
        cell = lambda key: found.get(key, "")
        times = f"{faster[name]} x" if name in faster else ""
        lines.append(f"{name:24}{found['clips_per_cpu_s']:>10}{cell('clips_per_cpu_s_u8'):>10}{cell('u8_to_copy'):>11}{times:>9}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the Python that has the peers' packages")
    parser.add_argument("--bin", type=Path, default=Path("target/release"), help="folder of our programs")
    parser.add_argument("--peers", type=Path, default=Path(__file__).parent.parent / "peers/load.py", help="the peers' script")
    parser.add_argument("--work", type=Path, required=True, help="folder for clips, shards and exported frames")
    parser.add_argument("--json", type=Path, help="file to write all figures to")
    parser.add_argument("--clips", type=Path, help="real clips instead of toy clips; needs --labels")
    parser.add_argument("--labels", type=Path, help="the label tables of --clips")
    parser.add_argument("--availability", type=Path, help="what was made already: folder of availability.parquet; needs --shards")
    parser.add_argument("--shards", type=Path, nargs="+", help="folders of shards of the same clips, JPEG ones first")
    parser.add_argument("--epochs", type=int, default=2, help="epochs that each program times; the fastest counts")
    parser.add_argument("--rounds", type=int, default=2, help="how often each program runs; the best counts")
    args = parser.parse_args()
    if bool(args.clips) != bool(args.labels) or bool(args.availability) != bool(args.shards):
        parser.error("--clips goes with --labels, --availability with --shards")
    args.work.mkdir(parents=True, exist_ok=True)
    if args.shards:
        availability, shards = args.availability, args.shards
    else:
        clips, labels = (args.clips, args.labels) if args.clips else toy_clips(args.bin, args.work)
        availability, shards = store(args.bin, args.work, clips, labels)
    results = measure(args, availability, shards, args.work / "frames")
    ours = next(iter(results.values()))
    if "missing" in ours:
        sys.exit(f"incdec-bench-load: {ours['missing']}")
    faster = ratios(results)
    print(table(results, faster))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({"processor": processor(), "results": results, "times_faster": faster}, indent=1) + "\n")


if __name__ == "__main__":
    main()
