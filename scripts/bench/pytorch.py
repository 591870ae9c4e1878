"""Times training in PyTorch, for comparison with ours/main.go, and prints one line of JSON.

    python pytorch.py VARIANT NETWORK DATA_DIR [--epochs N] [--steps N]
    python pytorch.py gemm

NETWORK is mlp, cnn or resnet20; DATA_DIR holds mnist/ (idx files) or cifar10/ (the binary version).
VARIANT is one of

    authors   as training scripts are usually written: DataLoader, ToTensor and (CIFAR-10) random crops and
              flips image by image, Adam as it comes; the better of one and two threads
    inmemory  images in one float tensor, fused Adam, one thread; subnormal numbers as they come
    tuned     the same with subnormal numbers flushed to zero, channels-last convolutions, and one such
              process per core at a time
    vmap      eight MLPs at once by torch.func: stacked parameters, one vectorised gradient

All train on the real images in batches of 128, shuffled each epoch. The first epoch warms up; of the others the
median counts. gemm prints what one core reaches in float32 and bfloat16 matrix products.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

BATCH, PAPER_EPOCHS, MODELS = 128, 70, 8  # MODELS: of vmap
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


# ---- data and networks -------------------------------------------------------------------------------


def mnist(folder):
    read = lambda name, skip: np.fromfile(folder / "mnist" / name, np.uint8)[skip:]
    images = read("train-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)
    return torch.from_numpy(images), torch.from_numpy(read("train-labels-idx1-ubyte", 8)).long()


def cifar10(folder):
    files = sorted(folder.glob("cifar10/**/data_batch_*.bin"))
    rows = np.concatenate([np.fromfile(f, np.uint8).reshape(-1, 3073) for f in files])
    return torch.from_numpy(rows[:, 1:].reshape(-1, 3, 32, 32).copy()), torch.from_numpy(rows[:, 0].copy()).long()


def kaiming(net):
    """Draws the convolutions as the paper's networks do; with PyTorch's own start and this learning rate, the CNN dies."""
    for m in net.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            if m.bias is not None:
                nn.init.zeros_(m.bias)
    return net


def mlp():
    layers = [nn.Flatten()]
    for i, o in ((784, 256), (256, 256), (256, 256)):
        layers += [nn.Linear(i, o), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(256, 10))


def cnn():
    conv = lambda i, o: [nn.Conv2d(i, o, 3), nn.ReLU()]
    net = nn.Sequential(
        *conv(1, 32), *conv(32, 32), nn.MaxPool2d(2), *conv(32, 64), *conv(64, 64), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(1024, 200), nn.ReLU(), nn.Dropout(0.5), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10),
    )  # fmt: skip
    nn.init.zeros_(net[-1].weight)
    nn.init.zeros_(net[-1].bias)
    return kaiming(net)


class Block(nn.Module):
    def __init__(self, inside, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.stride, self.side = stride, (out - inside) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.side, self.side))
        return F.relu(x + y)


class Standardise(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).view(1, 3, 1, 1))

    def forward(self, x):
        return (x - self.mean) / self.std


def resnet20():
    blocks, inside = [], 16
    for out in (16, 32, 64):
        for b in range(3):
            blocks.append(Block(inside, out, 2 if out > inside else 1))
            inside = out
    stem = [Standardise(), nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return kaiming(nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)))


NETWORKS = {"mlp": (mlp, mnist), "cnn": (cnn, mnist), "resnet20": (resnet20, cifar10)}


# ---- the variants: each returns a function that trains one epoch of at most n images and gives its loss ----


class Images(torch.utils.data.Dataset):
    """Images decoded and transformed one by one, as torchvision's data sets do it."""

    def __init__(self, x, y):
        from PIL import Image
        from torchvision import transforms

        colour = x.shape[1] == 3
        augment = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()] if colour else []
        self.transform = transforms.Compose([*augment, transforms.ToTensor()])
        self.images, self.labels, self.open = x.permute(0, 2, 3, 1).squeeze(-1).numpy(), y.tolist(), Image.fromarray

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.transform(self.open(self.images[i])), self.labels[i]


def train(net, optimizer, x, y):
    loss = F.cross_entropy(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def authors(net, x, y, decay):
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=decay)
    loader = torch.utils.data.DataLoader(Images(x, y), batch_size=BATCH, shuffle=True)

    def epoch(n):
        total, seen = 0.0, 0
        for images, labels in loader:
            total += train(net, optimizer, images, labels)
            seen += len(images)
            if seen >= n:
                break
        return total * BATCH / seen

    return epoch


def inmemory(net, x, y, decay):
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=decay, fused=True)
    x = x.float() / 255

    def epoch(n):
        rows = torch.randperm(len(x))[:n].split(BATCH)
        return sum(train(net, optimizer, x[r], y[r]) for r in rows) / len(rows)

    return epoch


def tuned(net, x, y, decay):
    torch.set_flush_denormal(True)
    net = net.to(memory_format=torch.channels_last)
    x = x.contiguous(memory_format=torch.channels_last)
    return inmemory(net, x, y, decay)


