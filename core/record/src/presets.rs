//! The presets: sets of models, where to download them, and a plan for each set.

use serde::Serialize;

use crate::device::DeviceSpec;
use crate::names::named;
use crate::plan::{Contexts, Critics, Models, Paraphrase, Plan, SiblingSettings, Source, Summary};

named! {
    /// A set of models with a plan for them.
    pub enum Preset {
        /// The models that are built into the program and the web app, of one to three million parameters each.
        Tiny = "tiny",
        /// Three small models for a laptop without a graphics card.
        Small = "small",
        /// The paper's models for news.
        Paper = "paper",
        /// The paper's models for biomedical abstracts.
        Biomedical = "biomedical",
    }
}

/// The part that a model plays in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Causal language model that generates contexts and siblings.
    Teacher,
    /// Classifier that scores entailment.
    Critic,
    /// Sentence encoder for the cosine threshold.
    Encoder,
}

impl Role {
    /// The role's name in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Critic => "critic",
            Self::Encoder => "encoder",
        }
    }
}

/// A published model that a preset uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KnownModel {
    /// The model's role in a run.
    pub role: Role,
    /// Repository on the Hugging Face hub.
    pub repo: &'static str,
    /// Name of its folder in the model folder, and in plans.
    pub folder: &'static str,
    /// Licence, as the model card states it.
    pub licence: &'static str,
    /// Approximate size of the download in bytes.
    pub bytes: u64,
}

/// Name of the built-in teacher.
pub const TINY_TEACHER: &str = "tiny-teacher";
/// Name of the built-in entailment critic.
pub const TINY_CRITIC: &str = "tiny-critic";
/// Name of the built-in model that students are fine-tuned from.
pub const TINY_STUDENT: &str = "tiny-student";

/// Teacher of preset `small`: SmolLM2 with 135 million parameters, instruction-tuned.
pub const SMOLLM2: KnownModel = KnownModel {
    role: Role::Teacher,
    repo: "HuggingFaceTB/SmolLM2-135M-Instruct",
    folder: "smollm2-135m-instruct",
    licence: "Apache-2.0",
    bytes: 273_000_000,
};

/// Critic of preset `small`: a DeBERTa cross-encoder fine-tuned on SNLI and MultiNLI.
pub const DEBERTA_XSMALL: KnownModel = KnownModel {
    role: Role::Critic,
    repo: "cross-encoder/nli-deberta-v3-xsmall",
    folder: "nli-deberta-v3-xsmall",
    licence: "Apache-2.0 (data SNLI: CC-BY-SA-4.0, MultiNLI: mixed)",
    bytes: 295_000_000,
};

/// Sentence encoder of the downloaded presets.
pub const MINILM: KnownModel = KnownModel {
    role: Role::Encoder,
    repo: "sentence-transformers/all-MiniLM-L6-v2",
    folder: "all-MiniLM-L6-v2",
    licence: "Apache-2.0",
    bytes: 92_000_000,
};

/// The paper's entailment critic.
pub const WANLI: KnownModel = KnownModel {
    role: Role::Critic,
    repo: "alisawuffles/roberta-large-wanli",
    folder: "roberta-large-wanli",
    licence: "none stated (base RoBERTa-large: MIT; data WANLI: CC-BY-4.0, MultiNLI: mixed)",
    bytes: 1_430_000_000,
};

/// The paper's teacher for news.
pub const GPT2_XL: KnownModel = KnownModel {
    role: Role::Teacher,
    repo: "openai-community/gpt2-xl",
    folder: "gpt2-xl",
    licence: "MIT",
    bytes: 6_440_000_000,
};

/// The paper's teacher for biomedical abstracts.
pub const BIOGPT_LARGE: KnownModel = KnownModel {
    role: Role::Teacher,
    repo: "microsoft/BioGPT-Large",
    folder: "biogpt-large",
    licence: "MIT",
    bytes: 6_300_000_000,
};

