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
pub(super) const LARGEST_CONFIG: usize = 16 << 20;

/// Configuration, weights and tokenizer of one model.
pub struct ModelFolder {
    /// Architecture and sizes.
    pub config: Config,
    /// The weights, which are read when the model is built.
    pub tensors: Tensors,
    /// The tokenizer, if the folder has a `tokenizer.json`.
    pub tokenizer: Option<Tokenizer>,
    /// All files of the folder; `None` for a GGUF file.
    pub files: Option<Arc<dyn Files>>,
    place: String,
}

impl ModelFolder {
    /// Opens a Hugging Face folder with `config.json`, `model.safetensors` or its index, and optionally
    /// `tokenizer.json`. Of the weights only headers are read, and the embedding table if the file has a copy of it as
    /// output projection.
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
        let parse = |name: &str| -> Result<Option<Config>> {
            let Some(_) = files.size(name)? else { return Ok(None) };
            Config::parse(&files.describe(name), (*read_all(&**files, name, LARGEST_CONFIG)?).as_ref()).map(Some)
        };
        let config = match parse("generation_config.json")? {
            Some(generation) => config.ending_as(&generation),
            None => config,
        };
        let config = untied(config, &tensors)?;
        let mut tokenizer = match files.size("tokenizer.json")? {
            None => None,
            Some(_) => {
                let bytes = read_all(&**files, "tokenizer.json", LARGEST_FILE)?;
                Some(Tokenizer::parse(&files.describe("tokenizer.json"), (*bytes).as_ref())?.within(config.rows()))
            }
        };
        if let (Some(found), Some(token)) = (&tokenizer, start_token(&config, parse("tokenizer_config.json")?.as_ref()))
        {
            tokenizer = Some(found.clone().starting(&token)?);
        }
        let files_of = Some(Arc::clone(files));
        Ok(Self { config, tensors, tokenizer, files: files_of, place: files.describe("tokenizer.json") })
    }

    /// Opens a GGUF file, whose metadata provide configuration and tokenizer; of a split file any part.
    ///
    /// # Errors
    /// Errors of reading the file; [`Error::Unsupported`] for other architectures, tokenizers and settings.
    pub fn open_gguf(files: &Arc<dyn Files>, name: &str) -> Result<Self> {
        let place = files.describe(name);
        let model = gguf::Checkpoint::open(files.clone(), name)?;
        let config = Config::parse(&place, model.config().to_string().as_bytes())?;
        let tokenizer = Tokenizer::parse(&place, model.tokenizer()?.to_string().as_bytes())?.within(config.rows());
        Ok(Self { config, tensors: Tensors::Gguf(model), tokenizer: Some(tokenizer), files: None, place })
    }

    /// Id of the end-of-text token: the configuration's first one, else the tokenizer's.
    ///
    /// # Errors
    /// [`Error::Config`] if there is neither; [`Error::Missing`] without a tokenizer; as [`LanguageModel::sizes_of`].
    pub fn end(&self) -> Result<u32> {
        let sizes = LanguageModel::sizes_of(&self.config)?;
        let end = self.tokenizer()?.end();
        sizes.eos.first().copied().or(end).ok_or_else(|| Error::Config {
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

/// The configuration of a file whose output projection is not the embedding table, although it says that they are tied:
/// as in the reference, the file is right.
fn untied(config: Config, tensors: &Tensors) -> Result<Config> {
    if !LanguageModel::sizes_of(&config).is_ok_and(|sizes| sizes.tied) {
        return Ok(config);
    }
    let names = tensors.names();
    let find = |ends: &[&str]| names.iter().find(|name| ends.iter().any(|end| name.ends_with(end))).copied();
    let table = find(&["shared.weight"]).or_else(|| find(&["wte.weight", "embed_tokens.weight", "embed_in.weight"]));
    let (Some(head), Some(table)) = (find(&["lm_head.weight", "output_projection.weight", "embed_out.weight"]), table)
    else {
        return Ok(config);
    };
    let shape = |name| tensors.info(name).map(|info| info.shape);
    if shape(head) != shape(table) || tensors.read_f32(head)? == tensors.read_f32(table)? {
        return Ok(config);
    }
    if matches!(config.model_type()?, "bart" | "pegasus") {
        let expected = format!("the values of {table}: an output projection of its own is not supported here");
        return Err(Error::Tensor {
            file: tensors.place(head),
            tensor: head.to_owned(),
            expected,
            found: "other values".to_owned(),
        });
    }
    // Of T5, which scales states if they are tied by the configuration.
    Ok(config.with_default("scale_decoder_outputs", true.into()).with("tie_word_embeddings", false.into()))
}

/// The token that the reference puts in front of a text, where `tokenizer.json` does not say it: if
/// `tokenizer_config.json` asks for it, and for the models whose tokenizer does so in code.
fn start_token(config: &Config, tokenizer: Option<&Config>) -> Option<String> {
    let entry = |name: &str| tokenizer.and_then(|entries| entries.get(name));
    let named = |name: &str| {
        let value = entry(name)?;
        value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_owned)
    };
    let in_code = match config.model_type() {
        Ok("biogpt") => return named("sep_token").or_else(|| Some("</s>".to_owned())),
        Ok("opt") => true,
        _ => false,
    };
    let asked = entry("add_bos_token").and_then(serde_json::Value::as_bool).unwrap_or(in_code);
    asked.then(|| named("bos_token").or_else(|| in_code.then(|| "</s>".to_owned()))).flatten()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_start_token_is_asked_for_or_in_the_tokenizers_code() {
        let config = |text: &str| Config::parse("config.json", text.as_bytes()).unwrap();
        let start = |model: &str, tokenizer: Option<&str>| {
            let model = config(&format!(r#"{{"model_type": "{model}"}}"#));
            start_token(&model, tokenizer.map(config).as_ref())
        };
        let asks = r#"{"add_bos_token": true, "bos_token": {"content": "<s>"}}"#;
        assert_eq!(start("llama", Some(asks)).as_deref(), Some("<s>"));
        assert_eq!(start("llama", Some(r#"{"bos_token": "<s>"}"#)), None);
        assert_eq!(start("llama", None), None);
        assert_eq!(start("biogpt", None).as_deref(), Some("</s>"));
        assert_eq!(start("biogpt", Some(r#"{"sep_token": "<end>", "bos_token": "<s>"}"#)).as_deref(), Some("<end>"));
        assert_eq!(start("opt", None).as_deref(), Some("</s>"));
        assert_eq!(start("opt", Some(r#"{"add_bos_token": false, "bos_token": "</s>"}"#)), None);
    }
}
