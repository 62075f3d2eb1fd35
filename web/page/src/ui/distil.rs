//! The room that demonstrates the method: contexts, siblings, pairs, critics, a student.

use leptos::prelude::*;
use record::Task;

use super::browser;
use super::charts::{Funnel, Plane, Refused};
use super::controls::{Slider, StartStop, Step};
use super::learn::Learn;
use super::store::{Store, store};
use super::version::{Diff, Scores};
use crate::state::distilling::{count, csv, jsonl};
use protocol::{Distill, Thresholds};

/// Maximum number of kept pairs that are shown.
const SHOWN: usize = 60;

#[component]
pub(super) fn Room() -> impl IntoView {
    let store = store();
    let task = RwSignal::new(Task::Summary);
    let begun = Memo::new(move |_| store.distilling.with(|d| d.work.run > 0));
    let any = Memo::new(move |_| store.pairs.with(|p| p.contexts > 0));
    view! {
        <section class="room" aria-labelledby="room-title">
            <h1 id="room-title">"Watch a dataset emerge from a model that cannot do the task"</h1>
            <p class="lead">
                "The teacher writes many sentences that continue the same context. Some of them say the same thing, or the same thing in fewer words. Critics pick out these pairs, and the student learns from them."
            </p>
            <div class="two">
                <Recipe />
                <div>
                    <p class="told" role="status" data-test="told">
                        {move || store.distilling.with(|d| store.pairs.with(|p| d.told(p)))}
                    </p>
                    <Step problem=Signal::derive(move || store.distilling.with(|d| d.work.problem.clone())) />
                    <Show when=move || begun.get()>
                        <Live />
                    </Show>
                </div>
            </div>
            <Show when=move || any.get()>
                <h2>"Pairs and thresholds"</h2>
                <fieldset class="segments">
                    <legend>"Dataset"</legend>
                    {Task::ALL
                        .map(|which| {
                            view! {
                                <label>
                                    <input
                                        type="radio"
                                        name="dataset"
                                        prop:checked=move || task.get() == which
                                        on:change=move |_| task.set(which)
                                    />
                                    <span>
                                        {move || {
                                            let n = store.pairs.with(|p| count(&p.kept, which));
                                            format!("{n} {} pairs", which.name())
                                        }}
                                    </span>
                                </label>
                            }
                        })
                        .collect_view()}
                </fieldset>
                <div class="two">
                    <Plane pairs=store.pairs thresholds=store.thresholds task=task />
                    <div>
                        <Limits task=task />
                        <Funnel pairs=store.pairs task=task />
                    </div>
                </div>
                <Kept task=task />
                <Refused pairs=store.pairs task=task />
                <Learn />
            </Show>
        </section>
    }
}

/// The settings of the run.
#[component]
fn Recipe() -> impl IntoView {
    let store = store();
    let of = store.distill;
    let change = move |change: &dyn Fn(&mut Distill)| of.update(|s| change(s));
    view! {
        <form class="compose" on:submit=|ev| ev.prevent_default()>
            <Slider
                label="Contexts"
                range=(1.0, 24.0, 1.0)
                value=Signal::derive(move || of.with(|d| d.contexts as f64))
                words=Signal::derive(move || of.with(|d| d.contexts.to_string()))
                set=move |v| change(&|d| d.contexts = v as usize)
            />
            <Slider
                label="Siblings of each"
                range=(16.0, 256.0, 16.0)
                value=Signal::derive(move || of.with(|d| d.k as f64))
                words=Signal::derive(move || of.with(|d| d.k.to_string()))
                set=move |v| change(&|d| d.k = v as usize)
            />
            <Slider
                label="Temperature"
                range=(0.2, 1.0, 0.05)
                value=Signal::derive(move || of.with(|d| f64::from(d.temperature)))
                words=Signal::derive(move || of.with(|d| format!("{:.2}", d.temperature)))
                set=move |v| change(&|d| d.temperature = v as f32)
            />
            <details class="settings">
                <summary>"Your own sentences, seed"</summary>
                <label for="seeds">"Your own contexts, one per line; if empty, the teacher writes them"</label>
                <textarea
                    id="seeds"
                    rows="4"
                    dir="auto"
                    prop:value=move || store.seeds.get()
                    on:input:target=move |ev| {
                        let text = ev.target().value();
                        browser::keep("seeds", &text);
                        store.seeds.set(text);
                    }
                ></textarea>
                <label class="field">
                    <span>"Seed"</span>
                    <input
                        type="number"
                        min="0"
                        prop:value=move || of.with(|d| d.seed.to_string())
                        on:change:target=move |ev| {
                            if let Ok(seed) = ev.target().value().parse::<u64>() {
                                change(&|d| d.seed = seed.min(1 << 52));
                            }
                        }
                    />
                </label>
            </details>
            <div class="act">
                <StartStop
                    start=Signal::stored("Distil".to_owned())
                    running=Signal::derive(move || store.distilling.with(|d| d.work.running))
                    able=Signal::derive(move || store.ready() && !store.learning.with(|l| l.work.running))
                    press=move |running| {
                        if running {
                            store.stop(store.distilling.with_untracked(|d| d.work.run));
                        } else {
                            store.distil();
                        }
                    }
                />
                <p class="speed" data-test="speed">
                    {move || {
                        store
                            .distilling
                            .with(|d| {
                                (d.speed.tokens > 0)
                                    .then(|| {
                                        format!(
                                            "{:.0} tokens/s, {} pairs judged, {:.1} s in all",
                                            d.speed.tokens_per_s(),
                                            d.speed.pairs,
                                            d.speed.all_s,
                                        )
                                    })
                            })
                    }}
                </p>
            </div>
        </form>
    }
}

