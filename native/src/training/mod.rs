//! Trainings: their folders, plans and checkpoints, and the resulting model folders.
//!
//! ```text
//! DIR/student.toml (pretrain.toml, critic.toml)   the plan of the training; its SHA-256 is the plan hash
//! DIR/checkpoints/step-00000050.safetensors   the last two checkpoints, and best.safetensors
//! DIR/metrics.jsonl             one line per step, with the held-out loss after evaluations
//! DIR/model/                    config.json model.safetensors tokenizer.json README.md and others; of a student also
//!                               impossible.json
//! DIR/report.html               loss curves
//! ```

pub mod folder;
pub mod labelled;
pub mod new;
pub mod pairs;
pub mod plan;
pub mod save;
mod seal;
pub mod settings;

pub use plan::StudentPlan;
