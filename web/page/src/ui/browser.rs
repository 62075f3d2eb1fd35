//! The browser's own things: address, storage, clipboard, downloads.

use gloo::timers::callback::Timeout;
use gloo::utils::{body, document, window};
use js_sys::{Array, Function, Promise, Reflect};
use protocol::{DroppedFile, Source};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    Blob, BlobPropertyBag, DataTransfer, File, FileList, FileSystemDirectoryEntry, FileSystemFileEntry,
    HtmlAnchorElement, HtmlElement, Url,
};

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

/// The site's storage; a browser may refuse it.
fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

/// What was kept under a name.
pub(super) fn kept(name: &str) -> Option<String> {
    storage()?.get_item(&format!("impossible-{name}")).ok().flatten()
}

/// Keeps a text over a reload; a browser that refuses loses no more than that.
pub(super) fn keep(name: &str, text: &str) {
    if let Some(storage) = storage() {
        drop(storage.set_item(&format!("impossible-{name}"), text));
    }
}

/// Offers bytes of text as a file.
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

/// Downloads what lies at an address of this tab, and forgets it a minute later: some browsers are still reading then.
pub(super) fn follow(url: String, name: &str) {
    let Ok(link) = document().create_element("a") else { return };
    let link: HtmlAnchorElement = link.unchecked_into();
    link.set_href(&url);
    link.set_download(name);
    link.click();
    Timeout::new(60_000, move || drop(Url::revoke_object_url(&url))).forget();
}

/// Puts the keyboard at an element.
pub(super) fn focus(id: &str) {
    if let Some(element) = document().get_element_by_id(id) {
        drop(element.unchecked_into::<HtmlElement>().focus());
    }
}

/// Copies a text; the browser may refuse.
pub(super) async fn copy(text: &str) -> bool {
    let clipboard = window().navigator().clipboard();
    // Pages that came over plain http have none.
    if AsRef::<JsValue>::as_ref(&clipboard).is_undefined() {
        return false;
    }
    wasm_bindgen_futures::JsFuture::from(clipboard.write_text(text)).await.is_ok()
}

/// A number for this tab.
pub(super) fn token() -> String {
    format!("impossible-{:016x}", (js_sys::Math::random() * 2.0_f64.powi(52)) as u64)
}

/// Asks the browser not to clear this site's files when the disk is full; it may refuse.
pub(super) fn persist() {
    // Pages that came over plain http have none.
    let storage = window().navigator().storage();
    if !AsRef::<JsValue>::as_ref(&storage).is_undefined() {
        drop(storage.persist());
    }
}

/// A file that was dropped or chosen, as the worker reads it.
fn dropped(file: &File) -> Option<DroppedFile> {
    let url = Url::create_object_url_with_blob(file).ok()?;
    Some(DroppedFile { name: file.name(), url, bytes: file.size() as u64 })
}

/// Forgets an address of this tab.
pub(super) fn revoke(url: &str) {
    drop(Url::revoke_object_url(url));
}

/// A name for files without a folder.
fn name_of(files: &[File]) -> String {
    match files {
        [one] => one.name(),
        _ => "dropped".to_owned(),
    }
}

/// Files that were chosen, and the name of their folder.
pub(super) fn chosen(list: Option<FileList>) -> Source {
    let list: Vec<File> = list.map(|list| (0..list.length()).filter_map(|i| list.get(i)).collect()).unwrap_or_default();
    // The path begins with the folder; what lies in folders of that folder is no part of the model.
    let path = |file: &File| {
        Reflect::get(file, &"webkitRelativePath".into()).ok().and_then(|p| p.as_string()).unwrap_or_default()
    };
    let folder = list.first().and_then(|f| path(f).split('/').next().map(str::to_owned)).filter(|f| !f.is_empty());
    let name = folder.unwrap_or_else(|| name_of(&list));
    let files = list.iter().filter(|f| path(f).matches('/').count() <= 1).filter_map(dropped).collect();
    Source::Dropped { name, files }
}

/// What was dropped: files, and the files of one folder. Folders are read by callbacks, as browsers have it.
pub(super) async fn drop_of(data: &DataTransfer) -> Source {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    let items = data.items();
    // All at once: the list is empty after the first wait.
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
        // A browser hands out a hundred at a time; a model has fewer than a thousand.
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

/// What a function with two callbacks gives; none where it fails.
async fn wait(call: impl Fn(&Function, &Function) -> bool) -> Option<JsValue> {
    let promise = Promise::new(&mut |resolve, reject| {
        if !call(&resolve, &reject) {
            drop(reject.call0(&JsValue::NULL));
        }
    });
    wasm_bindgen_futures::JsFuture::from(promise).await.ok()
}
