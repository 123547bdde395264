//! The instructions of a pickle, those that `torch.save` writes and no others; none of them calls anything.

use super::budget::Budget;
use super::calls::{self, damaged};
use super::error::{PthError, Result, shown};
use super::input::Input;
use super::values::{Global, Heap, Plain, Value, growing};
use std::io::BufRead;

/// The number that a file of PyTorch before 1.6 begins with, lowest byte first.
const MAGIC: [u8; 10] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19];

/// Reads one pickle; its value, whose parts are in the heap.
pub fn read(input: &mut Input<impl BufRead>, heap: &mut Heap, budget: &mut Budget) -> Result<Value> {
    let mut machine = Machine { heap, budget, stack: Vec::new(), marks: Vec::new(), memo: Vec::new(), deepest: 0, start: input.at() };
    loop {
        let at = input.at();
        // Whatever contradicts itself is told with the place of the instruction.
        let step = machine.step(input, at).map_err(|error| match error {
            PthError::Pickle { problem, .. } => PthError::Pickle { at, problem },
            other => other,
        })?;
        if let Some(value) = step {
            return Ok(value);
        }
    }
}

struct Machine<'a> {
    heap: &'a mut Heap,
    budget: &'a mut Budget,
    stack: Vec<Value>,
    /// Lengths of the stack where marks were set.
    marks: Vec<usize>,
    memo: Vec<Option<Value>>,
    /// How long the stack was at most.
    deepest: usize,
    /// Where the pickle begins.
    start: u64,
}

