//! The state of the web app's worker that does not depend on a browser. The binary connects it to the page.

pub mod distilled;
pub mod training;
