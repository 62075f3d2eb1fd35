//! Models, one file each, and what they are loaded from.

pub mod cache;
pub mod classifier;
pub mod config;
pub mod encoder;
pub mod files;
pub mod folder;
pub mod gguf;
mod gguf_dequant;
mod gguf_llama;
mod gguf_reader;
mod gguf_tokenizer;
pub(crate) mod kernels;
pub mod layers;
pub mod lm;
pub mod loader;
pub mod memory;
pub mod safetensors;
pub mod save;
pub mod tensors;

mod bert;
mod biogpt;
mod deberta;
mod gpt2;
mod llama;
mod roberta;
mod t5;

pub use bert::Bert;
pub use classifier::PairClassifier;
pub use encoder::Batch;
pub use folder::ModelFolder;
pub use lm::LanguageModel;
