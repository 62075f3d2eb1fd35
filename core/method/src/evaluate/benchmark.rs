//! The input of an evaluation: the items of a benchmark, and the outputs of systems for them.

use std::collections::HashSet;

use crate::{Error, Result};
use record::Task;
use text::metric::signature::ReferenceCount;

/// One row of a benchmark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    /// Its id, or its position ("line 7"), by which messages and pages refer to it.
    pub id: String,
    /// The text to paraphrase or summarise.
    pub source: String,
    /// Reference texts for it; may be empty.
    pub references: Vec<String>,
}

/// A system's outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// Name of the system's row, unique.
    pub name: String,
    /// One output per item, in order; an empty one counts as a bad answer.
    pub outputs: Vec<String>,
}

/// Items, and systems with one output for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Benchmark {
    task: Task,
    items: Vec<Item>,
    systems: Vec<System>,
}

/// Which items have references.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum References {
    /// All items have references, this many each.
    All(ReferenceCount),
    /// Some items have no reference.
    Missing {
        /// Index of the first item without references.
        first: usize,
        /// Number of items without references.
        without: usize,
    },
}

impl Benchmark {
    /// A benchmark without systems.
    ///
    /// # Errors
    /// [`Error::Input`] when there is no item.
    pub fn new(task: Task, items: Vec<Item>) -> Result<Self> {
        if items.is_empty() {
            return Err(Error::input("benchmark", "at least one item", "none"));
        }
        Ok(Self { task, items, systems: Vec::new() })
    }

    /// Adds a system; significance tests compare the first one with each of the others.
    ///
    /// # Errors
    /// [`Error::Input`] when the name is empty or taken, or there is not one output for each item.
    pub fn push(&mut self, system: System) -> Result<()> {
        if system.name.is_empty() || self.systems.iter().any(|other| other.name == system.name) {
            let taken: Vec<_> = self.systems.iter().map(|other| other.name.as_str()).collect();
            let expected = format!("a name other than `{}`", taken.join("`, `"));
            return Err(Error::input("name of a system", expected, format_args!("`{}`", system.name)));
        }
        if system.outputs.len() != self.items.len() {
            let expected = format!("{}, one for each item", self.items.len());
            return Err(Error::input(format_args!("outputs of `{}`", system.name), expected, system.outputs.len()));
        }
        self.systems.push(system);
        Ok(())
    }

    /// The task of the systems.
    #[must_use]
    pub fn task(&self) -> Task {
        self.task
    }

    /// The items.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// The systems, in the order they were added.
    #[must_use]
    pub fn systems(&self) -> &[System] {
        &self.systems
    }

    /// Whether every item has references, and how many.
    #[must_use]
    pub fn references(&self) -> References {
        let without = |item: &&Item| item.references.is_empty();
        match self.items.iter().position(|item| item.references.is_empty()) {
            Some(first) => References::Missing { first, without: self.items.iter().filter(without).count() },
            None => References::All(ReferenceCount::of(self.items.iter().map(|item| item.references.len()))),
        }
    }

    /// The distinct non-empty texts (sources, references and outputs) of the items in `range`, in order of first
    /// occurrence.
    pub(super) fn texts(&self, range: std::ops::Range<usize>) -> Vec<&str> {
        let mut seen = HashSet::new();
        let items = self.items.get(range.clone()).unwrap_or_default().iter();
        let of_items = items.flat_map(|item| std::iter::once(&item.source).chain(&item.references));
        let of_systems = self.systems.iter().flat_map(|system| system.outputs.get(range.clone()).unwrap_or_default());
        of_items.chain(of_systems).map(String::as_str).filter(|t| !t.trim().is_empty() && seen.insert(*t)).collect()
    }
}
