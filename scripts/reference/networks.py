"""Writes bridge/torch/testdata/networks.json: what PyTorch computes with the paper's networks.

    python scripts/reference/networks.py bridge/torch/testdata/networks.json [NAME…]

Needs torch and torchvision (2.11.0 and 0.26.0 wrote the committed file); takes a few minutes. With names, redoes
those networks alone.

The networks are written here once more, from the papers, or are torchvision's own. Weights, running
statistics, images and labels come from a formula that the Go test repeats bit for bit, so the file holds
results only: logits and gradients in eval mode; logits, running statistics and the losses of ten steps (four for the large ones) in train mode.
Everything is computed in float64. What a float32 program may differ by is then its own rounding alone,
as long as no unit lies on a kink of ReLU or in a tie of max pooling: should a gradient be off by a per cent
in every float32 program, change the images.
"""

import json
import math
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

# ---- the formula ---------------------------------------------------------------------------------

# Streams of numbers: parameter tensor t has stream t, the others begin at
BUFFER, PROJECTION, IMAGE, LABEL = 1 << 16, 2 << 16, 3 << 16, 4 << 16


def mix(stream, start, count):
    """Elements start, start+1, … of a stream, as uint32: a multiplicative hash of their index."""
    x = np.arange(start, start + count, dtype=np.uint32)
    x *= np.uint32(0x9E3779B1)
    x += np.uint32(stream * 0x85EBCA77 & 0xFFFFFFFF)
    for shift, factor in ((16, 0x21F0AAAD), (15, 0x735A2D97)):
        x ^= x >> np.uint32(shift)
        x *= np.uint32(factor)
    x ^= x >> np.uint32(15)
    return x


def uniform(stream, start, count):
    """The same as float32 in [-1/2, 1/2), multiples of 2^-24."""
    return (mix(stream, start, count) >> np.uint32(8)).astype(np.float32) * np.float32(2**-24) - np.float32(0.5)


def values(name, shape, stream):
    """A tensor of a state dict, float32. Weights have variance 2/fan_in, so that signals keep their size."""
    offset, scale = 0, 0.2
    if len(shape) > 1:
        scale = math.sqrt(24 / math.prod(shape[1:]))
    elif name.endswith(".running_var"):
        offset, scale = 1, 0.5
    elif name.endswith(".weight"):  # of batch norm; below 1, or the blocks of a ResNet would add up
        offset = 0.5
    v = uniform(stream, 0, math.prod(shape)) * np.float32(scale) + np.float32(offset)
    return torch.from_numpy(v.reshape(shape))


