//! Measures of text against text. They know nothing of models or of the run that made the text.

pub mod bleu;
pub mod chrf;
#[cfg(test)]
mod golden;
pub mod ibleu;
mod ngram;
pub mod porter;
pub mod rouge;
pub mod rouge_n;
pub mod signature;
pub mod tokenize_13a;
mod union_lcs;
mod vocabulary;
