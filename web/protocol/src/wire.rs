//! How requests and answers travel between the page and its worker.

use gloo::worker::{Codec, HandlerId, Worker, WorkerScope};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;

use crate::{Request, Response};

/// Messages as JSON: they hold entries that are left out, which a binary code without names cannot have.
#[derive(Debug)]
pub struct Json;

impl Codec for Json {
    fn encode<I: Serialize>(input: I) -> JsValue {
        serde_json::to_string(&input).map_or(JsValue::NULL, JsValue::from)
    }

    #[allow(clippy::expect_used)] // Both ends are built together; the trait leaves no other way.
    fn decode<O: for<'de> Deserialize<'de>>(input: JsValue) -> O {
        serde_json::from_str(&input.as_string().unwrap_or_default()).expect("a message of this program")
    }
}

/// The worker as the page sees it: what it is sent and what it says. The one that does the work is another program.
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
