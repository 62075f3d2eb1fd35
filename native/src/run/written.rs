//! What a merge of shards came to, for the card and the report.

use record::Funnel;

use super::survey::TaskSurvey;

/// What a merge came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Contexts of the shards that went in.
    pub contexts: u64,
    /// Kept pairs of each task, in the order of [`record::Task::ALL`].
    pub kept: [u64; 2],
    /// Counts of the whole run.
    pub funnel: Funnel,
    /// Histograms and examples of each task, in the order of [`record::Task::ALL`].
    pub survey: [TaskSurvey; 2],
}
