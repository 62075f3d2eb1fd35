//! Folders that commands write: which may be written to, who is writing, and what was written.
//!
//! One rule holds for every `--out`: the folder is new, or empty, or an earlier output of the same kind by this program.
//! Any other folder is refused and nothing in it is touched. Runs and trainings are continued in their folder; other
//! outputs replace an earlier one with `--force`, and all at once (without it if the new files are known to be the same).

mod claim;
mod kind;
mod lock;
pub mod manifest;
mod staged;

pub use claim::{check, claim, claim_or_set_aside, kind_of};
pub use kind::Kind;
pub use lock::Lock;
pub use manifest::{MANIFEST, Manifest};
pub use staged::{Replace, Staged};
