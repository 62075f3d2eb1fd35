//! Sentence encoders: a body, its pooling, and projections of the pooled vector, as the files of a
//! sentence-transformers folder say. Reference implementation: `SentenceTransformer` of sentence-transformers.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use serde_json::Value;

use super::config::{Config, HIDDEN};
use super::encoder::{Batch, keep};
use super::files::{Files, check_name, missing, read_all};
use super::folder::{LARGEST_CONFIG, ModelFolder};
use super::layers::{Activation, Linear};
use super::loader::{Loader, Source};
use super::pooling::Pooling;
use super::reader::{self, Body};
use super::safetensors::TensorIndex;
use super::tensors::Tensors;
use crate::{Error, Result};

/// A projection of the pooled vector.
#[derive(Debug)]
struct Dense {
    linear: Linear,
    activation: Option<Activation>,
}

/// A sentence encoder. Its vectors have length 1.
#[derive(Debug)]
pub struct SentenceEncoder {
    body: Box<dyn Body>,
    pooling: Vec<Pooling>,
    dense: Vec<Dense>,
    positions: usize,
    /// Text in front of every sentence.
    pub prompt: String,
    /// Whether texts are read in lower case.
    pub lowercase: bool,
}

impl SentenceEncoder {
    /// Builds the encoder of a folder. Without `modules.json` it pools by the mean, as sentence-transformers does.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for another architecture or module; [`Error::Config`] or [`Error::Tensor`] if
    /// configuration and weights do not fit; [`Error::Missing`] if a module's file is missing; errors of reading.
    pub fn load(folder: &ModelFolder, device: &Device) -> Result<Self> {
        let w = reader::loader(&folder.config, Source::Checkpoint(&folder.tensors), device)?;
        let body = reader::body(&folder.config, &w)?;
        w.finish(body.layers())?;
        let positions = body.positions();
        let mut this = Self {
            body,
            pooling: vec![Pooling::Mean],
            dense: Vec::new(),
            positions,
            prompt: String::new(),
            lowercase: false,
        };
        let Some(files) = &folder.files else { return Ok(this) };
        if let Some(settings) = parse(files, "sentence_bert_config.json")? {
            this.lowercase = settings.flag_or("do_lower_case", false)?;
            this.positions = settings.size_or("max_seq_length", 3..=1 << 24, positions)?.min(positions);
        }
        if let Some(settings) = parse(files, "config_sentence_transformers.json")? {
            this.prompt = prompt(&settings)?;
        }
        this.read_modules(files, device)?;
        Ok(this)
    }

