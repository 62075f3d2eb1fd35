//! Value parsers for enumerations of other crates, with the name and one line of help for each value.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use lm::model::save::Precision;
use record::plan::{Critics, Diversity};
use record::{Preset, Task};

fn choice<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
    help: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let values = all.iter().map(move |&one| PossibleValue::new(name(one)).help(help(one)));
    // The inner parser accepts only these names.
    PossibleValuesParser::new(values)
        .map(move |text| all.iter().copied().find(|&one| name(one) == text).unwrap_or(all[0]))
}

pub(super) fn preset() -> impl TypedValueParser<Value = Preset> {
    choice(Preset::ALL, Preset::name, Preset::about)
}

pub(super) fn critics() -> impl TypedValueParser<Value = Critics> {
    choice(Critics::ALL, Critics::name, |critics| match critics {
        Critics::Paper => "the critics exactly as in the paper",
        Critics::Reference => "the critics in the authors' code, including its one-sided number check",
        Critics::Strict => "stricter: numbers, names and modality must agree; floors on cosine and ROUGE-L",
    })
}

pub(super) fn diversity() -> impl TypedValueParser<Value = Diversity> {
    choice(Diversity::ALL, Diversity::name, |diversity| match diversity {
        Diversity::Component => "keep the best pair of every connected component (Algorithm 1 of the paper)",
        Diversity::Independent => "keep a maximal set of pairs that do not entail each other, best first",
        Diversity::Off => "keep all pairs",
    })
}

pub(super) fn task() -> impl TypedValueParser<Value = Task> {
    choice(&Task::ALL, Task::name, |task| match task {
        Task::Paraphrase => "paraphrase pairs",
        Task::Summary => "sentence-summary pairs",
    })
}

pub(super) fn precision() -> impl TypedValueParser<Value = Precision> {
    const ALL: [Precision; 2] = [Precision::F32, Precision::F16];
    choice(
        &ALL,
        |precision| match precision {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
        },
        |precision| match precision {
            Precision::F32 => "32 bit, as trained",
            Precision::F16 => "16 bit",
        },
    )
}