def images(n, shape):
    """n images, each of another brightness, so that their logits differ."""
    size = math.prod(shape)
    rows = [mix(IMAGE + i, 0, size) % 256 * (i + 2) // (n + 1) for i in range(n)]
    return torch.from_numpy(np.stack(rows).astype(np.uint8).reshape(n, *shape))


def labels(n, classes):
    return torch.from_numpy((mix(LABEL, 0, n) % classes).astype(np.int64))


def norm(x):
    return float(x.double().norm())


def projections(x):
    """The inner products of a flat vector with four fixed ones."""
    x, block = x.numpy(), 1 << 22
    return [
        sum(float(x[i : i + block] @ uniform(PROJECTION + k, i, min(block, len(x) - i)).astype(np.float64)) for i in range(0, len(x), block))
        for k in range(4)
    ]


# ---- the networks ----------------------------------------------------------------------------------


class MLP(nn.Module):
    def __init__(self, *widths):
        super().__init__()
        self.depth = len(widths) - 1
        for i in range(self.depth):
            self.add_module(f"fc{i + 1}", nn.Linear(widths[i], widths[i + 1]))

    def forward(self, x):
        x = x.flatten(1)
        for i in range(1, self.depth):
            x = F.relu(getattr(self, f"fc{i}")(x))
        return getattr(self, f"fc{self.depth}")(x)


class CNN(nn.Module):
    """The small network of the TRADES experiments, without its dropout."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3), nn.Conv2d(32, 32, 3)
        self.conv3, self.conv4 = nn.Conv2d(32, 64, 3), nn.Conv2d(64, 64, 3)
        self.fc1, self.fc2, self.fc3 = nn.Linear(1024, 200), nn.Linear(200, 200), nn.Linear(200, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2)
        x = F.max_pool2d(F.relu(self.conv4(F.relu(self.conv3(x)))), 2)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


class BasicBlock(nn.Module):
    def __init__(self, inside, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.stride, self.side = stride, (out - inside) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.side, self.side))
        return F.relu(y + shortcut)


class CifarResNet(nn.Module):
    def __init__(self, blocks, stride=1):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, stride, 1, bias=False), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*[BasicBlock(16, 16, 1) for _ in range(blocks)])
        self.layer2 = nn.Sequential(*[BasicBlock(32 if b else 16, 32, 1 if b else 2) for b in range(blocks)])
        self.layer3 = nn.Sequential(*[BasicBlock(64 if b else 32, 64, 1 if b else 2) for b in range(blocks)])
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(x.mean((2, 3)))


class Standardised(nn.Module):
    """Subtracts a mean and divides by a standard deviation per channel first."""

    def __init__(self, net, mean, std):
        super().__init__()
        self.net = net
        self.mean, self.std = (torch.tensor(v, dtype=torch.float32).view(1, -1, 1, 1) for v in (mean, std))

    def forward(self, x):
        return self.net((x - self.mean) / self.std)


def vgg16():
    net = torchvision.models.vgg16(num_classes=10)
    for m in net.modules():
        if isinstance(m, nn.Dropout):
            m.p = 0.0
    return net


def resnet50(stride_in_1x1):
    net = torchvision.models.resnet50(num_classes=60)
    if stride_in_1x1:
        for m in net.modules():
            if isinstance(m, torchvision.models.resnet.Bottleneck):
                m.conv1.stride, m.conv2.stride = m.conv2.stride, (1, 1)
    return net


MNIST, CIFAR, PHOTO = (1, 28, 28), (3, 32, 32), (3, 64, 64)
MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]
ADAM = {"lr": 3e-4, "weight_decay": 1e-3}


def sgd(lr):
    return {"sgd": True, "lr": lr, "momentum": 0.9, "weight_decay": 1e-3}


# name, nn.Zoo's name, network, images' shape, classes, batch, optimizer, standardise
CASES = [
    ("linear", "linear", lambda: MLP(784, 10), MNIST, 10, 8, ADAM, False),
    ("mlp-small", "mlp-small", lambda: MLP(784, 256, 10), MNIST, 10, 8, ADAM, False),
    ("mlp", "mlp", lambda: MLP(784, 256, 256, 256, 10), MNIST, 10, 8, ADAM, False),
    ("mlp-large", "mlp-large", lambda: MLP(784, 512, 512, 512, 10), MNIST, 10, 8, ADAM, False),
    ("cnn", "cnn", CNN, MNIST, 10, 8, ADAM, False),
    ("resnet8", "resnet8", lambda: CifarResNet(1), CIFAR, 10, 8, sgd(1e-3), False),
    ("resnet8-s2", "resnet8-s2", lambda: CifarResNet(1, 2), PHOTO, 10, 8, sgd(1e-3), False),
    ("resnet20", "resnet20", lambda: CifarResNet(3), CIFAR, 10, 8, sgd(1e-3), False),
    ("resnet20-standardised", "resnet20", lambda: CifarResNet(3), CIFAR, 10, 8, sgd(1e-3), True),
    ("resnet32", "resnet32", lambda: CifarResNet(5), CIFAR, 10, 8, sgd(5e-4), False),
    ("resnet110", "resnet110", lambda: CifarResNet(18), CIFAR, 10, 4, sgd(2e-5), False),
    ("vgg16", "vgg16", vgg16, CIFAR, 10, 2, sgd(3e-3), False),
    ("resnet50", "resnet50", lambda: resnet50(False), PHOTO, 60, 4, sgd(3e-8), False),
    ("resnet50-1x1", "resnet50-1x1", lambda: resnet50(True), PHOTO, 60, 4, sgd(3e-8), False),
]

# ---- the results -----------------------------------------------------------------------------------


def fill(net):
    """Sets parameters and running statistics, each list in its own order."""
    buffers = [(k, b) for k, b in net.named_buffers() if not k.endswith("num_batches_tracked")]
    with torch.no_grad():
        for t, (k, p) in enumerate(net.named_parameters()):
            p.copy_(values(k, tuple(p.shape), t))
        for t, (k, b) in enumerate(buffers):
            b.copy_(values(k, tuple(b.shape), BUFFER + t))
    return [b for _, b in buffers]


def case(name, model, make, shape, classes, batch, hyper, standardise):
    net = make().double()
    buffers = fill(net)
    params = list(net.parameters())
    n = 2 * batch
    x, y = images(n, shape).double() / 255, labels(n, classes)
    f = Standardised(net, MEAN, STD) if standardise else net
    result = {
        "name": name, "model": model, "in": shape, "classes": classes, "batch": batch, "hyper": hyper,
        "mean": MEAN if standardise else [], "std": STD if standardise else [],
        "params": [" ".join(map(str, (k, *p.shape))) for k, p in net.named_parameters()],
    }  # fmt: skip

    f.eval()
    logits = f(x)
    loss = F.cross_entropy(logits, y)
    grads = torch.autograd.grad(loss, params)
    result |= {
        "logits": logits.flatten().tolist(), "loss": loss.item(), "grad_norms": [norm(g) for g in grads],
        "grad_projections": projections(torch.cat([g.flatten() for g in grads])),
    }  # fmt: skip
    del grads, logits, loss

    f.train()
    if buffers:
        with torch.no_grad():
            result["train_logits"] = f(x[:batch]).flatten().tolist()
        flat = torch.cat([b.flatten() for b in buffers])
        result |= {"buffer_norm": norm(flat), "buffer_projections": projections(flat)}

    rates = {k: v for k, v in hyper.items() if k != "sgd"}
    optimizer = (torch.optim.SGD if hyper.get("sgd") else torch.optim.Adam)(params, **rates)
    result["losses"] = []
    steps = 10 if sum(p.numel() for p in params) < 5e6 else 4  # of the large ones, each takes a second
    for step in range(steps):
        rows = torch.arange(step * batch, (step + 1) * batch) % n
        loss = F.cross_entropy(f(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        result["losses"].append(loss.item())
    return result


def digits(v):
    """v with every float cut to 9 significant digits, as many as a float32 needs."""
    if isinstance(v, float):
        return float(f"{v:.9g}")
    if isinstance(v, (list, tuple)):
        return [digits(e) for e in v]
    if isinstance(v, dict):
        return {k: digits(e) for k, e in v.items()}
    return v


def main():
    torch.set_num_threads(1)
    path, only = pathlib.Path(sys.argv[1]), sys.argv[2:]
    done = {r["name"]: r for r in json.loads(path.read_text())} if only else {}
    for c in CASES:
        if only and c[0] not in only:
            continue
        done[c[0]] = r = case(*c)
        top = max(abs(v) for v in r["logits"])
        print(f"{c[0]}: largest logit {top:.3g}, losses {r['losses'][0]:.3f} … {r['losses'][-1]:.3f}", file=sys.stderr)
        lines = [json.dumps(digits(done[c[0]])) for c in CASES if c[0] in done]
        path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    main()
