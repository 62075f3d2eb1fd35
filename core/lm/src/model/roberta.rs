//! RoBERTa (Liu et al., 2019) as a sentence-pair classifier. Reference implementation:
//! `RobertaForSequenceClassification` of transformers.

use burn::tensor::{Device, Tensor};

use super::config::{Config, LAYERS, POSITIONS, VOCABULARY};
use super::encoder::{Batch, Block, Drop, Shape};
use super::layers::{Embedding, LayerNorm, Linear, ids};
use super::loader::{Loader, Source};
use crate::Result;

/// A RoBERTa classifier.
#[derive(Debug)]
pub struct Roberta {
    hidden: usize,
    /// Largest number of tokens of a pair; the first rows of the position table are for padding.
    pub(super) positions: usize,
    pub(super) pad: u32,
    word: Embedding,
    position: Embedding,
    kind: Embedding,
    /// Largest segment id; 0 in the published models, which have a single segment.
    last_kind: u32,
    norm: LayerNorm,
    blocks: Vec<Block>,
    dense: Linear,
    out: Linear,
    device: Device,
}

impl Roberta {
    pub(super) fn load(config: &Config, source: Source<'_>, device: &Device, labels: usize) -> Result<Self> {
        let shape = Shape::read(config, 1e-5)?;
        let d = shape.hidden;
        let layers = config.size("num_hidden_layers", LAYERS)?;
        let table = config.size("max_position_embeddings", 3..=*POSITIONS.end())?;
        let vocabulary = config.size("vocab_size", VOCABULARY)?;
        let types = config.size_or("type_vocab_size", 1..=64, 1)?;
        let pad = config.size_or("pad_token_id", 0..=table - 2, 1)?;
        let w = Loader::of(source, device, &["roberta."], "embeddings.word_embeddings.weight")?;
        let model = Self {
            hidden: d,
            positions: table - pad - 1,
            pad: u32::try_from(pad).unwrap_or(1),
            word: w.embedding("embeddings.word_embeddings.weight", vocabulary, d)?,
            position: w.embedding("embeddings.position_embeddings.weight", table, d)?,
            kind: w.embedding("embeddings.token_type_embeddings.weight", types, d)?,
            last_kind: u32::try_from(types - 1).unwrap_or(0),
            norm: w.layer_norm("embeddings.LayerNorm", d, shape.eps)?,
            blocks: (0..layers)
                .map(|i| Block::load(&w, &format!("encoder.layer.{i}"), shape))
                .collect::<Result<_>>()?,
            dense: w.linear("/classifier.dense", d, d, true)?,
            out: w.linear("/classifier.out_proj", d, labels, true)?,
            device: device.clone(),
        };
        w.finish(layers)?;
        Ok(model)
    }

    /// Logits of the labels, `[rows, labels]`.
    pub(super) fn logits(&self, batch: &Batch, drop: Drop<'_>) -> Tensor<2> {
        let (rows, device) = (batch.rows(), &self.device);
        // Real tokens have positions from pad + 1, padding has position pad.
        let positions = batch.lengths.iter().flat_map(|&n| {
            (0..batch.length).map(move |i| if i < n { self.pad + 1 + u32::try_from(i).unwrap_or(0) } else { self.pad })
        });
        let x = self.word.forward(ids(batch.ids.iter().copied(), device))
            + self.position.forward(ids(positions, device))
            + self.kind.forward(ids(batch.types.iter().map(|&kind| kind.min(self.last_kind)), device));
        let mask = batch.scores(device);
        let x = self.blocks.iter().enumerate().fold(self.norm.forward(x), |x, (layer, block)| {
            block.forward(x, rows, mask.as_ref(), |part, y| drop(layer, part, y))
        });
        let first = x.reshape([rows, batch.length, self.hidden]).slice([0..rows, 0..1, 0..self.hidden]);
        self.out.forward(self.dense.forward(first.reshape([rows, self.hidden])).tanh())
    }
}
