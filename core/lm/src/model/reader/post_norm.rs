//! BERT (Devlin et al., 2019) and its kin: RoBERTa, XLM-RoBERTa, DistilBERT, ELECTRA and MPNet. Reference
//! implementations: `BertModel`, `RobertaModel`, `DistilBertModel`, `ElectraModel` and `MPNetModel` of transformers.

use burn::tensor::{DType, Device, Tensor};

use super::Body;
use crate::Result;
use crate::model::config::{Config, HEADS, HIDDEN, LAYERS, POSITIONS, VOCABULARY};
use crate::model::encoder::{Batch, Drop};
use crate::model::layers::{Activation, Embedding, LayerNorm, Linear, ids, softmax, to};
use crate::model::loader::Loader;
use crate::model::t5::Buckets;

/// Where the tensors of a block are.
struct Names {
    block: &'static str,
    query_key_value: [&'static str; 3],
    out: &'static str,
    attention_norm: &'static str,
    up: &'static str,
    down: &'static str,
    norm: &'static str,
}

const BERT: Names = Names {
    block: "encoder.layer",
    query_key_value: ["attention.self.query", "attention.self.key", "attention.self.value"],
    out: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    norm: "output.LayerNorm",
};

const DISTILBERT: Names = Names {
    block: "transformer.layer",
    query_key_value: ["attention.q_lin", "attention.k_lin", "attention.v_lin"],
    out: "attention.out_lin",
    attention_norm: "sa_layer_norm",
    up: "ffn.lin1",
    down: "ffn.lin2",
    norm: "output_layer_norm",
};

const MPNET: Names = Names {
    query_key_value: ["attention.attn.q", "attention.attn.k", "attention.attn.v"],
    out: "attention.attn.o",
    attention_norm: "attention.LayerNorm",
    ..BERT
};

/// How an architecture differs from BERT.
struct Kind {
    names: Names,
    eps: f64,
    /// Number of token types; 0 without them.
    types: usize,
    /// Width of the embeddings, if it is not that of the layers.
    embedding: Option<usize>,
    /// Position of the first token.
    first: usize,
    /// Whether attention has a bias by the distance of positions.
    relative: bool,
}

impl Kind {
    fn read(config: &Config, hidden: usize) -> Result<Self> {
        let types = |default| config.size_or("type_vocab_size", 0..=64, default);
        let eps = |default| config.positive_or("layer_norm_eps", default);
        let plain = Self { names: BERT, eps: 1e-12, types: 0, embedding: None, first: 0, relative: false };
        Ok(match config.model_type()? {
            // The norms of its reference have no setting.
            "distilbert" => Self { names: DISTILBERT, ..plain },
            "mpnet" => {
                // The reference has these numbers in its code.
                config.only("pad_token_id", &["1"])?;
                config.only("relative_attention_num_buckets", &["32"])?;
                Self { names: MPNET, eps: eps(1e-12)?, first: 2, relative: true, ..plain }
            }
            "electra" => {
                let width = config.size_or("embedding_size", HIDDEN, 128)?;
                Self { eps: eps(1e-12)?, types: types(2)?, embedding: Some(width).filter(|w| *w != hidden), ..plain }
            }
            "bert" => Self { eps: eps(1e-12)?, types: types(2)?, ..plain },
            _ => {
                let pad = config.size_or("pad_token_id", 0..=*VOCABULARY.end(), 1)?;
                Self { eps: eps(1e-12)?, types: types(2)?, first: pad + 1, ..plain }
            }
        })
    }
}

#[derive(Debug)]
struct Block {
    qkv: Linear,
    out: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    norm: LayerNorm,
}

/// A body whose parts are each followed by a layer norm.
#[derive(Debug)]
pub(super) struct PostNorm {
    hidden: usize,
    heads: usize,
    activation: Activation,
    positions: usize,
    /// Position of the first token. Padding has the position before it, or 0.
    first: u32,
    /// Largest token type.
    last_type: u32,
    word: Embedding,
    position: Embedding,
    types: Option<Embedding>,
    norm: LayerNorm,
    project: Option<Linear>,
    bias: Option<(Buckets, Tensor<2>)>, // [buckets, heads]
    blocks: Vec<Block>,
    device: Device,
}

impl PostNorm {
    pub(super) fn load(config: &Config, w: &Loader<'_>) -> Result<Self> {
        let config = &config.aliased(&[
            ("hidden_size", "dim"),
            ("intermediate_size", "hidden_dim"),
            ("num_hidden_layers", "n_layers"),
            ("num_attention_heads", "n_heads"),
            ("hidden_act", "activation"),
        ]);
        let d = config.size("hidden_size", HIDDEN)?;
        let heads = config.size("num_attention_heads", HEADS)?;
        config.head_dim("num_attention_heads", d, heads)?;
        for (field, accepted) in
            [("position_embedding_type", "absolute"), ("is_decoder", "false"), ("add_cross_attention", "false")]
        {
            config.only(field, &[accepted])?;
        }
        let kind = Kind::read(config, d)?;
        let inner = config.size("intermediate_size", HIDDEN)?;
        let layers = config.size("num_hidden_layers", LAYERS)?;
        let table = config.size("max_position_embeddings", kind.first + 1..=*POSITIONS.end())?;
        let vocabulary = config.size("vocab_size", VOCABULARY)?;
        let width = kind.embedding.unwrap_or(d);
        let buckets = Buckets { count: 32, furthest: 128 };
        let bias = || w.matrix("encoder.relative_attention_bias.weight", buckets.count, heads);
        let types = "embeddings.token_type_embeddings.weight";
        Ok(Self {
            hidden: d,
            heads,
            activation: config.activation("hidden_act", Activation::Gelu)?,
            positions: table - kind.first,
            first: u32::try_from(kind.first).unwrap_or(0),
            last_type: u32::try_from(kind.types.saturating_sub(1)).unwrap_or(0),
            word: w.embedding("embeddings.word_embeddings.weight", vocabulary, width)?,
            position: w.embedding("embeddings.position_embeddings.weight", table, width)?,
            types: if kind.types > 0 { Some(w.embedding(types, kind.types, width)?) } else { None },
            norm: w.layer_norm("embeddings.LayerNorm", width, kind.eps)?,
            project: kind.embedding.map(|width| w.linear("embeddings_project", width, d, true)).transpose()?,
            bias: if kind.relative { Some((buckets, bias()?)) } else { None },
            blocks: (0..layers).map(|i| Block::load(w, &kind, i, [d, inner])).collect::<Result<_>>()?,
            device: w.device().clone(),
        })
    }

