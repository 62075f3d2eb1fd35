//! The models of `assets/tiny`, for the tests of this crate.

use std::path::Path;
use std::sync::Arc;

use lm::decode::TextModel;
use lm::device::{Compute, DeviceSpec};
use lm::model::ModelFolder;
use lm::model::files::{Files, MemoryFiles};
use lm::scoring::PairModel;
use record::Preset;
use record::plan::Plan;

use crate::critic::{Critics, Panel};
use crate::student::{Format, format};

fn file(model: &str, name: &str) -> Vec<u8> {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/tiny");
    std::fs::read(assets.join(model).join(name)).unwrap()
}

/// The CPU.
pub(crate) fn compute() -> Compute {
    Compute::open(DeviceSpec::Flex).unwrap()
}

/// A model: `teacher`, `critic` or `student`.
pub(crate) fn folder(model: &str) -> ModelFolder {
    let names = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
    let files: MemoryFiles = names.into_iter().map(|name| (name, file(model, name))).collect();
    let files: Arc<dyn Files> = Arc::new(files);
    ModelFolder::open(&files).unwrap()
}

/// A model that writes: `teacher` or `student`.
pub(crate) fn text_model(model: &str) -> TextModel {
    TextModel::load(&folder(model), &compute()).unwrap()
}

/// How tasks are put to the student.
pub(crate) fn student_format() -> Format {
    Format::parse(format::FILE, &file("student", format::FILE)).unwrap()
}

/// The plan of the carried models, for two contexts of eight siblings.
pub(crate) fn plan() -> Plan {
    let mut plan = Preset::Tiny.plan(DeviceSpec::Flex);
    (plan.contexts.count, plan.siblings.k) = (2, 8);
    plan
}

/// The critics of that plan.
pub(crate) fn critics() -> Critics {
    let plan = plan();
    let entailment = Box::new(PairModel::load(&folder("critic"), &compute()).unwrap());
    Critics { panel: Panel::new(&plan.paraphrase, &plan.summary), entailment, encoder: None }
}
