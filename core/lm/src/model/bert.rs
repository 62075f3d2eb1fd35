//! BERT (Devlin et al., 2019) as a sentence encoder: the masked mean of the last hidden states, normalised to length 1
//! (Reimers and Gurevych, 2019). Reference implementations: `BertModel` of transformers, mean pooling of
//! sentence-transformers.

use burn::tensor::{Device, Tensor};

use super::config::{Config, LAYERS, POSITIONS, VOCABULARY};
use super::encoder::{Batch, Block, Shape};
use super::layers::{Embedding, LayerNorm, ids};
use super::loader::Loader;
use super::tensors::Tensors;
use crate::{Error, Result};

/// A BERT encoder.
#[derive(Debug)]
pub struct Bert {
    hidden: usize,
    positions: usize,
    word: Embedding,
    position: Embedding,
    kind: Embedding,
    norm: LayerNorm,
    blocks: Vec<Block>,
    device: Device,
}

impl Bert {
    /// Builds the encoder from a checkpoint's tensors.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another architecture; [`Error::Config`] or [`Error::Tensor`] if configuration and
    /// weights do not fit; errors of reading the file.
    pub fn load(config: &Config, tensors: &Tensors, device: &Device) -> Result<Self> {
        let kind = config.model_type()?;
        if kind != "bert" {
            return Err(Error::Unsupported {
                file: config.file().to_owned(),
                found: format!("model_type \"{kind}\" as a sentence encoder"),
                expected: "bert".into(),
            });
        }
        config.check(false)?;
        let shape = Shape::read(config, 1e-12)?;
        let d = shape.hidden;
        let layers = config.size("num_hidden_layers", LAYERS)?;
        let positions = config.size("max_position_embeddings", POSITIONS)?;
        let vocabulary = config.size("vocab_size", VOCABULARY)?;
        let types = config.size_or("type_vocab_size", 1..=64, 2)?;
        let w = Loader::new(tensors, device, &["bert.", ""], "embeddings.word_embeddings.weight")?;
        let model = Self {
            hidden: d,
            positions,
            word: w.embedding("embeddings.word_embeddings.weight", vocabulary, d)?,
            position: w.embedding("embeddings.position_embeddings.weight", positions, d)?,
            kind: w.embedding("embeddings.token_type_embeddings.weight", types, d)?,
            norm: w.layer_norm("embeddings.LayerNorm", d, shape.eps)?,
            blocks: (0..layers)
                .map(|i| Block::load(&w, &format!("encoder.layer.{i}"), shape))
                .collect::<Result<_>>()?,
            device: device.clone(),
        };
        w.finish(layers)?;
        Ok(model)
    }

    /// Largest number of tokens of a text.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Number of layers.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.blocks.len()
    }

    /// Width of the hidden states.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.hidden
    }

    /// Hidden states of the last layer.
    ///
    /// # Shapes
    /// `-> [rows * length, hidden]`
    #[must_use]
    pub fn forward(&self, batch: &Batch) -> Tensor<2> {
        self.forward_with(batch, self.blocks.len()).1
    }

    /// Hidden states of layer `layer` (0 = the embeddings, as in transformers) and of the last layer.
    ///
    /// # Shapes
    /// `-> [rows * length, hidden]`, twice
    #[must_use]
    pub fn forward_with(&self, batch: &Batch, layer: usize) -> (Tensor<2>, Tensor<2>) {
        let (rows, device) = (batch.rows(), &self.device);
        let positions = (0..rows).flat_map(|_| (0..batch.length).map(|i| u32::try_from(i).unwrap_or(u32::MAX)));
        let x = self.word.forward(ids(batch.ids.iter().copied(), device))
            + self.position.forward(ids(positions, device))
            + self.kind.forward(ids(batch.types.iter().copied(), device));
        let mask = batch.scores(device);
        let (before, after) = self.blocks.split_at(layer.min(self.blocks.len()));
        let run =
            |x, blocks: &[Block]| blocks.iter().fold(x, |x, block| block.forward(x, rows, mask.as_ref(), |_, y| y));
        let chosen = run(self.norm.forward(x), before);
        (chosen.clone(), run(chosen, after))
    }

    /// Mean of the last hidden states over the real tokens, normalised to length 1.
    ///
    /// # Shapes
    /// `-> [rows, hidden]`
    #[must_use]
    pub fn embed(&self, batch: &Batch) -> Tensor<2> {
        let (rows, length) = (batch.rows(), batch.length);
        let mask = batch.mask(&self.device);
        let counts = mask.clone().sum_dim(1); // [rows, 1]
        let hidden = self.forward(batch).reshape([rows, length, self.hidden]) * mask.reshape([rows, length, 1]);
        let mean = hidden.sum_dim(1).reshape([rows, self.hidden]) / counts;
        let norm = mean.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
        mean / norm
    }
}
