#!/usr/bin/env python3
"""Pairs whose labels follow from how they were made: the first lesson of the tiny critic.

    python3 assets/tiny/matching.py texts.jsonl matching.jsonl

A small critic that meets a larger one's verdicts first learns no more than how often each label occurs. These pairs can
only be told apart by finding the words of one text in the other: a sentence and itself with something left out
(entailment, and neutral the other way round), with a word exchanged, or another sentence.
"""

import argparse
import json
import random
import re
from pathlib import Path

NEGATIVE = {"not", "no", "never", "without", "nor", "neither"}
REPORTED = re.compile(r"^(?P<who>[A-Z][^,]{2,60}?) said (?:that )?(?P<what>(?:it|he|she|they|the|its|a|an) [^\"]{12,})\.$")


def said(entailment: float, neutral: float) -> dict[str, float]:
    return {"entailment": entailment, "neutral": neutral, "contradiction": round(1 - entailment - neutral, 3)}


def shorter(words: list[str], random: random.Random) -> list[str] | None:
    """Without one to eight words in a row, which hold no negation."""
    long = random.randint(1, min(8, len(words) // 2))
    start = random.randint(1, len(words) - long - (random.random() < 0.6))
    gone = words[start : start + long]
    if NEGATIVE & {w.lower().strip(".,") for w in gone}:
        return None
    rest = words[:start] + words[start + long :]
    if rest and not rest[-1].endswith("."):
        rest[-1] = rest[-1].rstrip(",;:") + "."
    return rest


def kind(word: str) -> str:
    if word[:1].isdigit():
        return "number"
    return "name" if word[:1].isupper() else "long" if len(word) > 3 else "short"


def turned(text: str) -> str | None:
    """"X said it did" as "It did, X said"."""
    if not (found := REPORTED.match(text)):
        return None
    return f"{found['what'][0].upper()}{found['what'][1:]}, {found['who'][0].lower() if found['who'].startswith('The ') else found['who'][0]}{found['who'][1:]} said."


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("texts", type=Path)
    args.add_argument("out", type=Path)
    args.add_argument("--pairs", type=int, default=60_000)
    args.add_argument("--seed", type=int, default=5)
    args = args.parse_args()
    draw = random.Random(args.seed)
    sentences: list[str] = []
    for line in args.texts.open():
        text = re.sub(r"^[A-Z .'-]+ - ", "", json.loads(line)["text"])
        sentences += [s for s in re.split(r"(?<=\w[.]) (?=[A-Z])", text) if 7 <= len(s.split()) <= 40]
    sentences = list(dict.fromkeys(sentences))
    pool: dict[str, list[str]] = {}
    for sentence in sentences:
        for word in sentence.rstrip(".").split():
            pool.setdefault(kind(word), []).append(word.strip(",\"'"))
    rows = []
    while len(rows) < args.pairs:
        x = draw.choice(sentences)
        words = x.split()
        choice = draw.random()
        y, target = x, said(0.97, 0.02)
        if choice < 0.45:
            if (rest := shorter(words, draw)) is None:
                continue
            y = " ".join(rest)
            if draw.random() < 0.35:
                x, y, target = y, x, said(0.03, 0.92)
            elif draw.random() < 0.3 and (again := turned(y)):
                y = again
        elif choice < 0.80:
            base = words if draw.random() < 0.5 else shorter(words, draw) or words
            base = list(base)
            for _ in range(draw.choice([1, 1, 1, 2, 3])):
                at = draw.randrange(len(base) - 1)
                other = draw.choice(pool[kind(base[at])])
                if other == base[at].strip(",\"'"):
                    continue
                base[at] = other + ("," if base[at].endswith(",") else "")
            y, target = " ".join(base), said(0.03, 0.47)
            if y == x:
                continue
        elif choice < 0.88:
            y, target = draw.choice(sentences), said(0.01, 0.5)
        elif again := turned(x):
            y = again
            if draw.random() < 0.5:
                x, y = y, x
        elif draw.random() < 0.7:
            continue
        rows.append({"premise": x, "hypothesis": y, "probabilities": target})
    args.out.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(f"{len(rows)} pairs of {len(sentences)} sentences")


if __name__ == "__main__":
    main()
