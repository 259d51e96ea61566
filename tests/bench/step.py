#!/usr/bin/env python3
"""Times a training step and an evaluation of MoViNet: our binary and plain PyTorch, one after the other, in one table.

    python3 tests/bench/step.py --python .venv-peers/bin/python --bin target/release --json step.json

Needs nothing but the standard library. PYTHON is the interpreter that has PyTorch, for the peers (tests/peers/movinet_eager.py);
a peer that cannot run stays in the table with the reason. All programs run in turns, --rounds times, since machines are
noisy; each figure is the least of a program's rounds, and each round's the least of its steps. A clip's memory is what peaks at
the largest batch above what peaks at the smallest, over the difference of the batches; on a GPU it is the GPU's that is told.
"""
import argparse
import json
import os
import platform
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PEER = os.path.join(HERE, "..", "peers", "movinet_eager.py")
# The peer that all others are compared with.
EAGER = "PyTorch, eager"
# The fields for the most memory that a program held, of the GPU where there is one.
PEAKS = ("peak_gpu_bytes", "peak_rss_bytes")


def programs(options, cuda):
    """What is timed, by the name in the table: the command's beginning and the flags that make the difference."""
    ours = [os.path.join(options.bin, "incdec-bench-step")]
    peer = [options.python, PEER]
    table = {
        "incdec, fast": (ours, []),
        "incdec, frames": (ours, ["--model-path", "frames"]),
        "incdec, reference": (ours, ["--model-path", "reference"]),
        "incdec, bf16": (ours, ["--bf16"]),
        "incdec, fast, --checkpoint-blocks": (ours, ["--checkpoint-blocks"]),
        EAGER: (peer, []),
        "PyTorch, eager, exact": (peer, ["--exact"]),
        "PyTorch, eager, channels last": (peer, ["--channels-last"]),
        "PyTorch, compiled": (peer, ["--compile"]),
        "PyTorch, eager, bf16": (peer, ["--bf16"]),
        "PyTorch, compiled, bf16": (peer, ["--compile", "--bf16"]),
    }
    if cuda:
        # On a GPU fast is frames, and nothing is computed again.
        del table["incdec, frames"], table["incdec, fast, --checkpoint-blocks"]
    else:
        # A processor's 32-bit floats are always exact, which a GPU's are in ours alone unless one asks.
        del table["PyTorch, eager, exact"]
        # Without instructions for bfloat16 PyTorch converts value by value: nothing to wait for.
        del table["PyTorch, eager, bf16"], table["PyTorch, compiled, bf16"]
    return {name: entry for name, entry in table.items() if not options.only or any(o in name for o in options.only)}


def measure(command, seconds):
    """The program's line of JSON, or {"error": why} where there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except FileNotFoundError:
        return {"error": f"{command[0]} is not there"}
    except subprocess.TimeoutExpired:
        return {"error": f"still running after {seconds} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode == 0 and lines:
        return json.loads(lines[-1])
    said = [line for line in done.stderr.splitlines() if line.strip()]
    reason = next((line for line in said if line.startswith("error: ")), said[-1] if said else f"exit status {done.returncode}")
    return {"error": reason.removeprefix("error: ")}


def least(before, row):
    """The row with the lesser of each figure of two runs."""
    if before is None or "error" in row:
        return row
    return {key: min(value, before[key]) if isinstance(value, float) or key in PEAKS else value for key, value in row.items()}


def processor():
    """The processor's name as the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def peak(row):
    """The most bytes that a program held: of the GPU's memory where it computed on one."""
    return next(row[field] for field in PEAKS if field in row)


def memory_per_clip(rows, name):
    """Bytes a clip from one-thread runs at the smallest and largest batch, or None."""
    peaks = {r["batch"]: peak(r) for r in rows if r["program"] == name and "error" not in r and r["threads"] == rows[0]["threads"]}
    if len(peaks) < 2:
        return None
    small, large = min(peaks), max(peaks)
    return (peaks[large] - peaks[small]) / (large - small)


