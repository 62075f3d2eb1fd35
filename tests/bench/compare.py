#!/usr/bin/env python3
"""`impossible bench` beside Hugging Face transformers: same weights, same machine, same minutes, as ratios.

    pip install torch transformers
    python3 tests/bench/compare.py --models DIR [--parts sampling,entailment,embedding,context] [--json]

The two sides take turns (ours, theirs, ours, theirs), part by part, each in a process of its own. See README.md here.
Exit codes: 0 done, 1 a side failed, 2 wrong arguments, 130 interrupted.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# No __pycache__ in the working tree.
sys.dont_write_bytecode = True
from theirs import CONTEXTS, CRITIC, ENCODER, TEACHER, Failed, read  # noqa: E402

# The models of each part. Pairs and texts come from the teacher, and the critic's tokenizer sorts them.
NEEDS = {
    "sampling": [TEACHER],
    "entailment": [TEACHER, CRITIC],
    "embedding": [TEACHER, CRITIC, ENCODER],
    "context": [TEACHER, CRITIC, ENCODER],
    "decoding": [TEACHER],
    "training-lora": [TEACHER],
    "training-full": [TEACHER],
}

HIGHER, LOWER = "higher", "lower"
# Share of the processors that other programs may use before a run counts as disturbed.
QUIET = 0.05


class Wrong(Failed):
    """Arguments that cannot be used."""


def tell(text):
    print(text, file=sys.stderr, flush=True)


def measures(part, k):
    """Key, label and better direction (None: shown without a ratio) of each thing that a part measures."""
    rows = {
        "sampling": [
            (f"{key}_{n}", f"sampling, k = {rows}: {label}", HIGHER)
            for n, rows in (("1", 1), ("k", k))
            for key, label in (("tokens", "tokens/s, all of theirs"), ("useful", "useful tokens/s"),
                               ("usable", "usable first sentences/s"))
        ],
        "entailment": [("pairs", "entailment: directed pairs/s", HIGHER)],
        "embedding": [("texts", "embedding: texts/s", HIGHER)],
        "context": [
            ("seconds", f"{len(CONTEXTS)} contexts, k = {k}: seconds", LOWER),
            ("without_diversity", "  the same, without their diversity step", LOWER),
            ("sampling_s", "  of these, sampling", LOWER),
            ("critics_s", "  of these, critics", LOWER),
            ("sentences", "  usable sentences", None),
            ("nli_calls", "  directed pairs read", None),
            ("kept", "  pairs kept (other critics, see README)", None),
        ],
        "decoding": [("tokens", "decoding, 32 texts together: tokens/s", HIGHER)],
        "training-lora": [("step_s", "a step of LoRA, 16 x 64 tokens: seconds", LOWER),
                          ("outside", "  share outside the products with weights", None)],
        "training-full": [("step_s", "a step of all weights, 16 x 64 tokens: seconds", LOWER),
                          ("outside", "  share outside the products with weights", None)],
    }[part]
    return rows + [("memory", f"{part}: peak memory, MiB", LOWER)]


# Ours: the lines of `impossible bench --json`.


def lines_of(rows, measure, **fields):
    found = [r for r in rows if r.get("measure") == measure and all(r.get(f) == v for f, v in fields.items())]
    if not found:
        raise Failed(f"ours: expected a line with measure {measure!r} {fields or ''}, found {rows}")
    return found


def ours(part, args, work):
    command = [str(args.binary), "--models", str(args.models), "--device", args.device, "--json", "--quiet", "bench"]
    student = str(args.student or TEACHER)
    command += {
        "decoding": ["--teacher", student, "--only", "decoding"],
        "training-lora": ["--teacher", student, "--only", "training-lora"],
        "training-full": ["--teacher", student, "--only", "training-full"],
        "sampling": ["--teacher", TEACHER, "--k", str(args.k)],
        "entailment": ["--critic", CRITIC, "--pairs", str(work / "pairs.jsonl")],
        "embedding": ["--encoder", ENCODER, "--texts", str(work / "texts.jsonl")],
        "context": ["--preset", "small", "--only", "context", "--k", str(args.k)],
    }[part]
    rows = call(f"ours, {part}", command)
    # Not told on every system.
    out = {"memory": next((r["peak_bytes"] / 2**20 for r in rows if r.get("measure") == "memory"), None)}
    if part == "sampling":
        for n, k in (("1", 1), ("k", args.k)):
            row = lines_of(rows, "sampling", k=k)[0]
            # Ours samples nothing past the end of a sentence: all its tokens are useful ones.
            out |= {f"tokens_{n}": row["tokens_per_s"], f"useful_{n}": row["tokens_per_s"],
                    f"usable_{n}": row["usable_first_sentences_per_s"]}
    elif part == "decoding":
        out["tokens"] = lines_of(rows, part)[0]["tokens_per_s"]
    elif part.startswith("training"):
        row = lines_of(rows, part)[0]
        out |= {"step_s": row["step_s"], "outside": row["share_outside_projections"]}
    elif part == "context":
        rows = lines_of(rows, "context", k=args.k)
        if len(rows) != len(CONTEXTS):
            raise Failed(f"ours: expected {len(CONTEXTS)} contexts, found {len(rows)}")
        names = ("seconds", "sampling_s", "critics_s", "sentences", "nli_calls", "kept")
        out |= {name: sum(r[name] for r in rows) for name in names}
        out["without_diversity"] = out["seconds"]
    else:
        key, count, rate = {"entailment": ("pairs", "directed_pairs", "nli_pairs_per_s"),
                            "embedding": ("texts", "sentences", "embeddings_per_s")}[part]
        row = lines_of(rows, part)[0]
        given = len(read(work / f"{key}.jsonl"))
        if row[count] != given:
            raise Failed(f"ours, {part}: expected the {given} lines of {key}.jsonl, found {row[count]}")
        out[key] = row[rate]
    return out


def theirs(part, args, work):
    command = [sys.executable, str(Path(__file__).resolve().with_name("theirs.py")), part, "--work", str(work)]
    command += ["--models", str(args.models), "--k", str(args.k), "--threads", str(args.threads)]
    command += ["--seed", str(args.seed)]
    command += ["--student", str(args.student)] if args.student else []
    return call(f"theirs, {part}", command)[-1]


def call(name, command):
    """Runs a side; its stdout as JSON lines."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise Failed(f"{name}: {error}") from error
    if done.returncode != 0:
        raise Failed(f"{name}: exit code {done.returncode}\n{done.stderr.strip()[-2000:]}")
    try:
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    except ValueError as error:
        raise Failed(f"{name}: expected JSON lines ({error}), found {done.stdout[:400]!r}") from error


