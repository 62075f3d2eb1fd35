//! The browser's own things: address, storage, clipboard, downloads.

use gloo::storage::{LocalStorage, Storage};
use gloo::utils::{body, document, window};
use js_sys::Array;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Blob, BlobPropertyBag, HtmlAnchorElement, Url};

/// Removes what stands there while the page loads.
pub(super) fn clear() {
    body().set_inner_html("");
}

/// Address of the site: that of the page without its file name.
pub(super) fn base() -> String {
    let href = document().base_uri().ok().flatten().unwrap_or_default();
    let href = href.split(['#', '?']).next().unwrap_or_default().to_owned();
    href.rsplit_once('/').map_or(href.clone(), |(folder, _)| format!("{folder}/"))
}

/// The fragment of the address, decoded by the browser no further than it is written.
pub(super) fn fragment() -> String {
    window().location().hash().unwrap_or_default()
}

/// Changes the fragment without a new entry in the history.
pub(super) fn set_fragment(fragment: &str) {
    if let Ok(history) = window().history() {
        drop(history.replace_state_with_url(&JsValue::NULL, "", Some(fragment)));
    }
}

/// The whole address with another fragment.
pub(super) fn address(fragment: &str) -> String {
    let href = window().location().href().unwrap_or_default();
    format!("{}{fragment}", href.split('#').next().unwrap_or_default())
}

/// What was kept under a name.
pub(super) fn kept(name: &str) -> Option<String> {
    LocalStorage::get(name).ok()
}

/// Keeps a text over a reload; a browser that refuses loses no more than that.
pub(super) fn keep(name: &str, text: &str) {
    drop(LocalStorage::set(name, text));
}

/// Offers bytes of text as a file.
pub(super) fn download(name: &str, kind: &str, text: &str) {
    let options = BlobPropertyBag::new();
    options.set_type(kind);
    let Ok(blob) = Blob::new_with_str_sequence_and_options(&Array::of1(&JsValue::from_str(text)), &options) else {
        return;
    };
    if let Ok(url) = Url::create_object_url_with_blob(&blob) {
        follow(&url, name);
        drop(Url::revoke_object_url(&url));
    }
}

/// Downloads what lies at an address of this tab.
pub(super) fn follow(url: &str, name: &str) {
    let Ok(link) = document().create_element("a") else { return };
    let link: HtmlAnchorElement = link.unchecked_into();
    link.set_href(url);
    link.set_download(name);
    link.click();
}

/// Copies a text; the browser may refuse.
pub(super) async fn copy(text: &str) -> bool {
    wasm_bindgen_futures::JsFuture::from(window().navigator().clipboard().write_text(text)).await.is_ok()
}

/// A number for this tab.
pub(super) fn token() -> String {
    format!("impossible-{:016x}", (js_sys::Math::random() * 2.0_f64.powi(52)) as u64)
}
