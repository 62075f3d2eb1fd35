//! From flags to a validated [`Plan`].

use std::path::Path;

use impossible_core::device::DeviceSpec;
use impossible_core::plan::{Contexts, Critics, Diversity, Models, Paraphrase, Plan, Siblings, Source, Summary};
use impossible_core::{Error, Result};

use crate::args::{CriticsName, DiversityName, PlanFlags, PresetName, Thresholds};
use crate::pull::preset;
use crate::run::read_plan;

impl From<CriticsName> for Critics {
    fn from(name: CriticsName) -> Self {
        match name {
            CriticsName::Paper => Self::Paper,
            CriticsName::Reference => Self::Reference,
            CriticsName::Strict => Self::Strict,
        }
    }
}

impl From<DiversityName> for Diversity {
    fn from(name: DiversityName) -> Self {
        match name {
            DiversityName::Component => Self::Component,
            DiversityName::Independent => Self::Independent,
            DiversityName::Off => Self::Off,
        }
    }
}

/// Folder of a preset's model.
fn folder(name: PresetName, role: preset::Role) -> String {
    let model = preset::find(name.as_str()).and_then(|p| p.models.iter().find(|m| m.role == role));
    model.map(|m| m.folder.to_owned()).unwrap_or_default()
}

/// The plan of a preset.
#[must_use]
pub fn preset_plan(name: PresetName, device: DeviceSpec) -> Plan {
    if name == PresetName::Tiny {
        return Plan::tiny(device);
    }
    let paper = name == PresetName::Paper;
    let critics = if paper { Critics::Paper } else { Critics::Strict };
    let encoder = if paper { String::new() } else { folder(name, preset::Role::Encoder) };
    Plan {
        seed: 7,
        device: device.to_string(),
        models: Models {
            teacher: folder(name, preset::Role::Teacher),
            critic: folder(name, preset::Role::Critic),
            encoder,
            student: String::new(),
        },
        contexts: Contexts {
            count: if paper { 1000 } else { 30 },
            source: match name {
                PresetName::Tiny | PresetName::Small => Source::Newswire,
                PresetName::Paper => Source::News,
                PresetName::Biomedical => Source::Biomedical,
            },
            seeds: String::new(),
            seeds_sha256: String::new(),
            min_sentences: if paper { 1 } else { 3 },
            max_sentences: 5,
            max_tokens: 150,
            // At 1.0 a teacher of this size drifts into repetitive talk.
            temperature: if paper { 1.0 } else { 0.8 },
            top_p: 0.9,
        },
        siblings: Siblings {
            // Pairs grow with k squared, cost with k; the floors of `strict` need many pairs.
            k: if name == PresetName::Small { 400 } else { 100 },
            temperature: if paper { 0.7 } else { 0.5 },
            top_p: 0.9,
            top_k: 0,
            min_p: 0.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            no_repeat_ngram: 3,
            min_tokens: 0,
            max_tokens: if paper { 100 } else { 60 },
            // Two half batches of 48 rows: whole tiles of the CPU's kernel. A GPU wants more rows at once.
            batch: if matches!(device, DeviceSpec::Flex | DeviceSpec::NdArray) { 96 } else { 256 },
        },
        paraphrase: Paraphrase::preset(critics),
        summary: Summary::preset(critics),
    }
}

/// Changes thresholds.
pub fn apply_thresholds(t: &Thresholds, paraphrase: &mut Paraphrase, summary: &mut Summary) {
    fn set(target: &mut f32, value: Option<f32>) {
        if let Some(v) = value {
            *target = v;
        }
    }
    set(&mut paraphrase.rouge_min, t.rouge_min);
    set(&mut paraphrase.rouge_max, t.rouge_max);
    if t.rouge_min.is_none() && paraphrase.rouge_min > paraphrase.rouge_max {
        // Who asks for less overlap than the floor allows does not want the floor.
        paraphrase.rouge_min = 0.0;
    }
    set(&mut paraphrase.cosine_min, t.cosine_min);
    set(&mut paraphrase.entailment_min, t.entailment_min);
    set(&mut summary.entailment_min, t.summary_entailment_min);
    set(&mut summary.cosine_min, t.summary_cosine_min);
    set(&mut summary.length_max, t.summary_length_max);
    if let Some(on) = t.modality {
        (paraphrase.modality, summary.modality) = (on, on);
    }
    if let Some(rule) = t.diversity {
        (paraphrase.diversity, summary.diversity) = (rule.into(), rule.into());
    }
}

/// A preset or a plan file, changed by flags, validated.
///
/// # Errors
/// [`Error::Input`] for values out of range; the plan file's own.
pub fn plan(flags: &PlanFlags, device: DeviceSpec) -> Result<Plan> {
    let mut plan = match &flags.plan {
        Some(file) => read_plan(file)?,
        None => preset_plan(flags.preset(), device),
    };
    if let Some(critics) = flags.critics {
        plan.paraphrase = Paraphrase::preset(critics.into());
        plan.summary = Summary::preset(critics.into());
    }
    apply_thresholds(&flags.thresholds, &mut plan.paraphrase, &mut plan.summary);
    let m = &mut plan.models;
    for (target, flag) in
        [(&mut m.teacher, &flags.teacher), (&mut m.critic, &flags.critic), (&mut m.encoder, &flags.encoder)]
    {
        if let Some(name) = flag {
            target.clone_from(name);
        }
    }
    plan.seed = flags.seed.unwrap_or(plan.seed);
    plan.siblings.k = flags.k.unwrap_or(plan.siblings.k);
    plan.siblings.temperature = flags.temperature.unwrap_or(plan.siblings.temperature);
    plan.siblings.top_p = flags.top_p.unwrap_or(plan.siblings.top_p);
    plan.siblings.batch = flags.batch.unwrap_or(plan.siblings.batch);
    if let Some(file) = &flags.seeds {
        plan.contexts.source = Source::Seeds;
        plan.contexts.seeds = file.display().to_string();
    }
    if plan.contexts.source == Source::Seeds {
        plan.contexts.seeds_sha256 = crate::run::atomic::hash_file(Path::new(&plan.contexts.seeds))?.1;
        plan.contexts.max_sentences = plan.contexts.max_sentences.max(plan.contexts.min_sentences);
    }
    if let Some(count) = flags.contexts {
        plan.contexts.count = count;
    }
    let encoder_is_used = plan.paraphrase.cosine_min > -1.0 || plan.summary.cosine_min > -1.0;
    if encoder_is_used && plan.models.encoder.is_empty() {
        plan.models.encoder = folder(PresetName::Small, preset::Role::Encoder);
    }
    plan.validate()?;
    Ok(plan)
}

/// The device a plan names.
///
/// # Errors
/// [`Error::Input`] for a device this project does not know.
pub fn device(plan: &Plan) -> Result<DeviceSpec> {
    plan.device.parse().map_err(|_| Error::input("device", "a device this project knows", &plan.device))
}
