//! What every command works with: the models' folder, the device, the ways to speak, and Ctrl-C.

use std::cell::OnceCell;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use lm::decode::TextModel;
use lm::device::{Compute, DeviceSpec};
use lm::scoring::{PairModel, TextEncoder};
use method::critic::{Critics, Panel, SentenceEncoder};
use record::plan::Plan;
use serde::Serialize;

use crate::args::Args;
use crate::models::{self, Store};
use crate::progress::{Bar, stop_flag};

/// What every command works with.
pub struct Session {
    /// Where models are.
    pub store: Store,
    /// Machine-readable output.
    pub json: bool,
    /// No progress on stderr.
    pub quiet: bool,
    device: DeviceSpec,
    opened: OnceCell<Compute>,
    stop: OnceCell<Arc<AtomicBool>>,
}

impl Session {
    /// The session that the global arguments ask for.
    ///
    /// # Errors
    /// As [`Store::locate`].
    pub fn new(args: &Args) -> record::Result<Self> {
        let store = Store::locate(args.models.as_deref())?;
        let (json, quiet, device) = (args.json, args.quiet, args.device);
        Ok(Self { store, json, quiet, device, opened: OnceCell::new(), stop: OnceCell::new() })
    }

    /// The kind of device that was asked for; `auto` is resolved to what it stands for on this machine.
    ///
    /// # Errors
    /// As [`Compute::open`].
    pub fn spec(&self) -> record::Result<DeviceSpec> {
        if self.device == DeviceSpec::Auto { Ok(self.compute()?.spec) } else { Ok(self.device) }
    }

    /// The device that was asked for, opened once.
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

    /// The flag that Ctrl-C sets.
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

    /// A progress bar over `total` units of which `done` were finished before.
    ///
    /// # Errors
    /// As [`stop_flag`].
    pub fn bar(&self, units: &str, done: u64, total: u64) -> record::Result<Bar> {
        Ok(Bar::new(units, done, total, self.quiet, self.stop()?))
    }

    /// Loads a language model with its tokenizer.
    ///
    /// # Errors
    /// As [`models::open`], and the model's.
    pub fn text_model(&self, name: &str, compute: &Compute) -> record::Result<TextModel> {
        TextModel::load(&models::open(&self.store, name)?, compute)
    }

    /// Loads an entailment model.
    ///
    /// # Errors
    /// As [`models::open`], and the model's.
    pub fn pair_model(&self, name: &str, compute: &Compute) -> record::Result<PairModel> {
        PairModel::load(&models::open(&self.store, name)?, compute)
    }

    /// Loads a sentence encoder.
    ///
    /// # Errors
    /// As [`models::open`], and the model's.
    pub fn text_encoder(&self, name: &str, compute: &Compute) -> record::Result<TextEncoder> {
        TextEncoder::load(&models::open(&self.store, name)?, compute)
    }

    /// Loads the critics of a plan; the encoder only where a critic needs it.
    ///
    /// # Errors
    /// As [`models::open`], and the models'.
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

    /// One JSON line, or text, on stdout.
    ///
    /// # Errors
    /// Those of writing to stdout.
    pub fn say<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json {
            serde_json::to_writer(&mut out, value)?;
            writeln!(out)?;
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
