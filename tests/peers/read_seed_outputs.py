"""Reads the text files and matrices that a run leaves with --seed-outputs as numpy and Python's csv module read them, writes
them again as those write them, and compares the bytes.

    read_seed_outputs.py RUN
"""
import csv
import io
import pathlib
import sys

import numpy

run = pathlib.Path(sys.argv[1])


def same(path, written):
    read = path.read_bytes()
    assert read == written, f"{path}: {read!r} instead of {written!r}"


def logger(path):
    """numpy.savetxt of numpy.loadtxt, with the header that the file has."""
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    header = first.removeprefix("# ") if first.startswith("# ") else ""
    values = numpy.loadtxt(path, delimiter=",", ndmin=2)
    out = io.BytesIO()
    numpy.savetxt(out, values, fmt="%d" if path.stem == "best_epoch_tasks" else "%.3f", delimiter=",", header=header)
    same(path, out.getvalue())


def matrix(path):
    """The .npy file and the .out file beside it."""
    values = numpy.load(path, allow_pickle=False)
    assert values.dtype == numpy.dtype("<i8") and values.flags.c_contiguous, path
    out = io.BytesIO()
    numpy.save(out, values)
    same(path, out.getvalue())
    out = io.BytesIO()
    numpy.savetxt(out, values, fmt="%d", delimiter=",")
    same(path.with_suffix(".out"), out.getvalue())


def table(path):
    """Rows of the csv module; gives them by the header's names."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    same(path, out.getvalue().encode())
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


loggers = [p for folder in ("logger", "validation_logger") for p in sorted((run / folder).iterdir())]
for path in loggers:
    logger(path)
matrices = sorted((run / "confusion_matrices").glob("*.npy"))
for path in matrices:
    matrix(path)
analyses = sorted((run / "error_analysis").iterdir())
for path in analyses:
    for row in table(path):
        classes = [name for name in row if not name.startswith(("video_path", "prediction", "target", "subcategory"))]
        assert len(classes) >= 2, path
        for name in classes:
            assert row[name] == str(numpy.float32(row[name])), f"{path}: {row[name]}"
subcategories = sorted((run / "subcategories_task").glob("task_*"))
for path in subcategories:
    table(path)
for name in ("parameters.csv", "summary.csv"):
    (row,) = table(run / name)
    for column in ("weight_decay", "ewc_lambda", "lwf_lamb", "lwf_T", "fd_lamb", "lr_first_task", "head_lr"):
        assert row[column] == repr(float(row[column])), f"{name}: {column} {row[column]}"
(row,) = table(run / "avg_time.csv")
assert row["Avg_Time_per_ep"] == repr(float(row["Avg_Time_per_ep"])), row
tables = len(analyses) + len(subcategories) + 3
print(f"{len(loggers)} loggers, {len(matrices)} matrices, {tables} tables")
