#!/usr/bin/env python3
"""More golden models: tiny random checkpoints of further architectures and settings, with what transformers computes.

    python3 models.py [--out DIR] [--only NAME,NAME,...|causal|classifiers|encoders|seq2seq]

Writes DIR/NAME/{config.json, model.safetensors, expected.safetensors} (for some also config-old.json: the same model in the
spelling of transformers 4) and DIR/report-more.json. Companion of generate.py (section A); tensor names are the same.

Made with transformers 5.24 and torch 2.15 on a CPU, eager attention, float32. For every model the script checks that
  * the files load again without missing tensors, and config-old.json (if any) gives the same logits,
  * a key/value cache, padding and batching do not change the result (where the library promises that),
  * float32 differs from float64 by less than 1e-5,
  * each setting under test matters: with the setting switched off (`off`) some logit moves by more than 1e-3,
    so a reader that ignores the setting cannot pass; `same` lists settings that the library itself ignores.

Tensors beyond those of generate.py: `long.input_ids` [1,40], `long.logits`; `stepwise.long.logits` (dynamic and longrope only): prefill
of 12 tokens, then one a step, where cached keys keep the rotation they got. Encoders: `cls`, `mean_pooled`, `sentence_embedding`,
`pooler` (where the class has one), `long.cls`, `long.mean_pooled`. Rows are right-padded there; `hidden` is 0 at padding.

Tables: CAUSAL, CLASSIFIERS, ENCODERS, SEQ2SEQ below, one entry a folder.
"""
import os, sys

_ENV = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "MKL_CBWR": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2", "TRANSFORMERS_VERBOSITY": "error", "CUDA_VISIBLE_DEVICES": ""}
if any(os.environ.get(k) != v for k, v in _ENV.items()):      # thread counts must be set at start-up
    os.environ.update(_ENV)
    os.execv(sys.executable, [sys.executable] + sys.argv)

import argparse, inspect, json, shutil, tempfile, warnings, zlib
from pathlib import Path

warnings.filterwarnings("ignore")
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
torch.backends.mkldnn.enabled = False
transformers.logging.disable_progress_bar()

OUT = Path(__file__).resolve().parent / "models"
V = 96                      # vocabulary of every model here
LABELS = {"id2label": {0: "contradiction", 1: "entailment", 2: "neutral"},
          "label2id": {"contradiction": 0, "entailment": 1, "neutral": 2}}


# ---------------------------------------------------------------------------------------------------------
# the table of causal models
# ---------------------------------------------------------------------------------------------------------
def case(cls, config, **more):
    """cls: name of the transformers class; config: arguments of its configuration class.

    off    {what: change}   switching a setting off; the logits must move by more than 1e-3
    same   {what: change}   the library ignores this setting; the logits must not move at all
    old    dict             what config-old.json says instead: keys with None as value are removed
    long   bool             also a prompt of 40 tokens (windows, rope scaling)
    stepwise bool           rotary frequencies depend on the length of the call: a cache gives other numbers than one
                            pass beyond the original length, so what the library gives step by step is stored, too
    f64    dict             changes of the configuration for the float64 check only
    std, emb                standard deviations of the matrices and of the embeddings
    A change is a dict of configuration entries, or a function that changes the loaded model.
    """
    return {"cls": cls, "config": config, **more}


def zero(*parts):
    """Sets every parameter to zero whose name contains one of the parts."""
    def change(m):
        for n, p in m.named_parameters():
            if any(x in n for x in parts):
                p.zero_()
    return change


def one(*parts):
    """Sets norm weights to one (to zero where the library adds one)."""
    def change(m):
        for n, p in m.named_parameters():
            if any(x in n for x in parts):
                p.fill_(0.0 if m.config.model_type.startswith("gemma") else 1.0)
    return change


def tie(m):
    """Uses the input embeddings as the head."""
    m.get_output_embeddings().weight.copy_(m.get_input_embeddings().weight)


GPT2 = dict(vocab_size=V, n_positions=64, n_embd=32, n_layer=3, n_head=4, n_inner=48, bos_token_id=0, eos_token_id=0)
LLAMA = dict(vocab_size=V, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=64, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2,
             pad_token_id=0, tie_word_embeddings=True)
GEMMA = {**LLAMA, "head_dim": 8, "sliding_window": 8, "query_pre_attn_scalar": 16, "rms_norm_eps": 1e-3}
OPT = dict(vocab_size=V, hidden_size=32, ffn_dim=48, num_hidden_layers=3, num_attention_heads=4,
           max_position_embeddings=64, pad_token_id=1, bos_token_id=2, eos_token_id=2)
NEOX = dict(vocab_size=V, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
            max_position_embeddings=64, bos_token_id=0, eos_token_id=0, layer_norm_eps=1e-3)
DEFAULT_ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 100.0}}


def llama_rope(theta=100.0, **rope):
    return {"rope_parameters": {"rope_theta": theta, **rope}}


def old_rope(theta=100.0, **scaling):
    return {"rope_parameters": None, "rope_theta": theta, "rope_scaling": scaling or "null"}


