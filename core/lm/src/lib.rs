//! Small language models in burn: loading what people have on disk, sampling many continuations of one prefix fast,
//! searches, classifiers and sentence encoders, and training. Knows nothing of distillation.

pub mod decode;
pub mod device;
#[cfg(not(target_family = "wasm"))]
pub mod lanes;
pub mod model;
pub mod scoring;
pub mod tokenizer;
pub mod train;
pub mod train_tokenizer;

pub(crate) use record::{Error, Result};
