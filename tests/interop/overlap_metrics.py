"""BLEU, chrF and ROUGE of a JSONL file by sacrebleu and rouge-score, for comparison with ours.

    pip install sacrebleu==2.6.0 rouge-score==0.1.2
    python3 overlap_metrics.py outputs.jsonl > reference.jsonl

Each line of the input is an object with a text (`text`), a target or a list of them (`target`, `targets`, `reference`
or `references`), and optionally a source (`source`), which adds BLEU against the source and iBLEU. Prints one JSON
object for each row, then one with `corpus` (ROUGE: mean of the rows), `signatures`, `versions` and processor `seconds`.
Sentence BLEU has effective order, corpus BLEU has not. ROUGE values are [precision, recall, F].
"""

import argparse
import json
import logging
import sys
import time
from importlib.metadata import version

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

TARGETS = ["target", "targets", "reference", "references"]
ROUGE = ["rouge1", "rouge2", "rougeL", "rougeLsum"]


def fail(line, message):
    sys.exit(f"line {line}: {message}")


def read(options):
    """Rows as (text, [target], source or None)."""
    rows = []
    with open(options.file, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
            except ValueError as error:
                fail(number, f"not JSON: {error}")
            if not isinstance(row, dict):
                fail(number, "not an object")
            names = [options.target] if options.target else TARGETS
            targets = next((row[name] for name in names if name in row), None)
            targets = [targets] if isinstance(targets, str) else targets
            text, source = row.get(options.text), row.get(options.source)
            if not isinstance(text, str):
                fail(number, f"`{options.text}` is not a text")
            if not targets or not all(isinstance(target, str) for target in targets):
                fail(number, f"no text or list of texts in {' or '.join(names)}")
            if source is not None and not isinstance(source, str):
                fail(number, f"`{options.source}` is not a text")
            rows.append((text, targets, source))
    if not rows:
        sys.exit("no row")
    return rows


def streams(targets):
    """One list for each place among the references; None where a row has fewer."""
    most = max(map(len, targets))
    return [[row[k] if k < len(row) else None for row in targets] for k in range(most)]


class Clock:
    """Processor seconds by name: other work on the machine does not count."""

    def __init__(self):
        self.seconds = {}

    def time(self, name, work):
        start = time.process_time()
        result = work()
        self.seconds[name] = self.seconds.get(name, 0.0) + time.process_time() - start
        return result


def rouge(scorer, text, targets):
    scores = scorer.score(targets[0], text) if len(targets) == 1 else scorer.score_multi(targets, text)
    return {name: [float(s.precision), float(s.recall), float(s.fmeasure)] for name, s in scores.items()}


def mean(rows):
    return {name: [sum(row[name][k] for row in rows) / len(rows) for k in range(3)] for name in rows[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--text", default="text", help="field of the text")
    parser.add_argument("--target", help="field of the target or targets")
    parser.add_argument("--source", default="source", help="field of the source")
    parser.add_argument("--alpha", type=float, default=0.7, help="weight of the references in iBLEU")
    parser.add_argument("--metrics", default="bleu,chrf,rouge,rouge_stem", help="which to compute")
    parser.add_argument("--rouge", default=",".join(ROUGE), help="kinds of ROUGE")
    parser.add_argument("--corpus-only", action="store_true", help="no rows, and no sentence scores computed for them")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    wanted, kinds = options.metrics.split(","), options.rouge.split(",")

    data = read(options)
    texts, targets, sources = map(list, zip(*data))
    rows = [{"row": number} for number in range(1, len(data) + 1)]
    corpus, signatures, clock = {"rows": len(data)}, {}, Clock()

    def sentences(name, metric, references):
        for row, text, refs in zip(rows, texts, references):
            row[name] = metric.sentence_score(text, refs).score

    def whole(name, metric, references):
        corpus[name] = clock.time(name, lambda: metric.corpus_score(texts, streams(references)).score)
        signatures[name] = str(metric.get_signature())

    against_source = "bleu" in wanted and all(source is not None for source in sources)
    if "bleu" in wanted:
        whole("bleu", BLEU(), targets)
    if against_source:
        whole("self_bleu", BLEU(), [[source] for source in sources])
        corpus["ibleu"] = options.alpha * corpus["bleu"] - (1 - options.alpha) * corpus["self_bleu"]
    if "chrf" in wanted:
        whole("chrf", CHRF(), targets)
        whole("chrf++", CHRF(word_order=2), targets)
    if not options.corpus_only:
        if "bleu" in wanted:
            sentences("bleu", BLEU(effective_order=True), targets)
        if against_source:
            sentences("self_bleu", BLEU(effective_order=True), [[source] for source in sources])
            for row in rows:
                row["ibleu"] = options.alpha * row["bleu"] - (1 - options.alpha) * row["self_bleu"]
        if "chrf" in wanted:
            sentences("chrf", CHRF(), targets)
            sentences("chrf++", CHRF(word_order=2), targets)
    for name, stemmed in [("rouge", False), ("rouge_stem", True)]:
        if name in wanted:
            scorer = RougeScorer(kinds, use_stemmer=stemmed)
            scores = clock.time(name, lambda: [rouge(scorer, text, refs) for text, refs in zip(texts, targets)])
            corpus[name] = mean(scores)
            for row, score in zip(rows, scores):
                row[name] = score

    if not options.corpus_only:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
    versions = {name: version(name) for name in ["sacrebleu", "rouge-score", "nltk"]}
    print(json.dumps({"corpus": corpus, "signatures": signatures, "versions": versions, "seconds": clock.seconds}))


if __name__ == "__main__":
    main()
