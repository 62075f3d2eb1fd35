//! The three tiny models that are built into the program, so that it works without downloads and without a place to
//! write to.

use std::sync::Arc;

use lm::model::ModelFolder;
use lm::model::files::{Files, MemoryFiles};
use record::Result;
use record::presets::{TINY_CRITIC, TINY_STUDENT, TINY_TEACHER};

use crate::fs::sha256;

/// A model folder that is part of the program.
#[derive(Debug)]
pub struct Builtin {
    /// Name of the model.
    pub name: &'static str,
    files: &'static [(&'static str, &'static [u8])],
}

macro_rules! carried {
    ($name:expr, $folder:literal, $($more:literal),*) => {
        Builtin {
            name: $name,
            files: &[
                $(carried!(@ $folder, $more),)*
                carried!(@ $folder, "README.md"),
                carried!(@ $folder, "config.json"),
                carried!(@ $folder, "golden.json"),
                carried!(@ $folder, "model.safetensors"),
                carried!(@ $folder, "tokenizer.json"),
                carried!(@ $folder, "tokenizer_config.json"),
            ],
        }
    };
    (@ $folder:literal, $file:literal) => {
        ($file, include_bytes!(concat!("../../../assets/tiny/", $folder, "/", $file)))
    };
}

static ALL: [Builtin; 3] = [
    carried!(TINY_TEACHER, "teacher", "generation_config.json"),
    carried!(TINY_CRITIC, "critic",),
    carried!(TINY_STUDENT, "student", "generation_config.json", "impossible.json"),
];

impl Builtin {
    /// The built-in model of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|model| model.name == name)
    }

    /// The content of one of its files.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&'static [u8]> {
        self.files.iter().find(|file| file.0 == name).map(|file| file.1)
    }

    /// Opens the model.
    ///
    /// # Errors
    /// As [`ModelFolder::open`].
    pub fn open(&self) -> Result<ModelFolder> {
        let files: MemoryFiles = self.files.iter().map(|(name, bytes)| (*name, bytes.to_vec())).collect();
        let files: Arc<dyn Files> = Arc::new(files.of(self.name));
        ModelFolder::open(&files)
    }

    /// SHA-256 of its weights.
    #[must_use]
    pub fn weights_hash(&self) -> Option<String> {
        self.file("model.safetensors").map(sha256)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_model_opens() {
        for model in &ALL {
            assert!(std::ptr::eq(Builtin::named(model.name).unwrap(), model));
            let folder = model.open().unwrap();
            assert!(folder.parameters() > 100_000, "{}", model.name);
            assert_eq!(model.weights_hash().unwrap().len(), 64);
        }
        assert!(Builtin::named("gpt2").is_none());
    }
}
