"""The stages as a user runs them on the toy source, the trees that they leave undisturbed, and the processes of a trial."""

import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import zipfile
from dataclasses import dataclass

try:
    import pyarrow.parquet as parquet
except ImportError:
    # Then tables are compared by their bytes alone.
    parquet = None

# Two tasks of one epoch on a few small frames. EWC, because it leaves the most files.
TRAIN = (
    "--availability tasks --shards shards --out run --device cpu --threads 1 --workers 1 --approach ewc --geometry tf"
    " --frames 4 --resize 36 --size 32 --epochs 1 --batch-size 8"
)

# Names of files that hold times, which no promise of equal bytes covers.
TIMED = (".jsonl", "timing.parquet", "avg_time.csv")

# Metadata of a table that tells where its rows come from. A damaged input whose rows are whole has another hash there.
HASH = re.compile(b"[0-9a-f]{64}")
# The size of a safetensors file's header stands first.
HEADER_SIZE = struct.Struct("<Q")
LINEAGE = {b"incdec.inputs", b"incdec.metadata"}

# Tries to stop a stage halfway, and how often its tree is looked at meanwhile.
HALF_TRIES = 20
POLL_SECONDS = 0.002

# Stands in a folder that a campaign made. No other folder is emptied.
MARK = ".incdec-campaign"


@dataclass(frozen=True)
class Stage:
    """A command, the flags that give it another result, and what it publishes, all relative to the root of a tree."""

    name: str
    program: str
    flags: str
    outputs: tuple
    other: str = ""


STAGES = [
    Stage("toy", "incdec-toy", "write --out source --train 2 --validation 1 --test 1 --seconds 1.2 --size 32",
          ("source",), "--seed 1"),
    Stage("download", "incdec-download", "--source source --labels source/Info --out raw --ledger downloads.parquet --jobs 2",
          ("raw", "downloads.parquet"), "--limit 1"),
    Stage("decode", "incdec-decode",
          "--clips raw --labels source/Info --out shards --frame-size 36x36 --jobs 2 --clips-per-shard 4",
          ("shards",), "--quality 70"),
    Stage("manifest", "incdec-manifest", "--labels source/Info --shards shards --out manifests/clips.parquet",
          ("manifests",)),
    Stage("tasks", "incdec-tasks", "--manifest manifests/clips.parquet --out tasks --tasks 2", ("tasks",), "--seed 1"),
    Stage("train", "incdec-train", TRAIN, ("run",), "--seed 1"),
    Stage("report", "incdec-report", "--out report.html run", ("report.html",), "--permutations 100"),
]
BY_NAME = {stage.name: stage for stage in STAGES}

# The index of some clips is there, then the others arrive.
GROWN = "decode, clips added"


class NotSurvived(Exception):
    """What a trial found: its message says what happened."""


@dataclass
class Ended:
    """How a process ended: its exit status (negative for a signal), and everything that it printed."""

    status: int
    text: str

    def error(self):
        """What it says of its failure, or the last that it says."""
        lines = [line for line in self.text.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("error: ")]
        return (errors or lines or ["(nothing printed)"])[-1][:300]


class Running:
    """A process of a trial in a group of its own, so that ending it ends its children too."""

    def __init__(self, argv, root, timeout, stdout=None, stderr=None):
        self.timeout = timeout
        self.printed = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            argv, cwd=root, stdin=subprocess.DEVNULL, stdout=stdout or self.printed,
            stderr=stderr or self.printed, start_new_session=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def runs(self):
        return self.process.poll() is None

    def kill(self):
        """Ends the group at once and waits for its first process."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.printed.close()

    def wait(self):
        """How it ended by itself. What hangs is ended and has not survived."""
        try:
            status = self.process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise NotSurvived(f"hangs: still running after {self.timeout} s") from None
        self.printed.seek(0)
        text = self.printed.read().decode(errors="replace")
        self.printed.close()
        if status == 101 or status < 0 or "panicked at" in text:
            said = [line for line in text.splitlines() if "panicked at" in line]
            raise NotSurvived(f"crashed with status {status}: {said[0] if said else text.strip()[-300:]}")
        return Ended(status, text)


class Programs:
    """Starts the stages' binaries of one folder."""

    def __init__(self, folder, timeout):
        self.folder, self.timeout = folder.resolve(), timeout
        self.started = []

    def start(self, root, program, flags, **streams):
        self.started.append(Running([self.folder / program, *flags.split()], root, self.timeout, **streams))
        return self.started[-1]

    def end_all(self):
        """Ends what a trial has left running."""
        for running in self.started:
            if running.runs():
                running.kill()
        self.started.clear()

    def stage(self, root, stage, more="", **streams):
        return self.start(root, stage.program, f"{stage.flags} {more}", **streams)


