"""Checks exported models with the ONNX project's own checker and runtime.

    python scripts/reference/onnx_check.py MODEL.onnx...

Needs onnx, onnxruntime and numpy (1.23.2, 1.24.4 and 2.4.6 were used). For each
model: the full checker, shape inference that must carry the open batch from
the input to the logits, the declared versions, and a run on two batch sizes
whose common examples must agree. The exit status says whether all passed.
"""

import os
import sys

import numpy as np
import onnx
import onnxruntime


def sizes(value):
    return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]


def check(path):
    # By path, since the checker's own copy of a large model would be too large.
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path)
    assert model.ir_version == 8, model.ir_version
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)], model.opset_import
    [x], [y] = model.graph.input, model.graph.output
    assert (x.name, y.name) == ("input", "logits"), (x.name, y.name)
    batch, classes = sizes(y)
    assert sizes(x)[0] == batch == "batch", (sizes(x), batch)
    if os.path.getsize(path) < 1 << 28:
        model.graph.output[0].type.tensor_type.ClearField("shape")
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        assert sizes(inferred.graph.output[0])[0] == "batch", sizes(inferred.graph.output[0])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(1).random([3, *sizes(x)[1:]], dtype=np.float32)
    three, one = (session.run(None, {"input": images[:n]})[0] for n in (3, 1))
    assert three.shape == (3, classes) and np.isfinite(three).all(), three
    assert np.allclose(three[:1], one, rtol=1e-4, atol=1e-4), (three, one)
    properties = {p.key: p.value for p in model.metadata_props}
    print(f"{path}: ok, {len(model.graph.node)} nodes, {sizes(x)} to {classes} classes, {properties}")


def main(paths):
    failed = False
    for path in paths:
        try:
            check(path)
        except Exception as e:  # whatever is wrong with one, the others are checked
            failed = True
            print(f"{path}: {type(e).__name__}: {e}")
    return failed or not paths


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
