//! How sentences are damaged for a reworder: a model that learns to write a damaged sentence back, from sentences alone.
//! For a paraphrase it gets the sentence damaged anew for each version, so that it has to choose an order and words of
//! its own (Hegde and Patil, 2020; Niu et al., 2021). Its training is `student::rewording`, its prompts `student::format`.

pub mod damage;
pub mod words;

pub use damage::Damage;
