//! The browser's origin private file system (OPFS), with the synchronous access handles that workers may use.

use js_sys::{AsyncIterator, Function, IteratorNext, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions, FileSystemGetFileOptions,
    FileSystemReadWriteOptions, FileSystemRemoveOptions, FileSystemSyncAccessHandle, StorageManager, WorkerGlobalScope,
};

use super::problem;
use protocol::Problem;

/// Most entries of a folder that are listed.
const MOST: usize = 4096;

type Result<T> = std::result::Result<T, Problem>;

fn word(of: &JsValue, field: &str) -> String {
    Reflect::get(of, &field.into()).ok().and_then(|v| v.as_string()).unwrap_or_default()
}

/// A browser error as a problem with a next step.
pub(super) fn refused(doing: &str, error: &JsValue) -> Problem {
    let step = match word(error, "name").as_str() {
        "QuotaExceededError" => "This site's storage is full: delete a model under Models, or free space on the disk.",
        "NoModificationAllowedError" => {
            "Another tab of this site uses it: close that tab, or choose another model there."
        }
        "SecurityError" | "NotAllowedError" | "InvalidStateError" => {
            "The browser keeps no files for this site: leave private browsing, or allow site data."
        }
        _ => "Try again; if it happens again, delete the model under Models.",
    };
    problem(format!("{doing}: {}", word(error, "message")), step)
}

fn missing(error: &JsValue) -> bool {
    word(error, "name") == "NotFoundError"
}

async fn done(promise: Promise) -> std::result::Result<JsValue, JsValue> {
    JsFuture::from(promise).await
}

fn storage() -> StorageManager {
    js_sys::global().unchecked_into::<WorkerGlobalScope>().navigator().storage()
}

/// The number of bytes that this site uses, and its quota; `None` if the browser does not report them.
pub(super) async fn estimate() -> Option<(u64, u64)> {
    let estimate = done(storage().estimate().ok()?).await.ok()?;
    let number = |field: &str| Reflect::get(&estimate, &field.into()).ok()?.as_f64();
    Some((number("usage")? as u64, number("quota")? as u64))
}

/// A folder of the file system.
pub(super) struct Folder(FileSystemDirectoryHandle);

impl Folder {
    /// The folder of all models.
    pub(super) async fn models() -> Result<Self> {
        let doing = "Opening this site's storage";
        // Pages loaded over http have no storage manager.
        if AsRef::<JsValue>::as_ref(&storage()).is_undefined() {
            return Err(problem(
                "This browser keeps no files for pages without https.".into(),
                "Open the page over https.",
            ));
        }
        let root = done(storage().get_directory()).await.map_err(|e| refused(doing, &e))?;
        Self(root.unchecked_into()).make("models").await
    }

    /// A subfolder; `None` if it does not exist, or is a file.
    pub(super) async fn folder(&self, name: &str) -> Result<Option<Self>> {
        match done(self.0.get_directory_handle(name)).await {
            Ok(folder) => Ok(Some(Self(folder.unchecked_into()))),
            Err(error) if missing(&error) || word(&error, "name") == "TypeMismatchError" => Ok(None),
            Err(error) => Err(refused(&format!("Opening {name}"), &error)),
        }
    }

    /// A subfolder, which is created if needed.
    pub(super) async fn make(&self, name: &str) -> Result<Self> {
        let options = FileSystemGetDirectoryOptions::new();
        options.set_create(true);
        let folder = done(self.0.get_directory_handle_with_options(name, &options)).await;
        folder.map(|f| Self(f.unchecked_into())).map_err(|e| refused(&format!("Making {name}"), &e))
    }

    /// Names of the entries, sorted.
    pub(super) async fn names(&self) -> Result<Vec<String>> {
        let failed = |e: &JsValue| refused("Reading this site's storage", e);
        let keys: AsyncIterator = self.0.keys();
        let mut names = Vec::new();
        while names.len() < MOST {
            let next = done(keys.next().map_err(|e| failed(&e))?.unchecked_into()).await.map_err(|e| failed(&e))?;
            let next: IteratorNext = next.unchecked_into();
            if next.done() {
                break;
            }
            names.extend(next.value().as_string());
        }
        names.sort();
        Ok(names)
    }

    async fn handle(&self, name: &str, create: bool) -> Result<Option<FileSystemFileHandle>> {
        let options = FileSystemGetFileOptions::new();
        options.set_create(create);
        match done(self.0.get_file_handle_with_options(name, &options)).await {
            Ok(file) => Ok(Some(file.unchecked_into())),
            Err(error) if missing(&error) => Ok(None),
            Err(error) => Err(refused(&format!("Opening {name}"), &error)),
        }
    }

    /// Opens a file for writing, and creates it if needed.
    pub(super) async fn write(&self, name: &str) -> Result<File> {
        let failed = |e: &JsValue| refused(&format!("Writing {name}"), e);
        let handle = self.handle(name, true).await?.ok_or_else(|| failed(&JsValue::UNDEFINED))?;
        let file = done(handle.create_sync_access_handle()).await.map_err(|e| failed(&e))?;
        Ok(File { handle: file.unchecked_into(), name: name.to_owned() })
    }