def show(rows, clock):
    """Prints the table and what it says in words."""
    print(f"{'':36} {'batch':>5} {'threads':>7} {'train':>8} {'evaluate':>8} {'peak MB':>8} {'MB/clip':>8}   ({clock} seconds a clip)")
    for row in rows:
        start = f"{row['program']:36} {row['batch']:5} {row['threads']:7}"
        if "error" in row:
            print(f"{start} {row['error']}")
            continue
        per_clip = memory_per_clip(rows, row["program"])
        memory = f"{per_clip / 1e6:8.0f}" if per_clip is not None else f"{'':8}"
        print(f"{start} {row[f'train_{clock}_s_per_clip']:8.5f} {row[f'eval_{clock}_s_per_clip']:8.5f} {peak(row) / 1e6:8.0f} {memory}")
    for line in comparisons(rows, clock):
        print(line)


def comparisons(rows, clock):
    """How often our fast path goes into the peers, and into itself with more threads and clips."""
    first = rows[0]["threads"]
    ran = {(r["program"], r["batch"], r["threads"]): r for r in rows if "error" not in r}
    batch = min(r["batch"] for r in rows)
    ours = ran.get(("incdec, fast", batch, first))
    peers = {name: r for (name, b, t), r in ran.items() if name.startswith("PyTorch") and (b, t) == (batch, first)}
    if ours is None:
        return
    for what in ("train", "eval"):
        key = f"{what}_{clock}_s_per_clip"
        if EAGER in peers:
            yield f"{what}: {peers[EAGER][key] / ours[key]:.2f} times less than eager"
        if peers:
            best = min(peers, key=lambda name: peers[name][key])
            yield f"{what}: {peers[best][key] / ours[key]:.2f} times less than the best peer ({best})"
    for (name, b, threads), row in ran.items():
        if name == "incdec, fast" and b == batch and threads != first:
            yield f"train: {ours['train_wall_s_per_clip'] / row['train_wall_s_per_clip']:.2f} times faster with {threads} threads (wall)"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has PyTorch, for the peers")
    parser.add_argument("--bin", default=os.path.join(HERE, "..", "..", "target", "release"), help="folder of our binaries")
    parser.add_argument("--json", help="file to write the table to")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--variant", default="A0")
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--size", type=int, default=172)
    parser.add_argument("--steps", type=int, default=3, help="timed steps of a run")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each program; the least counts")
    parser.add_argument("--batches", default="1,4")
    parser.add_argument("--threads", default="1,2", help="the first for all, the others for our fast path at the smallest batch")
    parser.add_argument("--only", nargs="*", help="only programs with one of these in their name")
    parser.add_argument("--timeout", type=int, default=900, help="seconds that one program may take")
    options = parser.parse_args()
    batches = [int(n) for n in options.batches.split(",")]
    threads = [int(n) for n in options.threads.split(",")]
    cuda = options.device.startswith("cuda")
    common = ["--variant", options.variant, "--frames", str(options.frames), "--size", str(options.size), "--steps", str(options.steps), "--device", options.device]
    runs = []
    for name, entry in programs(options, cuda).items():
        runs += [(name, entry, batch, threads[0]) for batch in batches]
        if name == "incdec, fast" and not cuda:
            runs += [(name, entry, batches[0], count) for count in threads[1:]]
    clock = "wall" if cuda else "cpu"
    rows = {}
    for number in range(options.rounds):
        for name, (command, flags), batch, count in runs:
            if "error" in rows.get((name, batch, count), {}):
                continue
            row = measure([*command, *common, "--batch", str(batch), "--threads", str(count), *flags], options.timeout)
            row = {"program": name, **row, "batch": batch, "threads": count}
            said = row.get("error") or f"train {row[f'train_{clock}_s_per_clip']:.5f}, evaluate {row[f'eval_{clock}_s_per_clip']:.5f} s a clip"
            print(f"round {number}: {name}, batch {batch}, {count} threads: {said}", file=sys.stderr, flush=True)
            rows[name, batch, count] = least(rows.get((name, batch, count)), row)
            if options.json:
                write(options, list(rows.values()))
    show(list(rows.values()), clock)


def write(options, rows):
    """What has been measured so far, so that nothing is lost where the time for it runs out."""
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump({"bench": "step", "processor": processor(), "frames": options.frames, "size": options.size, "rows": rows}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
