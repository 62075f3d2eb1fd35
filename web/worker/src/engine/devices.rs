//! The WebGPU adapter as the browser describes it, which burn does not expose.

use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use protocol::{Adapter, Devices};

fn get(of: &JsValue, name: &str) -> Option<JsValue> {
    Reflect::get(of, &JsValue::from_str(name)).ok().filter(|v| !v.is_undefined() && !v.is_null())
}

fn text(of: &JsValue, name: &str) -> String {
    get(of, name).and_then(|v| v.as_string()).unwrap_or_default()
}

/// Requests an adapter from the browser; `None` without WebGPU or if the request is refused.
pub(super) async fn find() -> Devices {
    Devices { gpu: adapter().await }
}

async fn adapter() -> Option<Adapter> {
    let gpu = get(&get(&js_sys::global(), "navigator")?, "gpu")?;
    let ask: Function = get(&gpu, "requestAdapter")?.dyn_into().ok()?;
    let promise: Promise = ask.call0(&gpu).ok()?.dyn_into().ok()?;
    let adapter = JsFuture::from(promise).await.ok().filter(|a| !a.is_null() && !a.is_undefined())?;
    let info = get(&adapter, "info").unwrap_or(JsValue::UNDEFINED);
    let words = ["vendor", "architecture", "description"].map(|name| text(&info, name));
    let name = words.iter().filter(|w| !w.is_empty()).cloned().collect::<Vec<_>>().join(" ");
    let flag = |of: &JsValue| get(of, "isFallbackAdapter").is_some_and(|v| v.is_truthy());
    let software = ["swiftshader", "llvmpipe", "basic render"].iter().any(|s| name.to_lowercase().contains(s));
    let f16 = get(&adapter, "features").is_some_and(|features| {
        let has = get(&features, "has").and_then(|f| f.dyn_into::<Function>().ok());
        has.and_then(|f| f.call1(&features, &JsValue::from_str("shader-f16")).ok()).is_some_and(|v| v.is_truthy())
    });
    let name = if name.is_empty() { "an adapter without a name".to_owned() } else { name };
    Some(Adapter { name, software: software || flag(&adapter) || flag(&info), f16 })
}
