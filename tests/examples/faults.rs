//! A library for `LD_PRELOAD` on Linux that makes one file operation of a process fail. It counts the operations on files
//! below a folder and fails the one with a given number. Settings are environment variables:
//!
//! - `FAULTS_DIR`: the folder, an absolute path;
//! - `FAULTS_AT`: the number of the operation that fails, from 1;
//! - `FAULTS_KIND`: `eio`, `enospc` or `eintr` (it fails with that error), `short` (a write writes half), `lost` (a rename
//!   is reported as done but is not), `crash` (the process ends) or `drop` (the process ends, and data that was not synced
//!   is cut off);
//! - `FAULTS_HIT`: a file to which the name of the failed operation is written;
//! - `FAULTS_LIST`: a file to which all operations are written when the process ends, one a line: name, space, path;
//! - `FAULTS_CLOCK`: without the others: a file to which the number of readings of the wall clock is written when the
//!   process ends.
#![cfg(target_os = "linux")]
#![allow(unsafe_code, missing_docs, clippy::missing_safety_doc, clippy::unwrap_used)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use libc::{c_char, c_int, c_void, mode_t, off64_t, size_t, ssize_t};

struct Settings {
    dir: PathBuf,
    at: u64,
    kind: String,
    hit: Option<PathBuf>,
    list: Option<PathBuf>,
}

fn settings() -> Option<&'static Settings> {
    static SETTINGS: OnceLock<Option<Settings>> = OnceLock::new();
    SETTINGS
        .get_or_init(|| {
            let path = |name: &str| std::env::var_os(name).map(PathBuf::from);
            Some(Settings {
                dir: path("FAULTS_DIR")?,
                at: std::env::var("FAULTS_AT").ok()?.parse().ok()?,
                kind: std::env::var("FAULTS_KIND").ok()?,
                hit: path("FAULTS_HIT"),
                list: path("FAULTS_LIST"),
            })
        })
        .as_ref()
}

static DONE: AtomicU64 = AtomicU64::new(0);
/// All operations, for `FAULTS_LIST`.
static LIST: Mutex<String> = Mutex::new(String::new());
const MOST: usize = 1 << 16;
/// Open files below the folder, by descriptor.
static OPEN: [AtomicBool; MOST] = [const { AtomicBool::new(false) }; MOST];
/// Path of open files, and their lengths at the last sync, for `drop`.
static SYNCED: Mutex<BTreeMap<c_int, (PathBuf, u64)>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// Set while this library itself uses files.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` with this library switched off.
fn quietly<T>(f: impl FnOnce() -> T) -> T {
    let before = INSIDE.replace(true);
    let value = f();
    INSIDE.set(before);
    value
}

unsafe fn next<T: Copy>(name: &CStr) -> T {
    let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
    assert!(!found.is_null() && size_of::<T>() == size_of::<*mut c_void>());
    unsafe { std::mem::transmute_copy(&found) }
}

unsafe fn below(path: *const c_char) -> Option<PathBuf> {
    if INSIDE.get() || path.is_null() {
        return None;
    }
    quietly(|| {
        let settings = settings()?;
        let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()));
        let path = std::path::absolute(path).ok()?;
        path.starts_with(&settings.dir).then_some(path)
    })
}

fn tracked(fd: c_int) -> bool {
    !INSIDE.get() && usize::try_from(fd).is_ok_and(|fd| OPEN.get(fd).is_some_and(|open| open.load(Ordering::Relaxed)))
}

/// What happens to an operation.
enum Fate {
    Goes,
    Fails(c_int),
    Short,
    Lost,
}

/// What an operation is done to.
enum On<'a> {
    Path(&'a Path),
    File(c_int),
}