impl Machine<'_> {
    /// Does one instruction; the value of the whole pickle at its end.
    fn step(&mut self, input: &mut Input<impl BufRead>, at: u64) -> Result<Option<Value>> {
        let code = input.byte()?;
        match code {
            // PROTO, FRAME, STOP
            0x80 => match input.byte()? {
                2..=5 => {}
                found => return Err(PthError::Protocol { found }),
            },
            0x95 => drop(input.array::<8>()?),
            b'.' => return self.pop().map(Some),
            // NONE, NEWTRUE, NEWFALSE
            b'N' => self.push(Value::None)?,
            0x88 => self.push(Value::Bool(true))?,
            0x89 => self.push(Value::Bool(false))?,
            // BININT, BININT1, BININT2, LONG1, LONG4, BINFLOAT
            b'J' => {
                let number = i32::from_le_bytes(input.array()?);
                self.push(Value::Int(number.into()))?;
            }
            b'K' => {
                let number = input.byte()?;
                self.push(Value::Int(number.into()))?;
            }
            b'M' => {
                let number = u16::from_le_bytes(input.array()?);
                self.push(Value::Int(number.into()))?;
            }
            0x8A | 0x8B => {
                let length = if code == 0x8A { input.byte()?.into() } else { u32::from_le_bytes(input.array()?).into() };
                let bytes = input.bytes(length, self.budget)?;
                self.push(long(&bytes))?;
            }
            b'G' => {
                let number = f64::from_be_bytes(input.array()?);
                self.push(Value::Float(number))?;
            }
            // SHORT_BINSTRING, BINSTRING: of Python 2, where text and bytes were one.
            b'U' => {
                let length = input.byte()?.into();
                self.text(input, length, true)?;
            }
            b'T' => {
                let length = u32::from_le_bytes(input.array()?).into();
                self.text(input, length, true)?;
            }
            // SHORT_BINUNICODE, BINUNICODE, BINUNICODE8
            0x8C => {
                let length = input.byte()?.into();
                self.text(input, length, false)?;
            }
            b'X' => {
                let length = u32::from_le_bytes(input.array()?).into();
                self.text(input, length, false)?;
            }
            0x8D => {
                let length = u64::from_le_bytes(input.array()?);
                self.text(input, length, false)?;
            }
            // SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8
            b'C' => {
                let length = input.byte()?.into();
                self.over(input, length)?;
            }
            b'B' => {
                let length = u32::from_le_bytes(input.array()?).into();
                self.over(input, length)?;
            }
            0x8E | 0x96 => {
                let length = u64::from_le_bytes(input.array()?);
                self.over(input, length)?;
            }
            // MARK
            b'(' => {
                self.budget.take(growing::<usize>())?;
                self.marks.push(self.stack.len());
            }
            // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE
            b')' => self.tuple(self.stack.len())?,
            0x85..=0x87 => match self.stack.len().checked_sub(usize::from(code - 0x84)) {
                Some(from) if self.marks.last().is_none_or(|&mark| mark <= from) => self.tuple(from)?,
                _ => return damaged("a value is missing"),
            },
            b't' => {
                let from = self.mark()?;
                self.tuple(from)?;
            }
            // EMPTY_LIST, APPEND, APPENDS
            b']' => {
                let list = self.heap.list(Vec::new(), self.budget)?;
                self.push(list)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            b'e' => {
                let from = self.mark()?;
                let items = self.stack.split_off(from);
                self.append(&items)?;
            }
            // EMPTY_DICT, SETITEM, SETITEMS
            b'}' => {
                let dict = self.heap.dict(self.budget)?;
                self.push(dict)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])?;
            }
            b'u' => {
                let from = self.mark()?;
                let items = self.stack.split_off(from);
                self.set_items(&items)?;
            }
            // EMPTY_SET, ADDITEMS, FROZENSET
            0x8F => self.push(Value::Plain(Plain::Set))?,
            0x90 => {
                let from = self.mark()?;
                self.stack.truncate(from);
                if self.top()? != Value::Plain(Plain::Set) {
                    return damaged("elements are added to what is no set");
                }
            }
            0x91 => {
                let from = self.mark()?;
                self.stack.truncate(from);
                self.push(Value::Plain(Plain::Set))?;
            }
            // GLOBAL, STACK_GLOBAL
            b'c' => {
                let (module, name) = (input.line()?, input.line()?);
                self.push(global(&module, &name)?)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Some(module), Some(name)) = (self.heap.str(module), self.heap.str(name)) else {
                    return damaged("a class or function whose name is no text");
                };
                let global = global(module, name)?;
                self.push(global)?;
            }
            // REDUCE, NEWOBJ, BUILD
            b'R' | 0x81 => {
                let (arguments, callee) = (self.pop()?, self.pop()?);
                let value = calls::construct(self.heap, self.budget, callee, arguments)?;
                self.push(value)?;
            }
            b'b' => {
                self.pop()?;
                // Attributes hold no weights: of a state dict they are the versions of its modules.
                if !matches!(self.top()?, Value::Dict(_) | Value::Plain(_)) {
                    return damaged("attributes of what has none");
                }
            }
            // BINPUT, LONG_BINPUT, MEMOIZE
            b'q' => {
                let number = input.byte()?.into();
                self.memoize(number)?;
            }
            b'r' => {
                let number = u32::from_le_bytes(input.array()?);
                // Every value that is remembered has taken two bytes at least.
                if u64::from(number) > at - self.start {
                    return damaged("a value is remembered under too large a number");
                }
                self.memoize(number as usize)?;
            }
            0x94 => self.memoize(self.memo.len())?,
            // BINGET, LONG_BINGET
            b'h' => {
                let number = input.byte()?.into();
                self.recall(number)?;
            }
            b'j' => {
                let number = u32::from_le_bytes(input.array()?);
                self.recall(number as usize)?;
            }
            // BINPERSID
            b'Q' => {
                let id = self.pop()?;
                let storage = calls::storage(self.heap, self.budget, id)?;
                self.push(storage)?;
            }
            code => return Err(PthError::Instruction { code, at }),
        }
        Ok(None)
    }

    fn push(&mut self, value: Value) -> Result<()> {
        self.stack.push(value);
        if self.stack.len() > self.deepest {
            self.deepest = self.stack.len();
            self.budget.take(growing::<Value>())?;
        }
        Ok(())
    }

    /// Values below the last mark are not to be had.
    fn pop(&mut self) -> Result<Value> {
        self.top()?;
        self.stack.pop().map_or_else(|| damaged("a value is missing"), Ok)
    }

    fn top(&self) -> Result<Value> {
        let from = self.marks.last().copied().unwrap_or(0);
        self.stack.get(from..).and_then(|rest| rest.last().copied()).map_or_else(|| damaged("a value is missing"), Ok)
    }

    /// Where the values above the last mark begin.
    fn mark(&mut self) -> Result<usize> {
        self.marks.pop().map_or_else(|| damaged("a mark is missing"), Ok)
    }

    fn tuple(&mut self, from: usize) -> Result<()> {
        let tuple = self.heap.tuple(&self.stack[from..], self.budget)?;
        self.stack.truncate(from);
        self.push(tuple)
    }

    fn text(&mut self, input: &mut Input<impl BufRead>, length: u64, or_bytes: bool) -> Result<()> {
        let value = match String::from_utf8(input.bytes(length, self.budget)?) {
            Ok(text) => self.heap.text(text.into(), self.budget)?,
            Err(_) if or_bytes => Value::Plain(Plain::Bytes),
            Err(_) => return damaged("a text is not UTF-8"),
        };
        self.push(value)
    }

    fn over(&mut self, input: &mut Input<impl BufRead>, length: u64) -> Result<()> {
        input.skip(length)?;
        self.push(Value::Plain(Plain::Bytes))
    }

    fn append(&mut self, items: &[Value]) -> Result<()> {
        match self.top()? {
            Value::List(list) => self.heap.push(list, items, self.budget),
            Value::Plain(_) => Ok(()),
            _ => damaged("elements are added to what is no list"),
        }
    }

    fn set_items(&mut self, items: &[Value]) -> Result<()> {
        match self.top()? {
            Value::Dict(dict) if items.len().is_multiple_of(2) => self.heap.insert(dict, items, self.budget),
            Value::Plain(_) => Ok(()),
            _ => damaged("entries are added to what is no dictionary"),
        }
    }

    fn memoize(&mut self, number: usize) -> Result<()> {
        let value = self.top()?;
        if number >= self.memo.len() {
            self.budget.take(growing::<Value>() * (number + 1 - self.memo.len()) as u64)?;
            self.memo.resize(number + 1, None);
        }
        self.memo[number] = Some(value);
        Ok(())
    }

    fn recall(&mut self, number: usize) -> Result<()> {
        match self.memo.get(number) {
            Some(&Some(value)) => self.push(value),
            _ => damaged("a value was not remembered"),
        }
    }
}

