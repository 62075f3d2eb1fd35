"""python onnx.py STUDENT OUT: a student with an encoder as ONNX, in the layout that transformers.js reads.

Needs torch, transformers 4.53, optimum 1.26, onnx, onnxruntime, onnxscript.
"""

import functools
import shutil
import sys
from pathlib import Path

import torch.onnx

traced = torch.onnx.export


@functools.wraps(traced)
def export(*args, **options):
    # optimum's patches of the models are made for tracing.
    options["dynamo"] = False
    return traced(*args, **options)


torch.onnx.export = export
from optimum.exporters.onnx import main_export  # noqa: E402: it takes the function above

student, out = sys.argv[1], Path(sys.argv[2])
main_export(student, out, task="text2text-generation-with-past", dtype="fp32", do_validation=False)
(out / "onnx").mkdir(exist_ok=True)
for file in out.glob("*.onnx"):
    shutil.move(file, out / "onnx" / file.name)
