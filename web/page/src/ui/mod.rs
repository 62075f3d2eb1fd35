//! The user interface of the page.

mod browser;
mod charts;
mod controls;
mod distil;
mod header;
mod how;
mod learn;
mod models;
mod rewrite;
mod store;
mod version;

use leptos::ev;
use leptos::prelude::*;
use record::Task;

use crate::state::Room;
use store::Store;

/// Replaces what is shown during loading with the page.
pub fn start() {
    console_error_panic_hook::set_once();
    browser::clear();
    mount_to_body(App);
}

#[component]
fn App() -> impl IntoView {
    let store = Store::new();
    provide_context(store);
    store.begin();
    let heard = window_event_listener(ev::hashchange, move |_| store.follow(&browser::fragment()));
    on_cleanup(move || heard.remove());
    view! {
        <a
            class="skip"
            href="#main"
            on:click=|ev| {
                // The fragment is used for the room.
                ev.prevent_default();
                browser::focus("main");
            }
        >
            "Skip to the room"
        </a>
        <header::Header />
        <main id="main" tabindex="-1">
            <header::Notice />
            {move || match store.room.get() {
                Room::Paraphrase => view! { <rewrite::Room task=Task::Paraphrase /> }.into_any(),
                Room::Summarise => view! { <rewrite::Room task=Task::Summary /> }.into_any(),
                Room::Distil => view! { <distil::Room /> }.into_any(),
                Room::Models => view! { <models::Room /> }.into_any(),
                Room::How => view! { <how::Room /> }.into_any(),
            }}
        </main>
        <footer>
            <p>
                "Everything runs in this tab. Nothing you type leaves it. "
                <a href="https://arxiv.org/abs/2305.16635">"The paper"</a>
            </p>
        </footer>
    }
}
