//! Text without models: tokens, sentences, numbers, names, modality.

pub mod entity;
pub mod modality;
pub mod number;
pub mod sentence;
pub mod tokenizer;
pub mod train_tokenizer;
pub mod word;
