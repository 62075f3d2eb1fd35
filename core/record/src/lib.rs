//! Inputs and outputs of a distillation: the plan and its presets, rows, refusals, errors, progress, and the random
//! streams that make runs reproducible. The crate has no models, so that the web page can link it without them.

mod device;
mod error;
mod funnel;
mod lines;
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
pub use lines::json_line;
pub use monitor::Monitor;
pub use presets::Preset;
pub use rows::{Context, Finish, Kept, Sample, Scored, Task};
pub use verdict::Refusal;
pub use version::{Style, Version};
