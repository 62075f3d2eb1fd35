//! Students: their training folders, and the model folders that come out.
//!
//! ```text
//! DIR/student.toml              the plan of the training; its sha256 is the plan hash
//! DIR/checkpoints/step-00000050.safetensors   the last two, and best.safetensors
//! DIR/metrics.jsonl             a line a step; validation losses where they are due
//! DIR/model/                    the student: config.json model.safetensors tokenizer.json impossible.json README.md
//! DIR/report.html               curves
//! ```

pub mod curve;
pub mod data;
pub mod plan;
pub mod save;
pub mod training;

pub use plan::StudentPlan;