CAUSAL = {
    # --- gpt2 ---
    "gpt2-unscaled": case("GPT2LMHeadModel", {**GPT2, "scale_attn_weights": False},
                          off={"scale_attn_weights": {"scale_attn_weights": True}}),
    "gpt2-inverse": case("GPT2LMHeadModel", {**GPT2, "scale_attn_by_inverse_layer_idx": True,
                                             "reorder_and_upcast_attn": True, "layer_norm_epsilon": 1e-2},
                         off={"scale_attn_by_inverse_layer_idx": {"scale_attn_by_inverse_layer_idx": False},
                              "layer_norm_epsilon": {"layer_norm_epsilon": 1e-5}},
                         f64={"reorder_and_upcast_attn": False}),
    "gpt2-untied": case("GPT2LMHeadModel", {**GPT2, "tie_word_embeddings": False}, off={"own head": tie}),
    "gpt2-relu": case("GPT2LMHeadModel", {**GPT2, "activation_function": "relu"},
                      off={"activation_function": {"activation_function": "gelu_new"}}),
    "gpt2-gelu": case("GPT2LMHeadModel", {**GPT2, "activation_function": "gelu"}, std=0.25, emb=0.6,
                      off={"activation_function": {"activation_function": "gelu_new"}}),
    # --- llama ---
    "llama-llama3": case("LlamaForCausalLM",
                         {**LLAMA, "max_position_embeddings": 128,
                          **llama_rope(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                       original_max_position_embeddings=32)},
                         long=True, off={"rope_scaling": DEFAULT_ROPE,
                                         "rope_theta": llama_rope(10000.0, rope_type="llama3", factor=4.0, low_freq_factor=1.0,
                                                                  high_freq_factor=4.0, original_max_position_embeddings=32),
                                         "smooth part": llama_rope(rope_type="llama3", factor=4.0, low_freq_factor=1.0,
                                                                   high_freq_factor=1.001, original_max_position_embeddings=32)},
                         old=old_rope(factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                      original_max_position_embeddings=32, rope_type="llama3")),
    "llama-linear": case("LlamaForCausalLM", {**LLAMA, **llama_rope(rope_type="linear", factor=4.0)}, long=True,
                         off={"rope_scaling": DEFAULT_ROPE}, old=old_rope(type="linear", factor=4.0)),
    "llama-dynamic": case("LlamaForCausalLM", {**LLAMA, "max_position_embeddings": 16,
                                               **llama_rope(rope_type="dynamic", factor=4.0)},
                          long=True, stepwise=True, off={"rope_scaling": DEFAULT_ROPE},
                          old=old_rope(type="dynamic", factor=4.0)),
    "llama-yarn": case("LlamaForCausalLM", {**LLAMA, "max_position_embeddings": 1024,
                                            **llama_rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=256)},
                       long=True, off={"rope_scaling": DEFAULT_ROPE,
                                       "attention scaling": llama_rope(rope_type="yarn", factor=4.0, attention_factor=1.0,
                                                                       original_max_position_embeddings=256),
                                       "beta_fast": llama_rope(rope_type="yarn", factor=4.0, beta_fast=8.0,
                                                               original_max_position_embeddings=256)},
                       old=old_rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=256)),
    "llama-yarn-mscale": case("LlamaForCausalLM",
                              {**LLAMA, "max_position_embeddings": 1024,
                               **llama_rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=256, beta_fast=16.0,
                                            beta_slow=2.0, mscale=2.0, mscale_all_dim=0.5, truncate=False)},
                              long=True, off={
                                  "truncate": llama_rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=256,
                                                         beta_fast=16.0, beta_slow=2.0, mscale=2.0, mscale_all_dim=0.5),
                                  "mscale": llama_rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=256,
                                                       beta_fast=16.0, beta_slow=2.0, truncate=False),
                                  "beta_slow": llama_rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=256,
                                                          beta_fast=16.0, mscale=2.0, mscale_all_dim=0.5, truncate=False)},
                              old=old_rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=256, beta_fast=16.0,
                                           beta_slow=2.0, mscale=2.0, mscale_all_dim=0.5, truncate=False)),
    "llama-yarn-factor": case("LlamaForCausalLM",
                              {**LLAMA, "max_position_embeddings": 1024,
                               **llama_rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=256,
                                            attention_factor=1.5, mscale=2.0, mscale_all_dim=0.5)},
                              long=True, off={"attention_factor": llama_rope(rope_type="yarn", factor=4.0, mscale=2.0, mscale_all_dim=0.5,
                                                                             original_max_position_embeddings=256)},
                              same={"mscale": llama_rope(rope_type="yarn", factor=4.0, attention_factor=1.5,
                                                         original_max_position_embeddings=256)},
                              old=old_rope(type="yarn", factor=4.0, original_max_position_embeddings=256, attention_factor=1.5,
                                           mscale=2.0, mscale_all_dim=0.5)),
    "llama-longrope": case("LlamaForCausalLM",
                           {**LLAMA, **llama_rope(rope_type="longrope", short_factor=[1.0, 1.25, 1.5, 2.0],
                                                  long_factor=[1.0, 2.0, 4.0, 6.0], original_max_position_embeddings=16)},
                           long=True, stepwise=True, off={
                               "rope_scaling": DEFAULT_ROPE,
                               "long_factor": llama_rope(rope_type="longrope", short_factor=[1.0, 1.25, 1.5, 2.0],
                                                         long_factor=[1.0, 1.25, 1.5, 2.0], original_max_position_embeddings=16),
                               "attention scaling": llama_rope(rope_type="longrope", short_factor=[1.0, 1.25, 1.5, 2.0],
                                                               long_factor=[1.0, 2.0, 4.0, 6.0], attention_factor=1.0,
                                                               original_max_position_embeddings=16)},
                           old={**old_rope(type="longrope", short_factor=[1.0, 1.25, 1.5, 2.0], long_factor=[1.0, 2.0, 4.0, 6.0],
                                           original_max_position_embeddings=16), "original_max_position_embeddings": 16}),
    "llama-bias": case("LlamaForCausalLM", {**LLAMA, "attention_bias": True, "mlp_bias": True, "rms_norm_eps": 1e-2, **DEFAULT_ROPE},
                       off={"attention_bias q": zero("q_proj.bias"), "attention_bias o": zero("o_proj.bias"),
                            "mlp_bias": zero("up_proj.bias"), "rms_norm_eps": {"rms_norm_eps": 1e-6},
                            "rope_theta": llama_rope(10000.0, rope_type="default")},
                       same={"pretraining_tp": {"pretraining_tp": 2},
                             "partial_rotary_factor (ignored by the default type)": llama_rope(rope_type="default", partial_rotary_factor=0.5)},
                       old=old_rope()),
    "llama-headdim": case("LlamaForCausalLM", {**LLAMA, "head_dim": 12, "num_key_value_heads": 1, "tie_word_embeddings": False,
                                               "hidden_act": "gelu_pytorch_tanh"},
                          off={"own head": tie, "hidden_act": {"hidden_act": "silu"}}),
    # --- relatives of llama ---
    "qwen2": case("Qwen2ForCausalLM", {**LLAMA, "use_sliding_window": False, "sliding_window": 8, "max_window_layers": 1, **DEFAULT_ROPE},
                  long=True, off={"q bias": zero("q_proj.bias"), "v bias": zero("v_proj.bias"),
                                  "window": {"use_sliding_window": True},
                                  "rope_theta": llama_rope(10000.0, rope_type="default")},
                  old={**old_rope(), "sliding_window": 8, "layer_types": None}),
    "qwen2-window": case("Qwen2ForCausalLM", {**LLAMA, "use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1,
                                              "tie_word_embeddings": False, **DEFAULT_ROPE},
                         long=True, off={"use_sliding_window": {"use_sliding_window": False},
                                         "max_window_layers": {"max_window_layers": 2},
                                         "window of 8, not 9": {"sliding_window": 9}, "own head": tie},
                         old={**old_rope(), "layer_types": None}),
    "qwen3": case("Qwen3ForCausalLM", {**LLAMA, "head_dim": 12, "tie_word_embeddings": False, "rms_norm_eps": 1e-2, **DEFAULT_ROPE},
                  off={"q_norm": one("q_norm"), "k_norm": one("k_norm"), "rms_norm_eps": {"rms_norm_eps": 1e-6}, "own head": tie},
                  old={**old_rope(), "layer_types": None}),
    "qwen3-tied": case("Qwen3ForCausalLM", {**LLAMA, "head_dim": 8, "attention_bias": True, "use_sliding_window": True,
                                            "sliding_window": 8, "max_window_layers": 1, **DEFAULT_ROPE},
                       long=True, off={"attention_bias": zero("o_proj.bias"), "window": {"use_sliding_window": False}},
                       old={**old_rope(), "layer_types": None}),
    "mistral": case("MistralForCausalLM", {**LLAMA, "sliding_window": 8, "head_dim": 12, **DEFAULT_ROPE}, long=True,
                    off={"sliding_window": {"sliding_window": None}, "window of 8, not 9": {"sliding_window": 9}}, old=old_rope()),
    "smollm3": case("SmolLM3ForCausalLM", {**LLAMA, "no_rope_layers": [1, 0, 1], **DEFAULT_ROPE}, long=True,
                    off={"no_rope_layers": {"no_rope_layers": [1, 1, 1]}},
                    same={"sliding_window without use_sliding_window": {"sliding_window": 8}},
                    old={**old_rope(), "layer_types": None}),
    "smollm3-window": case("SmolLM3ForCausalLM", {**LLAMA, "no_rope_layer_interval": 2, "use_sliding_window": True,
                                                  "sliding_window": 8, "attention_bias": True, "mlp_bias": True, **DEFAULT_ROPE},
                           long=True, off={"window": {"use_sliding_window": False}, "interval": {"no_rope_layer_interval": 4},
                                           "attention_bias": zero("o_proj.bias"), "mlp_bias": zero("down_proj.bias")},
                           old={**old_rope(), "layer_types": None, "no_rope_layers": None}),
    "gemma": case("GemmaForCausalLM", {"vocab_size": V, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
                                       "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 12, **DEFAULT_ROPE},
                  off={"hidden_act": {"hidden_act": "silu"}, "rms_norm_eps": {"rms_norm_eps": 1e-2}}, old=old_rope()),
    "gemma2": case("Gemma2ForCausalLM", {**GEMMA, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0, **DEFAULT_ROPE},
                   long=True, off={"attn_logit_softcapping": {"attn_logit_softcapping": None},
                                   "final_logit_softcapping": {"final_logit_softcapping": None},
                                   "query_pre_attn_scalar": {"query_pre_attn_scalar": 8},
                                   "window of 8, not 9": {"sliding_window": 9}, "rms_norm_eps": {"rms_norm_eps": 1e-6},
                                   "hidden_activation": {"hidden_activation": "silu"}},
                   old={**old_rope(), "layer_types": None}),
    "gemma3": case("Gemma3ForCausalLM",
                   {**GEMMA, "sliding_window_pattern": 2, "rope_parameters": {
                       "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1000.0},
                       "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}}},
                   long=True, off={"query_pre_attn_scalar": {"query_pre_attn_scalar": 8}, "q_norm": one("q_norm"),
                                   "window of 8, not 9": {"sliding_window": 9},
                                   "layer types": {"layer_types": ["full_attention", "sliding_attention", "full_attention"]},
                                   "rope_scaling": {"rope_parameters": {
                                       "full_attention": {"rope_type": "default", "rope_theta": 1000.0},
                                       "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}}},
                                   "rope_local_base_freq": {"rope_parameters": {
                                       "full_attention": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1000.0},
                                       "sliding_attention": {"rope_type": "default", "rope_theta": 1000.0}}}},
                   same={"attn_logit_softcapping": {"attn_logit_softcapping": 2.0}},
                   old={**old_rope(1000.0, rope_type="linear", factor=4.0), "rope_local_base_freq": 100.0, "layer_types": None,
                        "sliding_window_pattern": 2, "_sliding_window_pattern": None}),
    "gemma3-softcap": case("Gemma3ForCausalLM", {**GEMMA, "layer_types": ["sliding_attention", "full_attention", "full_attention"],
                                                 "final_logit_softcapping": 3.0, "attention_bias": True,
                                                 "tie_word_embeddings": False},
                           long=True, off={"final_logit_softcapping": {"final_logit_softcapping": None},
                                           "attention_bias": zero("o_proj.bias"), "own head": tie,
                                           "two thetas": {"rope_parameters": {
                                               "full_attention": {"rope_type": "default", "rope_theta": 10000.0},
                                               "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}}}),
    "phi3": case("Phi3ForCausalLM", {**LLAMA, "sliding_window": 8, **DEFAULT_ROPE}, long=True,
                 off={"sliding_window": {"sliding_window": None}}, old={**old_rope(), "partial_rotary_factor": None}),
    "phi3-partial": case("Phi3ForCausalLM", {**LLAMA, "tie_word_embeddings": False, "num_key_value_heads": 4,
                                             **llama_rope(rope_type="default", partial_rotary_factor=0.5)},
                         off={"partial_rotary_factor": llama_rope(rope_type="default", partial_rotary_factor=1.0), "own head": tie},
                         old={**old_rope(), "partial_rotary_factor": 0.5}),
    "phi3-longrope": case("Phi3ForCausalLM",
                          {**LLAMA, "original_max_position_embeddings": 16,
                           **llama_rope(rope_type="longrope", short_factor=[1.0, 1.25, 1.5, 2.0], long_factor=[1.0, 2.0, 4.0, 6.0])},
                          long=True, stepwise=True,
                          off={"rope_scaling": DEFAULT_ROPE,
                               "original length": {"original_max_position_embeddings": 64}},
                          old={**old_rope(type="longrope", short_factor=[1.0, 1.25, 1.5, 2.0], long_factor=[1.0, 2.0, 4.0, 6.0]),
                               "original_max_position_embeddings": 16, "partial_rotary_factor": None}),
    # --- opt, gpt_neox, biogpt ---
    "opt": case("OPTForCausalLM", {**OPT},
                off={"activation_function": {"activation_function": "gelu"}, "do_layer_norm_before": {"do_layer_norm_before": False}},
                same={"layer_norm_eps is fixed": {"layer_norm_eps": 0.1}}),
    "opt-350m": case("OPTForCausalLM", {**OPT, "word_embed_proj_dim": 16, "do_layer_norm_before": False},
                     off={"project_in": zero("project_in"), "project_out": zero("project_out"),
                          "do_layer_norm_before": {"do_layer_norm_before": True, "_remove_final_layer_norm": True}}),
    "opt-plain": case("OPTForCausalLM", {**OPT, "enable_bias": False, "layer_norm_elementwise_affine": False,
                                         "_remove_final_layer_norm": True, "activation_function": "gelu",
                                         "tie_word_embeddings": False},
                      off={"_remove_final_layer_norm": {"_remove_final_layer_norm": False}, "own head": tie}),
    "gpt_neox": case("GPTNeoXForCausalLM", {**NEOX, **llama_rope(rope_type="default", partial_rotary_factor=0.25)},
                     off={"rotary_pct": llama_rope(rope_type="default", partial_rotary_factor=1.0),
                          "use_parallel_residual": {"use_parallel_residual": False}, "own head": tie,
                          "layer_norm_eps": {"layer_norm_eps": 1e-5}},
                     old={"rope_parameters": None, "rotary_pct": 0.25, "rotary_emb_base": 100}),
    "gpt_neox-sequential": case("GPTNeoXForCausalLM",
                                {**NEOX, "use_parallel_residual": False, "hidden_act": "gelu_fast", "attention_bias": False,
                                 "tie_word_embeddings": True, **llama_rope(rope_type="linear", factor=4.0, partial_rotary_factor=0.5)},
                                long=True, off={"use_parallel_residual": {"use_parallel_residual": True},
                                                "rotary_pct": llama_rope(rope_type="linear", factor=4.0, partial_rotary_factor=1.0),
                                                "rope_scaling": llama_rope(rope_type="default", partial_rotary_factor=0.5),
                                                "rope_theta": llama_rope(10000.0, rope_type="linear", factor=4.0, partial_rotary_factor=0.5)},
                                old={"rope_parameters": None, "rotary_pct": 0.5, "rotary_emb_base": 100,
                                     "rope_scaling": {"type": "linear", "factor": 4.0}}),
    "biogpt-untied": case("BioGptForCausalLM",
                          dict(vocab_size=V, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48,
                               max_position_embeddings=64, tie_word_embeddings=False, scale_embedding=False, hidden_act="relu",
                               layer_norm_eps=0.1),
                          off={"own head": tie, "scale_embedding": {"scale_embedding": True}, "hidden_act": {"hidden_act": "gelu"}},
                          same={"layer_norm_eps is ignored": {"layer_norm_eps": 1e-12}}),
}


# ---------------------------------------------------------------------------------------------------------
# the tables of classifiers, encoders and encoder-decoders
# ---------------------------------------------------------------------------------------------------------
BERT = dict(vocab_size=V, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
            max_position_embeddings=48, type_vocab_size=2, layer_norm_eps=1e-2, pad_token_id=0)
ROBERTA = {**BERT, "type_vocab_size": 1, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
DISTILBERT = dict(vocab_size=V, dim=32, hidden_dim=48, n_layers=3, n_heads=4, max_position_embeddings=48, pad_token_id=0)
ELECTRA = {**BERT, "embedding_size": 16}
MPNET = dict(vocab_size=V, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
             max_position_embeddings=130, layer_norm_eps=1e-3, relative_attention_num_buckets=32)
MODERN = dict(vocab_size=V, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
              max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2,
              local_attention=8, norm_eps=1e-3)
MODERN_ROPE = {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1000.0},
                                   "sliding_attention": {"rope_type": "default", "rope_theta": 100.0}}}
MODERN_OLD = {"rope_parameters": None, "layer_types": None, "global_rope_theta": 1000.0, "local_rope_theta": 100.0}
BART = dict(vocab_size=V, d_model=32, encoder_layers=1, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=2,
            encoder_ffn_dim=48, decoder_ffn_dim=40, max_position_embeddings=48)
SAME_THETA = {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1000.0},
                                  "sliding_attention": {"rope_type": "default", "rope_theta": 1000.0}}}

# first, last: ids of the first and of the last token of a row (cls, sep); types: token types are given
CLASSIFIERS = {
    "bert-classifier": case("BertForSequenceClassification", {**BERT, **LABELS, "hidden_act": "relu"}, types=True,
                            off={"hidden_act": {"hidden_act": "gelu"}, "layer_norm_eps": {"layer_norm_eps": 1e-12},
                                 "pooler": zero("pooler")}),
    "xlm-roberta-classifier": case("XLMRobertaForSequenceClassification", {**ROBERTA, **LABELS}, first=0,
                                   off={"layer_norm_eps": {"layer_norm_eps": 1e-12}, "pad_token_id": {"pad_token_id": 5}}),
    "distilbert-classifier": case("DistilBertForSequenceClassification", {**DISTILBERT, **LABELS, "activation": "relu"},
                                  off={"activation": {"activation": "gelu"}},
                                  same={"layer norms use 1e-12": {"layer_norm_eps": 0.1},
                                        "sinusoidal_pos_embds": {"sinusoidal_pos_embds": True}}),
    "electra-classifier": case("ElectraForSequenceClassification", {**ELECTRA, **LABELS}, types=True,
                               off={"layer_norm_eps": {"layer_norm_eps": 1e-12}, "embeddings_project": zero("embeddings_project")},
                               same={"summary_activation": {"summary_activation": "tanh"}}),
    "modernbert-classifier": case("ModernBertForSequenceClassification", {**MODERN, **LABELS, **MODERN_ROPE, "global_attn_every_n_layers": 2},
                                  off={"local_attention": {"local_attention": 64}, "window of 4, not 5": {"local_attention": 10},
                                       "global_attn_every_n_layers": {"layer_types": ["full_attention"] * 3},
                                       "local_rope_theta": SAME_THETA, "classifier_pooling": {"classifier_pooling": "mean"},
                                       "norm_eps": {"norm_eps": 1e-5}},
                                  old=MODERN_OLD),
    "modernbert-mean": case("ModernBertForSequenceClassification",
                            {**MODERN, **LABELS, "classifier_pooling": "mean", "norm_bias": True, "attention_bias": True,
                             "mlp_bias": True, "classifier_bias": True, "classifier_activation": "relu", "hidden_activation": "silu"},
                            off={"classifier_pooling": {"classifier_pooling": "cls"}, "norm_bias": zero("norm.bias"),
                                 "attention_bias": zero("Wqkv.bias", "attn.Wo.bias"), "mlp_bias": zero("mlp.Wi.bias"),
                                 "classifier_bias": zero("head.dense.bias"), "classifier_activation": {"classifier_activation": "gelu"},
                                 "hidden_activation": {"hidden_activation": "gelu"}}),
    "bart-classifier": case("BartForSequenceClassification", {**BART, **LABELS}, first=0,
                            off={"scale_embedding": {"scale_embedding": True}, "decoder_start_token_id": {"decoder_start_token_id": 0}}),
}
ENCODERS = {
    "mpnet": case("MPNetModel", MPNET, first=0, pad=1, long=True,
                  off={"relative_attention_bias": zero("relative_attention_bias"), "layer_norm_eps": {"layer_norm_eps": 1e-12}},
                  same={"pad_token_id is fixed at 1": {"pad_token_id": 0}}),
    "distilbert": case("DistilBertModel", DISTILBERT, off={"activation": {"activation": "relu"}}),
    "roberta-encoder": case("RobertaModel", ROBERTA, first=0, off={"pad_token_id": {"pad_token_id": 5}}),
    "xlm-roberta": case("XLMRobertaModel", {**ROBERTA, "hidden_act": "gelu_new"}, first=0, std=0.25,
                        off={"hidden_act": {"hidden_act": "silu"}}),
    "modernbert": case("ModernBertModel", {**MODERN, **MODERN_ROPE}, long=True,
                       off={"local_attention": {"local_attention": 64}, "window of 4, not 5": {"local_attention": 10},
                            "global_attn_every_n_layers": {"layer_types": ["full_attention"] * 3}, "local_rope_theta": SAME_THETA},
                       old=MODERN_OLD),
    "electra": case("ElectraModel", ELECTRA, types=True, off={"embeddings_project": zero("embeddings_project")}),
}
SEQ2SEQ = {
    "bart": case("BartForConditionalGeneration", {**BART},
                 off={"final_logits_bias": lambda m: m.final_logits_bias.zero_(), "activation_function": {"activation_function": "relu"},
                      "scale_embedding": {"scale_embedding": True}}),
    "bart-scaled": case("BartForConditionalGeneration", {**BART, "scale_embedding": True, "activation_function": "relu"}, emb=0.1,
                        off={"scale_embedding": {"scale_embedding": False}, "activation_function": {"activation_function": "gelu"}},
                        same={"layer norms use 1e-5": {"layer_norm_eps": 0.1}}),
    "pegasus": case("PegasusForConditionalGeneration", {**BART, "scale_embedding": True, "activation_function": "relu"}, emb=0.2,
                    off={"scale_embedding": {"scale_embedding": False}, "activation_function": {"activation_function": "gelu"},
                         "final_logits_bias": lambda m: m.final_logits_bias.zero_(),
                         "positions": zero("embed_positions")}),
    "mbart": case("MBartForConditionalGeneration", {**BART, "scale_embedding": True}, emb=0.2,
                  off={"scale_embedding": {"scale_embedding": False}, "layernorm_embedding": one("layernorm_embedding.weight")}),
    "t5-today": case("T5ForConditionalGeneration",
                     dict(vocab_size=V, d_model=32, d_kv=6, d_ff=48, num_layers=1, num_decoder_layers=2, num_heads=4,
                          relative_attention_num_buckets=8, relative_attention_max_distance=20, feed_forward_proj="gated-silu",
                          tie_word_embeddings=False, decoder_start_token_id=0, layer_norm_epsilon=1e-3),
                     off={"feed_forward_proj": {"feed_forward_proj": "gated-gelu"}, "own head": tie,
                          "scale_decoder_outputs": {"tie_word_embeddings": True}, "layer_norm_epsilon": {"layer_norm_epsilon": 1e-6}},
                     old={"dense_act_fn": None, "is_gated_act": None, "scale_decoder_outputs": None, "tie_word_embeddings": False}),
}


# ---------------------------------------------------------------------------------------------------------
# helpers
# ---------------------------------------------------------------------------------------------------------
def check(cond, msg):
    if not cond:
        raise AssertionError(msg)


def maxdiff(a, b):
    return float((a.double() - b.double()).abs().max())


def rng(seed):
    return torch.Generator().manual_seed(seed)


def seed_of(name):
    return zlib.crc32(name.encode())


def rand_ids(g, n, lo=3, hi=V):
    return torch.randint(lo, hi, (n,), generator=g)


def pad_batch(rows, pad, side):
    n = max(len(r) for r in rows)
    ids, mask = torch.full((len(rows), n), pad), torch.zeros((len(rows), n), dtype=torch.long)
    for i, r in enumerate(rows):
        s = slice(n - len(r), n) if side == "left" else slice(0, len(r))
        ids[i, s], mask[i, s] = r, 1
    return ids, mask


def positions(mask):
    return (mask.cumsum(1) - 1).clamp(min=0)


def save(path, tensors):
    save_file({k: v.detach().contiguous().clone() for k, v in tensors.items()}, str(path), metadata={"format": "pt"})
    os.chmod(path, 0o644)


def randomize(model, seed, std, emb_std):
    """N(0, std) matrices, N(0, emb_std) embeddings, norm gains around 1, biases and other vectors N(0, 0.2)."""
    g = rng(seed)
    emb = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    plus_one = model.config.model_type.startswith("gemma")              # norms that multiply by 1 + weight
    fixed = {id(m.weight) for m in model.modules() if "Sinusoidal" in type(m).__name__}   # tables the library computes
    for name, p in sorted(model.named_parameters()):
        n = torch.randn(p.shape, generator=g)
        if id(p) in fixed:
            continue
        if p.ndim == 1 and name.endswith("weight"):
            p.copy_((0.0 if plus_one else 1.0) + 0.2 * n)
        elif p.ndim == 1:
            p.copy_(0.2 * n)
        else:
            p.copy_((emb_std if id(p) in emb else std) * n)
    for name, b in model.named_buffers():
        if name.endswith("final_logits_bias"):
            b.copy_(torch.randn(b.shape, generator=g))


def build(c, change=None):
    """A model with the weights that its constructor gives."""
    klass = getattr(transformers, c["cls"])
    config = klass.config_class(**{**c["config"], **(change or {})})
    m = klass._from_config(config, attn_implementation="eager", dtype=torch.float32).eval()
    if config.model_type == "t5":                     # the class always ties the head; a file with another head unties it
        m.lm_head.weight = torch.nn.Parameter(m.lm_head.weight.clone())
    return m


def load(d, c, dtype=torch.float32, change=None):
    klass = getattr(transformers, c["cls"])
    m, info = klass.from_pretrained(d, attn_implementation="eager", dtype=dtype, output_loading_info=True, **(change or {}))
    check(not info["missing_keys"] and not info["mismatched_keys"], f"{d}: {info}")
    return m.eval()


def changed(m, c, change):
    """The model with one setting changed: same weights."""
    if callable(change):
        other = build(c)
        other.load_state_dict(m.state_dict())
        change(other)
        return other
    other = build(c, change)
    bad = other.load_state_dict(m.state_dict(), strict=False)
    for n in bad.missing_keys:                       # a final norm that comes back etc.: as constructed
        check("norm" in n.lower(), f"{n} is missing with {change}")
    return other


def cache_name(m):
    return "cache" if "cache" in inspect.signature(m.forward).parameters else "past_key_values"


def cached(m, cache, **kw):
    r = m(use_cache=True, **{cache_name(m): cache}, **kw)
    return r.logits, r[cache_name(m)]


def write_files(name, c, m):
    """config.json and model.safetensors as save_pretrained writes them, and config-old.json."""
    d = OUT / name
    shutil.rmtree(d, ignore_errors=True)
    m.save_pretrained(d)
    (d / "generation_config.json").unlink(missing_ok=True)
    os.chmod(d / "model.safetensors", 0o644)
    if c.get("old"):
        cfg = json.loads((d / "config.json").read_text())
        cfg["torch_dtype"] = cfg.pop("dtype")
        cfg["transformers_version"] = "4.57.6"
        for k, v in c["old"].items():
            if v is None:
                cfg.pop(k, None)
            else:
                cfg[k] = None if v == "null" else v
        (d / "config-old.json").write_text(json.dumps(cfg, indent=2) + "\n")
    return d


def check_old(d, c, run, want):
    if not (d / "config-old.json").exists():
        return
    with tempfile.TemporaryDirectory() as t:
        shutil.copy(d / "config-old.json", Path(t) / "config.json")
        shutil.copy(d / "model.safetensors", t)
        got = run(load(t, c))
    check(maxdiff(got, want) == 0, f"{d}: config-old.json gives other logits")


def finish(name, c, d, m, inputs, f, probe):
    """Saves expected.safetensors; checks against float64, and that every setting matters. Returns the report."""
    out = f(load(d, c))
    ref = f(load(d, c, torch.float64, c.get("f64")))
    save(d / "expected.safetensors", {**inputs, **out})
    error = {k: float(f"{maxdiff(out[k], ref[k]):.2e}") for k in sorted(out)}
    check(max(error.values()) < 1e-5, f"{name}: f32 and f64 differ: {error}")
    m = load(d, c)
    base = probe(m)
    effect = {}
    for kind in ("off", "same"):
        for what, change in c.get(kind, {}).items():
            moved = maxdiff(probe(changed(m, c, change)), base)
            effect[what] = float(f"{moved:.2e}")
            check(moved > 1e-3 if kind == "off" else moved == 0, f"{name}: {what} moves the logits by {moved}")
    check_old(d, c, probe, probe(load(d, c)))
    size = sum(p.stat().st_size for p in d.iterdir())
    print(f"{name:24} {size:7} bytes  std {float(base.std()):.2f}  f64 {max(error.values()):.1e}  {effect}", flush=True)
    check(float(base.std()) > 0.05, f"{name}: degenerate")
    return {"class": c["cls"], "bytes": size, "logits_std": round(float(base.std()), 3), "f32_vs_f64_max_abs": error, "effect": effect}


# ---------------------------------------------------------------------------------------------------------
# causal
# ---------------------------------------------------------------------------------------------------------
def causal_outputs(c, m, inputs):
    """All expected tensors of one causal model; padded positions are zeroed."""
    single, ids, mask = inputs["single.input_ids"], inputs["padded.input_ids"], inputs["padded.attention_mask"]
    nxt, o = inputs["cached.padded.next_ids"], {}

    def run(i, a, p):
        hidden = m.base_model(input_ids=i, attention_mask=a, position_ids=p).last_hidden_state
        return hidden, m(input_ids=i, attention_mask=a, position_ids=p).logits

    def alone(row):
        a = torch.ones_like(row)
        return run(row, a, positions(a))

    def steps(row, first):
        """Prefill of `first` tokens, then one token at a time."""
        past, outs = None, []
        for a, b in [(0, first)] + [(t, t + 1) for t in range(first, row.shape[1])]:
            lg, past = cached(m, past, input_ids=row[:, a:b], attention_mask=torch.ones(1, b, dtype=torch.long),
                              position_ids=torch.arange(a, b)[None])
            outs.append(lg)
        return torch.cat(outs, 1)

    o["single.hidden"], o["single.logits"] = alone(single)
    check(maxdiff(m(input_ids=single).logits, o["single.logits"]) == 0, "default positions and mask")
    o["cached.single.logits"] = steps(single, 4)
    check(maxdiff(o["cached.single.logits"], o["single.logits"]) < 2e-5, "cache differs from the full pass")
    # left-padded batch; every row must equal the row alone (float64: only the rows alone, as masks overflow the f32 softmax)
    rows = [ids[i, -int(mask[i].sum()):][None] for i in range(len(ids))]
    hidden, logits = [torch.zeros(*ids.shape, n, dtype=m.dtype) for n in (o["single.hidden"].shape[-1], V)]
    for i, row in enumerate(rows):
        h, lg = alone(row)
        hidden[i, -row.shape[1]:], logits[i, -row.shape[1]:] = h[0], lg[0]
    if m.dtype == torch.float64:
        o["padded.hidden"], o["padded.logits"] = hidden, logits
        o["cached.padded.logits"] = torch.cat([alone(torch.cat([r, nxt[i:i + 1]], 1))[1][:, -nxt.shape[1] - 1:] for i, r in enumerate(rows)])
    else:
        h, lg = run(ids, mask, positions(mask))
        z = mask.unsqueeze(-1)
        o["padded.hidden"], o["padded.logits"] = h * z, lg * z
        check(maxdiff(o["padded.logits"], logits) < 2e-5, "left padding changes the result")
        lg, past = cached(m, None, input_ids=ids, attention_mask=mask, position_ids=positions(mask))
        cur, outs = mask, [lg[:, -1:]]
        for k in range(nxt.shape[1]):
            cur = torch.cat([cur, torch.ones(len(ids), 1, dtype=torch.long)], 1)
            lg, past = cached(m, past, input_ids=nxt[:, k:k + 1], attention_mask=cur, position_ids=positions(cur)[:, -1:])
            outs.append(lg)
        o["cached.padded.logits"] = torch.cat(outs, 1)
    if c.get("long"):
        row = inputs["long.input_ids"]
        o["long.logits"] = alone(row)[1]
        by_steps = steps(row, 12)
        if c.get("stepwise"):
            o["stepwise.long.logits"] = by_steps
            check(maxdiff(by_steps, o["long.logits"]) > 1e-3, "stepwise is the same as one pass")
        else:
            check(maxdiff(by_steps, o["long.logits"]) < 2e-5, "cache differs from the full pass, long prompt")
    return o


def make_causal(name, c):
    m = build(c)
    randomize(m, seed_of(name), c.get("std", 0.15), c.get("emb", 0.3))
    d = write_files(name, c, m)
    g = rng(seed_of(name) + 7)
    pad = m.config.pad_token_id or 0
    ids, mask = pad_batch([rand_ids(g, n) for n in (5, 11, 8)], pad, "left")
    inputs = {"single.input_ids": rand_ids(g, 12)[None], "padded.input_ids": ids, "padded.attention_mask": mask,
              "padded.position_ids": positions(mask), "cached.padded.next_ids": torch.stack([rand_ids(g, 4) for _ in range(3)])}
    if c.get("long"):
        inputs["long.input_ids"] = rand_ids(g, 40)[None]
    key = "long.input_ids" if c.get("long") else "single.input_ids"
    return finish(name, c, d, m, inputs, lambda m: causal_outputs(c, m, inputs), lambda m: m(input_ids=inputs[key]).logits)


# ---------------------------------------------------------------------------------------------------------
# classifiers and encoders
# ---------------------------------------------------------------------------------------------------------
def rows_of(g, c, lengths, pad):
    first, last = c.get("first", 1), 2
    make = lambda n: torch.cat([torch.tensor([first]), rand_ids(g, n - 2), torch.tensor([last])])
    return [make(n) for n in lengths]


def make_encoder(name, c):
    """Sequence classifiers (logits) and encoders (pooled states); right padding."""
    classifier = "ForSequenceClassification" in c["cls"]
    m = build(c)
    randomize(m, seed_of(name), c.get("std", 0.15), c.get("emb", 0.3))
    d = write_files(name, c, m)
    g = rng(seed_of(name) + 7)
    pad = c.get("pad", m.config.pad_token_id)
    ids, mask = pad_batch(rows_of(g, c, (8, 26, 15), pad), pad, "right")
    inputs = {"input_ids": ids, "attention_mask": mask, "single.input_ids": rows_of(g, c, [19], pad)[0][None]}
    if c.get("types"):
        types = torch.zeros_like(ids)
        types[1, 11:26] = 1
        inputs["token_type_ids"] = types
    if c.get("long"):                                 # beyond the exact relative buckets, and several windows
        inputs["long.input_ids"] = rows_of(g, c, [60], pad)[0][None]
    if name == "mpnet":                               # beyond the last bucket boundary
        inputs["long.input_ids"] = rows_of(g, c, [120], pad)[0][None]
    types = {"token_type_ids": inputs["token_type_ids"]} if c.get("types") else {}
    batch = {"input_ids": ids, "attention_mask": mask, **types}

    def rows_alone(m, i):
        n = int(mask[i].sum())
        return {k: v[i:i + 1, :n] for k, v in batch.items()}

    def f(m):
        base, z, o = m.base_model if classifier else m, mask.unsqueeze(-1), {}
        one = {"input_ids": inputs["single.input_ids"]}
        r = base(**batch)
        hidden = r.last_hidden_state
        if m.dtype == torch.float64:                  # the library's f32 softmax overflows with f64 masks
            hidden = torch.zeros_like(hidden)
            for i in range(len(ids)):
                h = base(**rows_alone(m, i)).last_hidden_state
                hidden[i, :h.shape[1]] = h[0]
        o["hidden"] = hidden * z
        o["single.hidden"] = base(**one).last_hidden_state
        alone = torch.cat([base(**rows_alone(m, i)).last_hidden_state[:, 0] for i in range(3)])
        check(maxdiff(alone, o["hidden"][:, 0]) < 2e-5, "padding changes the result")
        if classifier:
            alone = torch.cat([m(**rows_alone(m, i)).logits for i in range(3)])
            o["logits"] = alone if m.dtype == torch.float64 else m(**batch).logits
            check(maxdiff(alone, o["logits"]) < 2e-5, "padding changes the logits")
            o["single.logits"] = m(**one).logits
        else:
            o["cls"] = o["hidden"][:, 0]
            o["mean_pooled"] = o["hidden"].sum(1) / z.sum(1)
            o["sentence_embedding"] = F.normalize(o["mean_pooled"], p=2, dim=1)
            o["single.mean_pooled"] = o["single.hidden"].mean(1)
            if getattr(r, "pooler_output", None) is not None:
                o["pooler"] = torch.cat([m(**rows_alone(m, i)).pooler_output for i in range(3)])
        if c.get("long"):
            h = base(input_ids=inputs["long.input_ids"]).last_hidden_state
            o["long.mean_pooled"], o["long.cls"] = h.mean(1), h[:, 0]
        return o

    def probe(m):
        if classifier:
            return m(**batch).logits
        return m(input_ids=inputs["long.input_ids"]).last_hidden_state if c.get("long") else m(**batch).last_hidden_state * mask.unsqueeze(-1)
    return finish(name, c, d, m, inputs, f, probe)


# ---------------------------------------------------------------------------------------------------------
# encoder-decoders
# ---------------------------------------------------------------------------------------------------------
def shift_right(m, labels):
    """Decoder inputs that the library makes of labels."""
    if m.config.model_type == "t5":
        return m._shift_right(labels)
    module = sys.modules[type(m).__module__]
    if m.config.model_type == "mbart":                # starts with the last token (the language), no start token
        return module.shift_tokens_right(labels, m.config.pad_token_id)
    return module.shift_tokens_right(labels, m.config.pad_token_id, m.config.decoder_start_token_id)


def make_seq2seq(name, c):
    m = build(c)
    randomize(m, seed_of(name), c.get("std", 0.15), c.get("emb", 0.3))
    t5 = m.config.model_type == "t5"
    d = write_files(name, c, m)
    if t5:
        save(d / "model.safetensors", {k: v for k, v in m.state_dict().items() if "embed_tokens" not in k})
    g = rng(seed_of(name) + 7)
    pad, eos = m.config.pad_token_id, m.config.eos_token_id
    rows = lambda *lengths: [torch.cat([rand_ids(g, n - 1), torch.tensor([eos])]) for n in lengths]
    ids, mask = pad_batch(rows(7, 14, 10), pad, "right")
    labels, _ = pad_batch(rows(12, 5, 8), -100, "right")
    dec_in = shift_right(m, labels)
    inputs = {"encoder.input_ids": ids, "encoder.attention_mask": mask, "labels": labels, "decoder.input_ids": dec_in}

    def f(m):
        o, z = {}, mask.unsqueeze(-1)
        r = m(input_ids=ids, attention_mask=mask, decoder_input_ids=dec_in, labels=labels, output_hidden_states=True)
        o["encoder.hidden"], o["loss"] = r.encoder_last_hidden_state * z, r.loss.reshape(1)
        o["logits"], o["decoder.hidden"] = r.logits, r.decoder_hidden_states[-1]
        bias = 0 if t5 else m.final_logits_bias
        scale = m.config.d_model ** -0.5 if t5 and m.config.scale_decoder_outputs else 1.0
        check(maxdiff(F.linear(o["decoder.hidden"] * scale, m.lm_head.weight) + bias, r.logits) < 1e-5, "head of the decoder states")
        past, outs = None, []
        enc = m.get_encoder()(input_ids=ids, attention_mask=mask)
        for t in range(dec_in.shape[1]):
            lg, past = cached(m, past, encoder_outputs=enc, attention_mask=mask, decoder_input_ids=dec_in[:, t:t + 1])
            outs.append(lg)
        o["cached.logits"] = torch.cat(outs, 1)
        check(maxdiff(o["cached.logits"], o["logits"]) < 2e-5, "cache differs from the full pass")
        for i in range(3):
            n = int(mask[i].sum())
            lg = m(input_ids=ids[i:i + 1, :n], decoder_input_ids=dec_in[i:i + 1]).logits
            check(maxdiff(lg[0], r.logits[i]) < 2e-5, "encoder padding changes the result")
        return o

    return finish(name, c, d, m, inputs, f, lambda m: m(input_ids=ids, attention_mask=mask, decoder_input_ids=dec_in).logits)


@torch.no_grad()
def main():
    global OUT
    groups = {"causal": (CAUSAL, make_causal), "classifiers": (CLASSIFIERS, make_encoder), "encoders": (ENCODERS, make_encoder),
              "seq2seq": (SEQ2SEQ, make_seq2seq)}
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", default=str(OUT))
    ap.add_argument("--only", default=",".join(groups))
    a = ap.parse_args()
    OUT = Path(a.out); OUT.mkdir(parents=True, exist_ok=True)
    only = a.only.split(",")
    path = OUT / "report-more.json"
    report = json.loads(path.read_text()) if path.exists() else {}
    for group, (table, make) in groups.items():
        for name, c in table.items():
            if group in only or name in only:
                report[name] = make(name, c)
    path.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
