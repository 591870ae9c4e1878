"""Times three ways to train M convolutional networks in lockstep on one CPU thread, and prints a Markdown table.

    python stacks.py

loop      model after model, each with its own convolutions, channels-last: what ours does
grouped   one convolution of M groups over the models' images side by side
im2col    the windows of all models' images as columns, and one batched product

Networks are the CNN of pytorch.py on images of MNIST's shape and one residual block of ResNet20 (16 channels, 32
by 32 pixels), batch 128, float32, random images. A number is milliseconds of processor time per model for forward
and backward; the lowest of ROUNDS is taken, after one that warms up. The three must agree on the sum of squares of
the outputs.
"""

import time

import torch
import torch.nn.functional as F

BATCH, ROUNDS = 128, 3


def loop(x, w, b, pad):
    """x is a list of M images (B, C, H, W), w of M kernels."""
    return [F.conv2d(xi, wi, bi, padding=pad) for xi, wi, bi in zip(x, w, b)]


def grouped(x, w, b, pad):
    """x is (B, M*C, H, W)."""
    return F.conv2d(x, torch.cat(w), torch.cat(b), padding=pad, groups=len(w))


def im2col(x, w, b, pad):
    """x is (M, B, C, H, W)."""
    m, n, c, height, width = x.shape
    k = w[0].shape[-1]
    columns = F.unfold(x.flatten(0, 1), k, padding=pad)  # (M*B, C*k*k, L)
    columns = columns.view(m, n, c * k * k, -1).transpose(1, 2).flatten(2)  # (M, C*k*k, B*L)
    kernels = torch.stack([wi.flatten(1) for wi in w])
    y = torch.baddbmm(torch.stack(b)[:, :, None], kernels, columns)
    h = height + 2 * pad - k + 1
    return y.view(m, -1, n, h, width + 2 * pad - k + 1).transpose(1, 2)


def images(way, xs):
    if way is loop:
        return [x.contiguous(memory_format=torch.channels_last) for x in xs]
    return torch.cat(xs, 1) if way is grouped else torch.stack(xs)


def each(way, f, x):
    """Applies f, which works image by image and channel by channel."""
    if way is loop:
        return [f(xi) for xi in x]
    return f(x) if way is grouped else f(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def norm(way, x):
    """Batch norm with the batch's statistics."""
    if way is im2col:
        return norm(grouped, x.transpose(0, 1).flatten(1, 2)).unflatten(1, (x.shape[0], -1)).transpose(0, 1)
    return each(way, lambda y: F.batch_norm(y, None, None, training=True), x)


def energy(x):
    return sum(energy(xi) for xi in x) if isinstance(x, list) else x.square().sum()


def cnn(way, x, ws, bs):
    relu, pool = F.relu, lambda y: F.max_pool2d(y, 2)
    for i, (w, b) in enumerate(zip(ws, bs)):
        x = each(way, relu, way(x, w, b, 0))
        if i % 2 == 1:
            x = each(way, pool, x)
    return x


def block(way, x, ws, bs):
    y = each(way, F.relu, norm(way, way(x, ws[0], bs[0], 1)))
    y = norm(way, way(y, ws[1], bs[1], 1))
    if way is loop:
        return [F.relu(a + c) for a, c in zip(x, y)]
    return F.relu(x + y)


NETWORKS = {
    "CNN": (cnn, (1, 28), [(1, 32), (32, 32), (32, 64), (64, 64)]),
    "ResNet20's block": (block, (16, 32), [(16, 16), (16, 16)]),
}


def measure(network, way, m):
    """Returns milliseconds per model and the sum of squares."""
    net, (channels, side), convolutions = NETWORKS[network]
    torch.manual_seed(0)
    xs = [torch.rand(BATCH, channels, side, side) for _ in range(m)]
    ws = [[(torch.randn(o, i, 3, 3) / (3 * i**0.5)).requires_grad_() for _ in range(m)] for i, o in convolutions]
    bs = [[torch.zeros(o).requires_grad_() for _ in range(m)] for _, o in convolutions]
    if way is loop:
        ws = [[w.detach().contiguous(memory_format=torch.channels_last).requires_grad_() for w in row] for row in ws]
    x, best = images(way, xs), float("inf")
    warm = False
    for _ in range(1 + ROUNDS):
        start = time.process_time()
        total = energy(net(way, x, ws, bs))
        total.backward()
        taken = time.process_time() - start
        best = min(best, taken) if warm else float("inf")
        warm = True
        assert all(w.grad is not None for row in ws for w in row)
        for t in (t for row in ws + bs for t in row):
            t.grad = None
    return 1000 * best / m, total.item()


def main():
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    print("| network | M | loop | grouped | im2col |")
    print("|---|---:|---:|---:|---:|")
    for network in NETWORKS:
        for m in (1, 4, 8):
            results = [measure(network, way, m) for way in (loop, grouped, im2col)]
            want = results[0][1]
            assert all(abs(total - want) < 1e-3 * want for _, total in results), results
            print(f"| {network} | {m} | " + " | ".join(f"{ms:.0f}" for ms, _ in results) + " |", flush=True)


if __name__ == "__main__":
    main()
