//! The likelihood critic of a reworder's versions: would the reworder write this version from other damaged forms of
//! the same source? What was read out of one particular damage, or is no English, is unlikely after most others.

use lm::decode::TextModel;
use lm::likelihood::nll;
use lm::train::Example;
use record::{Monitor, Refusal};

use super::Format;
use super::rewrite::Rewritten;
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
    /// Scores the versions that are kept so far, and refuses those above `most` nats per token.
    ///
    /// # Errors
    /// Errors of the model; [`crate::Error::Interrupted`] when the host asked to stop.
    pub async fn judge(&self, written: &mut [Rewritten], most: f32, monitor: &mut Monitor<'_>) -> Result<()> {
        let (mut examples, mut places) = (Vec::new(), Vec::new());
        for (source, rewritten) in written.iter().enumerate() {
            let kept: Vec<usize> = (0..rewritten.versions.len()).filter(|&i| rewritten.versions[i].kept()).collect();
            if kept.is_empty() {
                continue;
            }
            let prompts = self.prompts(rewritten)?;
            for at in kept {
                let target = self.target(&rewritten.versions[at].text)?;
                let room = self.reworder.lm.sizes().positions;
                let fits = |prompt: &&Vec<u32>| prompt.len() + target.len() <= room;
                for prompt in prompts.iter().filter(fits) {
                    examples.push(Example { group: 0, prompt: prompt.clone(), target: target.clone() });
                    places.push((source, at));
                }
            }
        }
        let scores = nll(&self.reworder.lm, &self.reworder.compute, &examples, monitor).await?;
        for part in places.into_iter().zip(scores).collect::<Vec<_>>().chunk_by(|a, b| a.0 == b.0) {
            let Some(&((source, at), _)) = part.first() else { continue };
            let scored = &mut written[source].versions[at].scored;
            #[allow(clippy::cast_precision_loss)]
            let mean = part.iter().map(|(_, nats)| nats).sum::<f32>() / part.len() as f32;
            scored.nll = Some(mean);
            if mean > most {
                scored.refused_by = Some(Refusal::Nll);
            }
        }
        Ok(())
    }

    /// The prompts with the damaged forms of a source.
    fn prompts(&self, rewritten: &Rewritten) -> Result<Vec<Vec<u32>>> {
        let words = Words::read(&rewritten.text);
        let form = |pass| {
            let damaged = self.damage.apply(&words, 1.0, (self.seed, rewritten.number, FIRST + pass));
            self.reworder.prompt(&self.format.around(&damaged), 0)
        };
        (0..FORMS).map(form).collect()
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
    use record::{Scored, Task, Version};

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
        Version { source: 0, row, text: text.to_owned(), scored }
    }

    fn judged(seed: u64, most: f32) -> Vec<(Option<f32>, Option<Refusal>)> {
        let reworder = tiny::text_model("teacher");
        let format = Format::reworder(false, Damage::writing());
        let damage = Damage::writing();
        let critic = Likelihoods { reworder: &reworder, format: &format, damage: &damage, seed };
        let versions = vec![
            version(0, SOURCE, None),
            version(1, "12 it dividend cts will share a pay March company 31 said on.", None),
            version(2, "A copy.", Some(Refusal::Copy)),
        ];
        let empty = Rewritten { number: 4, text: "It is.".into(), too_long: false, versions: Vec::new() };
        let mut written = [empty, Rewritten { number: 3, text: SOURCE.into(), too_long: false, versions }];
        wait(critic.judge(&mut written, most, &mut Monitor::new(&mut Unwatched, 0, 0))).unwrap();
        written[1].versions.iter().map(|v| (v.scored.nll, v.scored.refused_by)).collect()
    }

    #[test]
    fn what_is_no_english_is_less_likely_and_refused_versions_are_not_read() {
        let all = judged(1, 100.0);
        let nats: Vec<f32> = all.iter().filter_map(|(nll, _)| *nll).collect();
        assert!(nats.len() == 2 && 0.0 < nats[0] && nats[0] + 1.0 < nats[1], "{all:?}");
        assert_eq!(all[2], (None, Some(Refusal::Copy)));
        assert!(all[..2].iter().all(|(_, refused)| refused.is_none()));
        assert_eq!(all, judged(1, 100.0));
        assert_ne!(all[0], judged(2, 100.0)[0]);
        let some = judged(1, nats[0].midpoint(nats[1]));
        assert_eq!(
            some.iter().map(|(_, refused)| *refused).collect::<Vec<_>>(),
            [None, Some(Refusal::Nll), Some(Refusal::Copy)]
        );
    }
}
