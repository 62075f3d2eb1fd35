#!/usr/bin/env python3
"""The reference side of compare.py: Hugging Face transformers in the order of work of the paper, one part a process.

Needs torch and transformers, which are imported only when a part runs. Prints one JSON line.
"""

import argparse
import itertools
import json
import random
import re
import sys
import time
from pathlib import Path

TEACHER, CRITIC, ENCODER = "smollm2-135m-instruct", "nli-deberta-v3-xsmall", "all-MiniLM-L6-v2"
PARTS = ["prepare", "sampling", "entailment", "embedding", "context", "decoding", "training-lora", "training-full"]

# What follows must equal `impossible bench --preset small`: its contexts and its sampling options.
CONTEXTS = [
    "LONDON, England (Reuters) - The central bank said on Tuesday that it would keep interest rates unchanged.",
    "SYDNEY, Australia (ABC) - Heavy rain closed roads across the north of the state on Monday. Emergency crews worked "
    "through the night to reach cut-off towns. Farmers said the water had destroyed most of the late crop. The "
    "government promised help within days.",
]
NEW_TOKENS = 60
# Of decoding and training.
DECODED, DECODED_TOKENS = 32, 48
EXAMPLES, HALF, STEPS = 16, 32, 4
LORA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "q", "k", "v", "o",
                "wi_0", "wi_1", "wo"]
# top_k = 0: the library's default of 50 would cut the nucleus, which ours does not.
SAMPLING = {"do_sample": True, "temperature": 0.5, "top_p": 0.9, "top_k": 0, "no_repeat_ngram_size": 3,
            "max_new_tokens": NEW_TOKENS}
# Single rows that their side draws one after another at k = 1.
SINGLES = 4
BATCH = 64
PAIRS = 400
# Critics of the authors' code.
LENGTHS, ENTAILMENT_MIN, ROUGE_MAX = (0.8, 1.5), 0.75, 0.75

# A dot after an initial ("U.S.") or a title does not end a sentence.
SENTENCE = re.compile(
    r"""[^\n]*?(?:(?<!\b[A-Z])(?<!\bMr)(?<!\bMs)(?<!\bDr)(?<!\bSt)(?<!\bMrs)(?<!\bGov)(?<!\bSen)(?<!\bRep)\.|[?!])"""
    r"""["'”’)\]]*(?=\s|$)"""
)


class Failed(Exception):
    """A failure that is told in one sentence."""


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