    fn embed(&self, batch: &Batch) -> Tensor<2> {
        let device = &self.device;
        let positions = batch.lengths.iter().flat_map(|&n| {
            let place = move |i: usize| u32::try_from(i).unwrap_or(u32::MAX).saturating_add(self.first);
            // BERT numbers padding on, which no token sees.
            let padding = move |i: usize| if self.first == 0 { place(i) } else { self.first - 1 };
            (0..batch.length).map(move |i| if i < n { place(i) } else { padding(i) })
        });
        let mut x =
            self.word.forward(ids(batch.ids.iter().copied(), device)) + self.position.forward(ids(positions, device));
        if let Some(types) = &self.types {
            x = x + types.forward(ids(batch.types.iter().map(|&kind| kind.min(self.last_type)), device));
        }
        let x = self.norm.forward(x);
        self.project.as_ref().map_or(x.clone(), |project| project.forward(x))
    }

    /// What is added to scores: `[rows or 1, heads or 1, length or 1, length]`.
    fn mask(&self, batch: &Batch) -> Option<Tensor<4>> {
        let padding = batch.scores(&self.device);
        let Some((buckets, table)) = &self.bias else { return padding };
        let (length, pairs) = (batch.length, ids(buckets.pairs(batch.length), &self.device));
        let bias = table.clone().select(0, pairs).reshape([1, length, length, self.heads]).permute([0, 3, 1, 2]);
        let bias = to(bias, DType::F32);
        Some(padding.map_or(bias.clone(), |padding| padding + bias))
    }
}

impl Body for PostNorm {
    fn hidden(&self) -> usize {
        self.hidden
    }

    fn layers(&self) -> usize {
        self.blocks.len()
    }

    fn positions(&self) -> usize {
        self.positions
    }

    fn forward(&self, batch: &Batch, layer: usize, drop: Drop<'_>) -> (Tensor<2>, Tensor<2>) {
        let mask = self.mask(batch);
        let mut x = self.embed(batch);
        let mut chosen = x.clone();
        for (i, block) in self.blocks.iter().enumerate() {
            let drop = |part, y| drop(i, part, y);
            x = block.forward(x, (batch.rows(), self.heads), mask.as_ref(), self.activation, drop);
            if i + 1 == layer {
                chosen = x.clone();
            }
        }
        (chosen, x)
    }
}

impl Block {
    fn load(w: &Loader<'_>, kind: &Kind, layer: usize, [d, inner]: [usize; 2]) -> Result<Self> {
        let n = |part: &str| format!("{}.{layer}.{part}", kind.names.block);
        let [q, k, v] = kind.names.query_key_value.map(n);
        Ok(Self {
            qkv: w.fused(&[(&q, d), (&k, d), (&v, d)], d, true)?,
            out: w.linear(&n(kind.names.out), d, d, true)?,
            attention_norm: w.layer_norm(&n(kind.names.attention_norm), d, kind.eps)?,
            up: w.linear(&n(kind.names.up), d, inner, true)?,
            down: w.linear(&n(kind.names.down), inner, d, true)?,
            norm: w.layer_norm(&n(kind.names.norm), d, kind.eps)?,
        })
    }

    /// `[rows * length, hidden] -> [rows * length, hidden]`
    fn forward(
        &self,
        x: Tensor<2>,
        (rows, heads): (usize, usize),
        mask: Option<&Tensor<4>>,
        activation: Activation,
        drop: impl Fn(usize, Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let [n, d] = x.dims();
        let (length, dim) = (n / rows, d / heads);
        let qkv = self.qkv.split(x.clone(), [d; 3]);
        let [q, k, v] = qkv.map(|t| t.reshape([rows, length, heads, dim]).swap_dims(1, 2));
        #[allow(clippy::cast_precision_loss)]
        let scores = (q / (dim as f32).sqrt()).matmul(k.swap_dims(2, 3)); // [rows, heads, query, key]
        let mut scores = to(scores, DType::F32);
        if let Some(mask) = mask {
            scores = scores + mask.clone();
        }
        let out = to(softmax(scores), v.dtype()).matmul(v).swap_dims(1, 2).reshape([n, d]);
        let x = self.attention_norm.forward(drop(0, self.out.forward(out)) + x);
        let h = self.down.forward(activation.forward(self.up.forward(x.clone())));
        self.norm.forward(drop(1, h) + x)
    }
}
