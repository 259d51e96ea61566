"""Loads checkpoints that this project wrote into PyTorch's MoViNet and compares what both compute.

    check_checkpoints.py FOLDER

For each FOLDER/<variant>-<geometry>.logits.safetensors, with the tensors `clips` and `logits`, the weights are loaded by name
with strict=True from <variant>-<geometry>.safetensors and from <variant>-<geometry>.pth (weights_only). One line a case.
"""
import pathlib
import sys

import torch
from safetensors.torch import load_file

from movinet_eager import MoViNet

# Of a first forward pass in 32-bit floats.
TOLERANCE = 1e-5

torch.set_num_threads(1)
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.logits.safetensors")):
    case = path.name.removesuffix(".logits.safetensors")
    variant, geometry = case.split("-")
    ours = load_file(path)
    for weights in (path.with_name(f"{case}.safetensors"), path.with_name(f"{case}.pth")):
        state = load_file(weights) if weights.suffix == ".safetensors" else torch.load(weights, weights_only=True)
        model = MoViNet(variant, classes=ours["logits"].shape[1], tf_like=geometry == "tf")
        for name, tensor in model.state_dict().items():
            assert state[name].dtype == tensor.dtype, f"{weights}: {name} is {state[name].dtype}"
        model.load_state_dict(state, strict=True)
        with torch.no_grad():
            logits, _ = model.eval()(ours["clips"])
        distance = (logits - ours["logits"]).abs().max().item()
        assert distance <= TOLERANCE, f"{weights}: logits differ by {distance}"
        print(f"{weights.name}: {len(state)} tensors, logits differ by {distance:.1e} at most")
