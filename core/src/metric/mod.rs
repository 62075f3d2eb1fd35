//! Measures of text against text. They know nothing of models or of the run that made the text.

pub mod rouge;
