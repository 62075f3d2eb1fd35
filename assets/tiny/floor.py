#!/usr/bin/env python3
"""Would a floor under a cosine help the tiny trio, and of whose states?

    pip install torch transformers
    python3 assets/tiny/floor.py RUN/dataset/summary.jsonl LARGE_CRITIC [--tiny assets/tiny]

Reads pairs that the trio kept, asks the larger critic about them (p >= 0.5 is entailed, both ways for paraphrases), and
says how well the cosine of mean states of the tiny critic and of the tiny teacher separates the entailed from the others:
the area under the ROC curve (0.5 = not at all), beside the tiny critic's own probability and ROUGE-L.
"""

import argparse
import json

import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer


def area(scores, good):
    """Share of (good, other) couples that a score puts in the right order; ties count half."""
    a = [s for s, g in zip(scores, good) if g]
    b = [s for s, g in zip(scores, good) if not g]
    return sum((x > y) + 0.5 * (x == y) for x in a for y in b) / max(1, len(a) * len(b))


@torch.no_grad()
def cosines(folder, pairs):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()

    def mean(text):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        return model(input_ids=ids).last_hidden_state[0].mean(0)

    return [torch.cosine_similarity(mean(x), mean(y), 0).item() for x, y in pairs]


@torch.no_grad()
def entailed(folder, pairs):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    at = next(int(i) for i, name in model.config.id2label.items() if name.lower() == "entailment")
    out = []
    for i in range(0, len(pairs), 32):
        part = pairs[i : i + 32]
        given = tokenizer([x for x, _ in part], [y for _, y in part], return_tensors="pt", padding=True)
        out += model(**given).logits.softmax(1)[:, at].tolist()
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("critic")
    parser.add_argument("--tiny", default="assets/tiny")
    parser.add_argument("--most", type=int, default=600)
    args = parser.parse_args()
    with open(args.dataset, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines][: args.most]
    both = "paraphrase" in rows[0]
    pairs = [(row["text"], row["paraphrase" if both else "summary"]) for row in rows]
    p = entailed(args.critic, pairs)
    if both:
        p = [min(a, b) for a, b in zip(p, entailed(args.critic, [(y, x) for x, y in pairs]))]
    good = [value >= 0.5 for value in p]
    print(f"{len(pairs)} pairs, of which the larger critic finds {sum(good)} entailed ({sum(good) / len(good):.1%})")
    own = [min(row["forward"], row["backward"] if both else 1.0) for row in rows]
    for name, scores in [
        ("cosine of the critic's mean states", cosines(f"{args.tiny}/critic", pairs)),
        ("cosine of the teacher's mean states", cosines(f"{args.tiny}/teacher", pairs)),
        ("the tiny critic's probability", own),
        ("ROUGE-L", [row["rouge_l"] for row in rows]),
    ]:
        ranked = sorted(zip(scores, good), reverse=True)
        half = ranked[: max(1, len(ranked) // 2)]
        print(f"{name:38} area {area(scores, good):.3f}, precision of the better half {sum(g for _, g in half) / len(half):.1%}")


if __name__ == "__main__":
    main()
