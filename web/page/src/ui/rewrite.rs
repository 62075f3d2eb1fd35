//! The rooms that rewrite: paraphrase and summarise.

use leptos::prelude::*;
use leptos::task::spawn_local;
use record::Style;
use record::Task;

use super::browser;
use super::controls::{Slider, StartStop, Step};
use super::store::{Desk, store};
use super::version::Card;
use crate::state::link;
use crate::state::rewriting::{Rewriting, Sentence};
use protocol::{LONGEST_TEXT, Rewrite, Student};

/// Invented examples in the style of the teacher.
const EXAMPLES: [(&str, &str); 3] = [
    (
        "A dividend",
        "The company said it raised its quarterly dividend to 20 cts a share from 18 cts, payable May 21 to shareholders of record March 31.",
    ),
    (
        "Trade talks",
        "Trade Minister Hajime Tamura said Japan will ask the United States to drop its tariffs on electronic goods when officials meet in Washington next week.",
    ),
    (
        "A harvest",
        "The U.S. Agriculture Department said exporters sold 120,000 tonnes of wheat to China for delivery in the current marketing year, which began on June 1.",
    ),
];

/// Number of refused versions that are shown if none was kept.
const CLOSEST: usize = 2;

/// Maximum number of sentences that are rendered: a page of thousands would be slow.
const DRAWN: usize = 100;

#[component]
pub(super) fn Room(
    /// The task of the room.
    task: Task,
) -> impl IntoView {
    let store = store();
    let desk = store.desk(task);
    let summary = task == Task::Summary;
    let (title, lead) = if summary {
        (
            "Say it in fewer words",
            "A model of 1.9 million parameters shortens each sentence; a critic checks that the result still follows from it.",
        )
    } else {
        (
            "Say it in other words",
            "A model of 1.9 million parameters rewrites each sentence; a critic checks in both directions that it still says the same thing.",
        )
    };
    let typed = move |text: String| {
        browser::keep(task.name(), &text);
        // The text is no longer that of the link.
        if browser::fragment().contains('?') {
            browser::set_fragment(&format!("#{}", store.room.get_untracked().slug()));
        }
        desk.text.set(text);
    };
    let length = move || desk.text.with(|t| t.chars().count());
    view! {
        <section class="room" aria-labelledby="room-title">
            <h1 id="room-title">{title}</h1>
            <p class="lead">{lead}</p>
            <div class="two">
                <form class="compose" on:submit=|ev| ev.prevent_default()>
                    <label for="text">"Your text"</label>
                    <textarea
                        id="text"
                        rows="7"
                        dir="auto"
                        spellcheck="true"
                        placeholder="Type or paste English text. This tiny model is at its best with the newswire of 1987."
                        prop:value=move || desk.text.get()
                        on:input:target=move |ev| typed(ev.target().value())
                    ></textarea>
                    <p class="count" class:over=move || { length() > LONGEST_TEXT }>
                        {move || format!("{} characters", length())}
                    </p>
                    <div class="chips" role="group" aria-label="Examples">
                        {EXAMPLES
                            .map(|(name, text)| {
                                view! {
                                    <button type="button" class="chip" on:click=move |_| typed(text.to_owned())>
                                        {name}
                                    </button>
                                }
                            })
                            .collect_view()}
                    </div>
                    <div class="act">
                        <StartStop
                            start=Signal::stored(if summary { "Summarise" } else { "Paraphrase" }.to_owned())
                            running=Signal::derive(move || desk.glance.with(|g| g.work.running))
                            able=Signal::derive(move || store.ready() && desk.text.with(|t| !t.trim().is_empty()))
                            press=move |running| {
                                if running {
                                    store.stop(desk.glance.with_untracked(|g| g.work.run));
                                } else {
                                    store.rewrite(task);
                                }
                            }
                        />
                        <Speed desk=desk />
                    </div>
                    <Settings desk=desk />
                </form>
                <Results desk=desk task=task />
            </div>
        </section>
    }
}

