//! GGUF files: the header, the block formats, and a Llama in one as a checkpoint with its tokenizer.

mod byte_level;
mod dequant;
mod file;
mod kind;
mod kquants;
mod llama;
mod reader;
mod sentencepiece;
mod tokenizer;
mod vocabulary;

pub use file::Gguf;
pub use kind::Kind;
pub use llama::{Llama, llama};
pub use reader::{Numbers, Value};