def cpu_model():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def pin(threads):
    """Binds this process, and so both sides, to that many processors, of different cores where there are enough."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores, spare = {}, []
    for cpu in sorted(os.sched_getaffinity(0)):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        core = siblings.read_text() if siblings.exists() else cpu
        if core in cores:
            spare.append(cpu)
        else:
            cores[core] = cpu
    free = [*cores.values(), *spare]
    if threads > len(free):
        raise Wrong(f"--threads: expected 1 to {len(free)}, found {threads}")
    os.sched_setaffinity(0, free[:threads])


def busy_seconds():
    """Seconds that this process's processors have worked since boot, and how many they are; None where not told."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
        mine = {f"cpu{cpu}" for cpu in os.sched_getaffinity(0)}
    except (OSError, AttributeError):
        return None
    # user, nice, system, idle, iowait, irq, softirq, steal
    rows = [[int(n) for n in line.split()[1:9]] for line in lines if line.split()[0] in mine]
    return sum(sum(row) - row[3] - row[4] for row in rows) / os.sysconf("SC_CLK_TCK"), len(rows)


def watched(side, *details):
    """Runs a side. Its values, its seconds, and the share of the processors that other programs used meanwhile."""
    start, busy, own = time.perf_counter(), busy_seconds(), os.times()
    values = side(*details)
    seconds, now, then = time.perf_counter() - start, busy_seconds(), os.times()
    if busy is None or now is None:
        return values, seconds, None
    used = sum(then[:4]) - sum(own[:4])
    return values, seconds, max(now[0] - busy[0] - used, 0) / (seconds * now[1])


def check(args):
    needed = {model for part in args.parts for model in NEEDS[part]}
    for model in sorted(needed):
        if not (args.models / model / "config.json").is_file():
            raise Wrong(f"--models: expected a model folder {model} in {args.models}, found none")
    if not args.binary.is_file():
        raise Wrong(f"--binary: expected the built program (cargo build --release), found none at {args.binary}")
    args.binary = args.binary.resolve()