fn fate(operation: &str, on: &On<'_>) -> Fate {
    quietly(|| {
        let Some(settings) = settings() else { return Fate::Goes };
        let number = DONE.fetch_add(1, Ordering::Relaxed) + 1;
        if settings.list.is_some() {
            let path = match on {
                On::Path(path) => Some(path.to_path_buf()),
                On::File(fd) => SYNCED.lock().unwrap().get(fd).map(|(path, _)| path.clone()),
            };
            let line = format!("{operation} {}\n", path.unwrap_or_default().display());
            LIST.lock().unwrap().push_str(&line);
        }
        let fits = match settings.kind.as_str() {
            "short" => operation == "write",
            "lost" => operation == "rename",
            "eintr" => matches!(operation, "write" | "read" | "sync" | "open"),
            _ => true,
        };
        // A kind that does not fit the operation fails the next one that it fits.
        static HIT: AtomicBool = AtomicBool::new(false);
        if number < settings.at || !fits || HIT.swap(true, Ordering::Relaxed) {
            return Fate::Goes;
        }
        if let Some(file) = &settings.hit {
            std::fs::write(file, format!("{number} {operation}")).unwrap();
        }
        match settings.kind.as_str() {
            "eio" => Fate::Fails(libc::EIO),
            "enospc" => Fate::Fails(libc::ENOSPC),
            "eintr" => Fate::Fails(libc::EINTR),
            "short" => Fate::Short,
            "lost" => Fate::Lost,
            "drop" => {
                for (path, length) in SYNCED.lock().unwrap().values() {
                    if let Ok(file) = std::fs::OpenOptions::new().write(true).open(path) {
                        file.set_len(*length).unwrap();
                    }
                }
                unsafe { libc::_exit(137) }
            }
            _ => unsafe { libc::_exit(137) },
        }
    })
}

fn fail<T>(errno: c_int, value: T) -> T {
    unsafe { *libc::__errno_location() = errno };
    value
}

fn opened(fd: c_int, path: PathBuf) {
    if let Some(open) = usize::try_from(fd).ok().and_then(|fd| OPEN.get(fd)) {
        open.store(true, Ordering::Relaxed);
        quietly(|| {
            let length = std::fs::metadata(&path).map_or(0, |meta| meta.len());
            SYNCED.lock().unwrap().insert(fd, (path, length));
        });
    }
}

unsafe fn open_with(path: *const c_char, flags: c_int, mode: mode_t, name: &CStr) -> c_int {
    let real: unsafe extern "C" fn(*const c_char, c_int, mode_t) -> c_int = unsafe { next(name) };
    let Some(found) = (unsafe { below(path) }) else { return unsafe { real(path, flags, mode) } };
    if let Fate::Fails(errno) = fate("open", &On::Path(&found)) {
        return fail(errno, -1);
    }
    let fd = unsafe { real(path, flags, mode) };
    if fd >= 0 {
        opened(fd, found);
    }
    fd
}

