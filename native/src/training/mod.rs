//! Trainings: their folders, and the model folders that come out.
//!
//! ```text
//! DIR/student.toml (pretrain.toml, critic.toml)   the plan of the training; its sha256 is the plan hash
//! DIR/checkpoints/step-00000050.safetensors   the last two, and best.safetensors
//! DIR/metrics.jsonl             a line a step; validation losses where they are due
//! DIR/model/                    config.json model.safetensors tokenizer.json README.md; of a student, impossible.json
//! DIR/report.html               curves
//! ```

pub mod folder;
pub mod labelled;
pub mod new;
pub mod pairs;
pub mod plan;
pub mod save;
pub mod settings;

pub use plan::StudentPlan;
