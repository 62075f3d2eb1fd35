"""`impossible evaluate` beside sacrebleu and rouge-score on the same files: values, differences, processor seconds.

    pip install sacrebleu==2.6.0 rouge-score==0.1.2
    python3 tests/interop/evaluate.py --binary target/release/impossible --task paraphrase --data bench.jsonl
    python3 tests/interop/evaluate.py ... --repeat 100000      # the rows over and over, for timing

Each row has a source (`--source`, default `text`) and a reference or a list of them (`--reference`, default
`references`). The outputs compared are the sources themselves (row `copy`). ROUGE-Lsum is left out, as the two sides
split sentences differently. Exit code 1 when a value differs by more than `--tolerance` points.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF


def read(options):
    rows = []
    with open(options.data, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if options.only and str(row.get(options.only.split("=")[0])) != options.only.split("=")[1]:
                continue
            references = row[options.reference]
            rows.append((row[options.source], [references] if isinstance(references, str) else references))
    if options.repeat:
        rows = (rows * (options.repeat // len(rows) + 1))[: options.repeat]
    return rows


def theirs(rows, columns):
    texts = [text for text, _ in rows]
    most = max(len(references) for _, references in rows)
    streams = [[refs[k] if k < len(refs) else None for _, refs in rows] for k in range(most)]
    start, found = time.process_time(), {}
    if "bleu" in columns:
        found["bleu"] = BLEU().corpus_score(texts, streams).score
    if "chrf" in columns:
        found["chrf"] = CHRF().corpus_score(texts, streams).score
    kinds = {"rouge1": "rouge1", "rouge2": "rouge2", "rouge_l": "rougeL"}
    kinds = {ours: name for ours, name in kinds.items() if ours in columns}
    scorer = RougeScorer(list(kinds.values()))
    sums = dict.fromkeys(kinds, 0.0)
    for text, references in rows:
        scores = scorer.score_multi(references, text)
        for ours, name in kinds.items():
            sums[ours] += scores[name].fmeasure
    found.update({ours: 100 * total / len(rows) for ours, total in sums.items()})
    return found, time.process_time() - start


def ours(options, rows, columns):
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "bench.jsonl")
        with open(data, "w", encoding="utf-8") as file:
            for text, references in rows:
                file.write(json.dumps({"text": text, "references": references}) + "\n")
        command = [options.binary, "evaluate", "--task", options.task, "--data", data, "--no-models", "--json", "-q"]
        command += ["--only", ",".join(columns), "--resamples", str(options.resamples)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    scores = next(s["scores"] for s in json.loads(done.stdout)["systems"] if s["name"] == "copy")
    return {name: scores[name]["score"] for name in columns}, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="target/release/impossible")
    parser.add_argument("--task", default="paraphrase", choices=["paraphrase", "summary"])
    parser.add_argument("--data", required=True)
    parser.add_argument("--source", default="text")
    parser.add_argument("--reference", default="references")
    parser.add_argument("--only", help="FIELD=VALUE: only such rows")
    parser.add_argument("--repeat", type=int, default=0)
    parser.add_argument("--resamples", type=int, default=100)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    parser.add_argument("--columns", help="else those of the task that both sides have")
    options = parser.parse_args()
    columns = ["rouge1", "rouge2", "rouge_l"]
    if options.task == "paraphrase":
        columns = ["bleu", "chrf", *columns]
    columns = options.columns.split(",") if options.columns else columns
    rows = read(options)
    mine, my_seconds = ours(options, rows, columns)
    reference, their_seconds = theirs(rows, columns)
    worst = 0.0
    print(f"{'':10}{'ours':>10}{'reference':>11}{'difference':>12}   {len(rows)} rows")
    for name in columns:
        difference = mine[name] - reference[name]
        worst = max(worst, abs(difference))
        print(f"{name:10}{mine[name]:10.4f}{reference[name]:11.4f}{difference:12.6f}")
    print(f"processor seconds: ours {my_seconds:.2f} (reading and {options.resamples} resamples included), ", end="")
    print(f"reference {their_seconds:.2f}, ratio {their_seconds / my_seconds:.1f}")
    sys.exit(worst > options.tolerance)


if __name__ == "__main__":
    main()