    /// Opens a file for reading, shared with other readers if the browser supports it; `None` if it does not exist.
    pub(super) async fn read(&self, name: &str) -> Result<Option<File>> {
        let failed = |e: &JsValue| refused(&format!("Reading {name}"), e);
        let Some(handle) = self.handle(name, false).await? else { return Ok(None) };
        // Browsers without this mode ignore it.
        let mode = Object::new();
        let set = Reflect::set(&mode, &"mode".into(), &"read-only".into());
        let open = Reflect::get(&handle, &"createSyncAccessHandle".into()).ok().filter(|_| set.is_ok());
        let opened = open.and_then(|f| f.dyn_into::<Function>().ok()).map(|open| open.call1(&handle, &mode));
        let promise: Promise = match opened {
            Some(promise) => promise.map_err(|e| failed(&e))?.unchecked_into(),
            None => return Err(failed(&JsValue::UNDEFINED)),
        };
        let file = done(promise).await.map_err(|e| failed(&e))?;
        Ok(Some(File { handle: file.unchecked_into(), name: name.to_owned() }))
    }

    /// The current content of a file, without locking it.
    async fn snapshot(&self, name: &str) -> Result<Option<web_sys::File>> {
        let Some(handle) = self.handle(name, false).await? else { return Ok(None) };
        let file = done(handle.get_file()).await.map_err(|e| refused(&format!("Reading {name}"), &e))?;
        Ok(Some(file.unchecked_into()))
    }

    /// Length of a file in bytes; `None` if it does not exist.
    pub(super) async fn length(&self, name: &str) -> Result<Option<u64>> {
        Ok(self.snapshot(name).await?.map(|file| file.size() as u64))
    }

    /// Content of a file of at most `most` bytes; `None` if it does not exist or is larger.
    pub(super) async fn small(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.snapshot(name).await?.filter(|file| file.size() as u64 <= most) else { return Ok(None) };
        let bytes = done(file.array_buffer()).await.map_err(|e| refused(&format!("Reading {name}"), &e))?;
        Ok(Some(js_sys::Uint8Array::new(&bytes).to_vec()))
    }

    /// Writes a file under a temporary name, then renames it.
    pub(super) async fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let part = format!("{name}.part");
        let file = self.write(&part).await?;
        file.cut(0)?;
        file.write_at(0, bytes)?;
        file.flush()?;
        drop(file);
        self.rename(&part, name).await
    }

    /// Renames a file, replacing an existing one.
    pub(super) async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let failed = |e: &JsValue| refused(&format!("Renaming {from}"), e);
        let handle = self.handle(from, false).await?.ok_or_else(|| failed(&JsValue::UNDEFINED))?;
        self.remove(to).await?;
        // Called through reflection, as web-sys lacks `move`.
        let rename = Reflect::get(&handle, &"move".into()).ok().and_then(|f| f.dyn_into::<Function>().ok());
        let Some(rename) = rename else {
            return Err(problem(
                "This browser cannot rename files.".into(),
                "A newer version of it can; nothing was kept.",
            ));
        };
        let promise: Promise = rename.call1(&handle, &to.into()).map_err(|e| failed(&e))?.unchecked_into();
        done(promise).await.map(drop).map_err(|e| failed(&e))
    }

    /// Removes a file or a folder with its content, if it exists.
    pub(super) async fn remove(&self, name: &str) -> Result<()> {
        let options = FileSystemRemoveOptions::new();
        options.set_recursive(true);
        match done(self.0.remove_entry_with_options(name, &options)).await {
            Err(error) if !missing(&error) => Err(refused(&format!("Deleting {name}"), &error)),
            _ => Ok(()),
        }
    }
}

/// An open file, which is closed when dropped.
pub(super) struct File {
    handle: FileSystemSyncAccessHandle,
    name: String,
}

fn at(offset: u64) -> FileSystemReadWriteOptions {
    let options = FileSystemReadWriteOptions::new();
    options.set_at_f64(offset as f64);
    options
}

impl File {
    fn failed(&self, doing: &str, error: &JsValue) -> Problem {
        refused(&format!("{doing} {}", self.name), error)
    }

    /// Size in bytes.
    pub(super) fn size(&self) -> Result<u64> {
        self.handle.get_size().map(|n| n as u64).map_err(|e| self.failed("Reading", &e))
    }

    /// Reads all of `bytes` from an offset.
    pub(super) fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            let rest = &mut bytes[done..];
            let n = self.handle.read_with_u8_array_and_options(rest, &at(offset + done as u64));
            match n.map_err(|e| self.failed("Reading", &e))? as usize {
                0 => {
                    let what = format!("Reading {}: it is shorter than it was", self.name);
                    return Err(problem(what, "Delete the model under Models, and get it again."));
                }
                n => done += n,
            }
        }
        Ok(())
    }

    /// Writes all of `bytes` at an offset.
    pub(super) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            let n = self.handle.write_with_u8_array_and_options(&bytes[done..], &at(offset + done as u64));
            match n.map_err(|e| self.failed("Writing", &e))? as usize {
                0 => {
                    let step = "This site's storage is full: delete a model under Models, or free space on the disk.";
                    return Err(problem(format!("Writing {}: nothing more fits", self.name), step));
                }
                n => done += n,
            }
        }
        Ok(())
    }

    /// Truncates the file to a length.
    pub(super) fn cut(&self, length: u64) -> Result<()> {
        self.handle.truncate_with_f64(length as f64).map_err(|e| self.failed("Writing", &e))
    }

    /// Writes buffered data to disk.
    pub(super) fn flush(&self) -> Result<()> {
        self.handle.flush().map_err(|e| self.failed("Writing", &e))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        self.handle.close();
    }
}
