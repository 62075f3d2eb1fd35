//! Links to a view with its settings and text. Everything is in the URL fragment, which is not sent to a server.

use protocol::{LONGEST_TEXT, Rewrite};
use record::{DeviceSpec, Preset, Style, Task};
use serde::{Deserialize, Serialize};

use super::Room;

/// Content of a link.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The view.
    pub room: Room,
    /// The text, if the link has one.
    pub text: Option<String>,
    /// The settings, if the link has a style, a number of samples or a seed.
    pub settings: Option<Rewrite>,
}

#[derive(Serialize, Deserialize)]
struct Query {
    text: Option<String>,
    style: Option<Style>,
    samples: Option<u32>,
    length: Option<f32>,
    entailment: Option<f32>,
    seed: Option<u64>,
}

/// Default settings of a task.
#[must_use]
pub fn defaults(task: Task) -> Rewrite {
    let plan = Preset::Tiny.plan(DeviceSpec::Flex);
    let entailment =
        if task == Task::Paraphrase { plan.paraphrase.entailment_min } else { plan.summary.entailment_min };
    Rewrite { task, style: Style::Balanced, samples: 12, length: 0.6, entailment, seed: 7 }
}

/// The fragment of a link, with its `#`.
#[must_use]
pub fn write(room: Room, text: &str, settings: &Rewrite) -> String {
    let query = Query {
        text: Some(text.to_owned()),
        style: Some(settings.style),
        samples: Some(settings.samples),
        length: Some(settings.length),
        entailment: Some(settings.entailment),
        seed: Some(settings.seed),
    };
    format!("#{}?{}", room.slug(), serde_urlencoded::to_string(query).unwrap_or_default())
}

/// Parses a fragment. Invalid values are replaced by defaults or the nearest valid value; an unparsable query is
/// ignored.
#[must_use]
pub fn read(fragment: &str) -> Link {
    let fragment = fragment.trim_start_matches('#');
    let (slug, query) = fragment.split_once('?').unwrap_or((fragment, ""));
    let room = Room::ALL.into_iter().find(|r| r.slug() == slug).unwrap_or_default();
    let Ok(query) = serde_urlencoded::from_str::<Query>(query) else {
        return Link { room, text: None, settings: None };
    };
    let task = if room == Room::Summarise { Task::Summary } else { Task::Paraphrase };
    let usual = defaults(task);
    let any = query.style.is_some() || query.samples.is_some() || query.seed.is_some();
    let settings = Rewrite {
        task,
        style: query.style.unwrap_or(usual.style),
        samples: query.samples.map_or(usual.samples, |n| n.clamp(1, 32)),
        length: query.length.filter(|l| (0.1..=1.0).contains(l)).unwrap_or(usual.length),
        entailment: query.entailment.filter(|e| (0.0..=1.0).contains(e)).unwrap_or(usual.entailment),
        seed: query.seed.map_or(usual.seed, |seed| seed.min(1 << 52)),
    };
    let text = query.text.map(|t| t.chars().take(LONGEST_TEXT).collect());
    Link { room, text, settings: any.then_some(settings) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_says_what_was_set() {
        let settings = Rewrite { style: Style::Diverse, samples: 5, seed: 11, ..defaults(Task::Summary) };
        for text in ["Rain & snow = 100 % #1?", "שלום, עולם", "\u{1f30a}\nsecond line", ""] {
            let link = read(&write(Room::Summarise, text, &settings));
            assert_eq!((link.room, link.text.as_deref()), (Room::Summarise, Some(text)));
            assert_eq!(link.settings.as_ref(), Some(&settings));
        }
    }

    #[test]
    fn what_cannot_be_is_left_out() {
        for bad in ["", "#", "#nowhere", "#paraphrase?samples=many", "#paraphrase?style=loud", "#how?%%%"] {
            let link = read(bad);
            assert_eq!(link.settings, None, "{bad}");
        }
        let link = read("#paraphrase?samples=4000000000&length=-3&entailment=NaN&seed=18446744073709551615");
        let usual = defaults(Task::Paraphrase);
        assert_eq!(link.settings, Some(Rewrite { samples: 32, seed: 1 << 52, ..usual }));
        assert_eq!(read("#how").room, Room::How);
    }
}
