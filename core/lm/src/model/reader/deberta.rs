//! DeBERTa-v2/v3 (He et al., 2021) with disentangled attention to content and relative
//! position. Reference implementation: `DebertaV2Model` of transformers, with the options of the v3
//! checkpoints.
//!
//! Attention scores are computed only for the 2 length - 1 relative positions that occur, while the reference computes
//! them for all 512.

use burn::tensor::{DType, Device, Tensor};

use super::Body;
use crate::Result;
use crate::model::config::{Config, HEADS, HIDDEN, LAYERS, POSITIONS, VOCABULARY};
use crate::model::encoder::{Batch, Drop};
use crate::model::layers::{Activation, Embedding, LayerNorm, Linear, ids, softmax, to};
use crate::model::loader::Loader;

#[derive(Debug)]
struct Block {
    qkv: Linear,
    position_key: Tensor<3>,   // [heads, head_dim, 2 span]
    position_query: Tensor<3>, // [heads, head_dim, 2 span]
    out: Linear,
    attention_norm: LayerNorm,
    up: Linear,
    down: Linear,
    norm: LayerNorm,
}

/// A DeBERTa body.
#[derive(Debug)]
pub(in crate::model) struct Deberta {
    hidden: usize,
    heads: usize,
    buckets: usize,
    positions: usize,
    word: Embedding,
    norm: LayerNorm,
    blocks: Vec<Block>,
    activation: Activation,
    device: Device,
}

