//! Models, one file per architecture, and the file formats that they are loaded from.

pub mod cache;
pub mod classifier;
pub mod config;
pub mod decoder;
pub mod encoder;
pub mod files;
pub mod folder;
pub mod gguf;
pub(crate) mod kernels;
pub mod layers;
pub mod lm;
pub mod loader;
pub mod memory;
mod number;
pub mod pooling;
mod reader;
pub mod safetensors;
pub mod save;
pub mod sentence;
mod tensor_source;
pub mod tensors;

mod bart;
mod biogpt;
mod gated;
mod gpt2;
mod neox;
mod opt;
mod rope;
mod t5;

pub use classifier::PairClassifier;
pub use encoder::Batch;
pub use folder::ModelFolder;
pub use lm::LanguageModel;
pub(crate) use number::all_finite;
pub use sentence::SentenceEncoder;