#[component]
fn Speed(
    /// The state of the room.
    desk: Desk,
) -> impl IntoView {
    let words = move || {
        desk.glance.with(|s| {
            (s.speed.tokens > 0).then(|| {
                let speed = s.speed;
                format!(
                    "{:.0} tokens/s, first after {:.2} s, {} pairs judged, {:.1} s in all",
                    speed.tokens_per_s(),
                    speed.first_s,
                    speed.pairs,
                    speed.all_s
                )
            })
        })
    };
    let memory = move || desk.glance.with(|s| s.speed.memory.to_string());
    view! { <p class="speed" data-test="speed" data-memory=memory>{words}</p> }
}

#[component]
fn Settings(
    /// The state of the room.
    desk: Desk,
) -> impl IntoView {
    let store = store();
    let settings = desk.settings;
    let summary = settings.with_untracked(|s| s.task == Task::Summary);
    let change = move |change: &dyn Fn(&mut Rewrite)| settings.update(|s| change(s));
    let get = move |of: fn(&Rewrite) -> f64| Signal::derive(move || settings.with(of));
    let words = move |of: fn(&Rewrite) -> String| Signal::derive(move || settings.with(of));
    let styles = [
        ("Faithful", "close to the source", Style::Faithful),
        ("Balanced", "as in training", Style::Balanced),
        ("Diverse", "far from the source", Style::Diverse),
    ];
    view! {
        <details class="settings">
            <summary>"Settings"</summary>
            <fieldset class="segments">
                <legend>"Strength"</legend>
                {styles
                    .map(|(name, what, style)| {
                        view! {
                            <label title=what>
                                <input
                                    type="radio"
                                    name="style"
                                    prop:checked=move || settings.with(|s| s.style == style)
                                    on:change=move |_| change(&|s| s.style = style)
                                />
                                <span>{name}</span>
                            </label>
                        }
                    })
                    .collect_view()}
            </fieldset>
            <Slider
                label="Versions of each sentence"
                range=(1.0, 32.0, 1.0)
                value=get(|s| f64::from(s.samples))
                words=words(|s| s.samples.to_string())
                set=move |v| change(&|s| s.samples = v as u32)
            />
            {summary
                .then(|| {
                    view! {
                        <Slider
                            label="Target length"
                            range=(0.2, 0.9, 0.1)
                            value=get(|s| f64::from(s.length))
                            words=words(|s| format!("{:.0} %", 100.0 * s.length))
                            set=move |v| change(&|s| s.length = v as f32)
                        />
                    }
                })}
            <Slider
                label="Least entailment"
                range=(0.0, 1.0, 0.01)
                value=get(|s| f64::from(s.entailment))
                words=words(|s| format!("{:.2}", s.entailment))
                set=move |v| change(&|s| s.entailment = v as f32)
            />
            <label class="field">
                <span>"Seed"</span>
                <input
                    type="number"
                    min="0"
                    prop:value=move || settings.with(|s| s.seed.to_string())
                    on:change:target=move |ev| {
                        if let Ok(seed) = ev.target().value().parse::<u64>() {
                            change(&|s| s.seed = seed.min(1 << 52));
                        }
                    }
                />
            </label>
            <Show when=move || store.learning.with(|l| l.finished) || store.student.get() == Student::Trained>
                <fieldset class="segments">
                    <legend>"Student"</legend>
                    {[("Of this site", Student::Carried), ("Trained here", Student::Trained)]
                        .map(|(name, student)| {
                            view! {
                                <label>
                                    <input
                                        type="radio"
                                        name="student"
                                        prop:checked=move || store.student.get() == student
                                        on:change=move |_| store.choose(student)
                                    />
                                    <span>{name}</span>
                                </label>
                            }
                        })
                        .collect_view()}
                </fieldset>
            </Show>
        </details>
    }
}

