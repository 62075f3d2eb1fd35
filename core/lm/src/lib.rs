//! Small language models in burn: loading checkpoints, fast sampling of many continuations of one prefix, beam and
//! contrastive search, pair classifiers, sentence encoders and training. The crate is independent of the distillation
//! method.

mod batches;
pub mod decode;
pub mod device;
#[cfg(not(target_family = "wasm"))]
pub mod lanes;
pub mod likelihood;
pub mod model;
pub mod scoring;
pub mod tokenizer;
pub mod train;
pub mod train_tokenizer;

pub(crate) use record::{Error, Result};
