//! GGUF files: the header, the block formats, and a Llama in one as a checkpoint with its tokenizer.

mod dequant;
mod file;
mod kind;
mod kquants;
mod llama;
mod reader;
mod tokenizer;

pub use file::Gguf;
pub use kind::Kind;
pub use llama::{Llama, llama};
pub use reader::{Numbers, Value};
