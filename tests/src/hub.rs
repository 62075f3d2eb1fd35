//! A server on this machine with the layout of a model hub, for the tests of `pull`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use serde_json::json;
use sha2::{Digest, Sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Serves the files of a folder as the repository `own/NAME`; returns the address. The server lives as long as the process.
///
/// # Errors
/// When the folder cannot be read, or no port is free.
pub fn serve(folder: &Path, name: &str) -> Result<String> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        files.insert(entry.file_name().to_string_lossy().into_owned(), std::fs::read(entry.path())?);
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", listener.local_addr()?);
    let (files, name) = (Arc::new(files), name.to_owned());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (files, name) = (Arc::clone(&files), name.clone());
            // A client that has gone away is no fault of the server.
            std::thread::spawn(move || drop(answer(stream, &files, &name)));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, Vec<u8>>, name: &str) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut path, mut from) = (String::new(), 0_usize);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if path.is_empty() {
            line.split(' ').nth(1).unwrap_or_default().clone_into(&mut path);
        } else if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            from = range.trim().trim_end_matches('-').parse()?;
        }
    }
    let api = format!("/api/models/own/{name}");
    let body = if path.starts_with(&format!("{api}/revision/")) {
        json!({"sha": COMMIT, "siblings": []}).to_string().into_bytes()
    } else if path.starts_with(&format!("{api}/tree/")) {
        let entry = |(path, bytes): (&String, &Vec<u8>)| {
            let oid: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"type": "file", "path": path, "size": bytes.len(), "lfs": {"oid": oid, "size": bytes.len()}})
        };
        json!(files.iter().map(entry).collect::<Vec<_>>()).to_string().into_bytes()
    } else {
        let file = path.strip_prefix(&format!("/own/{name}/resolve/{COMMIT}/")).and_then(|file| files.get(file));
        let Some(bytes) = file else {
            return Ok(write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?);
        };
        bytes.clone()
    };
    let (rest, all) = (body.get(from..).unwrap_or_default(), body.len());
    let status = if from == 0 {
        "200 OK".to_owned()
    } else {
        format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{all}", all.saturating_sub(1))
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nETag: \"one\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        rest.len()
    )?;
    Ok(stream.write_all(rest)?)
}