#[component]
fn Results(
    /// The state of the room.
    desk: Desk,
    /// The task of the room.
    task: Task,
) -> impl IntoView {
    let store = store();
    let rejected = RwSignal::new(false);
    let said = RwSignal::new(String::new());
    let glance = desk.glance;
    let any = Memo::new(move |_| glance.with(|g| g.judged > 0));
    let count = Memo::new(move |_| glance.with(|g| g.begun.min(DRAWN)));
    let told = Memo::new(move |_| glance.with(|g| g.told.clone()));
    let more = Memo::new(move |_| glance.with(|g| g.begun.saturating_sub(DRAWN)));
    let copy = move |text: String, what: &'static str| {
        spawn_local(async move {
            let done = browser::copy(&text).await;
            said.set(if done { format!("{what} copied.") } else { "The browser did not allow copying.".to_owned() });
        });
    };
    let share = move || {
        let fragment =
            link::write(store.room.get_untracked(), &desk.text.get_untracked(), &desk.settings.get_untracked());
        browser::set_fragment(&fragment);
        copy(browser::address(&fragment), "Link");
    };
    let save = move || {
        browser::download(&format!("{}.jsonl", task.name()), "application/jsonl", &desk.all(Rewriting::jsonl));
    };
    view! {
        <div class="results">
            <p class="told" role="status" data-test="told">
                {move || told.get()}
            </p>
            <Step problem=Signal::derive(move || glance.with(|g| g.work.problem.clone())) />
            <Show when=move || any.get()>
                <div class="tools">
                    <button type="button" class="quiet" on:click=move |_| copy(desk.all(Rewriting::text), "Text")>
                        "Copy text"
                    </button>
                    <button type="button" class="quiet" on:click=move |_| share()>
                        "Copy link"
                    </button>
                    <button type="button" class="quiet" on:click=move |_| save()>
                        "Download JSONL"
                    </button>
                    <label class="check">
                        <input
                            type="checkbox"
                            prop:checked=move || rejected.get()
                            on:change:target=move |ev| rejected.set(ev.target().checked())
                        />
                        "Show what the critics refused"
                    </label>
                    <span role="status" class="said">
                        {move || said.get()}
                    </span>
                </div>
            </Show>
            <ol class="sentences">
                <For each=move || 0..count.get() key=|i| *i let:i>
                    <OneSentence sentence=Memo::new(move |_| desk.sentence(i)) rejected=rejected task=task />
                </For>
            </ol>
            {move || {
                let more = more.get();
                (more > 0)
                    .then(|| {
                        view! {
                            <p>
                                {format!("{more} more sentences are included in the copied text and in the download.")}
                            </p>
                        }
                    })
            }}
        </div>
    }
}

#[component]
fn OneSentence(
    /// The sentence and its versions.
    sentence: Memo<Sentence>,
    /// Whether refused versions are shown.
    rejected: RwSignal<bool>,
    /// The task of the room.
    task: Task,
) -> impl IntoView {
    let body = move || {
        let s = sentence.get();
        let Some(versions) = s.versions.clone() else {
            let waiting =
                s.waiting.iter().map(|text| view! { <li class="version waiting" dir="auto">{text.clone()}</li> });
            return view! { <ul class="versions">{waiting.collect_view()}</ul> }.into_any();
        };
        let kept = versions.iter().filter(|v| v.kept()).count();
        let word = if task == Task::Paraphrase { "paraphrase" } else { "summary" };
        let none = (kept == 0).then(|| {
            s.note.clone().unwrap_or_else(|| {
                let n = versions.len();
                format!("No {word} passed the critics, which refused {n} versions. These came closest:")
            })
        });
        // If nothing was kept, the closest versions are more useful than an empty page.
        let closest = if kept == 0 { CLOSEST } else { 0 };
        let shown = versions.into_iter().enumerate().filter(|(i, v)| v.kept() || rejected.get() || *i < closest);
        let shown = shown.map(|(_, v)| v);
        let cards = shown.map(|v| view! { <Card source=s.source.clone() version=v /> }).collect_view();
        view! {
            {none.map(|text| view! { <p class="none">{text}</p> })}
            <ul class="versions">{cards}</ul>
        }
        .into_any()
    };
    view! {
        <li class="sentence">
            <p class="source" dir="auto">{move || sentence.with(|s| s.source.clone())}</p>
            {body}
        </li>
    }
}
