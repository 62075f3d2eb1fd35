//! The worker that owns the models.

#[cfg(target_family = "wasm")]
mod engine;

#[cfg(target_family = "wasm")]
fn main() {
    use engine::{Engine, watch_over};
    use gloo::worker::Registrable;
    use protocol::Json;
    watch_over();
    Engine::registrar().encoding::<Json>().register();
}

#[cfg(not(target_family = "wasm"))]
fn main() {
    eprintln!("This is a part of the web app; build it with web/build.sh.");
}