def tree(root):
    """Every file below a folder with its bytes, but for those that hold times."""
    files = {}
    for path in sorted(root.rglob("*")):
        timed = path.name.endswith(TIMED) or "tfevents" in path.name
        if path.is_file() and not timed:
            files[str(path.relative_to(root))] = path.read_bytes()
    return files


def results(name, file):
    """What the bytes of a file say beside where they come from; the bytes themselves where that cannot be told apart."""
    if name.endswith(".parquet") and parquet is not None:
        try:
            table = parquet.read_table(io.BytesIO(file))
        except (OSError, ValueError):
            return file
        settings = {k: v for k, v in (table.schema.metadata or {}).items() if k not in LINEAGE}
        return settings, table.replace_schema_metadata(None)
    if name.endswith(".safetensors") and len(file) > HEADER_SIZE.size:
        start = HEADER_SIZE.size + HEADER_SIZE.unpack_from(file)[0]
        try:
            header = json.loads(file[HEADER_SIZE.size : start])
        except ValueError:
            return file
        header.pop("__metadata__", None)
        return header, file[start:]
    if name.endswith(".json"):
        return HASH.sub(b"hash", file)
    if name.endswith(".pth"):
        with zipfile.ZipFile(io.BytesIO(file)) as archive:
            tensors = [tensor for tensor in archive.namelist() if "/data/" in tensor]
            return [(tensor.split("/", 1)[1], archive.read(tensor)) for tensor in tensors]
    return file


def same_results(name, one, other):
    """Whether two files are the same, or differ in lineage alone."""
    return one == other or results(name, one) == results(name, other)


def same_bytes(_, one, other):
    return one == other


def difference(found, expected, same=same_bytes):
    """The first place where two trees differ, in words, or None."""
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            return f"{name} is missing"
        if name not in expected:
            return f"{name} is left over"
        if not same(name, found[name], expected[name]):
            return f"{name} is not the same"
    return None


def copy(source, target):
    """Replaces a folder by a copy of another, times of the files included."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)


class Reference:
    """The trees before and after each stage that nobody disturbed, and the seconds that it took."""

    def __init__(self, programs, work):
        self.programs, self.work = programs, work
        self.seconds, self.trees = {}, {}
        if work.exists() and any(work.iterdir()) and not (work / MARK).exists():
            raise SystemExit(f"{work} holds something else; --work takes a new folder or that of an earlier campaign")
        shutil.rmtree(work, ignore_errors=True)
        now = work / "now"
        now.mkdir(parents=True)
        (work / MARK).touch()
        for stage in STAGES:
            copy(now, self.before(stage.name))
            self.timed(stage, stage.name, now)
            copy(now, self.after(stage.name))
        self.grow(now)
        shutil.rmtree(now)

    def before(self, name):
        return self.work / "before" / name

    def after(self, name):
        return self.work / "after" / name

    def tree(self, folder):
        """The tree of a folder that does not change any more."""
        if folder not in self.trees:
            self.trees[folder] = tree(folder)
        return self.trees[folder]

    def timed(self, stage, name, root):
        begun = time.monotonic()
        ended = self.programs.stage(root, stage).wait()
        if ended.status:
            raise SystemExit(f"{name} ends with {ended.status} undisturbed:\n{ended.text}")
        self.seconds[name] = time.monotonic() - begun

    def grow(self, now):
        """Decodes half of the clips, then all: the tree before has an index of the half and every clip."""
        decode = BY_NAME["decode"]
        copy(self.before("decode"), now)
        for clip in sorted(now.glob("raw/*/*"))[::2]:
            clip.unlink()
        self.programs.stage(now, decode, "--max-failed 1").wait()
        copy(self.before("decode") / "raw", now / "raw")
        copy(now, self.before(GROWN))
        self.timed(decode, GROWN, now)
        copy(now, self.after(GROWN))

    def half(self, name, reached):
        """A tree in which the stage was killed as soon as `reached` says so of it."""
        folder = self.work / "half" / name
        if folder.exists():
            return folder
        stage = BY_NAME[name]
        for _ in range(HALF_TRIES):
            copy(self.before(name), folder)
            running = self.programs.stage(folder, stage)
            while running.runs() and not reached(folder):
                time.sleep(POLL_SECONDS)
            halfway = running.runs()
            running.kill()
            if halfway:
                return folder
        raise SystemExit(f"{name} could not be stopped halfway in {HALF_TRIES} tries")

    def variant(self, stage, *flags):
        """The tree after runs of a stage with these additional flags, one after the other."""
        name = "-".join("own" if not more else "other" for more in flags)
        folder = self.work / "variants" / stage.name / name
        if not folder.exists():
            copy(self.before(stage.name), folder)
            for more in flags:
                self.programs.stage(folder, stage, more).wait()
        return self.tree(folder)
