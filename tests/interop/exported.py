"""Loads exported students, teachers and critics with transformers and compares what they compute with `golden.json` of
the export.

    pip install torch transformers
    impossible export --model RUN/student/stage0 --out exported
    python3 tests/interop/exported.py exported [MORE ...]

Exit code 1 when a logit or a probability differs by more than `--tolerance`, or the tokenizer gives other ids.
"""

import argparse
import json
import os

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)


def pair(folder, golden, tolerance):
    """A classifier of pairs: whether it agrees."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    given = tokenizer(*golden["pair"], return_token_type_ids=True)
    ids = given["input_ids"]
    kinds = given["token_type_ids"] if model.config.type_vocab_size > 1 else [0] * len(ids)
    with torch.no_grad():
        found = model(torch.tensor([golden["ids"]]), token_type_ids=torch.tensor([kinds])).logits[0].softmax(0).tolist()
    worst = max(abs(a - b) for a, b in zip(found, golden["probabilities"]))
    same = ids == golden["ids"]
    ok = same and worst <= tolerance
    print(f"{'ok' if ok else 'DIFFERS'}  {type(model).__name__}  largest difference of a probability {worst:.1e}, "
          f"same ids: {same}\n    {dict(zip(model.config.id2label.values(), found))}")
    return ok


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--tolerance", type=float, default=5e-3)
    options = parser.parse_args()
    failed = False
    for folder in options.folders:
        with open(os.path.join(folder, "golden.json"), encoding="utf-8") as file:
            golden = json.load(file)
        if "pair" in golden:
            failed |= not pair(folder, golden, options.tolerance)
            continue
        tokenizer = AutoTokenizer.from_pretrained(folder)
        config = AutoConfig.from_pretrained(folder)
        encoder = bool(getattr(config, "is_encoder_decoder", False))
        kind = AutoModelForSeq2SeqLM if encoder else AutoModelForCausalLM
        model = kind.from_pretrained(folder, dtype=torch.float32).eval()
        ids = tokenizer(golden["prompt"], add_special_tokens=encoder)["input_ids"]
        given = torch.tensor([golden["ids"]])
        start = {"decoder_input_ids": torch.tensor([[config.decoder_start_token_id]])} if encoder else {}
        with torch.no_grad():
            logits = model(given, **start).logits[0, -1]
            written = model.generate(given, max_new_tokens=40, do_sample=False)
        worst = max(abs(logits[i].item() - value) for i, value in golden["top"])
        log_sum = abs(torch.logsumexp(logits, 0).item() - golden["log_sum"])
        same = ids == golden["ids"]
        ok = same and worst <= options.tolerance and log_sum <= options.tolerance
        failed |= not ok
        text = tokenizer.decode(written[0, 1 if encoder else len(golden["ids"]):], skip_special_tokens=True).strip()
        print(f"{'ok' if ok else 'DIFFERS'}  {type(model).__name__}  largest difference of a logit {worst:.1e}, "
              f"of the log-normaliser {log_sum:.1e}, same ids: {same}\n    greedy: {text}")
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