fn global(module: &str, name: &str) -> Result<Value> {
    let full = || shown(&format!("{module}.{name}"));
    match (Global::find(module, name), other_numbers(module, name)) {
        (Some(global), _) => Ok(Value::Global(global)),
        (None, Some((what, plain))) => Err(PthError::Numbers { name: full(), what, plain }),
        (None, None) => Err(PthError::Global { name: full() }),
    }
}

/// What PyTorch makes of this name, where it is numbers that are not read, and the Python that makes plain ones of them.
fn other_numbers(module: &str, name: &str) -> Option<(&'static str, &'static str)> {
    Some(match (module, name) {
        ("torch._utils", "_rebuild_tensor_v3") => ("numbers of a type such as float8 or uint16", "v.float()"),
        ("torch._utils", "_rebuild_sparse_tensor" | "_rebuild_sparse_csr_tensor") => ("sparse tensors", "v.to_dense()"),
        ("torch._utils", "_rebuild_qtensor") => ("quantized numbers", "v.dequantize()"),
        ("torch", "ComplexHalfStorage" | "ComplexFloatStorage" | "ComplexDoubleStorage") => {
            ("complex numbers", "torch.view_as_real(v) if v.is_complex() else v")
        }
        _ => return None,
    })
}

/// A whole number of any length.
fn long(bytes: &[u8]) -> Value {
    if bytes == MAGIC {
        return Value::Magic;
    }
    match bytes.split_last() {
        None => Value::Int(0),
        Some((&last, _)) if bytes.len() <= size_of::<i64>() => {
            // The sign is that of the last byte.
            let mut all = [if last & 0x80 == 0 { 0 } else { 0xFF }; size_of::<i64>()];
            all[..bytes.len()].copy_from_slice(bytes);
            Value::Int(i64::from_le_bytes(all))
        }
        Some(_) => Value::Plain(Plain::Integer),
    }
}
