//! Damaged files: read or refused, within the memory that is promised, without a panic.

use super::{npy, npz};
use cap::Cap;
use mm_core::data::numpy::{SMALL, part, read};
use mm_core::rng::stream;
use rand::RngExt;
use std::alloc::System;
use std::io::Cursor;
use std::path::Path;

/// An allocation above the limit ends the test with `memory allocation of N bytes failed`.
#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// What the tests beside this one may take meanwhile.
const OTHERS: usize = 256 << 20;

#[test]
fn ten_thousand_damaged_files_of_each_form_are_read_or_refused() {
    let numbers: Vec<u8> = (0..480u32).flat_map(|x| (x as f32).to_le_bytes()).collect();
    let c = npy("<f4", false, "(20, 24)", &numbers);
    let fortran = npy(">i2", true, "(2, 20, 24)", &numbers);
    let files = [c.clone(), fortran.clone(), npz(&[("x", c.clone()), ("y", fortran)], false), npz(&[("x", c)], true)];
    for (form, whole) in files.iter().enumerate() {
        let (mut good, mut refused) = (0, 0);
        for number in 0..10_000u64 {
            let mut rng = stream(3, "numpy", &[form as u64, number]);
            let mut bytes = whole.clone();
            let (at, length) = (rng.random_range(0..bytes.len()), rng.random_range(1..60));
            let end = (at + length).min(bytes.len());
            match number % 6 {
                0 => bytes[at] ^= 1 << rng.random_range(0..8),
                // The header, byte by byte.
                1 => bytes[..130.min(whole.len())][rng.random_range(0..130.min(whole.len()))] = rng.random(),
                2 => bytes.truncate(at),
                3 => drop(bytes.drain(at..end)),
                4 => bytes[at..end].fill([0, 255, b'9', b'('][rng.random_range(0..4)]),
                _ => bytes.extend((0..length).map(|_| rng.random::<u8>())),
            }
            let promised = 9 * (SMALL as usize).max(100 * bytes.len());
            ALLOCATOR.set_limit(ALLOCATOR.allocated() + promised + OTHERS).unwrap();
            match read(&bytes, (form >= 2).then_some("x")) {
                Ok(array) => {
                    assert_eq!(array.values.len(), array.shape.iter().product::<usize>());
                    // All but what an archive packs is in the file.
                    assert!(form == 3 || array.values.len() <= bytes.len());
                    good += 1;
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    refused += 1;
                }
            }
            match part(&mut Cursor::new(&bytes), number as usize % 2, 1..4, Path::new("one.npy")) {
                Ok(array) => assert_eq!((array.values.len(), array.shape[number as usize % 2]), (array.shape.iter().product(), 3)),
                Err(error) => assert!(error.to_string().contains("one.npy")),
            }
            ALLOCATOR.set_limit(usize::MAX).unwrap();
        }
        println!("form {form}: {good} read, {refused} refused");
        assert!(refused > 3000, "form {form}: {refused}");
    }
}
