//! GGUF files: the header, the block formats, and the model in one as a checkpoint with its tokenizer.

mod architecture;
mod byte_level;
mod checkpoint;
mod config;
mod dequant;
mod file;
#[cfg(test)]
mod fixture;
mod header;
mod kind;
mod kquants;
mod reader;
mod rotary;
mod sentencepiece;
mod settings;
mod split;
mod tokenizer;
mod vocabulary;

pub use checkpoint::Checkpoint;
pub use file::Gguf;
pub use kind::Kind;
pub use reader::{Numbers, Value};
pub use split::parts;
