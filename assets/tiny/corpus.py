#!/usr/bin/env python3
"""Openings of newswire reports, one document a line: the text that the tiny teacher learns from.

    python3 assets/tiny/corpus.py reuters21578.jsonl corpus.txt

The input has a report a line with the fields `dateline` ("CLEVELAND, Feb 26 -") and `text` (a paragraph a line).
Kept are prose sentences in whole words: tables, prices and lists of figures are left out, as is what follows the
opening, for the teacher is asked for nothing else.
"""

import argparse
import json
import re
from collections import Counter
from pathlib import Path

# A dot after these ends no sentence.
ABBREVIATIONS = (
    "Mr Mrs Ms Dr St Sen Rep Gov Gen Lt Col Maj Sgt Capt Rev Prof Hon Co Corp Inc Ltd Bros Cos Jr Sr No vs "
    "Jan Feb Mar Apr Aug Sept Sep Oct Nov Dec Mass Calif Conn Ill Pa Va Fla Tex Mich Minn Wis Ont Que"
).split()
END = re.compile(r"(?<=[.?!])[\"']?\s+(?=[\"'A-Z])")
WORD = re.compile(r"[A-Za-z][A-Za-z'-]*|\d[\d.,/-]*")


def sentences(paragraph: str) -> list[str]:
    pieces, held = [], ""
    for piece in END.split(paragraph):
        held = f"{held} {piece}".strip()
        last = held.rstrip(".").rsplit(None, 1)[-1] if held.rstrip(".") else ""
        if held.endswith(".") and (last in ABBREVIATIONS or re.fullmatch(r"(?:[A-Za-z]\.)*[A-Za-z]", last)):
            continue
        pieces.append(held)
        held = ""
    return pieces + [held] if held else pieces


def prose(sentence: str, numbers: int) -> bool:
    words = WORD.findall(sentence)
    letters = sum(c.isalpha() or c == " " for c in sentence)
    return (
        5 <= len(words) <= 45
        and sentence[0] in "\"'" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        and sentence[-1] in ".?!"
        and sentence.count('"') % 2 == 0
        and letters >= 0.85 * len(sentence)
        and sum(w[0].isdigit() for w in words) <= numbers
        and not re.search(r"\.\.|--|\*|\t|  ", sentence)
        # A line in capitals is a headline.
        and sum(w.isupper() and len(w) > 3 for w in words) <= 2
    )


def document(report: dict, most: int, numbers: int) -> str | None:
    city = report["dateline"].split(",")[0].strip(" -").upper()
    if not re.fullmatch(r"[A-Z][A-Z .'-]{2,24}", city):
        return None
    # Tickers go, names of unlisted companies stay.
    text = re.sub(r"\s*<[A-Z][A-Z.]{0,6}>", "", report["text"]).translate({ord(c): None for c in "<>\x03"})
    kept = []
    for paragraph in text.split("\n"):
        paragraph = " ".join(paragraph.split())
        found = sentences(paragraph)
        if not found or not all(prose(s, numbers) for s in found):
            continue
        kept += found
        if len(kept) >= most:
            break
    return f"{city} - {' '.join(kept[:most])}" if len(kept) >= 2 else None


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("reports", type=Path)
    args.add_argument("out", type=Path)
    args.add_argument("--sentences", type=int, default=4, help="most sentences of a document")
    args.add_argument("--numbers", type=int, default=2, help="most figures of a sentence")
    args = args.parse_args()
    found: Counter[str] = Counter()
    with args.reports.open() as lines:
        for line in lines:
            if text := document(json.loads(line), args.sentences, args.numbers):
                found[text] += 1
    args.out.write_text("".join(f"{text}\n" for text in found))
    total = sum(map(len, found))
    print(f"{len(found)} documents, {total} characters, {total / len(found):.0f} a document")


if __name__ == "__main__":
    main()
