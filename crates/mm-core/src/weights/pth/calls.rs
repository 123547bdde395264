//! What a pickle makes of calls and of what lies outside of it: dictionaries, storages, tensors.

use super::budget::Budget;
use super::error::{PthError, Result};
use super::values::{Global, Heap, Storage, StorageView, TensorValue, Value, growing};

/// Bytes that the key of a storage may have.
const LONGEST_KEY: usize = 256;

/// Arguments of a function that are looked at.
const MOST_ARGUMENTS: usize = 8;

/// Dimensions that a tensor may have.
const MOST_DIMENSIONS: usize = 64;

pub fn damaged<T>(problem: impl Into<String>) -> Result<T> {
    Err(PthError::Pickle { at: 0, problem: problem.into() })
}

fn natural(value: Value) -> Result<u64> {
    match value {
        Value::Int(number) if number >= 0 => Ok(number as u64),
        _ => damaged("a number of 0 or more is missing"),
    }
}

/// What Python would get from calling `callee`: known for the closed list, and told apart by what each may return.
pub fn construct(heap: &mut Heap, budget: &mut Budget, callee: Value, arguments: Value) -> Result<Value> {
    let (Value::Global(callee), Value::Tuple(_)) = (callee, arguments) else {
        return damaged("a call of what is no class or function");
    };
    if let Global::Plain(plain) = callee {
        return Ok(Value::Plain(plain));
    }
    let arguments: Vec<Value> = heap.items(arguments).unwrap_or_default().iter().take(MOST_ARGUMENTS).copied().collect();
    match (callee, arguments.as_slice()) {
        (Global::OrderedDict, []) => heap.dict(budget),
        (Global::OrderedDict, &[pairs]) => ordered_dict(heap, budget, pairs),
        (Global::RebuildParameter, &[tensor @ Value::Tensor(_), ..]) => Ok(tensor),
        (Global::Size, &[sizes @ (Value::Tuple(_) | Value::List(_))]) => Ok(sizes),
        (Global::RebuildTensor, &[storage, offset, shape, strides, ref rest @ ..]) => {
            // Behind `requires_grad` and hooks: that the numbers are to be conjugated or negated.
            if rest.get(2).is_some_and(|&marks| marks != Value::None && heap.pairs(marks).is_none_or(|pairs| !pairs.is_empty())) {
                return Err(PthError::Unresolved);
            }
            tensor(heap, budget, [storage, offset, shape, strides])
        }
        _ => damaged("a call with other arguments than PyTorch's"),
    }
}

/// As Python 2 wrote it: from a list of pairs.
fn ordered_dict(heap: &mut Heap, budget: &mut Budget, pairs: Value) -> Result<Value> {
    let Some(pairs) = heap.items(pairs) else { return damaged("a dictionary of what are no pairs") };
    budget.take(growing::<Value>() * 2 * pairs.len() as u64)?;
    let mut items = Vec::with_capacity(2 * pairs.len());
    for &pair in pairs {
        match heap.items(pair) {
            Some(&[key, value]) => items.extend([key, value]),
            _ => return damaged("a dictionary of what are no pairs"),
        }
    }
    let dict = heap.dict(budget)?;
    if let Value::Dict(number) = dict {
        heap.insert(number, &items, budget)?;
    }
    Ok(dict)
}

fn tensor(heap: &mut Heap, budget: &mut Budget, [storage, offset, shape, strides]: [Value; 4]) -> Result<Value> {
    let Some(view) = heap.view_of(storage) else { return damaged("a tensor without numbers") };
    let Some(offset) = natural(offset)?.checked_add(view.first) else { return damaged("a tensor begins beyond all numbers") };
    let sizes = |value: Value| -> Result<Vec<usize>> {
        match heap.items(value) {
            Some(items) if items.len() <= MOST_DIMENSIONS => items.iter().map(|&item| Ok(natural(item)? as usize)).collect(),
            _ => damaged(format!("the shape or strides of a tensor are no list of at most {MOST_DIMENSIONS} numbers")),
        }
    };
    let (shape, strides) = (sizes(shape)?, sizes(strides)?);
    if shape.len() != strides.len() {
        return damaged("a tensor with another number of strides than of dimensions");
    }
    heap.tensor(TensorValue { storage: view.storage, offset, shape, strides, end: view.end }, budget)
}

/// `("storage", type, key, where it was, elements[, part])`
pub fn storage(heap: &mut Heap, budget: &mut Budget, id: Value) -> Result<Value> {
    let Some(&[kind, Value::Global(Global::Storage(dtype)), key, _, elements, ref part @ ..]) = heap.items(id) else {
        return damaged("what lies outside of the pickle is no storage of numbers");
    };
    let part = part.first().copied().filter(|&part| part != Value::None);
    let (Some("storage"), Some(key), elements) = (heap.str(kind), heap.str(key), natural(elements)?) else {
        return damaged("what lies outside of the pickle is no storage of numbers");
    };
    let (first, end) = match part.and_then(|part| heap.items(part)) {
        None if part.is_some() => return damaged("a part of a storage without a place"),
        None => (0, elements),
        Some(&[_, first, length]) => {
            let (first, length) = (natural(first)?, natural(length)?);
            match first.checked_add(length) {
                Some(end) if end <= elements => (first, end),
                _ => return damaged("a part of a storage reaches beyond it"),
            }
        }
        Some(_) => return damaged("a part of a storage without a place"),
    };
    if key.len() > LONGEST_KEY {
        return damaged("the key of a storage is too long");
    }
    let storage = Storage { key: key.to_string(), dtype, elements };
    match heap.storage(storage, budget)? {
        Some(storage) => heap.view(StorageView { storage, first, end }, budget),
        None => damaged("a storage is described twice, and not alike"),
    }
}