    fn read_modules(&mut self, files: &Arc<dyn Files>, device: &Device) -> Result<()> {
        let modules = match files.size(MODULES)? {
            Some(_) => read_all(&**files, MODULES, LARGEST_CONFIG)?,
            None => {
                // A folder of which only the pooling was copied.
                if let Some(config) = parse(files, "1_Pooling/config.json")? {
                    self.pooling = Pooling::read(&config)?;
                }
                return Ok(());
            }
        };
        let broken = |reason: String| Error::broken(files.describe(MODULES), reason);
        let modules: Vec<Value> = serde_json::from_slice((*modules).as_ref()).map_err(|e| broken(e.to_string()))?;
        if modules.len() > MOST_MODULES {
            return Err(broken(format!("it lists {} modules; at most {MOST_MODULES} are expected", modules.len())));
        }
        let mut last = 0;
        for module in modules {
            let text = |entry: &str| module.get(entry).and_then(Value::as_str).unwrap_or_default();
            let config = || {
                let name = format!("{}/config.json", text("path"));
                check_name(&name).map_err(|_| broken(format!("{:?} is not the folder of a module", text("path"))))?;
                parse(files, &name)?.ok_or_else(|| missing(&**files, &name))
            };
            let kind = text("type").rsplit('.').next().unwrap_or_default();
            let place = ORDER.iter().position(|name| *name == kind).unwrap_or(last);
            if place < last || (place == last && last != DENSE && place > 0) {
                let reason = format!("the module {kind:?} is not in its place: {} are expected", ORDER.join(", "));
                return Err(broken(reason));
            }
            last = place;
            match kind {
                "Transformer" | "Normalize" => {}
                "Pooling" => self.pooling = Pooling::read(&config()?)?,
                "Dense" => {
                    let inputs = self.pooling.len() * self.body.hidden();
                    let inputs = self.dense.last().map_or(inputs, |dense| dense.linear.outputs);
                    self.dense.push(Dense::load(files, text("path"), &config()?, inputs, device)?);
                }
                other => {
                    return Err(Error::Unsupported {
                        file: files.describe(MODULES),
                        found: format!("the module {other:?}"),
                        expected: "Transformer, Pooling, Dense and Normalize".to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Largest number of tokens of a text; longer ones are cut.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Largest number of tokens that the body reads.
    #[must_use]
    pub fn longest(&self) -> usize {
        self.body.positions()
    }

    /// Number of layers.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.body.layers()
    }

    /// Width of the hidden states.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.body.hidden()
    }

    /// Whether a vector is the mean of the last hidden states of the text as it is.
    #[must_use]
    pub fn is_mean(&self) -> bool {
        let whole = self.positions == self.longest() && self.prompt.is_empty();
        whole && self.pooling == [Pooling::Mean] && self.dense.is_empty()
    }

    /// Hidden states of layer `layer` (0 = the embeddings, as in transformers) and of the last layer.
    ///
    /// # Shapes
    /// `-> [rows * length, hidden]`, twice
    #[must_use]
    pub fn states(&self, batch: &Batch, layer: usize) -> (Tensor<2>, Tensor<2>) {
        self.body.forward(batch, layer, &keep)
    }

    /// One vector of length 1 per text.
    ///
    /// # Shapes
    /// `-> [rows, width]`
    #[must_use]
    pub fn embed(&self, batch: &Batch) -> Tensor<2> {
        let (_, states) = self.body.forward(batch, self.body.layers(), &keep);
        let pooled = self.pooling.iter().map(|pooling| pooling.apply(states.clone(), batch)).collect();
        let x = self.dense.iter().fold(Tensor::cat(pooled, 1), |x, dense| {
            let y = dense.linear.forward(x);
            dense.activation.map_or(y.clone(), |activation| activation.forward(y))
        });
        let length = x.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
        x / length
    }
}

const MODULES: &str = "modules.json";
/// Modules in the order that is supported. Only the projections may be several.
const ORDER: [&str; 4] = ["Transformer", "Pooling", "Dense", "Normalize"];
/// Place of the projections in it.
const DENSE: usize = 2;
const MOST_MODULES: usize = 16;

fn parse(files: &Arc<dyn Files>, name: &str) -> Result<Option<Config>> {
    let Some(_) = files.size(name)? else { return Ok(None) };
    Config::parse(&files.describe(name), (*read_all(&**files, name, LARGEST_CONFIG)?).as_ref()).map(Some)
}

/// The prompt that sentence-transformers puts in front of every text, if the folder names one.
fn prompt(settings: &Config) -> Result<String> {
    let Some(name) = settings.get("default_prompt_name") else { return Ok(String::new()) };
    let text = name.as_str().and_then(|name| settings.get("prompts")?.get(name)?.as_str());
    text.map(str::to_owned).ok_or_else(|| settings.wrong("default_prompt_name", "the name of one of `prompts`", name))
}

impl Dense {
    fn load(files: &Arc<dyn Files>, path: &str, config: &Config, inputs: usize, device: &Device) -> Result<Self> {
        if config.size("in_features", HIDDEN)? != inputs {
            let found = config.size("in_features", HIDDEN)?;
            return Err(config.wrong("in_features", format!("{inputs}, the width of what it projects"), found));
        }
        config.only("module_input_name", &["sentence_embedding"])?;
        let outputs = config.size("out_features", HIDDEN)?;
        let name = config.get("activation_function").and_then(Value::as_str).unwrap_or("Tanh");
        let activation = match name.rsplit('.').next().unwrap_or_default() {
            "Identity" => None,
            "Tanh" => Some(Activation::Tanh),
            "ReLU" => Some(Activation::Relu),
            "GELU" => Some(Activation::Gelu),
            "SiLU" => Some(Activation::Silu),
            _ => return Err(config.wrong("activation_function", "Identity, Tanh, ReLU, GELU or SiLU", name)),
        };
        let tensors =
            Tensors::Safetensors(TensorIndex::open_file(files.clone(), &format!("{path}/model.safetensors"))?);
        let w = Loader::new(&tensors, device, &[""], "linear.weight")?;
        Ok(Self { linear: w.linear("linear", inputs, outputs, config.flag_or("bias", true)?)?, activation })
    }
}
