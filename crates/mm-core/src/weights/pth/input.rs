//! The bytes of a pickle, read as its instructions ask for them and never beyond what is there.

use super::budget::Budget;
use super::error::{PthError, Result, reading};
use std::io::{BufRead, Read as _};

/// Bytes that the name of a class or function may have.
const LONGEST_LINE: u64 = 1024;

/// The bytes of a pickle, of which `length` are there at most.
pub struct Input<R> {
    reader: R,
    at: u64,
    length: u64,
}

impl<R: BufRead> Input<R> {
    pub fn new(reader: R, length: u64) -> Self {
        Self { reader, at: 0, length }
    }

    /// How many bytes were read.
    pub fn at(&self) -> u64 {
        self.at
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(reading("its pickle"))?;
        self.at += N as u64;
        Ok(bytes)
    }

    pub fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn expect(&self, length: u64) -> Result<()> {
        let there = self.length.checked_sub(self.at).is_some_and(|rest| length <= rest);
        if there { Ok(()) } else { Err(PthError::Truncated { what: "its pickle".into() }) }
    }

    pub fn bytes(&mut self, length: u64, budget: &mut Budget) -> Result<Vec<u8>> {
        self.expect(length)?;
        budget.take(length)?;
        let mut bytes = vec![0; length as usize];
        self.reader.read_exact(&mut bytes).map_err(reading("its pickle"))?;
        self.at += length;
        Ok(bytes)
    }

    pub fn skip(&mut self, length: u64) -> Result<()> {
        self.expect(length)?;
        let mut left = length;
        while left > 0 {
            let there = self.reader.fill_buf()?.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            if there == 0 {
                return Err(PthError::Truncated { what: "its pickle".into() });
            }
            self.reader.consume(there);
            left -= there as u64;
        }
        self.at += length;
        Ok(())
    }

    /// Checks that nothing follows; of an entry of an archive, its checksum is compared there.
    pub fn end(&mut self) -> std::io::Result<()> {
        match self.reader.fill_buf()?.is_empty() {
            true => Ok(()),
            false => Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "something follows its pickle")),
        }
    }

    /// Up to the end of the line, which is left out.
    pub fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        (&mut self.reader).take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        self.at += line.len() as u64;
        match line.pop() {
            Some(b'\n') => Ok(String::from_utf8_lossy(&line).into_owned()),
            _ => Err(PthError::Pickle { at: self.at, problem: "a name without an end".into() }),
        }
    }
}
