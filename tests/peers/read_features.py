"""Reads a feature table with pyarrow into a numpy array, with --torch also into a tensor, and prints what it holds."""

import argparse
import json

import numpy
import pyarrow.parquet

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("table")
parser.add_argument("--torch", action="store_true")
arguments = parser.parse_args()

table = pyarrow.parquet.read_table(arguments.table)
column = table["feature"].combine_chunks()
width = column.type.list_size
features = column.flatten().to_numpy(zero_copy_only=True).reshape(-1, width)
said = {
    "clips": table["clip_id"].to_pylist(),
    "shape": list(features.shape),
    "type": str(features.dtype),
    "sums": [float(row.astype(numpy.float64).sum()) for row in features],
}
if arguments.torch:
    import torch

    tensor = torch.from_numpy(features.copy())
    said["torch_sums"] = tensor.double().sum(dim=1).tolist()
print(json.dumps(said))
