"""Writes the PyTorch checkpoints of this folder; needs torch, numpy and safetensors.

    python3 generate.py

pytorch_model.bin        the tensors of ../models/gpt2/model.safetensors, as torch.save writes a state dict today
cases.bin                number types, views and shared storages
cases.legacy.bin         the same in the format before PyTorch 1.6
cases.safetensors        what cases.bin holds, as torch reads it back: floating point as contiguous F32 (F64 as it is),
                         integers and booleans as they are
sharded/                 two files and their index
bad/                     files that must be refused; tests name the reason of each
"""

import io
import json
import os
import pickle
import shutil
import struct
import zipfile

import torch
from safetensors.torch import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))


def here(*parts):
    return os.path.join(HERE, *parts)


def cases():
    torch.manual_seed(7)
    base = torch.randn(6, 5)
    tied = torch.randn(4, 3)
    fused = torch.randn(6, 4)
    state = torch.nn.Linear(3, 2).state_dict()  # an OrderedDict with _metadata in its state
    state.update(
        {
            "f16": torch.randn(3, 4).half(),
            "bf16": torch.randn(3, 4).bfloat16(),
            "f64": torch.randn(2, 2).double(),
            "transposed": base.t(),
            "row_slice": base[2:4],
            "column_slice": base[:, 1:3],
            "step_slice": base[::2, ::2],
            "permuted": torch.randn(2, 3, 4).permute(2, 0, 1),
            "half_transposed": torch.randn(3, 4).half().t(),
            "expanded": torch.randn(1, 3).expand(4, 3),
            "embedding": tied,
            "head": tied,
            "query": fused[0:2],
            "key": fused[2:4],
            "value": fused[4:6],
            "parameter": torch.nn.Parameter(torch.randn(3)),
            "scalar": torch.tensor(1.25),
            "empty": torch.zeros(0, 3),
            "position_ids": torch.arange(8).expand(1, -1),
            "int32": torch.arange(-2, 2, dtype=torch.int32),
            "mask": torch.tril(torch.ones(3, 3)).bool(),
            "bytes": torch.arange(5, dtype=torch.uint8),
        }
    )
    return state


def as_read_back(path):
    def plain(tensor):
        tensor = tensor.detach().contiguous().clone()
        return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor

    return {name: plain(tensor) for name, tensor in torch.load(path, weights_only=True).items()}


def zipped(entries, compression=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=compression)
    return out.getvalue()


