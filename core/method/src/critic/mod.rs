//! The critics, one file each. A critic scores pairs and accepts or refuses them by their score; [`panel`] runs all
//! critics of a plan in order.
//!
//! Critics that need no model are [`FreeCritic`]s. Selection among pairs ([`cap`], [`diversity`]) compares several
//! pairs and is not a [`Critic`], but has a step in the funnel too.

pub mod cap;
mod chunks;
mod contract;
pub mod cosine;
pub mod diversity;
mod embeddings;
pub mod entailment;
pub mod entity;
pub mod length;
pub mod modality;
pub mod number;
pub mod pair;
pub mod panel;
pub mod quotes;
pub mod refilter;
pub mod rouge;
mod screen;
pub mod sentence_set;
pub mod statement;
pub mod versions;
pub mod words;

pub use contract::{BoxFuture, Critic, FreeCritic};
pub use cosine::SentenceEncoder;
pub use entailment::EntailmentModel;
pub use pair::Pair;
pub use panel::{Critics, Link, Panel, Verdicts};
pub use sentence_set::SentenceSet;
