"""Lists what safetensors files hold, as the python package reads them: a JSON object of file name to lines
"name<tab>dtype<tab>shape", sorted by name.

    list_tensors.py FILE...
"""
import json
import pathlib
import sys

from safetensors import safe_open


def lines(path):
    with safe_open(path, framework="numpy") as file:
        for name in sorted(file.keys()):
            tensor = file.get_slice(name)
            yield f"{name}\t{tensor.get_dtype()}\t{tensor.get_shape()}"
            file.get_tensor(name)


json.dump({pathlib.Path(path).name: list(lines(path)) for path in sys.argv[1:]}, sys.stdout)
