"""Reads every table and shard of a data folder and its runs with pyarrow, polars and DuckDB, as users do.

    python read_with_arrow_tools.py DATA RUN [RUN ...]

Checks schemas, metadata and counts against each other, decodes one stored frame, and asks in SQL which clips the model lost.
Prints what it read; any mismatch is an AssertionError.
    pip install -r tests/requirements.txt
"""
import glob
import io
import json
import os
import sys

import duckdb
import polars
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
from PIL import Image

i32, i64, f32, f64, text, flag = pa.int32(), pa.int64(), pa.float32(), pa.float64(), pa.string(), pa.bool_()
COLUMNS = {
    "incdec.clips": {"clip_id": text, "group": text, "youtube_id": text, "time_start_s": i32, "time_end_s": i32, "split": text, "source_split": text, "row": i32, "category": text,
                     "label": i32, "subcategory": text, "shard": text, "shard_row": i64, "status": text},
    "incdec.availability": {"task": i32, "split": text, "position": i32, "row": i32, "clip_id": text, "group": text, "category": text, "label": i32, "subcategory": text, "change": text,
                            "usable": flag},
    "incdec.schedule": {"task": i32, "category": text, "subcategory": text, "position": i32, "event": text},
    "incdec.history": {"task": i32, "epoch": i32, "split": text, "metric": text, "value": f64},
    "incdec.metrics": {"task": i32, "split": text, "metric": text, "category": text, "subcategory": text, "value": f64, "forgetting": f64},
    "incdec.predictions": {"task": i32, "split": text, "position": i32, "clip_id": text, "label": i32, "subcategory": text, "prediction": i32},
}

SORTED = {"incdec.availability": ["task"], "incdec.schedule": ["task"], "incdec.history": ["task", "epoch"], "incdec.metrics": ["task"],
          "incdec.predictions": ["task"], "incdec.seen": ["clip_id"], "incdec.erasures": ["number"]}
UNIQUE = {"incdec.clips": ["clip_id"], "incdec.index": ["clip_id", "content"], "incdec.availability": ["row"], "incdec.predictions": ["position"]}


def parquet(path, name=None):
    """The table at `path` after checking its metadata, its columns, and that polars and DuckDB read the same rows."""
    table = pq.read_table(path)
    meta = {k.decode(): v.decode() for k, v in (pq.read_metadata(path).metadata or {}).items()}
    form = meta["incdec.format"]
    assert name is None or form == name, f"{path}: {form}"
    assert int(meta["incdec.format_version"]) >= 1 and meta["incdec.crate_version"]
    assert isinstance(json.loads(meta["incdec.settings"]), dict) and isinstance(json.loads(meta["incdec.inputs"]), dict)
    for column, kind in COLUMNS.get(form, {}).items():
        assert table.schema.field(column).type == kind, f"{path}: {column} is {table.schema.field(column).type}"
    assert polars.read_parquet(path).height == table.num_rows
    group = pq.read_metadata(path).row_group(0) if table.num_rows else None
    if group:
        # What the file says of its order is true, and dictionaries stand where they help.
        order = [table.column_names[c.column_index] for c in group.sorting_columns]
        assert order == SORTED.get(form, []), f"{path}: sorted by {order}"
        if order:
            assert table.equals(table.sort_by([(c, "ascending") for c in order])), f"{path}: not sorted by {order}"
        for i, field in enumerate(table.schema):
            has_dictionary = group.column(i).has_dictionary_page
            if pa.types.is_floating(field.type) or field.name in UNIQUE.get(form, []):
                assert not has_dictionary, f"{path}: a dictionary of {field.name}"
            elif field.name in ("split", "category", "subcategory", "status", "metric"):
                assert has_dictionary, f"{path}: no dictionary of {field.name}"
    assert duckdb.sql(f"select count(*) from read_parquet('{path}')").fetchone()[0] == table.num_rows
    print(f"{form:24} {table.num_rows:7} rows  {path}")
    return table


def shards(folder):
    """Reads all shards of `folder`; returns their clips as {(shard, row): (clip_id, frames, height, width)} and one decoded frame's size."""
    clips, decoded = {}, None
    for path in sorted(glob.glob(os.path.join(folder, "*.arrow"))):
        with pa.memory_map(path) as source:
            reader = pa.ipc.open_file(source)
            assert reader.schema.metadata[b"incdec.format"] == b"incdec.shard"
            features = json.loads(reader.schema.metadata[b"huggingface"])["info"]["features"]
            table = reader.read_all()
            for row, clip in enumerate(table.select([c for c in table.column_names if c != "encoded_frames"]).to_pylist()):
                clips[os.path.basename(path), row] = (clip["clip_id"], clip["frames"], clip["height"], clip["width"])
            frames = table.column("encoded_frames")[0].as_py()
            first = frames[0]["bytes"] if isinstance(frames[0], dict) else frames[0]
            if table.column("codec")[0].as_py() == "jpeg":
                image = Image.open(io.BytesIO(first))
                image.load()
                assert image.size == (table.column("width")[0].as_py(), table.column("height")[0].as_py())
                decoded = image.size
                assert features["encoded_frames"] == {"feature": {"_type": "Image"}, "_type": "LargeList"}
        assert polars.read_ipc(path).height == table.num_rows
        print(f"{'incdec.shard':24} {table.num_rows:7} rows  {path}")
    return clips, decoded


def main():
    data, runs = sys.argv[1], sys.argv[2:]
    index = parquet(f"{data}/shards/index.parquet", "incdec.index").to_pylist()
    clips = parquet(f"{data}/manifests/clips.parquet", "incdec.clips").to_pylist()
    if os.path.exists(f"{data}/downloads.parquet"):
        parquet(f"{data}/downloads.parquet")
    stored, decoded = shards(f"{data}/shards")
    assert decoded, "no JPEG frame was decoded"
    assert len(index) == len(clips), "the index and the manifest list the same clips"
    usable = {c["clip_id"]: c for c in clips if c["status"] in ("ok", "partial")}
    assert {k for k, v in stored.items()} >= {(c["shard"], c["shard_row"]) for c in usable.values()}
    for clip in usable.values():
        assert stored[clip["shard"], clip["shard_row"]][0] == clip["clip_id"]
    for path in sorted(glob.glob(f"{data}/tasks/*/seed-*/availability.parquet")):
        rows = parquet(path, "incdec.availability").to_pylist()
        parquet(os.path.join(os.path.dirname(path), "schedule.parquet"), "incdec.schedule")
        listed = [(r["task"], r["split"], r["position"]) for r in rows if r["position"] is not None]
        assert len(listed) == len(set(listed)), "a position is taken once"
        assert all(r["usable"] == (r["clip_id"] in usable) for r in rows)
    for run in runs:
        tables = {name: parquet(f"{run}/{name}.parquet", f"incdec.{name}") for name in ("history", "metrics", "predictions", "seen")}
        classes = [c for c in tables["predictions"].column_names if c.startswith("p_")]
        assert all(tables["predictions"].schema.field(c).type == f32 for c in classes) and len(classes) >= 2
        lost = duckdb.sql(f"""
            select now.task, now.subcategory, now.clip_id
            from '{run}/predictions.parquet' as now
            join '{run}/predictions.parquet' as before on now.clip_id = before.clip_id and now.split = before.split and now.task = before.task + 1
            where now.split = 'test' and before.prediction = before.label and now.prediction <> now.label
            order by all""")
        print(f"clips of the test set that {run} got right in one task and wrong in the next: {len(lost)}")


if __name__ == "__main__":
    main()