class Reference:
    """Hugging Face models, loaded as a part needs them."""

    def __init__(self, args):
        import torch
        import transformers

        self.torch, self.library, self.models = torch, transformers, args.models
        transformers.logging.set_verbosity_error()
        torch.set_num_threads(args.threads)
        torch.manual_seed(args.seed)

    def load(self, kind, name):
        folder = str(self.models / name)
        tokenizer = self.library.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return tokenizer, kind.from_pretrained(folder, local_files_only=True).float().eval()

    def load_teacher(self):
        self.tokenizer, self.lm = self.load(self.library.AutoModelForCausalLM, TEACHER)
        pieces = self.tokenizer.batch_decode([[i] for i in range(len(self.tokenizer))])
        self.line_breaks = [[i] for i, piece in enumerate(pieces) if "\n" in piece]
        self.siblings(CONTEXTS[0], 2, max_new_tokens=4)

    def load_critic(self):
        self.nli_tokenizer, self.nli = self.load(self.library.AutoModelForSequenceClassification, CRITIC)
        labels = {label.lower(): i for i, label in self.nli.config.id2label.items()}
        if "entailment" not in labels:
            raise Failed(f"{CRITIC}: expected a label 'entailment', found {sorted(labels)}")
        self.label = labels["entailment"]
        self.entail([("The rain stopped on Monday.", "It stopped raining.")] * 4)

    def siblings(self, context, k, **changes):
        """Ids of k rows of new tokens after the context, on one width."""
        prompt = self.tokenizer([context], return_tensors="pt")
        with self.torch.no_grad():
            out = self.lm.generate(**prompt, **(SAMPLING | changes), num_return_sequences=k,
                                   bad_words_ids=self.line_breaks, pad_token_id=self.tokenizer.eos_token_id)
        return out[:, prompt["input_ids"].shape[1] :].tolist()

    def sentences(self, rows):
        return [first_sentence(text) for text in self.tokenizer.batch_decode(rows, skip_special_tokens=True)]

    def useful_tokens(self, row):
        """Tokens until the first sentence is known to have ended; all up to the end of the text where none did."""
        end = self.tokenizer.eos_token_id
        row = row[: row.index(end)] if end in row else row
        sentence = first_sentence(self.tokenizer.decode(row))
        if sentence is None:
            return len(row)
        lengths = (len(self.tokenizer.decode(row[:n]).lstrip()) for n in range(1, len(row) + 1))
        enough = next(n for n, length in enumerate(lengths, 1) if length >= len(sentence))
        # The token after the sentence tells that it has ended.
        return min(enough + 1, len(row))

    def entail(self, pairs):
        """p(x => y) of each directed pair, in batches of the given order."""
        found = []
        for start in range(0, len(pairs), BATCH):
            x, y = map(list, zip(*pairs[start : start + BATCH]))
            batch = self.nli_tokenizer(x, y, return_tensors="pt", padding=True, truncation=True, max_length=512)
            with self.torch.no_grad():
                found += self.nli(**batch).logits.softmax(-1)[:, self.label].tolist()
        return found

    def embed(self, tokenizer, model, texts):
        """Mean of the last hidden states over the tokens, at length 1."""
        found = []
        for start in range(0, len(texts), BATCH):
            batch = tokenizer(texts[start : start + BATCH], return_tensors="pt", padding=True, truncation=True)
            with self.torch.no_grad():
                mask = batch["attention_mask"].unsqueeze(-1).float()
                mean = (model(**batch).last_hidden_state * mask).sum(1) / mask.sum(1)
                found += self.torch.nn.functional.normalize(mean).tolist()
        return found

    # The parts.

    def prepare(self, args):
        """Distinct first sentences of each context, and pairs of sentences of one context, both sorted by length."""
        self.load_teacher()
        tokenizer = self.library.AutoTokenizer.from_pretrained(str(args.models / CRITIC), local_files_only=True)
        texts, pairs = [], []
        for context in CONTEXTS:
            found = list(dict.fromkeys(s for s in self.sentences(self.siblings(context, args.k)) if s))
            texts += found
            pairs += itertools.permutations(found, 2)
        if not pairs:
            raise Failed(f"{TEACHER}: expected two different first sentences of a context, found {texts}; raise --k")
        pairs = random.Random(args.seed).sample(pairs, min(PAIRS, len(pairs)))
        texts = list(dict.fromkeys(texts))
        pairs.sort(key=lambda pair: len(tokenizer(*pair)["input_ids"]))
        texts.sort(key=lambda text: len(tokenizer(text)["input_ids"]))
        write(args.work / "pairs.jsonl", [{"text": x, "target": y} for x, y in pairs])
        write(args.work / "texts.jsonl", [{"text": text} for text in texts])
        return {"pairs": len(pairs), "texts": len(texts)}

    def sampling(self, args):
        self.load_teacher()
        out = {}
        for n, k, times in (("1", 1, SINGLES), ("k", args.k, 1)):
            start = time.perf_counter()
            calls = [self.siblings(CONTEXTS[0], k) for _ in range(times)]
            rows = list(itertools.chain.from_iterable(calls))
            usable = sum(s is not None for s in self.sentences(rows))
            seconds = time.perf_counter() - start
            out |= {f"tokens_{n}": sum(map(len, rows)) / seconds, f"usable_{n}": usable / seconds,
                    f"useful_{n}": sum(map(self.useful_tokens, rows)) / seconds}
        return out

    def entailment(self, args):
        self.load_critic()
        pairs = [(row["text"], row["target"]) for row in read(args.work / "pairs.jsonl")]
        start = time.perf_counter()
        self.entail(pairs)
        return {"pairs": len(pairs) / (time.perf_counter() - start)}

    def embedding(self, args):
        tokenizer, model = self.load(self.library.AutoModel, ENCODER)
        texts = [row["text"] for row in read(args.work / "texts.jsonl")]
        self.embed(tokenizer, model, texts[:4])
        start = time.perf_counter()
        self.embed(tokenizer, model, texts)
        return {"texts": len(texts) / (time.perf_counter() - start)}

    def context(self, args):
        """Paraphrases in the order of the paper and the authors' code: length, entailment of all, then what is free."""
        self.load_teacher()
        self.load_critic()
        out = dict.fromkeys(("sampling_s", "critics_s", "diversity_s", "sentences", "nli_calls", "kept"), 0)
        contexts = CONTEXTS
        if args.contexts:
            contexts = [json.loads(line)["text"] for line in args.contexts.read_text(encoding="utf-8").splitlines()]
        for context in contexts:
            start = time.perf_counter()
            found = [s for s in self.sentences(self.siblings(context, args.k)) if s]
            sampled = time.perf_counter()
            pairs = [(x, y) for x, y in itertools.combinations(found, 2)
                     if x != y and LENGTHS[0] <= len(y) / len(x) <= LENGTHS[1]]
            forward = [(p, pair) for p, pair in zip(self.entail(pairs), pairs) if p >= ENTAILMENT_MIN]
            backward = self.entail([(y, x) for _, (x, y) in forward])
            both = [(p + q, x, y) for (p, (x, y)), q in zip(forward, backward) if q >= ENTAILMENT_MIN]
            other = [(p, x, y) for p, x, y in both if rouge_l(x, y) <= ROUGE_MAX and numbers(y) <= numbers(x)]
            judged = time.perf_counter()
            kept, calls = self.diverse(other)
            end = time.perf_counter()
            if args.save:
                with args.save.open("a", encoding="utf-8") as file:
                    for pair in kept:
                        file.write(json.dumps({"kept": pair, "seconds": end - start}) + "\n")
                print(f"{len(kept)} pairs, {end - start:.0f} s", file=sys.stderr, flush=True)
            for name, value in (("sampling_s", sampled - start), ("critics_s", end - sampled),
                                ("diversity_s", end - judged), ("sentences", len(found)), ("kept", len(kept)),
                                ("nli_calls", len(pairs) + len(forward) + calls)):
                out[name] += value
        out["seconds"] = out["sampling_s"] + out["critics_s"]
        out["without_diversity"] = out["seconds"] - out["diversity_s"]
        return out

    def student(self, args):
        """The model to train or decode with: causal, or with an encoder."""
        folder = str(args.student or args.models / TEACHER)
        config = self.library.AutoConfig.from_pretrained(folder)
        encoder = bool(getattr(config, "is_encoder_decoder", False))
        kind = self.library.AutoModelForSeq2SeqLM if encoder else self.library.AutoModelForCausalLM
        return folder, kind.from_pretrained(folder, local_files_only=True).float(), encoder

    def decoding(self, args):
        """48 tokens after each of 32 prompts in one batch; nothing ends early."""
        folder, model, encoder = self.student(args)
        model.eval()
        tokenizer = self.library.AutoTokenizer.from_pretrained(folder, local_files_only=True, padding_side="left")
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
        texts = [f"Paraphrase: The central bank raised interest rates for the {i}th time this year."
                 for i in range(DECODED)]
        batch = tokenizer(texts, return_tensors="pt", padding=True)
        batch = {name: batch[name] for name in ("input_ids", "attention_mask")}
        options = dict(do_sample=True, temperature=0.7, top_p=0.9, top_k=0, pad_token_id=tokenizer.pad_token_id)

        def run(n):
            with self.torch.no_grad():
                return model.generate(**batch, max_new_tokens=n, min_new_tokens=n, **options)

        run(4)
        start = time.perf_counter()
        run(DECODED_TOKENS)
        return {"tokens": DECODED * DECODED_TOKENS / (time.perf_counter() - start)}

    def training(self, args, full):
        """AdamW steps of 16 examples of 64 tokens; loss on the targets only."""
        _, model, encoder = self.student(args)
        model.train()
        if not full:
            import peft

            names = {name.rsplit(".", 1)[-1] for name, _ in model.named_modules()}
            task = peft.TaskType.SEQ_2_SEQ_LM if encoder else peft.TaskType.CAUSAL_LM
            model = peft.get_peft_model(model, peft.LoraConfig(
                r=16, lora_alpha=32, lora_dropout=0.0, target_modules=sorted(names & set(LORA_TARGETS)), task_type=task))
        for module in model.modules():
            if isinstance(module, self.torch.nn.Dropout):
                module.p = 0.0
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = self.torch.optim.AdamW(trained, lr=2e-4)
        vocabulary = model.config.vocab_size
        ids = self.torch.tensor([[(i * 7919 + j * 104729) % (vocabulary - 256) for j in range(2 * HALF)]
                                 for i in range(EXAMPLES)])
        if encoder:
            batch = {"input_ids": ids[:, :HALF], "labels": ids[:, HALF:]}
        else:
            labels = ids.clone()
            labels[:, :HALF] = -100
            batch = {"input_ids": ids, "labels": labels}

        def step():
            loss = model(**batch).loss
            loss.backward()
            self.torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            return loss.item()

        step()
        start = time.perf_counter()
        for _ in range(STEPS):
            step()
        return {"step_s": (time.perf_counter() - start) / STEPS}

    def training_lora(self, args):
        return self.training(args, full=False)

    def training_full(self, args):
        return self.training(args, full=True)

    def diverse(self, scored):
        """Algorithm 1 of the paper: of pairs linked by x_i => x_j or y_i => y_j, the best of each component."""
        links = list(itertools.permutations(range(len(scored)), 2))
        sides = [{(scored[i][side], scored[j][side]) for i, j in links} for side in (1, 2)]
        ask = sorted(pair for pair in sides[0] | sides[1] if pair[0] != pair[1])
        entails = {pair for pair, p in zip(ask, self.entail(ask)) if p > ENTAILMENT_MIN}
        group = list(range(len(scored)))
        for i, j in links:
            if any(scored[i][s] == scored[j][s] or (scored[i][s], scored[j][s]) in entails for s in (1, 2)):
                old, new = group[j], group[i]
                group = [new if g == old else g for g in group]
        best = [max((s for s, g in zip(scored, group) if g == name), key=lambda s: s[0]) for name in sorted(set(group))]
        return best, len(ask)


