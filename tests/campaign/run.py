"""What the stages survive: kills, double starts, flipped bytes, outputs removed in mid-run, closed and full ends.

    python3 tests/campaign/run.py --bin target/release --work build/campaign

Writes the toy source and runs every stage on it, small and undisturbed. Then every case is tried again and again from the
tree before its stage:

    kills     kill -9 at one to three random moments, then a whole run: the bytes must be those of an undisturbed run
    stops     a training ended by SIGTERM, SIGINT, SIGUSR1 or kill -9 at one to four random moments and gone on with, for every
              approach, sampler and scheduler, and from scratch: the bytes must be those of an undisturbed one
    starts    the same stage twice at once, also with other settings: one is busy (exit status 75), or both are done
    flips     one random bit of every published file, then each command that reads it: refused by name, or the same results
    removals  an output removed in mid-run: an error, or everything is there at the end all the same
    ends      stdout and stderr closed or full: the work is done all the same

Logs, timings and TensorBoard events hold times and are not compared. Nothing may crash, and what runs longer than --timeout
hangs. Prints a table in Markdown (survived of tried; flips count for the stage that reads the file) and every failure with the
command that repeats it (moments are random shares of a stage's time, so a repeated trial can differ by the machine's load);
`--json FILE` writes the same with each case. The tree of a failed trial stays
under WORK/failed. Ends with 1 where something did not survive. Standard library alone.
"""

import argparse
import json
import random
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from pipeline import NotSurvived, Programs, Reference
from trials import Trials

KINDS = ["kills", "stops", "starts", "flips", "removals", "ends"]
# Trees of failed trials that are kept.
MOST_KEPT = 20


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=Path("target/release"), help="folder of the binaries")
    parser.add_argument("--work", type=Path, default=Path("build/campaign"), help="folder for everything; emptied first")
    parser.add_argument("--kills", type=int, default=20, metavar="N", help="trials of each stage")
    parser.add_argument("--stops", type=int, default=1, metavar="N", help="trials of each training")
    parser.add_argument("--starts", type=int, default=10, metavar="N", help="trials of each pair")
    parser.add_argument("--flips", type=int, default=10, metavar="N", help="trials of each file and reader")
    parser.add_argument("--removals", type=int, default=10, metavar="N", help="trials of each stage")
    parser.add_argument("--seed", type=int, default=0, help="of every random choice")
    parser.add_argument("--only", choices=KINDS, help="only this kind")
    parser.add_argument("--case", default="", help="only cases whose name contains this")
    parser.add_argument("--trial", type=int, help="only the trial of this number")
    parser.add_argument("--timeout", type=float, default=120, metavar="SECONDS", help="what runs longer hangs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    return parser.parse_args()


def campaign(args, programs, reference, cases):
    """Tries every case; gives the rows of the table and the failures."""
    counts = {"kills": args.kills, "stops": args.stops, "starts": args.starts, "flips": args.flips, "removals": args.removals, "ends": 1}
    rows, failures = [], []
    root = reference.work / "trial"
    for case in cases:
        if args.only not in (None, case.kind) or args.case not in case.name:
            continue
        numbers = range(counts[case.kind]) if args.trial is None else [args.trial]
        how, begun = Counter(), time.monotonic()
        for number in numbers:
            try:
                how[case.trial(random.Random(f"{args.seed}/{case.kind}/{case.name}/{number}"), root)] += 1
            except NotSurvived as failure:
                programs.end_all()
                failures.append({"kind": case.kind, "case": case.name, "trial": number, "what": str(failure)})
                if len(failures) <= MOST_KEPT and root.exists():
                    kept = reference.work / "failed" / str(len(failures))
                    kept.parent.mkdir(exist_ok=True)
                    shutil.rmtree(kept, ignore_errors=True)
                    root.rename(kept)
            finally:
                programs.end_all()
        survived = sum(how.values())
        row = {"kind": case.kind, "stage": case.stage, "case": case.name, "tried": len(numbers), "survived": survived}
        rows.append(row | {"how": dict(how)})
        words = ", ".join(f"{count} {word}" for word, count in sorted(how.items()))
        passed = f"{survived} of {len(numbers)} in {time.monotonic() - begun:.0f} s ({words or 'none'})"
        print(f"{case.kind}: {case.name}: {passed}", file=sys.stderr, flush=True)
    return rows, failures


def markdown(rows):
    """What survived of what was tried, a row for each stage and a column for each kind."""
    stages = list(dict.fromkeys(row["stage"] for row in rows))

    def cell(kind, among):
        ours = [row for row in rows if row["kind"] == kind and row["stage"] in among]
        tried, survived = (sum(row[key] for row in ours) for key in ("tried", "survived"))
        return f"{survived} of {tried}" if tried else ""

    lines = ["| | " + " | ".join(KINDS) + " |", "|---" * (len(KINDS) + 1) + "|"]
    for name, among in [*((stage, [stage]) for stage in stages), ("**all**", stages)]:
        lines.append(f"| {name} | " + " | ".join(cell(kind, among) for kind in KINDS) + " |")
    return "\n".join(lines)


def main():
    args = parse()
    programs = Programs(args.bin, args.timeout)
    args.work.parent.mkdir(parents=True, exist_ok=True)
    reference = Reference(programs, args.work.resolve())
    rows, failures = campaign(args, programs, reference, Trials(programs, reference).cases())
    print(markdown(rows))
    for failure in failures:
        print(f"\n{failure['kind']}, {failure['case']}, trial {failure['trial']}: {failure['what']}")
        again = f"--seed {args.seed} --only {failure['kind']} --case '{failure['case']}' --trial {failure['trial']}"
        print(f"    python3 tests/campaign/run.py --bin {args.bin} --work {args.work} {again}")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps({"seed": args.seed, "cases": rows, "failures": failures}, indent=1) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
