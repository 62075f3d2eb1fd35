//! Columns of scores: what every system has for every item, and how it was computed.

use super::{Measure, Model};
use crate::Result;
use crate::metric::bootstrap::Rows;
use crate::record::Task;

/// One system in one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// What is summed and resampled; [`Measure::score`] makes the score.
    pub rows: Rows,
    /// The score of each item by itself; NaN where it has none.
    pub items: Vec<f64>,
}

impl Scores {
    /// Of a column that is a mean over items. NaN = the item has no value and does not count.
    ///
    /// # Errors
    /// When there is no item, or a value is infinite.
    pub fn of_values(items: Vec<f64>) -> Result<Self> {
        let row = |&value: &f64| if value.is_nan() { [0.0, 0.0] } else { [value, 1.0] };
        Ok(Self { rows: Rows::new(2, items.iter().flat_map(row).collect())?, items })
    }

    /// How many items have a value.
    #[must_use]
    pub fn n(&self) -> usize {
        self.items.iter().filter(|value| !value.is_nan()).count()
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// What it measures.
    pub measure: Measure,
    /// The exact settings: `name:value` joined by `|`.
    pub signature: String,
    /// A system each, in the order of [`Table::systems`].
    pub systems: Vec<Scores>,
}

impl Column {
    /// A mean over items; `values` is a system each, NaN = no value.
    ///
    /// # Errors
    /// As [`Scores::of_values`].
    pub fn of_values(measure: Measure, signature: String, values: Vec<Vec<f64>>) -> Result<Self> {
        let systems = values.into_iter().map(Scores::of_values).collect::<Result<_>>()?;
        Ok(Self { measure, signature, systems })
    }
}

/// Columns that a table lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Which.
    pub measures: Vec<Measure>,
    /// Why.
    pub reason: String,
}

/// All that was computed.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// What the systems do.
    pub task: Task,
    /// Number of items.
    pub items: usize,
    /// Names of the systems.
    pub systems: Vec<String>,
    /// The columns asked for, in the order of [`Measure::of`].
    pub chosen: Vec<Measure>,
    /// In the order of [`Measure::of`].
    pub columns: Vec<Column>,
    /// What could not be computed.
    pub left_out: Vec<LeftOut>,
}

impl Table {
    /// The column of a measure.
    #[must_use]
    pub fn column(&self, measure: Measure) -> Option<&Column> {
        self.columns.iter().find(|column| column.measure == measure)
    }

    /// Adds columns, each in its place; a column that is there is replaced.
    pub fn add(&mut self, columns: Vec<Column>) {
        let place = |measure| Measure::of(self.task).iter().position(|&m| m == measure);
        self.columns.retain(|old| columns.iter().all(|new| new.measure != old.measure));
        self.columns.extend(columns);
        self.columns.sort_by_key(|column| place(column.measure));
    }

    /// The chosen columns of a model that can be computed and are not there yet.
    #[must_use]
    pub fn wanted(&self, model: Model) -> Vec<Measure> {
        let known = |m| self.column(m).is_some() || self.left_out.iter().any(|left| left.measures.contains(&m));
        self.chosen.iter().copied().filter(|&m| m.model() == Some(model) && !known(m)).collect()
    }

    /// Says why the columns of a model are not there; nothing where none is missing.
    pub fn leave_out(&mut self, model: Model, reason: String) {
        let measures = self.wanted(model);
        if !measures.is_empty() {
            self.left_out.push(LeftOut { measures, reason });
        }
    }

    /// The column that orders best and worst examples.
    #[must_use]
    pub fn headline(&self) -> Option<&Column> {
        let graded = || self.columns.iter().find(|column| column.measure.range().is_some());
        Measure::headlines(self.task).iter().find_map(|&measure| self.column(measure)).or_else(graded)
    }

    /// The `n` items of a system with the best (or worst) value in a column, most extreme first, the earlier item first
    /// where they are equal; items without a value are not among them.
    #[must_use]
    pub fn extremes(column: &Column, system: usize, n: usize, best: bool) -> Vec<usize> {
        let Some(scores) = column.systems.get(system) else { return Vec::new() };
        let highest = best != (column.measure.better() == super::Better::Lower);
        let mut order: Vec<(usize, f64)> =
            scores.items.iter().copied().enumerate().filter(|(_, v)| !v.is_nan()).collect();
        order.sort_by(|(_, a), (_, b)| if highest { b.total_cmp(a) } else { a.total_cmp(b) });
        order.into_iter().take(n).map(|(item, _)| item).collect()
    }
}
