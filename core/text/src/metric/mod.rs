//! Metrics that compare texts with texts, independent of any model and of the run that produced the texts.

pub mod bertscore;
pub mod bleu;
pub mod bootstrap;
pub mod chrf;
pub mod composite;
pub mod diversity;
pub mod duplicate;
#[cfg(test)]
mod golden;
pub mod ibleu;
pub mod levenshtein;
mod ngram;
pub mod parascore;
pub mod porter;
pub mod rouge;
pub mod rouge_n;
pub mod signature;
mod sums;
pub mod token;
pub mod tokenize_13a;
pub mod tree;
pub mod tree_distance;
mod union_lcs;
mod vocabulary;
