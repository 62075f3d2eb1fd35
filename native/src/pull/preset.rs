//! The sets of three models that `impossible pull NAME` knows by name.

use serde::Serialize;

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Writes contexts and siblings.
    Teacher,
    /// Judges entailment.
    Critic,
    /// Embeds sentences for the cosine floor.
    Encoder,
}

impl Role {
    /// The word in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Critic => "critic",
            Self::Encoder => "encoder",
        }
    }
}

/// One model of a preset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Model {
    /// What it is for.
    pub role: Role,
    /// Repository on the hub.
    pub repo: &'static str,
    /// Folder in the store; also the name to write into a plan.
    pub folder: &'static str,
    /// Licence, as its model card states it.
    pub licence: &'static str,
    /// About how many bytes are downloaded.
    pub bytes: u64,
}

/// Three models that work together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Preset {
    /// The word after `impossible pull`.
    pub name: &'static str,
    /// One line for help texts.
    pub about: &'static str,
    /// Teacher, critic, encoder.
    pub models: [Model; 3],
    /// Whether `assets/models_from_pip.py` makes the same folders from Python wheels. The teacher of the wheels is the
    /// same instruct model at 4 bits, their critic another fine-tune of the same DeBERTa at 8 bits.
    pub from_pip: bool,
}

const ENCODER: Model = Model {
    role: Role::Encoder,
    repo: "sentence-transformers/all-MiniLM-L6-v2",
    folder: "all-MiniLM-L6-v2",
    licence: "Apache-2.0",
    bytes: 92_000_000,
};

const WANLI: Model = Model {
    role: Role::Critic,
    repo: "alisawuffles/roberta-large-wanli",
    folder: "roberta-large-wanli",
    licence: "none stated (base RoBERTa-large: MIT; data WANLI: CC-BY-4.0, MultiNLI: mixed)",
    bytes: 1_430_000_000,
};

/// All presets, smallest first.
pub const PRESETS: [Preset; 3] = [
    Preset {
        name: "small",
        about: "three small models for a laptop without a graphics card",
        models: [
            Model {
                role: Role::Teacher,
                repo: "HuggingFaceTB/SmolLM2-135M-Instruct",
                folder: "smollm2-135m-instruct",
                licence: "Apache-2.0",
                bytes: 273_000_000,
            },
            Model {
                role: Role::Critic,
                repo: "cross-encoder/nli-deberta-v3-xsmall",
                folder: "nli-deberta-v3-xsmall",
                licence: "Apache-2.0 (data SNLI: CC-BY-SA-4.0, MultiNLI: mixed)",
                bytes: 295_000_000,
            },
            ENCODER,
        ],
        from_pip: true,
    },
    Preset {
        name: "paper",
        about: "the paper's models for news; needs a graphics card with 10 GB or patience",
        models: [
            Model {
                role: Role::Teacher,
                repo: "openai-community/gpt2-xl",
                folder: "gpt2-xl",
                licence: "MIT",
                bytes: 6_440_000_000,
            },
            WANLI,
            ENCODER,
        ],
        from_pip: false,
    },
    Preset {
        name: "biomedical",
        about: "the paper's models for biomedical abstracts",
        models: [
            Model {
                role: Role::Teacher,
                repo: "microsoft/BioGPT-Large",
                folder: "biogpt-large",
                licence: "MIT",
                bytes: 6_300_000_000,
            },
            WANLI,
            ENCODER,
        ],
        from_pip: false,
    },
];

/// The preset of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// Folder of a repository in the store: a preset's own name for it, else the repository's last part in lower case.
#[must_use]
pub fn folder_of(repo: &str) -> String {
    let known = PRESETS.iter().flat_map(|preset| &preset.models).find(|model| model.repo.eq_ignore_ascii_case(repo));
    match known {
        Some(model) => model.folder.to_owned(),
        None => repo.rsplit('/').next().unwrap_or(repo).to_lowercase(),
    }
}

/// The first preset with a model of that folder name, whatever its case.
#[must_use]
pub fn with_folder(folder: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.models.iter().any(|model| model.folder.eq_ignore_ascii_case(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_those_of_the_pip_script() {
        for folder in ["smollm2-135m-instruct", "nli-deberta-v3-xsmall", "all-MiniLM-L6-v2"] {
            assert!(PRESETS[0].models.iter().any(|model| model.folder == folder), "{folder}");
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets/models_from_pip.py");
            if let Ok(text) = std::fs::read_to_string(script) {
                assert!(text.contains(&format!("\"{folder}\": (build_")), "{folder}");
            }
        }
    }

    #[test]
    fn folder_names() {
        assert_eq!(folder_of("huggingfacetb/smollm2-135M-instruct"), "smollm2-135m-instruct");
        assert_eq!(folder_of("openai-community/gpt2-medium"), "gpt2-medium");
        assert_eq!(folder_of("me/My-Model"), "my-model");
        assert_eq!(with_folder("ALL-minilm-l6-v2").map(|preset| preset.name), Some("small"));
        assert!(find("large").is_none());
    }
}
