//! Opening a model: a Hugging Face folder or a GGUF file.

use std::sync::Arc;

use super::config::Config;
use super::files::{Files, read_all};
use super::gguf;
use super::lm::LanguageModel;
use super::safetensors::TensorIndex;
use super::tensors::Tensors;
use crate::tokenizer::{LARGEST_FILE, Tokenizer};
use crate::{Error, Result};

/// Largest accepted `config.json`, in bytes.
const LARGEST_CONFIG: usize = 16 << 20;

/// Configuration, weights and tokenizer of one model.
pub struct ModelFolder {
    /// Architecture and sizes.
    pub config: Config,
    /// The weights, which are read when the model is built.
    pub tensors: Tensors,
    /// The tokenizer, if the folder has a `tokenizer.json`.
    pub tokenizer: Option<Tokenizer>,
    place: String,
}

impl ModelFolder {
    /// Opens a Hugging Face folder with `config.json`, `model.safetensors` or its index, and optionally
    /// `tokenizer.json`. Of the weights only headers are read.
    ///
    /// # Errors
    /// [`Error::Missing`] names a missing file; errors of reading the files.
    pub fn open(files: &Arc<dyn Files>) -> Result<Self> {
        let tensors = Tensors::Safetensors(TensorIndex::open(files.clone())?);
        Self::with_tensors(files, tensors)
    }

    /// Opens a folder whose weights were opened by the caller, such as a `pytorch_model.bin`.
    ///
    /// # Errors
    /// As [`ModelFolder::open`].
    pub fn with_tensors(files: &Arc<dyn Files>, tensors: Tensors) -> Result<Self> {
        let config_name = files.describe("config.json");
        let config = Config::parse(&config_name, (*read_all(&**files, "config.json", LARGEST_CONFIG)?).as_ref())?;
        let tokenizer = match files.size("tokenizer.json")? {
            None => None,
            Some(_) => {
                let bytes = read_all(&**files, "tokenizer.json", LARGEST_FILE)?;
                Some(Tokenizer::parse(&files.describe("tokenizer.json"), (*bytes).as_ref())?)
            }
        };
        Ok(Self { config, tensors, tokenizer, place: files.describe("tokenizer.json") })
    }

    /// Opens a GGUF file of a Llama model, whose metadata provide configuration and tokenizer.
    ///
    /// # Errors
    /// Errors of reading the file; [`Error::Unsupported`] for other architectures.
    pub fn open_gguf(files: &Arc<dyn Files>, name: &str) -> Result<Self> {
        let place = files.describe(name);
        let llama = gguf::llama(files.clone(), name)?;
        let config = Config::parse(&place, llama.config().to_string().as_bytes())?;
        let tokenizer = Tokenizer::parse(&place, llama.tokenizer()?.to_string().as_bytes())?;
        Ok(Self { config, tensors: Tensors::Gguf(llama), tokenizer: Some(tokenizer), place })
    }

    /// Id of the end-of-text token: the configuration's first one, else the tokenizer's first special token.
    ///
    /// # Errors
    /// [`Error::Config`] if there is neither; [`Error::Missing`] without a tokenizer; as [`LanguageModel::sizes_of`].
    pub fn end(&self) -> Result<u32> {
        let sizes = LanguageModel::sizes_of(&self.config)?;
        let special = self.tokenizer()?.special();
        sizes.eos.first().or(special.first()).copied().ok_or_else(|| Error::Config {
            file: self.config.file().to_owned(),
            field: "eos_token_id".into(),
            expected: "an end-of-text token, so that a student can learn to stop".into(),
            found: "none, and no special token".into(),
        })
    }

    /// Number of values in all tensors.
    #[must_use]
    pub fn parameters(&self) -> usize {
        let size = |name: &str| self.tensors.info(name).map_or(0, |info| info.shape.iter().product::<usize>());
        self.tensors.names().iter().map(|name| size(name)).sum()
    }

    /// The tokenizer.
    ///
    /// # Errors
    /// [`Error::Missing`] if the folder has no `tokenizer.json`.
    pub fn tokenizer(&self) -> Result<&Tokenizer> {
        self.tokenizer.as_ref().ok_or_else(|| Error::Missing {
            what: "tokenizer.json".into(),
            place: self.place.clone(),
            hint: "Save the model's fast tokenizer there (AutoTokenizer.from_pretrained(...).save_pretrained(folder))."
                .into(),
        })
    }
}
