//! What a pickle may hold: plain data, tensors, and the closed list of names that it may ask for.

use super::budget::Budget;
use super::error::Result;
use safetensors::Dtype;
use std::collections::HashMap;

/// A value of a pickle; what has parts is a number in the [`Heap`], so that a value may be part of several others, and of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// The number that a file of PyTorch before 1.6 begins with.
    Magic,
    Text(u32),
    List(u32),
    Tuple(u32),
    Dict(u32),
    Global(Global),
    Storage(u32),
    Tensor(u32),
    Plain(Plain),
}

/// What is read over: no weights are in it, and nothing of it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    Bytes,
    Integer,
    Complex,
    Set,
    Counter,
    Namespace,
    Device,
    Dtype,
    NumpyType,
    NumpyScalar,
    NumpyArray,
}

impl Plain {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Integer => "a long integer",
            Self::Complex => "a complex number",
            Self::Set => "a set",
            Self::Counter => "a counter",
            Self::Namespace => "settings (argparse.Namespace)",
            Self::Device => "a device",
            Self::Dtype => "a type of numbers",
            Self::NumpyType => "a type of numbers of NumPy",
            Self::NumpyScalar => "a number of NumPy",
            Self::NumpyArray => "an array of NumPy",
        }
    }
}

/// A class or function that a pickle names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Size,
    Storage(Dtype),
    Plain(Plain),
}

impl Global {
    /// The closed list; `None` for anything else. Python 2 and 3, and NumPy 1 and 2, have some modules under other names.
    pub fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "Size") => Self::Size,
            ("torch", "DoubleStorage") => Self::Storage(Dtype::F64),
            ("torch", "FloatStorage") => Self::Storage(Dtype::F32),
            ("torch", "HalfStorage") => Self::Storage(Dtype::F16),
            ("torch", "BFloat16Storage") => Self::Storage(Dtype::BF16),
            ("torch", "LongStorage") => Self::Storage(Dtype::I64),
            ("torch", "IntStorage") => Self::Storage(Dtype::I32),
            ("torch", "ShortStorage") => Self::Storage(Dtype::I16),
            ("torch", "CharStorage") => Self::Storage(Dtype::I8),
            ("torch", "ByteStorage") => Self::Storage(Dtype::U8),
            ("torch", "BoolStorage") => Self::Storage(Dtype::BOOL),
            ("torch", "device") => Self::Plain(Plain::Device),
            ("torch", name) if DTYPES.contains(&name) => Self::Plain(Plain::Dtype),
            ("collections", "Counter") => Self::Plain(Plain::Counter),
            ("argparse", "Namespace") => Self::Plain(Plain::Namespace),
            ("_codecs", "encode") | ("builtins" | "__builtin__", "bytearray") => Self::Plain(Plain::Bytes),
            ("builtins" | "__builtin__", "complex") => Self::Plain(Plain::Complex),
            ("builtins" | "__builtin__", "set" | "frozenset") => Self::Plain(Plain::Set),
            ("numpy", "dtype") => Self::Plain(Plain::NumpyType),
            ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Self::Plain(Plain::NumpyScalar),
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct")
            | ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer")
            | ("numpy", "ndarray") => Self::Plain(Plain::NumpyArray),
            _ => return None,
        })
    }
}

/// Types of numbers of PyTorch that a setting may name; the type of a tensor is that of its storage.
const DTYPES: [&str; 22] = [
    "float16",
    "float32",
    "float64",
    "bfloat16",
    "half",
    "float",
    "double",
    "complex32",
    "complex64",
    "complex128",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "short",
    "int",
    "long",
    "bool",
];

/// Numbers that tensors share; a key of the container says where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    pub key: String,
    pub dtype: Dtype,
    /// How many numbers.
    pub elements: u64,
}

/// A tensor as the pickle describes it, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorValue {
    pub storage: u32,
    /// Of the first number, in numbers.
    pub offset: u64,
    pub shape: Vec<usize>,
    /// How many numbers lie between neighbours, by dimension.
    pub strides: Vec<usize>,
    /// The end of the part of the storage that it may use, in numbers.
    pub end: u64,
}

/// Part of a storage, as `torch.save` before 1.6 could write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StorageView {
    pub storage: u32,
    pub first: u64,
    pub end: u64,
}