/// The current context and its siblings, as they are generated.
#[component]
fn Live() -> impl IntoView {
    let store = store();
    view! {
        <div class="live">
            <p class="context" dir="auto">
                {move || store.distilling.with(|d| d.contexts.last().cloned().unwrap_or_else(|| "The teacher writes a context.".to_owned()))}
            </p>
            <p class="count">{move || store.distilling.with(|d| format!("{} siblings sampled so far", d.rows))}</p>
            <ol class="siblings" tabindex="0" aria-label="Siblings of this context, newest first">
                {move || {
                    store
                        .distilling
                        .with(|d| d.siblings.iter().rev().take(24).map(|s| view! { <li dir="auto">{s.clone()}</li> }).collect_view())
                }}
            </ol>
        </div>
    }
}

/// The sliders of the thresholds; moving one runs no model.
#[component]
fn Limits(
    /// The task whose thresholds are shown.
    task: RwSignal<Task>,
) -> impl IntoView {
    let store = store();
    view! {
        {move || match task.get() {
            Task::Paraphrase => {
                view! {
                    <Limit store=store label="Least entailment, both ways" least=0.2 get=|t| t.paraphrase.entailment_min set=|t, v| t.paraphrase.entailment_min = v />
                    <Limit
                        store=store
                        label="Fewest words in common (ROUGE-L)"
                        least=0.0
                        get=|t| t.paraphrase.rouge_min
                        set=|t, v| {
                            t.paraphrase.rouge_min = v;
                            t.paraphrase.rouge_max = t.paraphrase.rouge_max.max(v);
                        }
                    />
                    <Limit
                        store=store
                        label="Most words in common (ROUGE-L)"
                        least=0.0
                        get=|t| t.paraphrase.rouge_max
                        set=|t, v| {
                            t.paraphrase.rouge_max = v;
                            t.paraphrase.rouge_min = t.paraphrase.rouge_min.min(v);
                        }
                    />
                }
                    .into_any()
            }
            Task::Summary => {
                view! {
                    <Limit store=store label="Least entailment" least=0.2 get=|t| t.summary.entailment_min set=|t, v| t.summary.entailment_min = v />
                    <Limit store=store label="Maximum length, as a share of the text" least=0.2 get=|t| t.summary.length_max set=|t, v| t.summary.length_max = v />
                }
                    .into_any()
            }
        }}
        <Show when=move || store.pairs.with(|p| p.missing > 0)>
            <p class="count">
                {move || store.pairs.with(|p| format!("{} more pairs could only be decided by running the critic again.", p.missing))}
            </p>
        </Show>
    }
}

#[component]
fn Limit(
    /// The state of the page.
    store: Store,
    /// Label of the threshold.
    label: &'static str,
    /// Smallest value of the slider.
    least: f64,
    /// Reads the threshold.
    get: fn(&Thresholds) -> f32,
    /// Changes the threshold.
    set: fn(&mut Thresholds, f32),
) -> impl IntoView {
    let value = move || store.thresholds.with(|t| t.as_ref().map_or(0.0, get));
    view! {
        <Slider
            label=label
            range=(least, 1.0, 0.01)
            value=Signal::derive(move || f64::from(value()))
            words=Signal::derive(move || format!("{:.2}", value()))
            set=move |v| {
                store
                    .thresholds
                    .update(|t| {
                        if let Some(t) = t {
                            set(t, v as f32);
                        }
                    });
                if store.held.get_untracked() {
                    store.refilter();
                }
            }
        />
    }
}

/// The kept pairs and their downloads.
#[component]
fn Kept(
    /// The task whose pairs are shown.
    task: RwSignal<Task>,
) -> impl IntoView {
    let store = store();
    let mine = move || {
        store
            .pairs
            .with(|p| p.kept.iter().filter(|k| k.scored.task == task.get()).take(SHOWN).cloned().collect::<Vec<_>>())
    };
    let total = move || store.pairs.with(|p| count(&p.kept, task.get()));
    view! {
        <h2>"Kept pairs"</h2>
        <div class="tools">
            <button
                type="button"
                class="quiet"
                on:click=move |_| browser::download("dataset.jsonl", "application/jsonl", &store.pairs.with_untracked(|p| jsonl(&p.kept)))
            >
                "Download JSONL"
            </button>
            <button
                type="button"
                class="quiet"
                on:click=move |_| browser::download("dataset.csv", "text/csv", &store.pairs.with_untracked(|p| csv(&p.kept)))
            >
                "Download CSV"
            </button>
            <span class="count">
                {move || {
                    let n = total();
                    if n > SHOWN { format!("The first {SHOWN} of {n}") } else { format!("{n} pairs") }
                }}
            </span>
        </div>
        <ul class="versions kept-pairs" data-test="kept-pairs">
            {move || {
                mine()
                    .into_iter()
                    .map(|k| {
                        view! {
                            <li class="version">
                                <p class="source" dir="auto">{k.text.clone()}</p>
                                <p class="reads" dir="auto">{k.target.clone()}</p>
                                <details>
                                    <summary>"Why it was kept"</summary>
                                    <Diff source=k.text version=k.target />
                                    <Scores scored=k.scored />
                                </details>
                            </li>
                        }
                    })
                    .collect_view()
            }}
        </ul>
    }
}
