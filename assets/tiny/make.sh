#!/usr/bin/env bash
# Makes the models of assets/tiny anew, on two cores; its steps took about two hours, one by one:
#
#     assets/tiny/make.sh WORK REPORTS.jsonl NLI.jsonl...
#
# WORK: a folder for everything on the way. REPORTS: newswire with the fields `dateline` and `text` (assets/tiny/corpus.py).
# NLI: labelled pairs (premise, hypothesis, label). The models of preset small must be there (`impossible pull small`):
# their critic says what the tiny one learns. Every step that is finished is skipped, one that was stopped goes on.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
work="$1" reports="$(realpath "$2")"
shift 2
nli=()
for file in "$@"; do nli+=("$(realpath "$file")"); done
impossible="$(realpath "${IMPOSSIBLE:-target/release/impossible}")"
mkdir -p "$work"
cd "$work"
run() { "$impossible" --device flex "$@"; }

[ -s corpus.txt ] || python3 "$here/corpus.py" "$reports" corpus.txt
# The teacher: tokenizer and a Llama, from nothing.
run pretrain --text corpus.txt --out teacher --vocabulary 3072 --length 224 --epochs 3 --train-batch 16 --evaluate-every 200 --seed 1

# The critic: first to find the words of one text in the other, then what the larger critic says of siblings.
run distill --plan "$here/texts.toml" --out texts --until dataset
cat texts/shards/*/contexts.jsonl > texts.jsonl
python3 "$here/matching.py" texts.jsonl matching.jsonl --pairs 48000
run train-critic --pairs matching.jsonl "${nli[@]}" --tokenizer teacher/model --epochs 1 --train-batch 32 --batch-tokens 8192 \
    --learning-rate 6e-4 --validation 0.02 --evaluate-every 400 --out matching
run distill --plan "$here/siblings.toml" --out siblings --until dataset
run train-critic --siblings siblings --sample 24000 --teacher-critic nli-deberta-v3-xsmall --base matching/model --epochs 3 \
    --train-batch 32 --batch-tokens 8192 --learning-rate 5e-4 --validation 0.08 --evaluate-every 400 --out second
# Then what it says of the pairs that it is asked about in a run.
run distill --plan "$here/asked.toml" --out asked --until dataset
run train-critic --siblings asked --sample 16384 --teacher-critic nli-deberta-v3-xsmall --base second/model --epochs 4 \
    --train-batch 32 --batch-tokens 8192 --learning-rate 5e-4 --validation 0.06 --evaluate-every 400 --out critic

# The student: to write from what the teacher wrote, to rewrite from the trio's own pairs, then from its own versions.
run pretrain --task denoising --text texts.jsonl --tokenizer teacher/model --length 64 --epochs 8 --train-batch 32 \
    --learning-rate 2e-3 --evaluate-every 200 --seed 3 --out denoiser
run distill --plan "$here/pairs.toml" --out pairs --until refined --sources 3000 --full --learning-rate 1e-3 --epochs 5 \
    --train-batch 32 --batch-tokens 8192

run export --model teacher --out "$here/teacher" --precision f16
run export --model critic --out "$here/critic" --precision f16
run export --model pairs/student/stage1 --out "$here/student" --precision f16
