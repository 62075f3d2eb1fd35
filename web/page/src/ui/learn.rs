//! Training of the student in the page.

use leptos::prelude::*;

use super::charts::Curve;
use super::controls::{Slider, StartStop, Step};
use super::store::store;
use crate::state::training::{Learning, Seen};
use protocol::Student;

#[component]
pub(super) fn Learn() -> impl IntoView {
    let store = store();
    let learning = store.learning;
    let begun = Memo::new(move |_| learning.with(|l| l.work.run > 0));
    let finished = Memo::new(move |_| learning.with(|l| l.finished));
    let start = Signal::derive(move || {
        let paused = learning.with(|l| l.step > 0 && !l.finished && l.work.problem.is_none());
        if paused { "Go on" } else { "Train the student" }.to_owned()
    });
    view! {
        <h2>"Train the student here"</h2>
        <p>
            "Training starts from the student of this site and adjusts all of its 1.9 million weights to the kept pairs of both datasets, in this tab. It uses the pairs that are kept now: move a threshold, and you get a different student."
        </p>
        <div class="act">
            <StartStop
                start=start
                running=Signal::derive(move || learning.with(|l| l.work.running))
                able=Signal::derive(move || {
                    store.ready()
                        && store.held.get()
                        && !store.distilling.with(|d| d.work.running)
                        && store.pairs.with(|p| !p.kept.is_empty())
                })
                press=move |running| {
                    if running {
                        store.stop(learning.with_untracked(|l| l.work.run));
                    } else {
                        store.train();
                    }
                }
            />
            <div class="narrow">
                <Slider
                    label="Epochs"
                    range=(1.0, 12.0, 1.0)
                    value=Signal::derive(move || store.epochs.get() as f64)
                    words=Signal::derive(move || store.epochs.get().to_string())
                    set=move |v| store.epochs.set(v as u64)
                />
            </div>
        </div>
        // Every step changes this text, so it is announced only when training ends, not while it is running.
        <p class="told" aria-live=move || if learning.with(|l| l.work.running) { "off" } else { "polite" } data-test="learning">
            {move || learning.with(Learning::told)}
        </p>
        <Step problem=Signal::derive(move || learning.with(|l| l.work.problem.clone())) />
        <Show when=move || begun.get()>
            <Curve learning=learning />
            <Progress />
        </Show>
        <Show when=move || finished.get()>
            <div class="tools">
                <button
                    type="button"
                    class="quiet"
                    aria-pressed=move || (store.student.get() == Student::Trained).to_string()
                    on:click=move |_| {
                        let other = if store.student.get_untracked() == Student::Trained { Student::Carried } else { Student::Trained };
                        store.choose(other);
                    }
                >
                    {move || {
                        if store.student.get() == Student::Trained {
                            "In use in the other rooms"
                        } else {
                            "Use it in the other rooms"
                        }
                    }}
                </button>
                <button type="button" class="quiet" on:click=move |_| store.export()>
                    "Download the student (zip)"
                </button>
            </div>
        </Show>
    }
}

/// The student's versions of sentences that it is not trained on, before training and after each epoch.
#[component]
fn Progress() -> impl IntoView {
    let store = store();
    let seen = move || store.learning.with(|l| l.seen.clone());
    let column = |Seen { epoch, looks }: Seen| {
        let when = if epoch == 0 { "Before".to_owned() } else { format!("After epoch {epoch}") };
        let kept = looks.iter().filter(|l| l.kept).count();
        view! {
            <details open=epoch == 0>
                <summary>{format!("{when}: {kept} of {} versions pass the critics", looks.len())}</summary>
                <ul class="looks">
                    {looks
                        .into_iter()
                        .map(|look| {
                            view! {
                                <li>
                                    <p class="source" dir="auto">{look.source}</p>
                                    <p class="reads" class:refused=!look.kept dir="auto">
                                        <b>{look.task.name()}</b>
                                        " "
                                        {look.version}
                                        <span class="verdict">{if look.kept { " (kept)" } else { " (refused)" }}</span>
                                    </p>
                                </li>
                            }
                        })
                        .collect_view()}
                </ul>
            </details>
        }
    };
    view! {
        <div class="progress" data-test="looks">
            {move || seen().into_iter().map(column).collect_view()}
        </div>
    }
}