def unzipped(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def integer(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def tensor(numel, offset, shape, stride, key="0", storage="FloatStorage", call="_rebuild_tensor_v2"):
    """Opcodes that rebuild a tensor, whatever the numbers."""
    dims = lambda values: b"(" + b"".join(integer(v) for v in values) + b"t"
    stored = b"(" + text("storage") + f"ctorch\n{storage}\n".encode() + text(key) + text("cpu") + integer(numel) + b"tQ"
    rest = integer(offset) + dims(shape) + dims(stride) + b"\x89" + b"ccollections\nOrderedDict\n)R"
    return f"ctorch._utils\n{call}\n".encode() + b"(" + stored + rest + b"tR"


def checkpoint(value, storages=None):
    """A zip checkpoint whose data.pkl pushes `value`."""
    entries = {"a/data.pkl": b"\x80\x02" + value + b".", "a/version": b"3\n"}
    entries.update({f"a/data/{key}": data for key, data in (storages or {"0": bytes(24)}).items()})
    return zipped(entries)


def state(value, name="w"):
    return b"}" + text(name) + value + b"s"


def bad(good, legacy):
    entries = unzipped(good)
    root = next(name for name in entries if name.endswith("/data.pkl"))[: -len("data.pkl")]
    flipped = bytearray(good)
    at = good.index(entries[root + "data/0"])
    flipped[at + 1] ^= 0x40
    big = dict(entries) | {root + "byteorder": b"big"}
    lists = b"]" + b"\x85" * 1500
    doubling = b"K\x01" + b"2\x86" * 60
    sparse = torch.eye(3).to_sparse()
    saved = io.BytesIO()
    torch.save({"w": sparse}, saved)
    module = io.BytesIO()
    torch.save({"state_dict": {"w": torch.ones(2)}}, module)
    empty = io.BytesIO()
    torch.save({}, empty)
    rebuild = tensor(6, 0, [2, 3], [3, 1])
    return {
        "empty.bin": b"",
        "one_byte.bin": b"P",
        "text.bin": b"<!doctype html><html><body>404</body></html>\n",
        "lfs_pointer.bin": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 548118077\n",
        "safetensors.bin": open(here("cases.safetensors"), "rb").read()[:200],
        "truncated.bin": good[: len(good) // 2],
        "truncated_last_byte.bin": good[:-1],
        "no_pickle.bin": zipped({"a/version": b"3\n", "a/data/0": bytes(8)}),
        "only_magic.bin": b"PK\x03\x04",
        "deflated.bin": zipped(entries, zipfile.ZIP_DEFLATED),
        "zip_bomb.bin": zipped({"a/data.pkl": b"\x80\x02" + b"N" * (4 << 20) + b"."}, zipfile.ZIP_DEFLATED),
        "checksum.bin": bytes(flipped),
        "big_endian.bin": zipped(big),
        "storage_missing.bin": checkpoint(state(rebuild), {"1": bytes(24)}),
        "storage_short.bin": checkpoint(state(rebuild), {"0": bytes(20)}),
        "view_past_storage.bin": checkpoint(state(tensor(6, 1, [2, 3], [3, 1]))),
        "negative_shape.bin": checkpoint(state(tensor(6, 0, [-2, 3], [3, 1]))),
        "shape_overflow.bin": checkpoint(state(tensor(6, 0, [1 << 62, 1 << 62], [0, 0]))),
        "stride_overflow.bin": checkpoint(state(tensor(6, 0, [3, 3], [(1 << 63) - 1, 1]))),
        "expanded_bomb.bin": checkpoint(state(tensor(6, 0, [1 << 30], [0]))),
        "rank_mismatch.bin": checkpoint(state(tensor(6, 0, [2, 3], [1]))),
        "quantized.bin": checkpoint(state(tensor(6, 0, [6], [1], storage="QInt8Storage"))),
        "sparse.bin": saved.getvalue(),
        "other_call.bin": checkpoint(state(tensor(6, 0, [6], [1], call="_rebuild_something"))),
        "nested_state.bin": module.getvalue(),
        "no_tensors.bin": empty.getvalue(),
        "not_a_dict.bin": checkpoint(b"K\x01"),
        "list_of_tensors.bin": checkpoint(b"]" + rebuild + b"a"),
        "command.bin": checkpoint(b"cos\nsystem\n" + text("echo no") + b"\x85R"),
        "plain_pickle.bin": pickle.dumps({"w": [1.0, 2.0]}, protocol=2),
        "stack_underflow.bin": checkpoint(b"t"),
        "unknown_opcode.bin": checkpoint(b"\xff"),
        "no_stop.bin": zipped({"a/data.pkl": b"\x80\x02}", "a/data/0": bytes(24)}),
        "string_past_end.bin": zipped({"a/data.pkl": b"\x80\x02X\xff\xff\xff\xff", "a/data/0": bytes(24)}),
        "deep_lists.bin": checkpoint(state(lists)),
        "doubling.bin": checkpoint(state(doubling)),
        "legacy_truncated.bin": legacy[: len(legacy) - 9],
        "legacy_header_only.bin": legacy[:200],
        "legacy_magic_only.bin": legacy[:16],
        "tar.bin": bytes(257) + b"ustar" + bytes(250),
    }


def main():
    for folder in ("sharded", "bad"):
        shutil.rmtree(here(folder), ignore_errors=True)
        os.makedirs(here(folder))
    torch.save(load_file(here("..", "models", "gpt2", "model.safetensors")), here("pytorch_model.bin"))
    torch.save(cases(), here("cases.bin"))
    torch.save(cases(), here("cases.legacy.bin"), _use_new_zipfile_serialization=False)
    save_file(as_read_back(here("cases.bin")), here("cases.safetensors"))
    os.chmod(here("cases.safetensors"), 0o644)

    names = sorted(cases())
    shards = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    parts = [names[0::2], names[1::2]]
    for shard, part in zip(shards, parts):
        torch.save({name: cases()[name].clone() for name in part}, here("sharded", shard))
    index = {name: shard for shard, part in zip(shards, parts) for name in part}
    with open(here("sharded", "pytorch_model.bin.index.json"), "w") as out:
        total = sum(tensor.numel() * tensor.element_size() for tensor in cases().values())
        json.dump({"metadata": {"total_size": total}, "weight_map": dict(sorted(index.items()))}, out, indent=1)
        out.write("\n")

    good, legacy = (open(here(name), "rb").read() for name in ("cases.bin", "cases.legacy.bin"))
    for name, data in bad(good, legacy).items():
        with open(here("bad", name), "wb") as out:
            out.write(data)


if __name__ == "__main__":
    main()