impl Deberta {
    pub(super) fn load(config: &Config, w: &Loader<'_>) -> Result<Self> {
        let d = config.size("hidden_size", HIDDEN)?;
        let heads = config.size("num_attention_heads", HEADS)?;
        let dim = config.head_dim("num_attention_heads", d, heads)?;
        let inner = config.size("intermediate_size", HIDDEN)?;
        let layers = config.size("num_hidden_layers", LAYERS)?;
        let positions = config.size("max_position_embeddings", POSITIONS)?;
        let vocabulary = config.size("vocab_size", VOCABULARY)?;
        let buckets = config.size("position_buckets", 2..=65_536)?;
        let eps = config.positive_or("layer_norm_eps", 1e-7)?;
        let activation = config.activation("hidden_act", Activation::Gelu)?;
        config.only("norm_rel_ebd", &["layer_norm"])?;
        // Where an absent entry means another form of DeBERTa, it must be there.
        for field in ["relative_attention", "share_att_key"] {
            if !config.flag_or(field, false)? {
                return Err(config.wrong(field, "true (the v3 form of DeBERTa)", "false"));
            }
        }
        if config.flag_or("position_biased_input", true)? {
            return Err(config.wrong("position_biased_input", "false (the v3 form of DeBERTa)", "true"));
        }
        if config.get("norm_rel_ebd").is_none() {
            return Err(config.wrong("norm_rel_ebd", "layer_norm", "nothing"));
        }
        for (field, accepted) in [
            ("type_vocab_size", "0"),
            ("conv_kernel_size", "0"),
            ("is_decoder", "false"),
            ("add_cross_attention", "false"),
        ] {
            config.only(field, &[accepted])?;
        }
        for (field, needed) in [("embedding_size", d), ("attention_head_size", dim)] {
            config.only(field, &[&needed.to_string()])?;
        }
        let furthest = config.get("max_relative_positions").and_then(serde_json::Value::as_i64).filter(|n| *n > 0);
        if furthest.is_some_and(|n| usize::try_from(n).ok() != Some(positions)) {
            return Err(config.wrong("max_relative_positions", format!("-1 or {positions}"), furthest.unwrap_or(0)));
        }
        let kinds = config.get("pos_att_type").map(ToString::to_string).unwrap_or_default();
        if !(kinds.contains("p2c") && kinds.contains("c2p")) {
            return Err(config.wrong("pos_att_type", "p2c and c2p", kinds));
        }
        let relative = w.matrix("encoder.rel_embeddings.weight", 2 * buckets, d)?;
        let relative = w.layer_norm("encoder.LayerNorm", d, eps)?.forward(relative);
        let blocks = (0..layers)
            .map(|i| {
                let n = |part: &str| format!("encoder.layer.{i}.{part}");
                let [q, k, v] = ["query", "key", "value"].map(|p| n(&format!("attention.self.{p}_proj")));
                let by_head = |x: Tensor<2>| x.reshape([2 * buckets, heads, dim]).permute([1, 2, 0]);
                Ok(Block {
                    position_key: by_head(w.linear(&k, d, d, true)?.forward(relative.clone())),
                    position_query: by_head(w.linear(&q, d, d, true)?.forward(relative.clone())),
                    qkv: w.fused(&[(&q, d), (&k, d), (&v, d)], d, true)?,
                    out: w.linear(&n("attention.output.dense"), d, d, true)?,
                    attention_norm: w.layer_norm(&n("attention.output.LayerNorm"), d, eps)?,
                    up: w.linear(&n("intermediate.dense"), d, inner, true)?,
                    down: w.linear(&n("output.dense"), inner, d, true)?,
                    norm: w.layer_norm(&n("output.LayerNorm"), d, eps)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            hidden: d,
            heads,
            buckets,
            positions,
            word: w.embedding("embeddings.word_embeddings.weight", vocabulary, d)?,
            norm: w.layer_norm("embeddings.LayerNorm", d, eps)?,
            blocks,
            activation,
            device: w.device().clone(),
        })
    }
    fn block(
        &self,
        block: &Block,
        x: Tensor<2>,
        rows: usize,
        (position_key, position_query): (Tensor<3>, Tensor<3>), // [heads, head_dim, 2 length]
        mask: Option<&Tensor<4>>,
        drop: impl Fn(usize, Tensor<2>) -> Tensor<2>,
    ) -> Tensor<2> {
        let [n, d] = x.dims();
        let (length, dim, heads) = (n / rows, d / self.heads, self.heads);
        let qkv = block.qkv.split(x.clone(), [d; 3]);
        let [q, k, v] = qkv.map(|t| t.reshape([rows, length, heads, dim]).swap_dims(1, 2));
        // The factor 3 is because three kinds of scores are summed.
        #[allow(clippy::cast_precision_loss)]
        let scale = 1.0 / (dim as f32 * 3.0).sqrt();
        let q = q * scale;
        // All rows share the position vectors: [heads, rows * length, dim] x [heads, dim, 2 length]
        let against = |t: Tensor<4>, p: Tensor<3>| {
            let s = t.swap_dims(0, 1).reshape([heads, rows * length, dim]).matmul(p);
            skew(s.reshape([heads * rows, length, 2 * length])).reshape([heads, rows, length, length]).swap_dims(0, 1)
        };
        let content_to_position = against(q.clone(), position_key);
        let position_to_content = against(k.clone() * scale, position_query).swap_dims(2, 3);
        let scores = q.matmul(k.swap_dims(2, 3)) + content_to_position + position_to_content; // [rows, heads, query, key]
        let mut scores = to(scores, DType::F32);
        if let Some(mask) = mask {
            scores = scores + mask.clone();
        }
        let out = to(softmax(scores), v.dtype()).matmul(v).swap_dims(1, 2).reshape([n, d]);
        let x = block.attention_norm.forward(drop(0, block.out.forward(out)) + x);
        let h = block.down.forward(self.activation.forward(block.up.forward(x.clone())));
        block.norm.forward(drop(1, h) + x)
    }
}

impl Body for Deberta {
    fn hidden(&self) -> usize {
        self.hidden
    }

    fn layers(&self) -> usize {
        self.blocks.len()
    }

    fn positions(&self) -> usize {
        self.positions
    }

    fn forward(&self, batch: &Batch, chosen: usize, drop: Drop<'_>) -> (Tensor<2>, Tensor<2>) {
        let (rows, length, device) = (batch.rows(), batch.length, &self.device);
        let mut x = self.norm.forward(self.word.forward(ids(batch.ids.iter().copied(), device)));
        if batch.padded() {
            let mask = batch.mask(device).reshape([rows * length, 1]);
            x = x.clone() * to(mask, x.dtype());
        }
        let (mask, mut at_layer) = (batch.scores(device), x.clone());
        // Column m of the position scores is for the distance m - (length - 1), or its negative. With one further
        // column `skew` needs no more than a reshape.
        let column = |sign: i64| {
            let half = i64::try_from(length).unwrap_or(0) - 1;
            let buckets = i64::try_from(self.buckets).unwrap_or(0);
            let positions = i64::try_from(self.positions).unwrap_or(0);
            let columns = (0..2 * length).map(|m| {
                let distance = sign * (i64::try_from(m).unwrap_or(0) - half);
                let place = bucket(distance, buckets, positions) + buckets;
                u32::try_from(place.clamp(0, 2 * buckets - 1)).unwrap_or(0)
            });
            ids(columns, device)
        };
        let (key_columns, query_columns) = (column(-1), column(1));
        for (layer, block) in self.blocks.iter().enumerate() {
            let positions = (
                block.position_key.clone().select(2, key_columns.clone()),
                block.position_query.clone().select(2, query_columns.clone()),
            );
            x = self.block(block, x, rows, positions, mask.as_ref(), |part, y| drop(layer, part, y));
            if layer + 1 == chosen {
                at_layer = x.clone();
            }
        }
        (at_layer, x)
    }
}

/// Moves scores by relative position to pairs of positions: `out[i, j] = x[i, j - i + length - 1]`, `[n, length, 2
/// length] -> [n, length, length]`.
fn skew(x: Tensor<3>) -> Tensor<3> {
    let [n, length, _] = x.dims();
    let flat = x.reshape([n, 2 * length * length]);
    let from = length - 1;
    let rows = flat.slice([0..n, from..from + length * (2 * length - 1)]).reshape([n, length, 2 * length - 1]);
    rows.slice([0..n, 0..length, 0..length])
}

/// Bucket of a relative distance: the distance itself up to half the number of buckets, logarithmic beyond
/// (`make_log_bucket_position` of transformers).
fn bucket(distance: i64, buckets: i64, positions: i64) -> i64 {
    let mid = buckets / 2;
    if distance.abs() <= mid {
        return distance;
    }
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    let place = {
        let (far, mid) = (distance.abs() as f32, mid as f32);
        ((far / mid).ln() / ((positions - 1) as f32 / mid).ln() * (mid - 1.0)).ceil() as i64
    };
    (place + mid) * distance.signum()
}
