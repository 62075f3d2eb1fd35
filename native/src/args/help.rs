//! The list of commands in `--help`, in groups.

use clap::{Command, CommandFactory};

use super::Args;

/// The commands by what one does with them.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Make a dataset", &["distill", "inspect", "filter", "judge", "audit", "merge", "verify"]),
    ("Train and use students", &["train", "refine", "paraphrase", "summarize", "reword", "export"]),
    ("Models for your own domain", &["pretrain", "train-critic", "generate"]),
    ("Measure", &["evaluate", "bench"]),
    ("This machine", &["pull", "doctor", "completions"]),
];

/// The command line of the program.
#[must_use]
pub fn command() -> Command {
    let command = Args::command();
    let mut list = String::new();
    for (title, names) in GROUPS {
        list += &format!("{title}:\n");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
            list += &format!("  {name:<14}{}\n", about.unwrap_or_default());
        }
        list.push('\n');
    }
    let template =
        format!("{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}Options:\n{{options}}{{after-help}}");
    command.help_template(template)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_command_is_in_one_group_and_fits_eighty_columns() {
        let listed: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let command = Args::command();
        let all: BTreeSet<&str> = command.get_subcommands().map(Command::get_name).collect();
        assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), all);
        assert_eq!(listed.len(), all.len());
        for sub in command.get_subcommands() {
            let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!about.is_empty() && about.len() <= 64, "{}: {about}", sub.get_name());
        }
    }
}