def vmap(net, x, y, decay):
    torch.set_flush_denormal(True)
    params, _ = torch.func.stack_module_state([mlp() for _ in range(MODELS)])
    optimizer = torch.optim.Adam(params.values(), lr=0.01, weight_decay=decay, fused=True)
    x = x.float() / 255

    def loss(p, images, labels):
        return F.cross_entropy(torch.func.functional_call(net, p, (images,)), labels)

    gradients = torch.func.vmap(torch.func.grad_and_value(loss), randomness="different")

    def epoch(n):
        rows = torch.stack([torch.randperm(len(x))[:n] for _ in range(MODELS)]).split(BATCH, dim=1)
        total = 0.0
        for r in rows:
            grads, losses = gradients(params, x[r], y[r])
            for k, p in params.items():
                p.grad = grads[k]
            optimizer.step()
            total += losses.mean().item()
        return total / len(rows)

    return epoch


VARIANTS = {"authors": authors, "inmemory": inmemory, "tuned": tuned, "vmap": vmap}


# ---- measuring ---------------------------------------------------------------------------------------


def run(variant, network, folder, epochs, steps):
    """Trains in this process and returns the line's numbers for it."""
    torch.manual_seed(0)
    make, load = NETWORKS[network]
    x, y = load(pathlib.Path(folder))
    full = -(-len(x) // BATCH)
    n = min(steps or full, full) * BATCH
    scale = full * BATCH / n
    epoch = VARIANTS[variant](make(), x, y, 1e-4 if network == "resnet20" else 0)
    seconds, cpu = [], []
    for i in range(epochs):
        start, used = time.perf_counter(), time.process_time()
        loss = epoch(n)
        if i:
            seconds.append(time.perf_counter() - start)
            cpu.append(time.process_time() - used)
    models = MODELS if variant == "vmap" else 1
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "seconds": statistics.median(seconds) * scale, "cpu": statistics.mean(cpu) * scale / models,
        "models": models, "rss": rss, "loss": loss,
    }  # fmt: skip


def processes(arguments, threads, count):
    """Runs count copies of this script at once, each with some threads, and returns their numbers."""
    command = [sys.executable, __file__, *arguments, "--threads", str(threads)]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": str(threads)}) for _ in range(count)]
    outputs = [p.communicate()[0] for p in started]
    if any(p.returncode for p in started):
        sys.exit("pytorch.py: a process failed")
    return [json.loads(o) for o in outputs]


def line(name, network, parts):
    """The report of processes that ran side by side."""
    seconds = statistics.mean(p["seconds"] for p in parts)
    models = sum(p["models"] for p in parts)
    return {
        "variant": "PyTorch, " + name, "network": network, "seconds_per_epoch": seconds,
        "cpu_per_epoch": statistics.mean(p["cpu"] for p in parts),
        "models_per_hour": 3600 * models / (seconds * PAPER_EPOCHS), "peak_rss": sum(p["rss"] for p in parts), "loss": parts[0]["loss"],
    }  # fmt: skip


def gemm():
    """Achieved GFLOP/s of one core; the best of several tries."""
    torch.set_num_threads(1)
    shapes = {"2048 x 2048 x 2048": (2048, 2048, 2048), "128 x 784 x 256": (128, 784, 256), "128 x 256 x 256": (128, 256, 256)}
    for kind in (torch.float32, torch.bfloat16):
        for name, (m, k, n) in shapes.items():
            a, b = torch.randn(m, k).to(kind), torch.randn(n, k).to(kind)
            flop, best = 2 * m * k * n, float("inf")
            repeat = max(1, int(2e9 / flop))
            for _ in range(8):
                start = time.perf_counter()
                for _ in range(repeat):
                    F.linear(a, b)
                best = min(best, (time.perf_counter() - start) / repeat)
            print(json.dumps({"gemm": name, "type": str(kind).removeprefix("torch."), "gflops": flop / best * 1e-9}))


def main():
    if sys.argv[1:] == ["gemm"]:
        return gemm()
    parser = argparse.ArgumentParser()
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=0, help="per epoch; 0 is all")
    parser.add_argument("--threads", type=int, default=0, help=argparse.SUPPRESS)  # set in the processes that train
    a = parser.parse_args()
    if a.variant == "vmap" and a.network != "mlp" or a.epochs < 2:
        parser.error("vmap is for mlp, and two epochs are the least")
    if a.threads:
        torch.set_num_threads(a.threads)
        return print(json.dumps(run(a.variant, a.network, a.data, a.epochs, a.steps)))
    if a.variant == "authors":
        report = min((line(f"authors' way, {t} threads", a.network, processes(sys.argv[1:], t, 1)) for t in (1, 2)), key=lambda r: r["seconds_per_epoch"])
    elif a.variant == "tuned":
        report = line("tuned, a process per core", a.network, processes(sys.argv[1:], 1, len(os.sched_getaffinity(0))))
    else:
        name = {"inmemory": "in memory, fused Adam", "vmap": f"vmap over {MODELS}"}[a.variant]
        report = line(name, a.network, processes(sys.argv[1:], 1, 1))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