/// Everything that the values of a pickle consist of.
#[derive(Debug, Default)]
pub struct Heap {
    texts: Vec<Box<str>>,
    lists: Vec<Vec<Value>>,
    tuples: Vec<Box<[Value]>>,
    dicts: Vec<Vec<(Value, Value)>>,
    views: Vec<StorageView>,
    tensors: Vec<TensorValue>,
    pub storages: Vec<Storage>,
    by_key: HashMap<String, u32>,
}

/// What an element of a growing vector may take, as a multiple of its size: the old and the new vector while it grows.
const GROWTH: u64 = 3;

/// Bytes that an element of this type may take in a growing vector.
pub fn growing<T>() -> u64 {
    size_of::<T>() as u64 * GROWTH
}

fn add<T>(items: &mut Vec<T>, item: T, more: u64, budget: &mut Budget) -> Result<u32> {
    budget.take(growing::<T>().saturating_add(more))?;
    items.push(item);
    // The budget ends long before.
    Ok((items.len() - 1) as u32)
}

impl Heap {
    /// Takes a text, whose bytes the budget knows already.
    pub fn text(&mut self, text: Box<str>, budget: &mut Budget) -> Result<Value> {
        add(&mut self.texts, text, 0, budget).map(Value::Text)
    }

    pub fn list(&mut self, items: Vec<Value>, budget: &mut Budget) -> Result<Value> {
        let bytes = growing::<Value>() * items.len() as u64;
        add(&mut self.lists, items, bytes, budget).map(Value::List)
    }

    pub fn tuple(&mut self, items: &[Value], budget: &mut Budget) -> Result<Value> {
        let bytes = size_of_val(items) as u64;
        add(&mut self.tuples, items.into(), bytes, budget).map(Value::Tuple)
    }

    pub fn dict(&mut self, budget: &mut Budget) -> Result<Value> {
        add(&mut self.dicts, Vec::new(), 0, budget).map(Value::Dict)
    }

    pub fn tensor(&mut self, tensor: TensorValue, budget: &mut Budget) -> Result<Value> {
        let bytes = size_of::<usize>() * (tensor.shape.len() + tensor.strides.len());
        add(&mut self.tensors, tensor, bytes as u64, budget).map(Value::Tensor)
    }

    /// The storage of this key; `None` if it was described otherwise before.
    pub fn storage(&mut self, storage: Storage, budget: &mut Budget) -> Result<Option<u32>> {
        if let Some(&known) = self.by_key.get(&storage.key) {
            return Ok((self.storages[known as usize] == storage).then_some(known));
        }
        let key = storage.key.clone();
        let number = add(&mut self.storages, storage, growing::<(String, u32)>() + 2 * key.len() as u64, budget)?;
        self.by_key.insert(key, number);
        Ok(Some(number))
    }

    pub fn view(&mut self, view: StorageView, budget: &mut Budget) -> Result<Value> {
        add(&mut self.views, view, 0, budget).map(Value::Storage)
    }

    pub fn push(&mut self, list: u32, items: &[Value], budget: &mut Budget) -> Result<()> {
        budget.take(growing::<Value>() * items.len() as u64)?;
        self.lists[list as usize].extend_from_slice(items);
        Ok(())
    }

    /// Adds keys and values that follow each other in `items`.
    pub fn insert(&mut self, dict: u32, items: &[Value], budget: &mut Budget) -> Result<()> {
        budget.take(growing::<Value>() * items.len() as u64)?;
        self.dicts[dict as usize].extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        Ok(())
    }

    pub fn str(&self, value: Value) -> Option<&str> {
        if let Value::Text(number) = value { Some(&self.texts[number as usize]) } else { None }
    }

    /// The elements of a list or tuple.
    pub fn items(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::List(number) => Some(&self.lists[number as usize]),
            Value::Tuple(number) => Some(&self.tuples[number as usize]),
            _ => None,
        }
    }

    pub fn pairs(&self, value: Value) -> Option<&[(Value, Value)]> {
        if let Value::Dict(number) = value { Some(&self.dicts[number as usize]) } else { None }
    }

    pub fn tensor_of(&self, value: Value) -> Option<&TensorValue> {
        if let Value::Tensor(number) = value { Some(&self.tensors[number as usize]) } else { None }
    }

    pub fn view_of(&self, value: Value) -> Option<StorageView> {
        if let Value::Storage(number) = value { Some(self.views[number as usize]) } else { None }
    }
}
