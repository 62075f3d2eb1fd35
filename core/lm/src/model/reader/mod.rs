//! Models that read a whole text at once: the bodies of pair classifiers and sentence encoders.

mod deberta;
mod modernbert;
mod post_norm;

use std::fmt::Debug;

use burn::tensor::{Device, Tensor};

use super::config::Config;
use super::encoder::{Batch, Drop};
use super::loader::{Loader, Source};
use crate::{Error, Result};

pub(super) use deberta::Deberta;

/// Names of the architectures, as `model_type`.
pub(super) const NAMES: [&str; 8] =
    ["bert", "roberta", "xlm-roberta", "distilbert", "electra", "mpnet", "modernbert", "deberta-v2"];

/// The body of a model: everything but its head.
pub(super) trait Body: Debug + Send + Sync {
    /// Width of the hidden states.
    fn hidden(&self) -> usize;

    /// Number of layers.
    fn layers(&self) -> usize;

    /// Largest number of tokens of a text, special tokens included.
    fn positions(&self) -> usize;

    /// Hidden states of layer `layer` (0 = the embeddings, as in transformers) and of the last layer, with dropout by
    /// `drop`.
    ///
    /// # Shapes
    /// `-> [rows * length, hidden]`, twice
    fn forward(&self, batch: &Batch, layer: usize, drop: Drop<'_>) -> (Tensor<2>, Tensor<2>);
}

/// The loader of an architecture's weights.
///
/// # Errors
/// [`Error::Unsupported`] for another architecture; [`Error::Tensor`] if there are no embeddings.
pub(super) fn loader<'a>(config: &Config, source: Source<'a>, device: &'a Device) -> Result<Loader<'a>> {
    let (prefix, probe) = match config.model_type()? {
        "bert" => ("bert.", "embeddings.word_embeddings.weight"),
        "roberta" | "xlm-roberta" => ("roberta.", "embeddings.word_embeddings.weight"),
        "distilbert" => ("distilbert.", "embeddings.word_embeddings.weight"),
        "electra" => ("electra.", "embeddings.word_embeddings.weight"),
        "mpnet" => ("mpnet.", "embeddings.word_embeddings.weight"),
        "deberta-v2" => ("deberta.", "embeddings.word_embeddings.weight"),
        "modernbert" => ("model.", "embeddings.tok_embeddings.weight"),
        other => {
            return Err(Error::Unsupported {
                file: config.file().to_owned(),
                found: format!("model_type \"{other}\" as a model that reads texts"),
                expected: NAMES.join(", "),
            });
        }
    };
    Loader::of(source, device, &[prefix, ""], probe)
}

/// Builds the body of a configuration.
///
/// # Errors
/// [`Error::Config`] or [`Error::Tensor`] if configuration and weights do not fit; errors of reading the file.
pub(super) fn body(config: &Config, w: &Loader<'_>) -> Result<Box<dyn Body>> {
    config.check(false)?;
    Ok(match config.model_type()? {
        "deberta-v2" => Box::new(Deberta::load(config, w)?),
        "modernbert" => Box::new(modernbert::ModernBert::load(config, w)?),
        _ => Box::new(post_norm::PostNorm::load(config, w)?),
    })
}