/// A smaller GPT-2 teacher that fits into a browser tab.
pub const DISTILGPT2: KnownModel = KnownModel {
    role: Role::Teacher,
    repo: "distilbert/distilgpt2",
    folder: "distilgpt2",
    licence: "Apache-2.0",
    bytes: 356_000_000,
};

impl Preset {
    /// The presets whose models are downloaded, smallest first.
    pub const DOWNLOADED: [Self; 3] = [Self::Small, Self::Paper, Self::Biomedical];

    /// One-line description for help texts.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Tiny => "built-in models of one to three million parameters: newswire sentences in about two minutes",
            Self::Small => {
                "SmolLM2-135M-Instruct, a small DeBERTa critic and MiniLM, for a laptop without a graphics card"
            }
            Self::Paper => "the paper's GPT2-XL and RoBERTa-large WANLI; slow without a graphics card with 10 GB",
            Self::Biomedical => "BioGPT-Large and RoBERTa-large WANLI, for biomedical abstracts",
        }
    }

    /// Teacher, critic and encoder to download; empty for [`Preset::Tiny`], whose models are built in.
    #[must_use]
    pub fn models(self) -> &'static [KnownModel] {
        const SMALL: [KnownModel; 3] = [SMOLLM2, DEBERTA_XSMALL, MINILM];
        const PAPER: [KnownModel; 3] = [GPT2_XL, WANLI, MINILM];
        const BIOMEDICAL: [KnownModel; 3] = [BIOGPT_LARGE, WANLI, MINILM];
        match self {
            Self::Tiny => &[],
            Self::Small => &SMALL,
            Self::Paper => &PAPER,
            Self::Biomedical => &BIOMEDICAL,
        }
    }

    /// Name, in a plan, of the preset's model for a role; empty if the preset has none.
    #[must_use]
    pub fn model(self, role: Role) -> &'static str {
        match (self, role) {
            (Self::Tiny, Role::Teacher) => TINY_TEACHER,
            (Self::Tiny, Role::Critic) => TINY_CRITIC,
            _ => self.models().iter().find(|model| model.role == role).map_or("", |model| model.folder),
        }
    }

    /// Whether `assets/models_from_pip.py` can build the model folders from Python wheels. Their teacher is the same
    /// model in 4 bits, their critic a different fine-tune of the same DeBERTa in 8 bits.
    #[must_use]
    pub fn from_pip(self) -> bool {
        self == Self::Small
    }

    /// The preset's plan for a kind of device, which decides the batch size.
    #[must_use]
    pub fn plan(self, device: DeviceSpec) -> Plan {
        if self == Self::Tiny { tiny(device) } else { downloaded(self, device) }
    }
}

/// The plan of the built-in models, which takes about two minutes on two cores.
fn tiny(device: DeviceSpec) -> Plan {
    Plan {
        seed: 7,
        device,
        models: Models {
            teacher: TINY_TEACHER.into(),
            critic: TINY_CRITIC.into(),
            encoder: String::new(),
            student: TINY_STUDENT.into(),
        },
        contexts: Contexts {
            count: 40,
            source: Source::None,
            seeds: String::new(),
            seeds_sha256: String::new(),
            // The teacher's reports are short.
            min_sentences: 1,
            max_sentences: 1,
            max_tokens: 120,
            temperature: 0.6,
            top_p: 0.9,
        },
        siblings: SiblingSettings {
            k: 80,
            temperature: 0.5,
            top_p: 0.9,
            top_k: 0,
            min_p: 0.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            no_repeat_ngram: 3,
            // Without a minimum two thirds of the siblings are empty, as the teacher was trained on short reports.
            min_tokens: 1,
            max_tokens: 60,
            batch: 96,
        },
        // The built-in critic is calibrated: 0.5 has 89 % precision against the larger critic (docs/results.md).
        paraphrase: Paraphrase {
            rouge_min: 0.5,
            rouge_max: 0.85,
            cosine_min: None,
            entailment_min: 0.5,
            ..Paraphrase::preset(Critics::Strict)
        },
        summary: Summary { cosine_min: None, entailment_min: 0.6, ..Summary::preset(Critics::Strict) },
    }
}

