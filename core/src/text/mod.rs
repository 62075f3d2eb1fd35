//! Text without models: tokens, sentences, numbers, names.

pub mod entity;
pub mod number;
pub mod sentence;
pub mod tokenizer;
pub mod word;