// The third argument is only there for some flags, but is then passed like that of any function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    unsafe { open_with(path, flags, mode, c"open") }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    unsafe { open_with(path, flags, mode, c"open64") }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn close(fd: c_int) -> c_int {
    let real: unsafe extern "C" fn(c_int) -> c_int = unsafe { next(c"close") };
    if let Some(open) = usize::try_from(fd).ok().and_then(|fd| OPEN.get(fd))
        && open.swap(false, Ordering::Relaxed)
    {
        quietly(|| {
            // What was written stays unsynced after the file is closed.
            let mut synced = SYNCED.lock().unwrap();
            if let Some(entry) = synced.remove(&fd) {
                let key = -1 - c_int::try_from(synced.len()).unwrap_or(c_int::MAX);
                if std::fs::metadata(&entry.0).is_ok_and(|meta| meta.len() > entry.1) {
                    synced.insert(key, entry);
                }
            }
        });
    }
    unsafe { real(fd) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, count: size_t) -> ssize_t {
    let real: unsafe extern "C" fn(c_int, *const c_void, size_t) -> ssize_t = unsafe { next(c"write") };
    if !tracked(fd) {
        return unsafe { real(fd, bytes, count) };
    }
    match fate("write", &On::File(fd)) {
        Fate::Fails(errno) => fail(errno, -1),
        Fate::Short => unsafe { real(fd, bytes, count.div_ceil(2)) },
        _ => unsafe { real(fd, bytes, count) },
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn read(fd: c_int, bytes: *mut c_void, count: size_t) -> ssize_t {
    let real: unsafe extern "C" fn(c_int, *mut c_void, size_t) -> ssize_t = unsafe { next(c"read") };
    if tracked(fd)
        && let Fate::Fails(errno) = fate("read", &On::File(fd))
    {
        return fail(errno, -1);
    }
    unsafe { real(fd, bytes, count) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    let real: unsafe extern "C" fn(c_int) -> c_int = unsafe { next(c"fsync") };
    if tracked(fd) {
        if let Fate::Fails(errno) = fate("sync", &On::File(fd)) {
            return fail(errno, -1);
        }
        quietly(|| {
            if let Some((path, length)) = SYNCED.lock().unwrap().get_mut(&fd) {
                *length = std::fs::metadata(path).map_or(*length, |meta| meta.len());
            }
        });
    }
    unsafe { real(fd) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    let real: unsafe extern "C" fn(*const c_char, *const c_char) -> c_int = unsafe { next(c"rename") };
    if let Some(to) = unsafe { below(to) } {
        match fate("rename", &On::Path(&to)) {
            Fate::Fails(errno) => return fail(errno, -1),
            Fate::Lost => return 0,
            _ => {}
        }
    }
    let paths = unsafe { (below(from), below(to)) };
    let done = unsafe { real(from, to) };
    if let (0, (Some(from), Some(to))) = (done, paths) {
        quietly(|| {
            for (path, _) in SYNCED.lock().unwrap().values_mut() {
                if let Ok(rest) = path.strip_prefix(&from) {
                    *path = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                }
            }
        });
    }
    done
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    let real: unsafe extern "C" fn(*const c_char) -> c_int = unsafe { next(c"unlink") };
    if let Some(found) = unsafe { below(path) }
        && let Fate::Fails(errno) = fate("unlink", &On::Path(&found))
    {
        return fail(errno, -1);
    }
    unsafe { real(path) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    let real: unsafe extern "C" fn(*const c_char, mode_t) -> c_int = unsafe { next(c"mkdir") };
    if let Some(found) = unsafe { below(path) }
        && let Fate::Fails(errno) = fate("mkdir", &On::Path(&found))
    {
        return fail(errno, -1);
    }
    unsafe { real(path, mode) }
}

unsafe fn mmap_with(arguments: (*mut c_void, size_t, c_int, c_int, c_int, off64_t), name: &CStr) -> *mut c_void {
    type Mmap = unsafe extern "C" fn(*mut c_void, size_t, c_int, c_int, c_int, off64_t) -> *mut c_void;
    let (at, length, protection, flags, fd, offset) = arguments;
    if tracked(fd)
        && let Fate::Fails(errno) = fate("mmap", &On::File(fd))
    {
        return fail(errno, libc::MAP_FAILED);
    }
    let real: Mmap = unsafe { next(name) };
    unsafe { real(at, length, protection, flags, fd, offset) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mmap64(
    at: *mut c_void,
    length: size_t,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: off64_t,
) -> *mut c_void {
    unsafe { mmap_with((at, length, protection, flags, fd, offset), c"mmap64") }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    type Read = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int;
    static REAL: OnceLock<Read> = OnceLock::new();
    let real = REAL.get_or_init(|| unsafe { next(c"clock_gettime") });
    let done = unsafe { real(clock, time) };
    if clock == libc::CLOCK_REALTIME {
        READINGS.fetch_add(1, Ordering::Relaxed);
    }
    done
}

static READINGS: AtomicU64 = AtomicU64::new(0);

extern "C" fn finish() {
    quietly(|| {
        if let Some(file) = std::env::var_os("FAULTS_CLOCK") {
            let _ = std::fs::write(file, READINGS.load(Ordering::Relaxed).to_string());
        }
        if let Some(file) = settings().and_then(|settings| settings.list.as_ref()) {
            let _ = std::fs::write(file, LIST.lock().unwrap().as_bytes());
        }
    });
}

#[used]
#[unsafe(link_section = ".fini_array")]
static FINISH: extern "C" fn() = finish;
