//! A small artificial run for tests.

use std::ops::Range;
use std::path::Path;

use method::critic::Link;
use record::plan::{Contexts, Critics, Models, Paraphrase, Plan, SiblingSettings, Source, Summary};
use record::{Context, ContextOutcome, Finish, Funnel, FunnelStep, Refusal, Sample, SampleOutcome, Scored, Step, Task};

use super::{RunFolder, ShardData, ranges};

/// A valid plan of ten contexts.
pub fn plan() -> Plan {
    Plan {
        seed: 11,
        device: record::DeviceSpec::Flex,
        models: Models {
            teacher: "/home/someone/gpt2".into(),
            critic: "nli".into(),
            encoder: "minilm".into(),
            student: String::new(),
        },
        contexts: Contexts {
            count: 10,
            source: Source::None,
            seeds: String::new(),
            seeds_sha256: String::new(),
            min_sentences: 1,
            max_sentences: 5,
            max_tokens: 150,
            temperature: 1.0,
            top_p: 0.9,
        },
        siblings: SiblingSettings {
            k: 4,
            temperature: 0.7,
            top_p: 0.9,
            top_k: 0,
            min_p: 0.0,
            typical_p: 1.0,
            repetition_penalty: 1.0,
            no_repeat_ngram: 3,
            min_tokens: 0,
            max_tokens: 100,
            batch: 4,
        },
        paraphrase: Paraphrase::preset(Critics::Strict),
        summary: Summary::preset(Critics::Strict),
    }
}

/// The rows of a shard.
pub struct Data {
    pub contexts: Vec<Context>,
    pub samples: Vec<Sample>,
    pub scored: Vec<Scored>,
    pub links: Vec<Link>,
    pub funnel: Funnel,
}

impl Data {
    pub fn view(&self) -> ShardData<'_> {
        ShardData {
            contexts: &self.contexts,
            samples: &self.samples,
            scored: &self.scored,
            links: &self.links,
            funnel: &self.funnel,
        }
    }
}

/// The rows of a range's contexts, each of which depends on its context alone.
pub fn range_data(range: &Range<u64>) -> Data {
    let mut data = Data { contexts: vec![], samples: vec![], scored: vec![], links: vec![], funnel: Funnel::default() };
    for id in range.clone() {
        data.links.push(Link { task: Task::Paraphrase, context: id, x: 0, y: 1, p: 0.5 });
        let text = format!("Context {id} with <b>markup</b> & \"quotes\".");
        data.contexts.push(Context { id, text, origin: "none".into(), sentences: 1 });
        for row in 0..4 {
            let text = format!("In {}, the mayor of town {id} said version {row} was <ready>.", 1900 + id);
            let finish = if row == 3 { Finish::Length } else { Finish::Sentence };
            data.samples.push(Sample { context: id, row, text, tokens: 12 + row, finish });
        }
    }
    for task in Task::ALL {
        for id in range.clone() {
            for (x, y) in [(0, 1), (0, 2), (1, 2)] {
                let share = (id * 3 + u64::from(x + y)) as f32 / 33.0;
                let kept = y == 1 && (task == Task::Paraphrase || id % 2 == 0);
                data.scored.push(Scored {
                    task,
                    context: id,
                    x,
                    y,
                    length_ratio: 1.0 + share / 10.0,
                    rouge_l: share,
                    numbers: Some(1.0),
                    entities: (y != 2).then_some(1.0),
                    modality: (y != 2).then_some(1.0),
                    cosine: kept.then_some(0.9),
                    forward: kept.then_some(0.8 + share / 10.0),
                    backward: (kept && task == Task::Paraphrase).then_some(0.77),
                    nll: None,
                    refused_by: (!kept).then_some(Refusal::Entities),
                });
            }
        }
    }
    let n = range.end - range.start;
    data.funnel.contexts.insert(ContextOutcome::Made, n);
    data.funnel.samples.extend([(SampleOutcome::Sentence, 3 * n), (SampleOutcome::Length, n)]);
    let step = |critic, seen, passed| FunnelStep { critic, seen, passed };
    let entities = Step::Critic(Refusal::Entities);
    data.funnel.paraphrase = vec![step(Step::Pairs, 3 * n, 3 * n), step(entities, 3 * n, n)];
    data.funnel.summary = vec![step(Step::Pairs, 3 * n, 3 * n), step(entities, 3 * n, n / 2)];
    data
}

/// Writes a complete run of the plan, with shards of `size` contexts.
pub fn finish_run(dir: &Path, plan: &Plan, size: u64) {
    let folder = RunFolder::create_or_resume(dir, plan).expect("folder");
    for range in ranges(plan.contexts.count as u64, size, 0, 1) {
        folder.write_shard(&range, range_data(&range).view()).expect("shard");
    }
    let written = folder.write_dataset().expect("dataset");
    crate::report::write(&folder, &written).expect("report");
}
