//! Builds GGUF files for tests.

use std::sync::Arc;

use crate::model::files::{Files, MemoryFiles};

/// Builds GGUF files for tests.
#[derive(Default)]
pub(crate) struct Writer {
    entries: Vec<(String, Vec<u8>)>,
    tensors: Vec<(String, Vec<usize>, u32, Vec<u8>)>,
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

impl Writer {
    /// Adds a metadata entry, given its value type and the bytes of the value.
    pub fn raw(&mut self, key: &str, kind: u32, value: &[u8]) -> &mut Self {
        self.entries.retain(|(old, _)| old != key);
        self.entries.push((key.to_owned(), [&kind.to_le_bytes()[..], value].concat()));
        self
    }

    pub fn u32(&mut self, key: &str, value: u32) -> &mut Self {
        self.raw(key, 4, &value.to_le_bytes())
    }

    pub fn f32(&mut self, key: &str, value: f32) -> &mut Self {
        self.raw(key, 6, &value.to_le_bytes())
    }

    pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.raw(key, 8, &string(value))
    }

    pub fn texts(&mut self, key: &str, values: &[&str]) -> &mut Self {
        let mut bytes = [&8u32.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
        values.iter().for_each(|value| bytes.extend(string(value)));
        self.raw(key, 9, &bytes)
    }

    fn numbers(&mut self, key: &str, kind: u32, values: &[[u8; 4]]) -> &mut Self {
        let header = [&kind.to_le_bytes()[..], &(values.len() as u64).to_le_bytes()].concat();
        self.raw(key, 9, &[header, values.concat()].concat())
    }

    pub fn i32s(&mut self, key: &str, values: &[i32]) -> &mut Self {
        self.numbers(key, 5, &values.iter().map(|v| v.to_le_bytes()).collect::<Vec<_>>())
    }

    pub fn floats(&mut self, key: &str, values: &[f32]) -> &mut Self {
        self.numbers(key, 6, &values.iter().map(|v| v.to_le_bytes()).collect::<Vec<_>>())
    }

    /// Adds a tensor; `shape` has the outermost dimension first.
    pub fn tensor(&mut self, name: &str, shape: &[usize], kind: u32, bytes: &[u8]) -> &mut Self {
        self.tensors.push((name.to_owned(), shape.to_vec(), kind, bytes.to_vec()));
        self
    }

    pub fn f32s(&mut self, name: &str, shape: &[usize], values: &[f32]) -> &mut Self {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.tensor(name, shape, 0, &bytes)
    }

    /// Adds a matrix with 8 columns, whose values are the numbers of its rows.
    pub fn rows(mut self, name: &str, rows: usize) -> Self {
        let values: Vec<f32> = (0..rows * 8).map(|i| (i / 8) as f32).collect();
        self.f32s(name, &[rows, 8], &values);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = [&b"GGUF"[..], &3u32.to_le_bytes()].concat();
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.entries.len() as u64).to_le_bytes());
        for (key, value) in &self.entries {
            out.extend(string(key));
            out.extend(value);
        }
        let mut data = Vec::new();
        for (name, shape, kind, bytes) in &self.tensors {
            out.extend(string(name));
            out.extend((shape.len() as u32).to_le_bytes());
            shape.iter().rev().for_each(|d| out.extend((*d as u64).to_le_bytes()));
            out.extend(kind.to_le_bytes());
            out.extend((data.len() as u64).to_le_bytes());
            data.extend(bytes);
            data.resize(data.len().next_multiple_of(32), 0);
        }
        out.resize(out.len().next_multiple_of(32), 0);
        [out, data].concat()
    }
}

pub(crate) fn memory(bytes: Vec<u8>) -> Arc<dyn Files> {
    Arc::new(MemoryFiles::from_iter([("m.gguf", bytes)]))
}

/// Metadata and embeddings of a model of one layer: width 8, 2 heads, 1 key-value head, 6 tokens.
pub(crate) fn tiny(architecture: &str) -> Writer {
    let mut file = Writer::default();
    file.text("general.architecture", architecture);
    file.f32(&format!("{architecture}.attention.layer_norm_rms_epsilon"), 1e-5);
    for (key, value) in [
        ("block_count", 1),
        ("context_length", 64),
        ("embedding_length", 8),
        ("feed_forward_length", 4),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
    ] {
        file.u32(&format!("{architecture}.{key}"), value);
    }
    file.rows("token_embd.weight", 6)
}
