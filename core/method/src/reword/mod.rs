//! Rewording: a model that learns to write a damaged sentence back, from sentences alone. Asked for a paraphrase, it
//! gets the sentence damaged anew for each version, so that it has to find an order and words of its own (Hegde and
//! Patil, 2020; Niu et al., 2021).

pub mod damage;
pub mod objective;
pub mod words;

pub use damage::Damage;
pub use objective::Rewording;
