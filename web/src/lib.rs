//! The web app: a page (`ui`, Leptos) and a worker that owns the models (`engine`). They speak [`protocol`]. What the page
//! knows without a browser is in [`state`].

pub mod protocol;
pub mod state;

#[cfg(target_family = "wasm")]
pub mod engine;
#[cfg(target_family = "wasm")]
pub mod ui;
