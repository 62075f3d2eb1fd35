"""Writes core/lm/src/model/gguf/blocks.txt: random blocks of each number format of GGUF and what the Python package gguf
(0.19) makes of them. A line has the format, a checksum of the bits of all values, index and value of one, the bytes."""
import pathlib

import gguf
import numpy as np

FORMATS = "F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS MXFP4".split()
# Where a block has 16-bit scales: random bytes could make them infinite, or so small that all values are the same.
SCALES = {"F16": [0], "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q2_K": [80, 82], "Q3_K": [108],
          "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ4_NL": [0], "IQ4_XS": [0]}
BLOCKS = 2

lines = []
for seed, name in enumerate(FORMATS):
    kind = gguf.GGMLQuantizationType[name]
    values, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = BLOCKS if values > 1 else 8
    random = np.random.default_rng(seed)
    data = random.integers(0, 256, (blocks, size), dtype=np.uint8)
    for at in SCALES.get(name, []):
        data[:, at:at + 2] = random.normal(size=(blocks, 1)).astype(np.float16).view(np.uint8)
    if name in ("F32", "BF16"):
        data[:, -2:] = random.normal(size=(blocks, 1)).astype(np.float32).view(np.uint8)[:, 2:]
    if name == "MXFP4":
        data[:, 0] = [126, 1]
    out = gguf.quants.dequantize(data, kind).astype(np.float32).ravel()
    assert np.isfinite(out).all()
    total = 0
    for bits in out.view(np.uint32).tolist():
        total = (total * 31 + bits) % 2**32
    at = int(np.argmax(np.abs(out)))
    lines.append(f"{name} {total:08x} {at} {out[at]} {data.tobytes().hex()}")
path = pathlib.Path(__file__).parents[2] / "core/lm/src/model/gguf/blocks.txt"
path.write_text("\n".join(lines) + "\n")