fn downloaded(preset: Preset, device: DeviceSpec) -> Plan {
    let paper = preset == Preset::Paper;
    let critics = if paper { Critics::Paper } else { Critics::Strict };
    Plan {
        seed: 7,
        device,
        models: Models {
            teacher: preset.model(Role::Teacher).to_owned(),
            critic: preset.model(Role::Critic).to_owned(),
            encoder: if paper { String::new() } else { preset.model(Role::Encoder).to_owned() },
            student: String::new(),
        },
        contexts: Contexts {
            count: if paper { 1000 } else { 30 },
            source: match preset {
                Preset::Tiny | Preset::Small => Source::Newswire,
                Preset::Paper => Source::News,
                Preset::Biomedical => Source::Biomedical,
            },
            seeds: String::new(),
            seeds_sha256: String::new(),
            min_sentences: if paper { 1 } else { 3 },
            max_sentences: 5,
            max_tokens: 150,
            // At 1.0 a teacher of this size drifts into repetition.
            temperature: if paper { 1.0 } else { 0.8 },
            top_p: 0.9,
        },
        siblings: SiblingSettings {
            // Pairs grow with k squared, cost with k; few pairs pass the thresholds of `strict`.
            k: if preset == Preset::Small { 400 } else { 100 },
            temperature: if paper { 0.7 } else { 0.5 },
            top_p: 0.9,
            top_k: 0,
            min_p: 0.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            no_repeat_ngram: 3,
            min_tokens: 0,
            max_tokens: if paper { 100 } else { 60 },
            // The CPU decodes two half batches of 48 rows, a multiple of its kernel's tile; a GPU needs larger batches.
            batch: if device.is_host() { 96 } else { 256 },
        },
        paraphrase: Paraphrase::preset(critics),
        summary: Summary::preset(critics),
    }
}

/// The thresholds of a preset without the cosine thresholds, for the browser, where there is no sentence encoder.
#[must_use]
pub fn without_encoder(critics: Critics) -> (Paraphrase, Summary) {
    (
        Paraphrase { cosine_min: None, ..Paraphrase::preset(critics) },
        Summary { cosine_min: None, ..Summary::preset(critics) },
    )
}

/// Name of the model folder for a hub repository: the one that the presets use, else the repository's name without its
/// owner, in lower case.
#[must_use]
pub fn folder_of(repo: &str) -> String {
    let mut known = Preset::DOWNLOADED.iter().flat_map(|preset| preset.models());
    match known.find(|model| model.repo.eq_ignore_ascii_case(repo)) {
        Some(model) => model.folder.to_owned(),
        None => repo.rsplit('/').next().unwrap_or(repo).to_lowercase(),
    }
}

/// The first downloaded preset with a model in a folder of that name, ignoring case.
#[must_use]
pub fn with_folder(folder: &str) -> Option<Preset> {
    let has = |preset: &Preset| preset.models().iter().any(|model| model.folder.eq_ignore_ascii_case(folder));
    Preset::DOWNLOADED.into_iter().find(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plan_is_valid_on_every_kind_of_device() {
        for &preset in Preset::ALL {
            for device in [DeviceSpec::Flex, DeviceSpec::Vulkan] {
                let plan = preset.plan(device);
                assert_eq!(plan.validate(), Ok(()), "{preset}");
                assert_eq!(plan.needs_encoder(), !plan.models.encoder.is_empty(), "{preset}");
                assert!(!plan.models.teacher.is_empty() && !plan.models.critic.is_empty(), "{preset}");
            }
        }
    }

    #[test]
    fn folder_names() {
        assert_eq!(folder_of("huggingfacetb/smollm2-135M-instruct"), "smollm2-135m-instruct");
        assert_eq!(folder_of("openai-community/gpt2-medium"), "gpt2-medium");
        assert_eq!(folder_of("me/My-Model"), "my-model");
        assert_eq!(with_folder("ALL-minilm-l6-v2"), Some(Preset::Small));
        assert_eq!(with_folder("large"), None);
        assert_eq!(Preset::parse("large"), None);
    }
}
