//! The worker that owns the models.

#[cfg(target_family = "wasm")]
fn main() {
    use gloo::worker::Registrable;
    use impossible_web::engine::{Engine, Json, watch_over};
    watch_over();
    Engine::registrar().encoding::<Json>().register();
}

#[cfg(not(target_family = "wasm"))]
fn main() {
    eprintln!("This is a part of the web app; build it with web/build.sh.");
}
