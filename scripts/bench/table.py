"""Prints lines of JSON from ours and pytorch.py as Markdown tables.

    python table.py FILE

Ratios are to PyTorch with everything in memory and its fused Adam, in one thread.
"""

import json
import sys

lines = [json.loads(line) for line in open(sys.argv[1])]
runs = [r for r in lines if "variant" in r]
base = {r["network"]: r for r in runs if "in memory" in r["variant"]}

print("| network | variant | s/epoch | ratio | CPU s/epoch and model | models/h | ratio | peak MB | loss |")
print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
for r in runs:
    b = base[r["network"]]
    print(
        f"| {r['network']} | {r['variant']} | {r['seconds_per_epoch']:.2f} | {r['seconds_per_epoch'] / b['seconds_per_epoch']:.2f} "
        f"| {r['cpu_per_epoch']:.2f} | {r['models_per_hour']:.1f} | {r['models_per_hour'] / b['models_per_hour']:.2f} "
        f"| {r['peak_rss'] / 1e6:.0f} | {r['loss']:.3f} |"
    )

print("\n| product on one core | type | GFLOP/s |")
print("|---|---|---:|")
for r in lines:
    if "gemm" in r:
        print(f"| {r['gemm']} | {r['type']} | {r['gflops']:.0f} |")
