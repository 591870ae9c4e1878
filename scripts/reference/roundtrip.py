"""Reads what scripts/roundtrip wrote, and compares with PyTorch and ONNX Runtime.

    go run ./scripts/roundtrip DIR
    python scripts/reference/roundtrip.py DIR [NAME...]

Needs torch and torchvision (2.11.0 and 0.26.0 were used), onnx 1.23.2, onnxruntime 1.24.4 and numpy.
For each network: the .pth must load with weights_only=True into PyTorch's own network with strict=True;
the .pt as TorchScript, with the same state dict; the .onnx must pass the official checker. Logits by PyTorch, by
TorchScript and by ONNX Runtime may differ from those of bridge/torch by 1e-4 of the largest, or 1e-4.
The exit status says whether all did.
"""

import json
import os
import sys

import numpy as np
import onnx
import onnxruntime
import torch

import networks

# A counter of batch norm that PyTorch fills in where a file lacks it.
COUNTER = "num_batches_tracked"


def array(path, *shape):
    return np.fromfile(path, dtype="<f4").reshape(shape)


def difference(a, b):
    return float(np.abs(a - b).max())


def check(base, make):
    with open(base + ".json") as f:
        sizes = json.load(f)
    x, ours = array(base + ".images", *sizes["images"]), array(base + ".logits", -1, sizes["classes"])
    # Logits that do not depend on the image would prove little.
    varies = float(np.ptp(ours, axis=0).max())
    assert np.isfinite(ours).all() and varies > 0.01, ours

    state = torch.load(base + ".pth", weights_only=True)
    net = make()
    net.load_state_dict(state, strict=True)
    net.eval()
    script = torch.jit.load(base + ".pt")
    scripted = script.state_dict()
    assert list(sorted(scripted)) == sorted(k for k in state if not k.endswith(COUNTER)), sorted(scripted)
    for k, v in scripted.items():
        assert torch.equal(v, state[k]), k
    with torch.no_grad():
        by_torch, by_script = net(torch.from_numpy(x)).numpy(), script(torch.from_numpy(x)).numpy()

    onnx.checker.check_model(base + ".onnx", full_check=True)
    session = onnxruntime.InferenceSession(base + ".onnx", providers=["CPUExecutionProvider"])
    [by_runtime] = session.run(None, {"input": x})

    limit = 1e-4 * max(1, float(np.abs(ours).max()))
    found = {"PyTorch": by_torch, "TorchScript": by_script, "ONNX Runtime": by_runtime}
    said = ", ".join(f"{k} {difference(ours, v):.1e}" for k, v in found.items())
    print(f"{os.path.basename(base)}: {said}; logits vary by {varies:.2g} between images", flush=True)
    for k, v in found.items():
        assert v.shape == ours.shape and difference(ours, v) <= limit, k


def main(folder, only):
    torch.set_num_threads(1)
    failed, seen = 0, 0
    for name, _, make, *_ in networks.CASES:
        base = os.path.join(folder, name)
        if not os.path.exists(base + ".json") or only and name not in only:
            continue
        seen += 1
        try:
            check(base, make)
        except Exception as e:  # the others are checked nevertheless
            failed += 1
            print(f"{name}: {type(e).__name__}: {e}")
    print(f"{seen - failed} of {seen} networks as they should be")
    return failed > 0 or seen == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
