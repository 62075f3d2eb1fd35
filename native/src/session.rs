//! What all commands share: the model folder, the device, output settings and Ctrl-C.

use std::cell::OnceCell;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use lm::decode::TextModel;
use lm::device::{Compute, DeviceSpec};
use lm::scoring::{PairModel, TextEncoder};
use method::critic::{Critics, Panel, SentenceEncoder};
use record::json_line;
use record::plan::Plan;
use record::presets::Role;
use serde::Serialize;

use crate::args::{Args, Moved};
use crate::models::{self, Store};
use crate::progress::{Bar, stop_flag};
use crate::run::RunFolder;
use crate::run::identity::{Identities, Identity};

/// The settings and resources that all commands share.
pub struct Session {
    /// The model folder.
    pub store: Store,
    /// Whether to print JSON instead of text.
    pub json: bool,
    /// Whether to hide progress bars.
    pub quiet: bool,
    device: DeviceSpec,
    opened: OnceCell<Compute>,
    stop: OnceCell<Arc<AtomicBool>>,
}

impl Session {
    /// A session with the settings of the global arguments.
    ///
    /// # Errors
    /// As [`Store::locate`].
    pub fn new(args: &Args) -> record::Result<Self> {
        let store = Store::locate(args.models.as_deref())?;
        let (json, quiet, device) = (args.json, args.quiet, args.device);
        Ok(Self { store, json, quiet, device, opened: OnceCell::new(), stop: OnceCell::new() })
    }

    /// The requested kind of device; `auto` is resolved by opening the device.
    ///
    /// # Errors
    /// As [`Compute::open`].
    pub fn spec(&self) -> record::Result<DeviceSpec> {
        if self.device == DeviceSpec::Auto { Ok(self.compute()?.spec) } else { Ok(self.device) }
    }

    /// The requested device, opened at the first call.
    ///
    /// # Errors
    /// As [`Compute::open`].
    pub fn compute(&self) -> record::Result<Compute> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened.clone());
        }
        let compute = Compute::open(self.device)?;
        Ok(self.opened.get_or_init(|| compute).clone())
    }

    /// The flag that Ctrl-C sets; the handler is installed at the first call.
    ///
    /// # Errors
    /// As [`stop_flag`].
    pub fn stop(&self) -> record::Result<Arc<AtomicBool>> {
        if let Some(flag) = self.stop.get() {
            return Ok(flag.clone());
        }
        let flag = stop_flag()?;
        Ok(self.stop.get_or_init(|| flag).clone())
    }

    /// A progress bar over `total` units, of which an earlier run finished `done`.
    ///
    /// # Errors
    /// As [`stop_flag`].
    pub fn bar(&self, units: &str, done: u64, total: u64) -> record::Result<Bar> {
        Ok(Bar::new(units, done, total, self.quiet, self.stop()?))
    }

    /// Loads a language model with its tokenizer, by name or path.
    ///
    /// # Errors
    /// As [`models::open`] and [`TextModel::load`].
    pub fn text_model(&self, name: &str, compute: &Compute) -> record::Result<TextModel> {
        TextModel::load(&models::open(&self.store, name)?, compute)
    }

    /// Loads an entailment model, by name or path.
    ///
    /// # Errors
    /// As [`models::open`] and [`PairModel::load`].
    pub fn pair_model(&self, name: &str, compute: &Compute) -> record::Result<PairModel> {
        PairModel::load(&models::open(&self.store, name)?, compute)
    }

    /// Loads a sentence encoder, by name or path.
    ///
    /// # Errors
    /// As [`models::open`] and [`TextEncoder::load`].
    pub fn text_encoder(&self, name: &str, compute: &Compute) -> record::Result<TextEncoder> {
        TextEncoder::load(&models::open(&self.store, name)?, compute)
    }

    /// Loads the critics of a plan; the sentence encoder only if a cosine threshold is set.
    ///
    /// # Errors
    /// As [`Self::pair_model`] and [`Self::text_encoder`].
    pub fn critics(&self, plan: &Plan, compute: &Compute) -> record::Result<Critics> {
        let panel = Panel::new(&plan.paraphrase, &plan.summary);
        let entailment = Box::new(self.pair_model(&plan.models.critic, compute)?);
        let encoder: Option<Box<dyn SentenceEncoder>> = if panel.needs_encoder() {
            Some(Box::new(self.text_encoder(&plan.models.encoder, compute)?))
        } else {
            None
        };
        Ok(Critics { panel, entailment, encoder })
    }

    /// The models of a plan by the hashes of their weights.
    ///
    /// # Errors
    /// As [`Store::resolve`] and [`models::Place::weights_hash`].
    pub fn identities(&self, plan: &Plan) -> record::Result<Identities> {
        let models = &plan.models;
        let mut named = vec![(Role::Teacher, &models.teacher), (Role::Critic, &models.critic)];
        if plan.needs_encoder() {
            named.push((Role::Encoder, &models.encoder));
        }
        self.hashes(named)
    }

    fn hashes(&self, named: Vec<(Role, &String)>) -> record::Result<Identities> {
        let hash = |name: &str| Ok(Identity { sha256: self.store.resolve(name)?.weights_hash()? });
        named.into_iter().map(|(role, name)| Ok((role.as_str().to_owned(), hash(name)?))).collect()
    }

    /// Opens a run for reading, with the models that have moved in their present places.
    ///
    /// # Errors
    /// As [`RunFolder::open`]; [`record::Error::Input`] for a model other than the one that the run was started with.
    pub fn run_folder(&self, dir: &Path, moved: &Moved) -> record::Result<RunFolder> {
        let run = RunFolder::open(dir)?;
        let mut plan = run.plan().clone();
        let mut named = Vec::new();
        for (role, flag, place) in [
            (Role::Teacher, &moved.teacher, &mut plan.models.teacher),
            (Role::Critic, &moved.critic, &mut plan.models.critic),
            (Role::Encoder, &moved.encoder, &mut plan.models.encoder),
        ] {
            if let Some(name) = flag {
                place.clone_from(name);
                named.push((role, name));
            }
        }
        run.check_models(&self.hashes(named)?)?;
        Ok(run.spelled_as(&plan))
    }

    /// Prints `value` as one line of JSON if `json` is set, else `text`, to stdout.
    ///
    /// # Errors
    /// When writing to stdout fails.
    pub fn say<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json {
            out.write_all(json_line(serde_json::to_string(value)?).as_bytes())?;
        } else {
            let text = text();
            out.write_all(text.as_bytes())?;
            if !text.ends_with('\n') && !text.is_empty() {
                writeln!(out)?;
            }
        }
        Ok(())
    }
}
