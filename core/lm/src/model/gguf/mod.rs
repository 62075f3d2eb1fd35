//! GGUF files: the header, the block formats, and a Llama in one as a checkpoint with its tokenizer.

mod dequant;
mod file;
mod llama;
mod reader;
mod tokenizer;

pub use dequant::Kind;
pub use file::Gguf;
pub use llama::{Llama, llama};
pub use reader::{Numbers, Value};
