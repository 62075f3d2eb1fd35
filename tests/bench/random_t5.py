#!/usr/bin/env python3
"""Writes a T5 of the size of `google/t5-v1_1-small` with random weights, to measure speed where no hub is reachable.

    python3 tests/bench/random_t5.py DIR
"""

import shutil
import sys
from pathlib import Path


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=32128, d_model=512, d_kv=64, d_ff=1024, num_layers=8, num_decoder_layers=8, num_heads=6,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1,
    )
    folder = Path(sys.argv[1])
    T5ForConditionalGeneration(config).save_pretrained(folder)
    golden = Path(__file__).resolve().parents[1] / "golden/tokenizer/t5-unigram/tokenizer.json"
    shutil.copy(golden, folder / "tokenizer.json")
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "pad_token": "<pad>"}\n', encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
