"""Training ResNet50 in PyTorch as BenchmarkResNet50 of bridge/torch does, for a comparison.

Prints images per second of CPU time, on one thread, so that what else runs on
the machine counts little. Data are photos of 73 by 97 pixels in memory, a
random resized crop of each, mirrored or not; SGD with momentum and weight decay.

  python scripts/bench/resnet50.py [steps]      (torch 2.11, torchvision 0.26)
"""

import sys
import time

import torch
import torchvision
from torchvision.transforms import v2

SIDE, BATCH = 64, 32
steps = int(sys.argv[1]) if len(sys.argv) > 1 else 4
torch.set_num_threads(1)
torch.set_flush_denormal(True)  # as rsc does
photos = torch.randint(0, 256, (BATCH, 3, 73, 97), dtype=torch.uint8)
labels = torch.randint(0, 7, (BATCH,))
augment = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.RandomResizedCrop(SIDE, antialias=True), v2.RandomHorizontalFlip(),
                      v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])])

for precision in "float32", "bf16":
    net = torchvision.models.resnet50(num_classes=7).to(memory_format=torch.channels_last).train()
    opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)

    def step():
        x = torch.stack([augment(p) for p in photos]).contiguous(memory_format=torch.channels_last)
        opt.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = torch.nn.functional.cross_entropy(net(x).float(), labels)
        loss.backward()
        opt.step()

    step()
    start = time.process_time()
    for _ in range(steps):
        step()
    print(f"resnet50, {SIDE} pixels, batch {BATCH}, {precision}: {steps * BATCH / (time.process_time() - start):.1f} images per CPU second", flush=True)
