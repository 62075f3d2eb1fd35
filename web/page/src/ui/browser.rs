//! Access to browser features: address, storage, clipboard, downloads, dropped files.

use gloo::timers::callback::Timeout;
use gloo::utils::{body, document, window};
use js_sys::{Array, Function, Promise, Reflect};
use protocol::{DroppedFile, Source};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    Blob, BlobPropertyBag, DataTransfer, File, FileList, FileSystemDirectoryEntry, FileSystemFileEntry,
    HtmlAnchorElement, HtmlElement, Url,
};

/// Removes what the page shows while it loads.
pub(super) fn clear() {
    body().set_inner_html("");
}

/// Address of the site: the page's address without its file name.
pub(super) fn base() -> String {
    let href = document().base_uri().ok().flatten().unwrap_or_default();
    let href = href.split(['#', '?']).next().unwrap_or_default().to_owned();
    href.rsplit_once('/').map_or(href.clone(), |(folder, _)| format!("{folder}/"))
}

/// The fragment of the address, not decoded.
pub(super) fn fragment() -> String {
    window().location().hash().unwrap_or_default()
}

/// Changes the fragment without adding an entry to the history.
pub(super) fn set_fragment(fragment: &str) {
    if let Ok(history) = window().history() {
        drop(history.replace_state_with_url(&JsValue::NULL, "", Some(fragment)));
    }
}

/// The complete address with another fragment.
pub(super) fn address(fragment: &str) -> String {
    let href = window().location().href().unwrap_or_default();
    format!("{}{fragment}", href.split('#').next().unwrap_or_default())
}

/// The site's local storage, which a browser may deny.
fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

/// The text stored under a name.
pub(super) fn kept(name: &str) -> Option<String> {
    storage()?.get_item(&format!("impossible-{name}")).ok().flatten()
}

/// Stores a text across reloads, if the browser allows it.
pub(super) fn keep(name: &str, text: &str) {
    if let Some(storage) = storage() {
        drop(storage.set_item(&format!("impossible-{name}"), text));
    }
}

/// Offers a text as a file to download.
pub(super) fn download(name: &str, kind: &str, text: &str) {
    let options = BlobPropertyBag::new();
    options.set_type(kind);
    let Ok(blob) = Blob::new_with_str_sequence_and_options(&Array::of1(&JsValue::from_str(text)), &options) else {
        return;
    };
    if let Ok(url) = Url::create_object_url_with_blob(&blob) {
        follow(url, name);
    }
}

/// Downloads from an object URL of this tab, and revokes it only a minute later, as some browsers read it with a delay.
pub(super) fn follow(url: String, name: &str) {
    let Ok(link) = document().create_element("a") else { return };
    let link: HtmlAnchorElement = link.unchecked_into();
    link.set_href(&url);
    link.set_download(name);
    link.click();
    Timeout::new(60_000, move || drop(Url::revoke_object_url(&url))).forget();
}

/// Moves the keyboard focus to an element.
pub(super) fn focus(id: &str) {
    if let Some(element) = document().get_element_by_id(id) {
        drop(element.unchecked_into::<HtmlElement>().focus());
    }
}

/// Copies a text to the clipboard; returns whether the browser allowed it.
pub(super) async fn copy(text: &str) -> bool {
    let clipboard = window().navigator().clipboard();
    // Pages served over plain http have none.
    if AsRef::<JsValue>::as_ref(&clipboard).is_undefined() {
        return false;
    }
    wasm_bindgen_futures::JsFuture::from(clipboard.write_text(text)).await.is_ok()
}

/// A random name for a channel of this tab.
pub(super) fn token() -> String {
    format!("impossible-{:016x}", (js_sys::Math::random() * 2.0_f64.powi(52)) as u64)
}

/// Asks the browser not to clear this site's files when the disk is full; it may refuse.
pub(super) fn persist() {
    // Pages served over plain http have none.
    let storage = window().navigator().storage();
    if !AsRef::<JsValue>::as_ref(&storage).is_undefined() {
        drop(storage.persist());
    }
}

/// A dropped or chosen file, in the form that the worker reads.
fn dropped(file: &File) -> Option<DroppedFile> {
    let url = Url::create_object_url_with_blob(file).ok()?;
    Some(DroppedFile { name: file.name(), url, bytes: file.size() as u64 })
}

/// Revokes an object URL of this tab.
pub(super) fn revoke(url: &str) {
    drop(Url::revoke_object_url(url));
}

/// A name for a set of files without a folder.
fn name_of(files: &[File]) -> String {
    match files {
        [one] => one.name(),
        _ => "dropped".to_owned(),
    }
}

/// The chosen files, with the name of their folder.
pub(super) fn chosen(list: Option<FileList>) -> Source {
    let list: Vec<File> = list.map(|list| (0..list.length()).filter_map(|i| list.get(i)).collect()).unwrap_or_default();
    // The path begins with the folder; files in its subfolders are not part of the model.
    let path = |file: &File| {
        Reflect::get(file, &"webkitRelativePath".into()).ok().and_then(|p| p.as_string()).unwrap_or_default()
    };
    let folder = list.first().and_then(|f| path(f).split('/').next().map(str::to_owned)).filter(|f| !f.is_empty());
    let name = folder.unwrap_or_else(|| name_of(&list));
    let files = list.iter().filter(|f| path(f).matches('/').count() <= 1).filter_map(dropped).collect();
    Source::Dropped { name, files }
}

/// The dropped files, including those in one dropped folder. Browsers read folders through callbacks.
pub(super) async fn drop_of(data: &DataTransfer) -> Source {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    let items = data.items();
    // Read all items at once, as the list is empty after the first await.
    for i in 0..items.length() {
        let Some(item) = items.get(i) else { continue };
        match item.webkit_get_as_entry().ok().flatten() {
            Some(entry) if entry.is_directory() => folders.push(entry.unchecked_into::<FileSystemDirectoryEntry>()),
            _ => files.extend(item.get_as_file().ok().flatten()),
        }
    }
    let mut name = name_of(&files);
    if let Some(folder) = folders.first() {
        name = folder.name();
        let reader = folder.create_reader();
        // Browsers return at most a hundred entries at a time; a model has fewer than a thousand files.
        for _ in 0..10 {
            let entries = wait(|done, failed| reader.read_entries_with_callback_and_callback(done, failed).is_ok());
            let entries = Array::from(&entries.await.unwrap_or_default());
            if entries.length() == 0 {
                break;
            }
            for entry in entries.iter() {
                let entry: FileSystemFileEntry = entry.unchecked_into();
                if entry.is_file() {
                    let file = wait(|done, failed| {
                        entry.file_with_callback_and_callback(done, failed);
                        true
                    });
                    files.extend(file.await.map(JsCast::unchecked_into::<File>));
                }
            }
        }
    }
    Source::Dropped { name, files: files.iter().filter_map(dropped).collect() }
}

/// The result of a function with two callbacks; none if it fails.
async fn wait(call: impl Fn(&Function, &Function) -> bool) -> Option<JsValue> {
    let promise = Promise::new(&mut |resolve, reject| {
        if !call(&resolve, &reject) {
            drop(reject.call0(&JsValue::NULL));
        }
    });
    wasm_bindgen_futures::JsFuture::from(promise).await.ok()
}