def first_sentence(text):
    """The first sentence, of 3 characters or more, or None."""
    found = SENTENCE.match(text.lstrip())
    return found[0] if found and len(found[0]) >= 3 else None


def rouge_l(x, y):
    """ROUGE-L F of two texts, without stemming."""
    x, y = (re.findall(r"[a-z0-9]+", text.lower()) for text in (x, y))
    row = [0] * (len(y) + 1)
    for a in x:
        diagonal = 0
        for j, b in enumerate(y, 1):
            diagonal, row[j] = row[j], diagonal + 1 if a == b else max(row[j], row[j - 1])
    return 2 * row[-1] / max(len(x) + len(y), 1)


def numbers(text):
    return set(re.findall(r"\d+(?:[.,]\d+)*", text))


def peak_memory():
    """Most memory this process ever had, MiB; none where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder of pairs.jsonl and texts.jsonl")
    parser.add_argument("--student", type=Path, help="model of decoding and training; else the teacher")
    parser.add_argument("--k", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--contexts", type=Path, help="contexts of a run (RUN/shards/*/contexts.jsonl), for the part context")
    parser.add_argument("--save", type=Path, help="file to which the part context adds what it keeps, to be read")
    args = parser.parse_args()
    try:
        reference = Reference(args)
        out = getattr(reference, args.part.replace("-", "_"))(args)
    except (Failed, ImportError) as failure:
        print(failure, file=sys.stderr)
        return 1
    versions = {"torch": reference.torch.__version__, "transformers": reference.library.__version__}
    print(json.dumps(out | {"memory": peak_memory(), "versions": versions}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
