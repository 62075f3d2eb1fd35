//! Generating pairs from a teacher (paper, sections 3.1 and 3.2): contexts, siblings and their judgement by the
//! critics.

pub mod contexts;
pub mod pipeline;
pub mod prefix;
