//! Which of a checkpoint's entries are the weights, and what their tensors are called.

use super::budget::Budget;
use super::error::{PthError, Result, shown};
use super::tensor::View;
use super::values::{Global, Heap, Plain, TensorValue, Value, growing};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// The entry that is the whole file.
pub const WHOLE: &str = ".";

/// How deep entries may lie within entries.
const DEEPEST: usize = 64;

/// Entries that programs put weights in, beside the state of a training; so are those whose names end in `state_dict`.
const WEIGHTS: [&str; 15] = [
    "model",
    "model_state",
    "net",
    "network",
    "params",
    "weights",
    "module",
    "ema",
    "model_ema",
    "ema_model",
    "state_dict_ema",
    "params_ema",
    "teacher",
    "student",
    "best_model",
];

/// Beginnings and parts of the names of entries that hold the state of a training.
const TRAINING: [&str; 8] = ["optim", "sched", "scaler", "callbacks", "loops", "rng", "random_state", "trainer"];

/// What was chosen.
#[derive(Debug, Default)]
pub struct Chosen {
    /// The entry, unless it is the whole file.
    pub entry: Option<String>,
    pub views: BTreeMap<String, View>,
    /// What is not read: its name, and what it is.
    pub ignored: Vec<(String, String)>,
}

/// The tensors of the entry `wanted`, or of the one that must be meant.
pub fn choose(heap: &Heap, root: Value, wanted: Option<&str>, budget: &mut Budget) -> Result<Chosen> {
    let mut chooser = Chooser { heap, budget, chosen: Chosen::default() };
    chooser.choose(root, wanted)?;
    let chosen = chooser.chosen;
    match chosen.views.is_empty() {
        false => Ok(chosen),
        true => Err(PthError::NoTensors { there: chosen.ignored.into_iter().map(|(name, what)| format!("{name}: {what}")).collect() }),
    }
}

struct Chooser<'a> {
    heap: &'a Heap,
    budget: &'a mut Budget,
    chosen: Chosen,
}

