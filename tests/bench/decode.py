"""Times incdec-bench-decode beside other decoders on the same clips, one thread each, and compares their frames.

    python3 tests/bench/decode.py --python .venv/bin/python --bin target/release --peers tests/peers/decode.py \\
        --clips clips/raw --json build/bench-decode.json

Each of them turns every video of the folder into RGB frames of 200x200 at 5 per second, without and with JPEG encoding
(quality 90), and saves the frames once for psnr.py, which stands beside the peers' script: PSNR is the mean over frames against
PIL's antialiased bilinear resize of the full frames. The seed's command writes JPEG files of another size, so it has one column
only. CPU seconds are those of the decoding process and its children, the best of --repeat and of --rounds: all decoders run
in turns, since machines are noisy. A peer whose package or program is missing is named with its error. Prints a table and
writes --json. Standard library alone; --python is the interpreter that has the peers' packages.
"""

import argparse
import json
import os
import platform
import subprocess
import tempfile
from pathlib import Path

PEERS = ["decord2", "torchcodec", "pyav", "ffmpeg", "seed"]


def last_line(command):
    """Runs a command that prints JSON lines; gives the last, or what went wrong."""
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    except OSError as error:
        return {"error": str(error)}
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        words = [line for line in done.stderr.splitlines() if line.strip()]
        return {"error": words[-1][:200] if words else f"exit status {done.returncode}"}
    row = json.loads(lines[-1])
    return row if row.get("clips") else {"error": f"decoded none of {row.get('failed')} files"}


def measure(name, args, frames):
    """Figures of one decoder: plain, with JPEG, and the PSNR of the frames that it saves where `frames` is a folder."""
    if name == "incdec":
        command = [args.bin / "incdec-bench-decode", args.clips]
    else:
        command = [args.python, args.peers, name, args.clips]
    # The seed's command takes a minute for what others do in four seconds.
    command += ["--repeat", 1 if name == "seed" else args.repeat]
    if name == "seed":
        return {"name": name, "plain": None, "jpeg": last_line(command), "psnr": None}
    plain = last_line([*command, *(["--save", frames / name] if frames else [])])
    jpeg = last_line([*command, "--jpeg"])
    psnr = last_line([args.python, args.peers.with_name("psnr.py"), args.clips, frames / name]) if frames else None
    return {"name": name, "plain": plain, "jpeg": jpeg, "psnr": psnr}


def best(rows):
    """The rounds of one decoder as one row: of each figure the best, the PSNR of the first."""
    first = dict(rows[0])
    for kind in ("plain", "jpeg"):
        measured = [row[kind] for row in rows if rate(row, kind)]
        first[kind] = max(measured, key=lambda figure: figure["clips_per_cpu_s"]) if measured else first[kind]
        first[f"{kind}_rounds"] = [figure["clips_per_cpu_s"] for figure in measured]
    return first


def rate(row, kind):
    """Clips per CPU second, where they were measured."""
    return (row[kind] or {}).get("clips_per_cpu_s")


def show(value, digits=2):
    return "-" if value is None else f"{value:.{digits}f}"


def table(rows):
    """The figures as a Markdown table; the ratios are ours over theirs."""
    ours = next((row for row in rows if row["name"] == "incdec"), None)
    lines = [
        "| decoder | clips per CPU s | incdec is | with JPEG | incdec is | PSNR in dB, mean (lowest) |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row["name"]]
        for kind in ("plain", "jpeg"):
            own, theirs = ours and rate(ours, kind), rate(row, kind)
            ratio = f"{own / theirs:.2f}x" if own and theirs and row is not ours else "-"
            cells += [show(theirs), ratio]
        psnr = row["psnr"] or {}
        cells.append(f"{show(psnr.get('psnr_mean'))} ({show(psnr.get('psnr_low'))})")
        lines.append(f"| {' | '.join(cells)} |")
    missing = {row["name"]: f["error"] for row in rows for f in (row["plain"], row["jpeg"], row["psnr"]) if f and "error" in f}
    lines += [f"{name} was not measured: {error}" for name, error in missing.items()]
    return "\n".join(lines)


def processor():
    """The processor's name, where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="interpreter with av, torchcodec, decord2, pillow, torch")
    parser.add_argument("--bin", type=Path, required=True, help="folder of incdec-bench-decode")
    parser.add_argument("--peers", type=Path, required=True, help="the peers' script; psnr.py is beside it")
    parser.add_argument("--clips", type=Path, required=True, help="folder of videos")
    parser.add_argument("--json", type=Path, required=True, help="file to write")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2, help="turns that each decoder gets")
    parser.add_argument("--only", nargs="*", default=["incdec", *PEERS], help="decoders to measure")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as frames:
        rounds = [[measure(name, args, Path(frames) if number == 0 else None) for name in args.only] for number in range(args.rounds)]
    rows = [best(turns) for turns in zip(*rounds)]
    report = {"processor": processor(), "cores": os.cpu_count(), "clips": str(args.clips), "rows": rows}
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(report, indent=1) + "\n")
    print(f"{report['processor']}, one thread each, best of {args.rounds} x {args.repeat}")
    print(table(rows))


if __name__ == "__main__":
    main()
