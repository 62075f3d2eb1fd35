//! A server laid out like the hub.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::pull::hub::{Hub, Patience};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the server does wrong, each once unless said otherwise.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Closes the connection after so many bytes of a body that is longer.
    pub cut_after: Option<usize>,
    /// Status for everything, always.
    pub status: Option<u16>,
    /// Answers 503 so often.
    pub busy: usize,
    /// Sends large files through another host name; always.
    pub redirect: bool,
    /// Wrong sha256 in the listing; always.
    pub wrong_sha: bool,
    /// A further name in the listing.
    pub extra_name: Option<String>,
    /// Size in the listing of every large file.
    pub size: Option<u64>,
    /// Does not know `If-Range`; always.
    pub careless: bool,
    /// Sends a web page in place of everything; always.
    pub page: bool,
    /// Stops in the middle of a body and sets this.
    pub interrupt: Option<Arc<AtomicBool>>,
}

pub struct State {
    pub files: HashMap<String, Vec<u8>>,
    pub faults: Faults,
    /// Every request.
    pub log: Vec<Request>,
    pub etag: String,
}

pub struct Server {
    pub port: u16,
    pub state: Arc<Mutex<State>>,
}

/// Path, range, authorization, host.
pub type Request = (String, Option<String>, Option<String>, String);

pub fn sha(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn weights() -> Vec<u8> {
    (0..300_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

impl Server {
    pub fn start(faults: Faults) -> Self {
        let files = [
            ("config.json", br#"{"architectures":["GPT2LMHeadModel"]}"#.to_vec()),
            ("tokenizer.json", b"{}".to_vec()),
            ("README.md", b"not needed".to_vec()),
            ("model.safetensors", weights()),
            ("pytorch_model.bin", vec![1; 1000]),
        ];
        let files = files.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        let state = Arc::new(Mutex::new(State { files, faults, log: Vec::new(), etag: "\"one\"".into() }));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared, port).ok());
            }
        });
        Self { port, state }
    }

    pub fn hub(&self, token: Option<&str>) -> Hub {
        hub(self.port, token)
    }

    pub fn requests(&self, part: &str) -> Vec<Request> {
        self.state.lock().unwrap().log.iter().filter(|entry| entry.0.contains(part)).cloned().collect()
    }
}

pub fn hub(port: u16, token: Option<&str>) -> Hub {
    let patience = Patience {
        connect: Duration::from_secs(2),
        read: Duration::from_secs(2),
        tries: 3,
        pause: Duration::from_millis(10),
    };
    Hub::new(&format!("http://127.0.0.1:{port}/"), token.map(str::to_owned), patience).unwrap()
}

fn serve(stream: TcpStream, shared: &Mutex<State>, port: u16) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let Some(path) = lines.first().and_then(|line| line.split(' ').nth(1)).map(str::to_owned) else { return Ok(()) };
    let field = |name: &str| {
        lines
            .iter()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.to_owned())
    };
    let (range, host) = (field("range"), field("host").unwrap_or_default());
    let mut state = shared.lock().unwrap();
    state.log.push((path.clone(), range.clone(), field("authorization"), host));
    if let Some(status) = state.faults.status {
        return write!(stream, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    if state.faults.page {
        let page = "<!doctype html><title>Log in</title>";
        let length = page.len();
        return write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}"
        );
    }
    if state.faults.busy > 0 {
        state.faults.busy -= 1;
        return write!(stream, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let json =
        |text: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len());
    if path.starts_with("/api/models/me/Tiny/revision/") {
        return stream.write_all(json(&format!(r#"{{"sha":"{COMMIT}","siblings":[]}}"#)).as_bytes());
    }
    if path.starts_with("/api/models/me/Tiny/tree/") {
        let mut entries: Vec<_> = state
            .files
            .iter()
            .map(|(name, bytes)| {
                let size = if bytes.len() > 500 {
                    state.faults.size.unwrap_or(bytes.len() as u64)
                } else {
                    bytes.len() as u64
                };
                let oid = if state.faults.wrong_sha { "0".repeat(64) } else { sha(bytes) };
                let lfs = if bytes.len() > 500 {
                    serde_json::json!({"oid": oid, "size": size})
                } else {
                    serde_json::Value::Null
                };
                serde_json::json!({"type": "file", "path": name, "size": size, "lfs": lfs})
            })
            .collect();
        entries.push(serde_json::json!({"type": "directory", "path": "onnx", "size": 0}));
        entries.extend(
            state.faults.extra_name.iter().map(|name| serde_json::json!({"type": "file", "path": name, "size": 1})),
        );
        return stream.write_all(json(&serde_json::Value::from(entries).to_string()).as_bytes());
    }
    let name = path.split('?').next().unwrap().strip_prefix(&format!("/me/Tiny/resolve/{COMMIT}/"));
    let name = name.or_else(|| path.strip_prefix("/cdn/")).unwrap_or_default().to_owned();
    let Some(bytes) = state.files.get(&name).cloned() else {
        return write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    if state.faults.redirect && !path.starts_with("/cdn/") {
        let target = format!("http://localhost:{port}/cdn/{name}");
        return write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
    }
    let same = state.faults.careless || field("if-range").is_none_or(|etag| etag == state.etag);
    let start = range
        .filter(|_| same)
        .and_then(|range| range.strip_prefix("bytes=")?.trim_end_matches('-').parse::<usize>().ok());
    let etag = state.etag.clone();
    let head = match start {
        Some(start) => format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{}/{}\r\n",
            bytes.len() - 1,
            bytes.len()
        ),
        None => "HTTP/1.1 200 OK\r\n".into(),
    };
    let body = &bytes[start.unwrap_or(0)..];
    write!(stream, "{head}ETag: {etag}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    if let Some(flag) = state.faults.interrupt.take_if(|_| body.len() > 500) {
        stream.write_all(&body[..body.len() / 2])?;
        stream.flush()?;
        std::thread::sleep(Duration::from_millis(200));
        flag.store(true, Ordering::Relaxed);
        return stream.write_all(&body[body.len() / 2..]);
    }
    match state.faults.cut_after.take_if(|cut| body.len() > *cut) {
        Some(cut) => stream.write_all(&body[..cut]),
        None => stream.write_all(body),
    }
}
