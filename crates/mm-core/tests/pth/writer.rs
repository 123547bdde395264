//! A writer of PyTorch checkpoints, small enough to write wrong ones, too.

use std::io::{Cursor, Write};
use std::path::PathBuf;

/// A value of Python.
#[derive(Clone)]
pub enum Py {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Py>),
    Tuple(Vec<Py>),
    Dict(Vec<(Py, Py)>),
    /// A call of module.name.
    Call(&'static str, &'static str, Vec<Py>),
    /// What lies outside of the pickle.
    Persistent(Box<Py>),
    /// A class or function.
    Global(&'static str, &'static str),
    /// Instructions as they are.
    Raw(Vec<u8>),
}

pub fn text(text: &str) -> Py {
    Py::Text(text.into())
}

pub fn ints(numbers: &[i64]) -> Py {
    Py::Tuple(numbers.iter().map(|&n| Py::Int(n)).collect())
}

/// A dictionary with texts as keys.
pub fn dict(entries: Vec<(&str, Py)>) -> Py {
    Py::Dict(entries.into_iter().map(|(key, value)| (text(key), value)).collect())
}

pub fn ordered_dict() -> Py {
    Py::Call("collections", "OrderedDict", vec![])
}

/// `torch.FloatStorage` and the like, of so many elements.
pub fn storage(class: &'static str, key: &str, elements: i64) -> Py {
    storage_with(class, key, elements, vec![])
}

pub fn storage_with(class: &'static str, key: &str, elements: i64, more: Vec<Py>) -> Py {
    let id = [vec![text("storage"), Py::Global("torch", class), text(key), text("cpu"), Py::Int(elements)], more].concat();
    Py::Persistent(Box::new(Py::Tuple(id)))
}

/// A view of a storage.
pub fn view(storage: Py, offset: i64, shape: &[i64], strides: &[i64]) -> Py {
    let arguments = vec![storage, Py::Int(offset), ints(shape), ints(strides), Py::Bool(false), ordered_dict()];
    Py::Call("torch._utils", "_rebuild_tensor_v2", arguments)
}

/// f32 numbers of a storage of their own, in order.
pub fn floats(key: &str, shape: &[i64]) -> Py {
    let strides: Vec<i64> = (0..shape.len()).map(|i| shape[i + 1..].iter().product()).collect();
    view(storage("FloatStorage", key, shape.iter().product()), 0, shape, &strides)
}

fn short(value: &str) -> Vec<u8> {
    [b"X".as_slice(), &(value.len() as u32).to_le_bytes(), value.as_bytes()].concat()
}

fn write(value: &Py, out: &mut Vec<u8>) {
    let all = |values: &[Py], out: &mut Vec<u8>| {
        out.push(b'(');
        values.iter().for_each(|value| write(value, out));
    };
    match value {
        Py::None => out.push(b'N'),
        Py::Bool(flag) => out.push(if *flag { 0x88 } else { 0x89 }),
        Py::Int(n) => match i32::try_from(*n) {
            Ok(n) => out.extend([b"J".as_slice(), &n.to_le_bytes()].concat()),
            Err(_) => out.extend([b"\x8a\x08".as_slice(), &n.to_le_bytes()].concat()),
        },
        Py::Float(x) => out.extend([b"G".as_slice(), &x.to_be_bytes()].concat()),
        Py::Text(value) => out.extend(short(value)),
        Py::List(values) => {
            out.push(b']');
            all(values, out);
            out.push(b'e');
        }
        Py::Tuple(values) => {
            all(values, out);
            out.push(b't');
        }
        Py::Dict(entries) => {
            out.extend(b"}(");
            entries.iter().for_each(|(key, value)| {
                write(key, out);
                write(value, out);
            });
            out.push(b'u');
        }
        Py::Call(module, name, arguments) => {
            write(&Py::Global(module, name), out);
            write(&Py::Tuple(arguments.clone()), out);
            out.push(b'R');
        }
        Py::Persistent(id) => {
            write(id, out);
            out.push(b'Q');
        }
        Py::Global(module, name) => out.extend(format!("c{module}\n{name}\n").bytes()),
        Py::Raw(bytes) => out.extend(bytes),
    }
}

/// The pickle of a value.
pub fn pickle(value: &Py) -> Vec<u8> {
    let mut out = b"\x80\x02".to_vec();
    write(value, &mut out);
    out.push(b'.');
    out
}

/// The bytes of 0, 1, 2, ... as f32.
pub fn counting(elements: usize) -> Vec<u8> {
    (0..elements).flat_map(|i| (i as f32).to_le_bytes()).collect()
}

/// A zip archive with these files.
pub fn zip_of(files: &[(&str, Vec<u8>)], deflated: bool) -> Vec<u8> {
    let method = if deflated { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// The container of PyTorch since 1.6; storages by key.
pub fn zip(pickle: &[u8], storages: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let names: Vec<String> = storages.iter().map(|(key, _)| format!("archive/data/{key}")).collect();
    let mut files = vec![("archive/data.pkl", pickle.to_vec()), ("archive/version", b"3\n".to_vec())];
    files.extend(names.iter().zip(storages).map(|(name, (_, bytes))| (name.as_str(), bytes.clone())));
    zip_of(&files, false)
}

/// The number that begins the container before PyTorch 1.6.
pub const MAGIC: &[u8] = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.";

pub fn system(little_endian: bool) -> Vec<u8> {
    pickle(&dict(vec![("protocol_version", Py::Int(1001)), ("little_endian", Py::Bool(little_endian))]))
}

/// The container before PyTorch 1.6; storages by key with the number of their elements.
pub fn legacy(pickle_of: &[u8], storages: &[(&str, u64, Vec<u8>)]) -> Vec<u8> {
    let keys = Py::List(storages.iter().map(|(key, ..)| text(key)).collect());
    let numbers = storages.iter().flat_map(|(_, elements, bytes)| [&elements.to_le_bytes(), bytes.as_slice()].concat());
    [MAGIC, &pickle(&Py::Int(1001)), &system(true), pickle_of, &pickle(&keys), &numbers.collect::<Vec<u8>>()].concat()
}

/// A file in a folder of its own, which goes with it.
pub struct File(tempfile::TempDir, PathBuf);

impl File {
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Self(folder, path)
    }

    pub fn path(&self) -> &std::path::Path {
        &self.1
    }

    pub fn folder(&self) -> &std::path::Path {
        self.0.path()
    }
}
