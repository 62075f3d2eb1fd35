//! Training: parameters, examples, objectives, optimiser, learning-rate schedule, checkpoints and the training loop.
//! The module uses neither files nor clocks, so that a browser can run the same code.

pub mod attention;
pub mod calibration;
pub mod checkpoint;
pub mod classification;
pub mod course;
pub mod example;
pub mod gradient;
pub mod initial;
pub mod lora;
pub mod loss;
pub mod objective;
pub mod optimizer;
pub mod parameters;
pub mod pretraining;
pub mod schedule;
mod settings;
pub mod trainer;

pub use example::{Batch, Example};
pub use parameters::Parameters;
