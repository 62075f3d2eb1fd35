//! What a distillation is told and what it writes: the plan and its presets, rows and verdicts, errors, progress, and the
//! random streams that its bytes depend on. No models: a web page links this crate and nothing below it.

mod device;
mod error;
mod funnel;
pub mod monitor;
mod names;
pub mod plan;
pub mod presets;
pub mod random;
mod rows;
mod verdict;
mod version;

pub use device::DeviceSpec;
pub use error::{Error, ErrorKind, Result};
pub use funnel::{ContextOutcome, Funnel, FunnelStep, Rewrites, SampleOutcome, Step, VersionCounts};
pub use monitor::Monitor;
pub use presets::Preset;
pub use rows::{Context, Finish, Kept, Sample, Scored, Task};
pub use verdict::Refusal;
pub use version::{Style, Version};