def compare(args):
    check(args)
    pin(args.threads)
    os.environ |= {name: str(args.threads) for name in ("RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
    rows = {(part, key): {"measure": label.strip(), "better": better, "ours": [], "theirs": []}
            for part in args.parts for key, label, better in measures(part, args.k)}
    versions, others = {}, []
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        if {"entailment", "embedding"} & set(args.parts):
            tell("pairs and texts for both sides ...")
            made = theirs("prepare", args, work)
            tell(f"  {made['pairs']} directed pairs, {made['texts']} texts")
        for turn in range(max(args.rounds, args.context_rounds)):
            for part in args.parts:
                if turn >= (args.context_rounds if part == "context" else args.rounds):
                    continue
                for name, side in (("ours", ours), ("theirs", theirs)):
                    values, seconds, share = watched(side, part, args, work)
                    others.append({"round": turn + 1, "part": part, "side": name, "share": share})
                    told = "" if share is None else f", other programs {share:.0%}"
                    tell(f"round {turn + 1}, {part}, {name}: {seconds:.0f} s with loading{told}")
                    versions = values.pop("versions", versions)
                    for (of, key), row in rows.items():
                        if of == part:
                            row[name].append(values.get(key))
    for row in rows.values():
        finish(row)
    machine = {"cpu": cpu_model(), "threads": args.threads, "python": platform.python_version()}
    show(rows, args, machine | versions)
    shares = [row["share"] for row in others if row["share"] is not None]
    quiet = max(shares) <= QUIET if shares else None
    if quiet is None:
        print("Whether other programs ran meanwhile is not known here: make sure that none did.")
    elif not quiet:
        print(f"NOT VALID: other programs used up to {max(shares):.0%} of the processors; ratios are distorted.")
    if args.json:
        settings = {"k": args.k, "rounds": args.rounds, "context_rounds": args.context_rounds, "seed": args.seed,
                    "device": args.device}
        found = [{"part": part, "key": key} | row for (part, key), row in rows.items()]
        print(json.dumps({"measures": found, "machine": machine, "versions": versions, "settings": settings,
                          "quiet": quiet, "other_programs": others}))


def finish(row):
    """Adds medians and ratios. A ratio above 1 is in our favour; each is of one round, as processors change pace."""
    ratios = []
    for mine, other in zip(row["ours"], row["theirs"]):
        above, below = (mine, other) if row["better"] == HIGHER else (other, mine)
        if row["better"] and above is not None and below:
            ratios.append(above / below)
    for side in ("ours", "theirs"):
        known = [value for value in row[side] if value is not None]
        row[f"{side}_median"] = statistics.median(known) if known else None
    row |= {"ratios": ratios, "ratio": statistics.median(ratios) if ratios else None}


def show(rows, args, machine):
    def digits(value):
        if value is None:
            return "-"
        return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"

    labels = {(part, key): label for part in args.parts for key, label, _ in measures(part, args.k)}
    width = max(map(len, labels.values()))
    print(f"{'':{width}}  {'ours':>9}  {'theirs':>9}  {'ratio':>6}")
    for at, row in rows.items():
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
        print(f"{labels[at]:{width}}  {digits(row['ours_median']):>9}  {digits(row['theirs_median']):>9}  {ratio:>6}")
    print("Medians over rounds; a ratio above 1.00 is in our favour.")
    print(", ".join(f"{name} {value}" for name, value in machine.items() if value is not None))


def positive(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--models", type=Path, required=True, help=f"folder with {TEACHER}, {CRITIC}, {ENCODER}")
    parser.add_argument("--binary", type=Path, default=Path("target/release/impossible"), help="our program")
    parser.add_argument("--device", default="flex", help="device of our side; theirs is always the CPU")
    parser.add_argument("--parts", default="sampling,entailment,embedding,context", help="of " + ",".join(NEEDS))
    parser.add_argument("--student", type=Path, help="model folder of decoding and training; else the teacher")
    parser.add_argument("--k", type=positive, default=100, help="siblings of a context, 2 or more")
    parser.add_argument("--rounds", type=positive, default=2, help="turns of each side")
    parser.add_argument("--context-rounds", type=positive, default=1, help="the same for whole contexts: minutes each")
    parser.add_argument("--threads", type=positive, default=2, help="processors that either side may use")
    parser.add_argument("--seed", type=int, default=0, help="of their sampling and of the choice of pairs")
    parser.add_argument("--json", action="store_true", help="one line of JSON after the table")
    args = parser.parse_args()
    named = args.parts.split(",")
    if not set(named) <= set(NEEDS):
        parser.error(f"--parts: expected some of {','.join(NEEDS)}, found {args.parts!r}")
    args.parts = [part for part in NEEDS if part in named]
    if args.k < 2:
        parser.error(f"--k: expected 2 or more, found {args.k}")
    return args


def main():
    args = arguments()
    # Ends the side that is running, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        compare(args)
    except Failed as failure:
        tell(failure)
        return 2 if isinstance(failure, Wrong) else 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