impl Chooser<'_> {
    fn choose(&mut self, root: Value, wanted: Option<&str>) -> Result<()> {
        let Some(entries) = self.heap.pairs(root).filter(|_| wanted != Some(WHOLE)) else {
            return match wanted {
                None | Some(WHOLE) => self.walk(root, String::new(), 0),
                Some(entry) => Err(PthError::NoEntry { entry: entry.into(), there: vec!["one value without entries".into()] }),
            };
        };
        let chosen = match wanted {
            Some(wanted) => Some((wanted.to_string(), self.find(root, wanted)?)),
            None => self.weights(entries)?,
        };
        for &(key, value) in entries {
            let name = self.name(key)?;
            let taken = match &chosen {
                Some((entry, _)) => name == *entry,
                None => !(is_training(&name) && self.heap.pairs(value).is_some()),
            };
            match (taken, &chosen) {
                (true, None) => self.walk(value, name, 1)?,
                (true, Some(_)) => {}
                (false, _) => self.ignore(name, value)?,
            }
        }
        if let Some((name, value)) = chosen {
            self.walk(value, String::new(), 1)?;
            self.chosen.entry = Some(name);
        }
        Ok(())
    }

    /// The one entry of the weights; `None` if the whole is a state dict, whose entries may be those of modules.
    fn weights(&mut self, entries: &[(Value, Value)]) -> Result<Option<(String, Value)>> {
        let mut candidates = Vec::new();
        for &(key, value) in entries.iter().filter(|(_, value)| self.heap.pairs(*value).is_some()) {
            let name = self.name(key)?;
            // The best score of a training is a tensor, too, but without dimensions.
            let weights = |tensor: &TensorValue| !tensor.shape.is_empty();
            if !is_training(&name) && self.tensors(value, weights)? > 0 {
                candidates.push((name, value));
            }
        }
        if !candidates.iter().any(|(name, _)| is_weights(name)) {
            return Ok(None);
        }
        match <[_; 1]>::try_from(candidates) {
            Ok([candidate]) => Ok(Some(candidate)),
            Err(candidates) => Err(PthError::Entries { candidates: candidates.into_iter().map(|(name, _)| shown(&name)).collect() }),
        }
    }

    /// The entry called `wanted`; where none is, its parts between dots are entries within entries.
    fn find(&mut self, root: Value, wanted: &str) -> Result<Value> {
        let mut named = Vec::new();
        for &(key, value) in self.heap.pairs(root).unwrap_or_default() {
            named.push((self.name(key)?, value));
        }
        let find = |wanted: &str| named.iter().find(|(name, _)| name == wanted).map(|&(_, value)| value);
        match (find(wanted), wanted.split_once('.')) {
            (Some(value), _) => Ok(value),
            (None, Some((first, rest))) if find(first).is_some_and(|value| self.heap.pairs(value).is_some()) => {
                self.find(find(first).unwrap_or(Value::None), rest)
            }
            _ => Err(PthError::NoEntry { entry: shown(wanted), there: named.iter().map(|(name, _)| shown(name)).collect() }),
        }
    }

    /// Takes the tensors of a value, their names joined by dots.
    fn walk(&mut self, value: Value, name: String, depth: usize) -> Result<()> {
        if depth > DEEPEST {
            return Err(PthError::TooDeep { name: shown(&name), limit: DEEPEST });
        }
        let joined = |part: String| if name.is_empty() { part } else { format!("{name}.{part}") };
        if let Some(tensor) = self.heap.tensor_of(value) {
            return self.take(if name.is_empty() { "tensor".into() } else { name }, tensor);
        }
        if self.tensors(value, |_| true)? == 0 {
            return self.ignore(name, value);
        }
        for &(key, value) in self.heap.pairs(value).unwrap_or_default() {
            let name = joined(self.name(key)?);
            self.budget.take(name.len() as u64)?;
            self.walk(value, name, depth + 1)?;
        }
        for (i, &item) in self.heap.items(value).unwrap_or_default().iter().enumerate() {
            self.walk(item, joined(i.to_string()), depth + 1)?;
        }
        Ok(())
    }

    fn take(&mut self, name: String, tensor: &TensorValue) -> Result<()> {
        let sizes = size_of_val(tensor.shape.as_slice()) + size_of_val(tensor.strides.as_slice());
        self.budget.take((name.len() + sizes + 4 * size_of::<View>()) as u64)?;
        let view = View::new(&name, tensor)?;
        match self.chosen.views.entry(name) {
            Entry::Vacant(place) => drop(place.insert(view)),
            Entry::Occupied(place) => return Err(PthError::Duplicate { name: shown(place.key()) }),
        }
        Ok(())
    }

    fn ignore(&mut self, name: String, value: Value) -> Result<()> {
        let ignored = (shown(&name), self.describe(value)?);
        self.budget.take((ignored.0.len() + ignored.1.len()) as u64 + growing::<(String, String)>())?;
        self.chosen.ignored.push(ignored);
        Ok(())
    }

    /// A key of a dictionary as part of a name.
    fn name(&mut self, key: Value) -> Result<String> {
        match self.heap.str(key) {
            Some(text) => {
                // A long text may be a key again and again.
                self.budget.take(text.len() as u64)?;
                Ok(text.to_string())
            }
            None => self.describe(key),
        }
    }

    fn describe(&mut self, value: Value) -> Result<String> {
        let heap = self.heap;
        let (length, words) = match value {
            Value::None => return Ok("None".into()),
            Value::Bool(flag) => return Ok(flag.to_string()),
            Value::Int(number) => return Ok(number.to_string()),
            Value::Float(number) => return Ok(number.to_string()),
            Value::Text(_) => return Ok(format!("\"{}\"", shown(heap.str(value).unwrap_or_default()))),
            Value::Magic => return Ok(Plain::Integer.words().into()),
            Value::Plain(plain) | Value::Global(Global::Plain(plain)) => return Ok(plain.words().into()),
            Value::Global(_) => return Ok("a class or function".into()),
            Value::Storage(_) => return Ok("numbers without a shape".into()),
            Value::Tensor(_) => {
                return Ok(format!(
                    "a tensor of shape {:?}",
                    heap.tensor_of(value).map(|tensor| tensor.shape.as_slice()).unwrap_or_default()
                ));
            }
            Value::List(_) | Value::Tuple(_) => (heap.items(value).unwrap_or_default().len(), ["element", "elements"]),
            Value::Dict(_) => (heap.pairs(value).unwrap_or_default().len(), ["entry", "entries"]),
        };
        let counted = |n: usize, [one, more]: [&str; 2]| format!("{n} {}", if n == 1 { one } else { more });
        Ok(match self.tensors(value, |_| true)? {
            0 => counted(length, words),
            tensors => format!("{}, {}", counted(length, words), counted(tensors, ["tensor", "tensors"])),
        })
    }

    /// How many tensors that `wanted` accepts a value holds; each part is looked at once, even if it holds itself.
    fn tensors(&mut self, value: Value, wanted: impl Fn(&TensorValue) -> bool) -> Result<usize> {
        let (mut count, mut seen, mut left) = (0, BTreeSet::new(), vec![value]);
        while let Some(value) = left.pop() {
            count += usize::from(self.heap.tensor_of(value).is_some_and(&wanted));
            let part = match value {
                Value::Dict(number) => (0, number),
                Value::List(number) => (1, number),
                Value::Tuple(number) => (2, number),
                _ => continue,
            };
            if seen.insert(part) {
                let pairs = self.heap.pairs(value).unwrap_or_default().iter().map(|&(_, value)| value);
                let items = self.heap.items(value).unwrap_or_default();
                // For each element, lest a list that is an entry a thousand times take a thousand times as long; and for what is kept.
                self.budget.take((pairs.len() + items.len()) as u64)?;
                let before = left.len();
                left.extend(
                    pairs
                        .chain(items.iter().copied())
                        .filter(|value| matches!(value, Value::Tensor(_) | Value::Dict(_) | Value::List(_) | Value::Tuple(_))),
                );
                self.budget.take((left.len() - before) as u64 * growing::<Value>())?;
            }
        }
        Ok(count)
    }
}

fn is_weights(name: &str) -> bool {
    name.ends_with("state_dict") || WEIGHTS.contains(&name)
}

fn is_training(name: &str) -> bool {
    TRAINING.iter().any(|part| name.contains(part))
}
