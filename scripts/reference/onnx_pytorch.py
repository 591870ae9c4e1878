"""Writes bridge/onnx/ort/testdata: small networks as PyTorch exports them.

    python scripts/reference/onnx_pytorch.py bridge/onnx/ort/testdata

Needs torch (2.11.0 wrote the committed files), onnx and onnxscript. For each
network there is the ONNX file of one exporter, and NAME.json with two inputs
and PyTorch's logits for them. The Go tests import each file as an architecture
and compare.
"""

import json
import pathlib
import sys

import onnx
import torch
import torch.nn.functional as F
from torch import nn


class Small(nn.Module):
    """Convolutions, and a flattening that asks for the batch's size."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 3, 3)
        self.conv2 = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4 * 2 * 2, 3)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.relu(self.conv2(x))
        return self.fc(self.drop(x.view(x.size(0), -1)))


class Block(nn.Module):
    """A residual block with the shortcut that only drops and pads."""

    def __init__(self, channels, out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.pad = (out - channels) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.pad:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
        return F.relu(y + x)


class ResNet(nn.Module):
    """Standardises its input and ends in a mean over the image."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1))
        self.conv1 = nn.Conv2d(3, 4, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = nn.Sequential(Block(4, 4, 1), Block(4, 8, 2))
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1((x - self.mean) / self.std)))
        return self.fc(self.layer1(x).mean([2, 3]))


class Vectors(nn.Module):
    """A product with a matrix of its own, and batch norm of a vector."""

    def __init__(self):
        super().__init__()
        self.w, self.b = nn.Parameter(torch.randn(9, 4)), nn.Parameter(torch.randn(4))
        self.bn = nn.BatchNorm1d(4, eps=1e-3)
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(self.bn(F.relu(x.flatten(1) @ self.w + self.b)))


def legacy(model, x, path, training=torch.onnx.TrainingMode.EVAL):
    """The exporter by tracing; EVAL folds batch norm into convolutions, PRESERVE keeps it."""
    torch.onnx.export(model, (x,), path, dynamo=False, training=training,
                      input_names=["x"], dynamic_axes={"x": {0: "n"}})


def unfolded(model, x, path):
    legacy(model, x, path, torch.onnx.TrainingMode.PRESERVE)


def dynamo(model, x, path):
    """The exporter by torch.export; weights go to a file beside the model."""
    torch.onnx.export(model, (x,), path, dynamo=True, dynamic_shapes=({0: torch.export.Dim("n")},), verbose=False)
    # Without the notes on each node, among them this machine's paths.
    m = onnx.load(path, load_external_data=False)
    for part in [m, m.graph, *m.graph.node, *m.graph.input, *m.graph.output, *m.graph.value_info, *m.graph.initializer]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(m, path)


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    for name, model, shape in [("small", Small, (1, 10, 10)), ("resnet", ResNet, (3, 6, 6)), ("vectors", Vectors, (1, 3, 3))]:
        for exporter in [legacy, unfolded, dynamo]:
            torch.manual_seed(1)
            net = model()
            with torch.no_grad():
                for tensor, values in net.named_buffers():
                    if "running" in tensor:
                        values.copy_(torch.rand_like(values) + 0.5)
            net.eval()
            x = torch.rand(2, *shape)
            exporter(net, x, str(out / f"{name}-{exporter.__name__}.onnx"))
            with torch.no_grad():
                net.eval()
                logits = net(x)
        (out / f"{name}.json").write_text(json.dumps({"x": x.flatten().tolist(), "logits": logits.flatten().tolist()}) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
