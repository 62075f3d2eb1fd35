//! What the converter of llama.cpp makes of each architecture: names of tensors, their rows and values, and metadata.
//! Source: `conversion` in llama.cpp.

/// Names of the parts of a layer: in GGUF files and in Hugging Face checkpoints.
type Parts = &'static [(&'static str, &'static str)];

const ALL_LAYERS: Parts =
    &[("attn_norm", "input_layernorm"), ("attn_output", "self_attn.o_proj"), ("ffn_down", "mlp.down_proj")];
const SEPARATE: Parts = &[
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
];
const FUSED: Parts = &[("attn_qkv", "self_attn.qkv_proj"), ("ffn_up", "mlp.gate_up_proj")];
const INNER_NORM: Parts = &[("ffn_norm", "post_attention_layernorm")];
const OUTPUT_NORMS: Parts = &[
    ("post_attention_norm", "post_attention_layernorm"),
    ("ffn_norm", "pre_feedforward_layernorm"),
    ("post_ffw_norm", "post_feedforward_layernorm"),
];
const QUERY_NORMS: Parts = &[("attn_q_norm", "self_attn.q_norm"), ("attn_k_norm", "self_attn.k_norm")];

const QKV: &[&str] = &["attn_q", "attn_k", "attn_v"];
const ATTENTION: &[&str] = &["attn_q", "attn_k", "attn_v", "attn_output"];
const ALL_PROJECTIONS: &[&str] = &["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];

/// Metadata of every architecture, without its name in front. Those that say nothing about the computation are in it.
const SETTINGS: &[&str] = &[
    "attention.causal",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.value_length",
    "block_count",
    "context_length",
    "embedding_length",
    "expert_count",
    "expert_used_count",
    "feed_forward_length",
    "rope.dimension_count",
    "rope.freq_base",
    "rope.scaling.factor",
    "rope.scaling.finetuned",
    "rope.scaling.original_context_length",
    "rope.scaling.type",
    "rope.scaling.yarn_beta_fast",
    "rope.scaling.yarn_beta_slow",
    "tensor_data_layout",
    "vocab_size",
];

/// An architecture that can be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Architecture {
    /// `general.architecture`.
    pub name: &'static str,
    /// Names in transformers: `model_type` and class.
    pub model_type: &'static str,
    pub class: &'static str,
    parts: &'static [Parts],
    /// The parts that may have biases.
    pub biased: &'static [&'static str],
    /// Whether the two halves of the rows of each query and key head are interleaved.
    pub interleaved: bool,
    /// Whether 1 is added to the weights of norms.
    pub norms_shifted: bool,
    /// Its metadata beyond that of all.
    settings: &'static [&'static str],
}

const LLAMA: Architecture = Architecture {
    name: "llama",
    model_type: "llama",
    class: "LlamaForCausalLM",
    parts: &[ALL_LAYERS, SEPARATE, INNER_NORM],
    biased: ALL_PROJECTIONS,
    interleaved: true,
    norms_shifted: false,
    settings: &[],
};
const SMOLLM_3: Architecture =
    Architecture { name: "smollm3", model_type: "smollm3", class: "SmolLM3ForCausalLM", ..LLAMA };
const QWEN_2: Architecture = Architecture {
    name: "qwen2",
    model_type: "qwen2",
    class: "Qwen2ForCausalLM",
    biased: QKV,
    interleaved: false,
    ..LLAMA
};
const QWEN_3: Architecture = Architecture {
    name: "qwen3",
    model_type: "qwen3",
    class: "Qwen3ForCausalLM",
    parts: &[ALL_LAYERS, SEPARATE, INNER_NORM, QUERY_NORMS],
    biased: ATTENTION,
    ..QWEN_2
};
const PHI_3: Architecture = Architecture {
    name: "phi3",
    model_type: "phi3",
    class: "Phi3ForCausalLM",
    parts: &[ALL_LAYERS, FUSED, INNER_NORM],
    biased: &[],
    settings: &["attention.sliding_window", "rope.scaling.attn_factor"],
    ..QWEN_2
};
const GEMMA: Architecture = Architecture {
    name: "gemma",
    model_type: "gemma",
    class: "GemmaForCausalLM",
    biased: &[],
    norms_shifted: true,
    ..QWEN_2
};
const GEMMA_2: Architecture = Architecture {
    name: "gemma2",
    model_type: "gemma2",
    class: "Gemma2ForCausalLM",
    parts: &[ALL_LAYERS, SEPARATE, OUTPUT_NORMS],
    settings: &[
        "attention.sliding_window",
        "attention.sliding_window_pattern",
        "attn_logit_softcapping",
        "final_logit_softcapping",
    ],
    ..GEMMA
};
const GEMMA_3: Architecture = Architecture {
    name: "gemma3",
    model_type: "gemma3_text",
    class: "Gemma3ForCausalLM",
    parts: &[ALL_LAYERS, SEPARATE, OUTPUT_NORMS, QUERY_NORMS],
    settings: &[
        "attention.sliding_window",
        "attention.sliding_window_pattern",
        "final_logit_softcapping",
        "rope.freq_base_swa",
    ],
    ..GEMMA
};

const ALL: [Architecture; 8] = [LLAMA, QWEN_2, QWEN_3, SMOLLM_3, PHI_3, GEMMA, GEMMA_2, GEMMA_3];

impl Architecture {
    /// The architecture with this name in a GGUF file.
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|architecture| architecture.name == name)
    }

    /// The names of all, for messages.
    pub fn names() -> String {
        ALL.map(|architecture| architecture.name).join(", ")
    }

    /// Whether it has this metadata, given without the name of the architecture.
    pub fn has_setting(&self, key: &str) -> bool {
        SETTINGS.contains(&key) || self.settings.contains(&key)
    }

    /// The Hugging Face name of a tensor; `None` if a model of so many layers has no such tensor.
    pub fn hugging_face(&self, name: &str, layers: usize) -> Option<String> {
        match name {
            "token_embd.weight" => return Some("model.embed_tokens.weight".to_owned()),
            "output_norm.weight" => return Some("model.norm.weight".to_owned()),
            "output.weight" => return Some("lm_head.weight".to_owned()),
            _ => {}
        }
        let (layer, rest) = name.strip_prefix("blk.")?.split_once('.')?;
        let (part, end) = rest.split_once('.')?;
        let number: usize = layer.parse().ok()?;
        // Only the canonical spelling, so that no two names denote the same tensor.
        if number >= layers || number.to_string() != layer {
            return None;
        }
        if end != "weight" && !(end == "bias" && self.biased.contains(&part)) {
            return None;
        }
        let (_, part) = self.parts.iter().flat_map(|parts| parts.iter()).find(|(gguf, _)| *gguf == part)?;
        Some(format!("model.layers.{number}.{part}.{end}"))
    }
}
