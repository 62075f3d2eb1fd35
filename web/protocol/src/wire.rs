//! Encoding of the messages between the page and its worker.

use gloo::worker::{Codec, HandlerId, Worker, WorkerScope};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;

use crate::{Request, Response};

/// Messages as JSON. They have optional entries that are left out, which binary formats without field names cannot
/// represent.
#[derive(Debug)]
pub struct Json;

impl Codec for Json {
    fn encode<I: Serialize>(input: I) -> JsValue {
        serde_json::to_string(&input).map_or(JsValue::NULL, JsValue::from)
    }

    #[allow(clippy::expect_used)] // Both ends are built together, and the trait has no way to return an error.
    fn decode<O: for<'de> Deserialize<'de>>(input: JsValue) -> O {
        serde_json::from_str(&input.as_string().unwrap_or_default()).expect("a message of this program")
    }
}

/// The type of the worker for the page: it only has the message types. The worker itself is a separate program.
#[derive(Debug)]
pub struct Remote;

impl Worker for Remote {
    type Message = ();
    type Input = Request;
    type Output = Response;

    fn create(_: &WorkerScope<Self>) -> Self {
        Self
    }

    fn update(&mut self, _: &WorkerScope<Self>, (): ()) {}

    fn received(&mut self, _: &WorkerScope<Self>, _: Request, _: HandlerId) {}
}
