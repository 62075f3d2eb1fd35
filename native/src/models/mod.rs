//! Opening models by name or path.

use lm::model::ModelFolder;
use record::Result;

pub mod builtin;
mod disk;
pub mod files;
pub mod origin;
pub mod place;
pub mod pytorch;
pub mod store;
pub mod student;

pub use self::disk::weights_hash;
pub use self::place::Place;
pub use self::store::Store;

/// Opens a model folder or a GGUF file, by name or path. Of the weights only headers are read.
///
/// # Errors
/// As [`Store::resolve`]; errors of reading the files.
pub fn open(store: &Store, name: &str) -> Result<ModelFolder> {
    store.resolve(name)?.open()
}
