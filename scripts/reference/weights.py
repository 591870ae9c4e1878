"""Makes the reference files of bridge/weights/testdata with PyTorch itself.

Usage: python scripts/reference/weights.py [FOLDER]
Needs torch, safetensors and numpy; the files in the repository were made with
torch 2.11.0 and safetensors 0.8.0. Beside each file, expect.json has for every
tensor its type, shape, the SHA-256 of its row-major bytes and its first values.
"""

import collections
import hashlib
import json
import pathlib
import sys

import safetensors.torch
import torch

NAMES = {  # torch's names of types, as safetensors spells them
    torch.bool: "BOOL", torch.uint8: "U8", torch.int8: "I8", torch.uint16: "U16", torch.int16: "I16",
    torch.uint32: "U32", torch.int32: "I32", torch.uint64: "U64", torch.int64: "I64",
    torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32", torch.float64: "F64",
    torch.complex32: "C32", torch.complex64: "C64", torch.complex128: "C128",
    torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2", torch.float8_e8m0fnu: "F8_E8M0",
    torch.float8_e4m3fnuz: "F8_E4M3FNUZ", torch.float8_e5m2fnuz: "F8_E5M2FNUZ",
}


def every_type():
    values = torch.tensor([1.0, 0.0, 2.0, 0.5, 16.0, 8.0]).reshape(2, 3)
    d = collections.OrderedDict()
    for t, name in NAMES.items():
        d["t." + name] = values.to(t)
    d["fractions.BF16"] = torch.tensor([3.140625, -2.5, 1e-3, 65536.0, float("inf")]).to(torch.bfloat16)
    d["fractions.F16"] = torch.tensor([3.140625, -2.5, 6e-8, 65504.0, float("nan")]).to(torch.float16)
    return d


def views():
    base = torch.arange(24, dtype=torch.float32)
    d = collections.OrderedDict()
    d["base"] = base
    d["tail"] = base[20:]  # offset into a shared storage
    d["matrix"] = base.view(4, 6)
    d["transposed"] = base.view(4, 6).t()
    d["column"] = base.view(4, 6)[:, 2]
    d["every_second"] = base[1::2]
    d["permuted"] = base.view(2, 3, 4).permute(2, 0, 1)
    d["channels_last"] = torch.arange(16.0).view(1, 2, 2, 4).to(memory_format=torch.channels_last)
    d["expanded"] = torch.tensor([[7.0], [8.0]]).expand(2, 3)
    d["scalar"] = torch.tensor(2.5)
    d["scalar_view"] = base[5]
    d["empty"] = torch.empty(0)
    d["empty_matrix"] = torch.empty(3, 0, 2, dtype=torch.int64)
    d["parameter"] = torch.nn.Parameter(torch.tensor([1.5, -1.5]))
    d["parameter_attributes"] = torch.nn.Parameter(torch.tensor([2.5, -2.5]))
    d["parameter_attributes"].note = "kept by pickle"
    d["attributes"] = torch.tensor([3.5, -3.5])
    d["attributes"].note = "kept by pickle"
    return d


def checkpoint():
    torch.manual_seed(1)
    net = torch.nn.Sequential(collections.OrderedDict(conv=torch.nn.Conv2d(1, 2, 2), bn=torch.nn.BatchNorm2d(2)))
    return {
        "epoch": 3,
        "best": torch.tensor(0.75),
        "history": [0.5, None, True, (1, 2), {"a": 1 << 40}, b"bytes", {1, 2}, -1],
        "optimizer": torch.optim.Adam(net.parameters()).state_dict(),
        "state_dict": collections.OrderedDict(("module." + k, v) for k, v in net.state_dict().items()),
    }


def describe(tensors):
    out = []
    for name, t in tensors.items():
        t = t.detach().contiguous()
        raw = bytes(t.reshape(-1).view(torch.uint8).tolist()) if t.numel() else b""
        first = [] if t.is_complex() else [str(x) for x in t.to(torch.float64).reshape(-1)[:6].tolist()]
        out.append({"name": name, "dtype": NAMES[t.dtype], "shape": list(t.shape), "sha256": hashlib.sha256(raw).hexdigest(), "first": first})
    return out


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    expect = {}
    small = {n: t for n, t in views().items() if n in ("base", "scalar", "empty", "matrix")}
    point = checkpoint()

    def pth(name, value, tensors, **options):
        torch.save(value, folder / name, **options)
        expect[name] = describe(tensors)

    pth("types.pth", every_type(), every_type())
    pth("views.pth", v := views(), v)
    pth("views-legacy.pth", v, v, _use_new_zipfile_serialization=False)
    pth("types-legacy.pth", t := every_type(), t, _use_new_zipfile_serialization=False)
    pth("checkpoint.pth", point, point["state_dict"])
    pth("checkpoint-legacy.pth", point, point["state_dict"], _use_new_zipfile_serialization=False)
    for protocol in (3, 4, 5):
        pth(f"protocol{protocol}.pth", small, small, pickle_protocol=protocol)

    # The reference implementation sorts by type, then by name.
    plain = {n: t.contiguous().clone() for n, t in sorted(small.items())}
    safetensors.torch.save_file(plain, folder / "f32.safetensors", metadata={"format": "pt"})
    expect["f32.safetensors"] = describe(plain)
    known = {n: t for n, t in every_type().items() if t.dtype not in (torch.complex32, torch.complex128)}
    safetensors.torch.save_file(known, folder / "types.safetensors")
    expect["types.safetensors"] = describe(known)

    lines = [f'{json.dumps(f)}: [\n' + ",\n".join(json.dumps(t) for t in ts) + "\n]" for f, ts in expect.items()]
    (folder / "expect.json").write_text("{" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "bridge/weights/testdata"))
