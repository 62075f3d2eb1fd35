//! GGUF files: the header, the block formats, and a Llama in one as a checkpoint with its tokenizer.

mod byte_level;
mod dequant;
mod file;
#[cfg(test)]
mod fixture;
mod header;
mod kind;
mod kquants;
mod llama;
mod reader;
mod sentencepiece;
mod split;
mod tokenizer;
mod vocabulary;

pub use file::Gguf;
pub use kind::Kind;
pub use llama::{Llama, llama};
pub use reader::{Numbers, Value};
pub use split::parts;
