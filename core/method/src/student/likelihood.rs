//! The likelihood critic of a reworder's versions: would the reworder write this version from other damaged forms of
//! the same source? What was read out of one particular damage, or is no English, is unlikely after most others.

use std::collections::BTreeMap;

use lm::decode::TextModel;
use lm::likelihood::nll;
use lm::train::Example;
use record::{Monitor, Refusal, Version};

use super::Format;
use crate::Result;
use crate::reword::{Damage, words::Words};

/// Number of damaged forms of a source over which the likelihood of a version is averaged.
pub const FORMS: u32 = 4;

/// The pass of the first of these forms; a version's own pass is its row, which is smaller.
const FIRST: u32 = 1 << 20;

/// A reworder as a critic of versions.
pub struct Likelihoods<'a> {
    /// The reworder.
    pub reworder: &'a TextModel,
    /// Its prompt.
    pub format: &'a Format,
    /// How sources are damaged.
    pub damage: &'a Damage,
    /// Seed of the damage.
    pub seed: u64,
}

impl Likelihoods<'_> {
    /// Scores the versions that are kept so far and refuses those above `most` nats per token, or that do not fit the
    /// model. `sources` are numbers and texts; [`Version::source`] is an index into them.
    ///
    /// # Errors
    /// Errors of the model; [`crate::Error::Interrupted`] when the host asked to stop.
    pub async fn judge(
        &self,
        sources: &[(u64, &str)],
        versions: &mut [&mut Version],
        most: f32,
        monitor: &mut Monitor<'_>,
    ) -> Result<()> {
        // Versions with the same text are scored once.
        let mut texts: BTreeMap<(usize, String), Vec<usize>> = BTreeMap::new();
        for (at, version) in versions.iter().enumerate().filter(|(_, version)| version.kept()) {
            texts.entry((version.source, version.text.clone())).or_default().push(at);
        }
        let (mut examples, mut counts) = (Vec::new(), Vec::with_capacity(texts.len()));
        let mut forms: Option<(usize, Vec<Vec<u32>>)> = None;
        for (source, text) in texts.keys() {
            if forms.as_ref().is_none_or(|(of, _)| of != source) {
                forms = sources.get(*source).map(|source| self.prompts(*source)).map(|prompts| (*source, prompts));
            }
            let target = self.target(text)?;
            let prompts = forms.as_ref().map_or(&[][..], |(_, prompts)| prompts);
            let before = examples.len();
            let fitting = prompts.iter().filter(|prompt| self.fits(prompt, &target));
            examples.extend(fitting.map(|prompt| Example { group: 0, prompt: prompt.clone(), target: target.clone() }));
            counts.push(examples.len() - before);
        }
        let mut scores = &nll(&self.reworder.lm, &self.reworder.compute, &examples, monitor).await?[..];
        for (same, count) in texts.into_values().zip(counts) {
            let (these, rest) = scores.split_at(count);
            scores = rest;
            #[allow(clippy::cast_precision_loss)]
            let mean = (count > 0).then(|| these.iter().sum::<f32>() / count as f32);
            for at in same {
                let scored = &mut versions[at].scored;
                (scored.nll, scored.refused_by) = match mean {
                    Some(nats) if nats <= most => (mean, None),
                    Some(_) => (mean, Some(Refusal::Nll)),
                    None => (None, Some(Refusal::Unscored)),
                };
            }
        }
        Ok(())
    }

    /// Prompts with the damaged forms of a source. A form may be a little longer than its source; those that do not
    /// fit the model are left out.
    fn prompts(&self, (number, text): (u64, &str)) -> Vec<Vec<u32>> {
        let words = Words::read(text);
        let form = |pass| {
            let damaged = self.damage.apply(&words, 1.0, (self.seed, number, FIRST + pass));
            self.reworder.prompt(&self.format.around(&damaged), 0).ok()
        };
        (0..FORMS).filter_map(form).collect()
    }

    /// Whether the model has positions for both; with an encoder each has its own.
    fn fits(&self, prompt: &[u32], target: &[u32]) -> bool {
        let sizes = self.reworder.lm.sizes();
        let taken = if sizes.start.is_some() { prompt.len().max(target.len()) } else { prompt.len() + target.len() };
        taken <= sizes.positions
    }

    /// Tokens of a version with the end-of-text token.
    fn target(&self, text: &str) -> Result<Vec<u32>> {
        let mut target = self.reworder.tokenizer.encode(&self.format.target(text))?;
        target.extend(self.reworder.lm.sizes().eos.first().or(self.reworder.ends.first()));
        Ok(target)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use lm::lanes::wait;
    use record::monitor::Unwatched;
    use record::{Scored, Task};

    use super::*;
    use crate::tiny;

    const SOURCE: &str = "The company said it will pay a dividend of 12 cts a share on March 31.";

    fn version(row: u32, text: &str, refused_by: Option<Refusal>) -> Version {
        let scored = Scored {
            task: Task::Paraphrase,
            context: 3,
            x: 0,
            y: row,
            length_ratio: 1.0,
            rouge_l: 0.5,
            numbers: None,
            entities: None,
            modality: None,
            cosine: None,
            forward: Some(0.9),
            backward: Some(0.9),
            nll: None,
            refused_by,
        };
        Version { source: 1, row, text: text.to_owned(), scored }
    }

    fn judged(seed: u64, most: f32) -> Vec<(Option<f32>, Option<Refusal>)> {
        let reworder = tiny::text_model("teacher");
        let format = Format::reworder(false, Damage::writing());
        let damage = Damage::writing();
        let critic = Likelihoods { reworder: &reworder, format: &format, damage: &damage, seed };
        let long = "The company said it will pay a dividend. ".repeat(100);
        let mut versions = [
            version(0, SOURCE, None),
            version(1, "12 it dividend cts will share a pay March company 31 said on.", None),
            version(2, "A copy.", Some(Refusal::Copy)),
            version(3, SOURCE, None),
            version(4, &long, None),
        ];
        let sources = [(4, "It is."), (3, SOURCE)];
        let mut all: Vec<&mut Version> = versions.iter_mut().collect();
        wait(critic.judge(&sources, &mut all, most, &mut Monitor::new(&mut Unwatched, 0, 0))).unwrap();
        versions.iter().map(|v| (v.scored.nll, v.scored.refused_by)).collect()
    }

    #[test]
    fn what_is_no_english_is_less_likely_and_refused_versions_are_not_read() {
        let all = judged(1, 100.0);
        let nats: Vec<f32> = all.iter().filter_map(|(nll, _)| *nll).collect();
        assert!(nats.len() == 3 && 0.0 < nats[0] && nats[0] + 1.0 < nats[1], "{all:?}");
        assert_eq!((all[2], all[3]), ((None, Some(Refusal::Copy)), all[0]));
        assert_eq!(all[4], (None, Some(Refusal::Unscored)), "longer than the model");
        assert!(all[..2].iter().all(|(_, refused)| refused.is_none()));
        assert_eq!(all, judged(1, 100.0));
        assert_ne!(all[0], judged(2, 100.0)[0]);
        let some = judged(1, nats[0].midpoint(nats[1]));
        let reasons: Vec<_> = some.iter().map(|(_, refused)| *refused).collect();
        assert_eq!(reasons[..2], [None, Some(Refusal::Nll)]);
    }
}
