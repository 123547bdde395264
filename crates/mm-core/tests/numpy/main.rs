//! Arrays of NumPy: known answers, what is refused, damaged files, and the kinds that read them.

mod damage;
mod kinds;
mod rows;

use mm_core::data::numpy::{NumpyError, entries, read};
use std::io::Write;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// As `np.save` writes it, version 1.0.
pub fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
    with_header(&format!("{header:<117}\n"), data)
}

fn with_header(header: &str, data: &[u8]) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", (header.len() as u16).to_le_bytes().as_slice(), header.as_bytes(), data].concat()
}

/// As `np.savez` or `np.savez_compressed` writes it.
pub fn npz(entries: &[(&str, Vec<u8>)], compressed: bool) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let method = if compressed { CompressionMethod::Deflated } else { CompressionMethod::Stored };
    for (name, bytes) in entries {
        zip.start_file(format!("{name}.npy"), SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn values(bytes: &[u8]) -> Vec<f64> {
    read(bytes, None).unwrap().values.to_f64()
}

/// `np.save` of `np.array([0, 1, -2, 100]).astype(dtype)`, `tobytes()` of NumPy 2.3 in either byte order.
#[test]
fn every_type_of_number_is_read_in_either_byte_order() {
    let types: [(&str, &[u8]); 10] = [
        ("f2", &[0, 0, 0, 60, 0, 192, 64, 86]),
        ("f4", &[0, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 192, 0, 0, 200, 66]),
        ("f8", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 240, 63, 0, 0, 0, 0, 0, 0, 0, 192, 0, 0, 0, 0, 0, 0, 89, 64]),
        ("i1", &[0, 1, 254, 100]),
        ("i2", &[0, 0, 1, 0, 254, 255, 100, 0]),
        ("i4", &[0, 0, 0, 0, 1, 0, 0, 0, 254, 255, 255, 255, 100, 0, 0, 0]),
        ("i8", &[0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 254, 255, 255, 255, 255, 255, 255, 255, 100, 0, 0, 0, 0, 0, 0, 0]),
        ("u1", &[0, 1, 2, 100]),
        ("u2", &[0, 0, 1, 0, 2, 0, 100, 0]),
        ("b1", &[0, 1, 7, 1]),
    ];
    for (name, bytes) in types {
        let expected = match name {
            "u1" | "u2" => [0.0, 1.0, 2.0, 100.0],
            "b1" => [0.0, 1.0, 1.0, 1.0],
            _ => [0.0, 1.0, -2.0, 100.0],
        };
        let size: usize = name[1..].parse().unwrap();
        let big: Vec<u8> = bytes.chunks(size).flat_map(|number| number.iter().rev()).copied().collect();
        for (order, bytes) in [("<", bytes), ("|", bytes), ("=", bytes), (">", &big)] {
            assert_eq!(values(&npy(&format!("{order}{name}"), false, "(4,)", bytes)), expected, "{order}{name}");
        }
    }
    // Whole numbers of 32 bits keep all digits.
    assert_eq!(values(&npy("<u4", false, "(1,)", &[255; 4])), [4_294_967_295.0]);
    assert_eq!(values(&npy("<u8", false, "(1,)", &[255; 8])), [2f64.powi(64)]);
    let special: Vec<u8> = [f32::NAN, f32::NEG_INFINITY].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert!(values(&npy("<f4", false, "(2,)", &special))[0].is_nan());
}

#[test]
fn shapes_and_orders_are_those_of_numpy() {
    let bytes: Vec<u8> = (0..24).collect();
    // np.arange(24, dtype=np.uint8).reshape(2, 3, 4), and the same bytes with order="F".
    let c = read(&npy("|u1", false, "(2, 3, 4)", &bytes), None).unwrap();
    assert_eq!((c.shape, c.values.to_f64()), (vec![2, 3, 4], (0..24).map(f64::from).collect()));
    let f = read(&npy("|u1", true, "(2, 3, 4)", &bytes), None).unwrap().values.to_f64();
    let expected = (0..2).flat_map(|i| (0..3).flat_map(move |j| (0..4).map(move |k| f64::from(i + 2 * j + 6 * k))));
    assert_eq!(f, expected.collect::<Vec<_>>());
    for (shape, expected) in [("()", vec![]), ("(1,)", vec![1]), ("(1, 1,)", vec![1, 1]), ("(1L, 1L)", vec![1, 1])] {
        assert_eq!(read(&npy("|u1", true, shape, &[9]), None).unwrap().shape, expected, "{shape}");
    }
    let empty = read(&npy("<f4", false, "(0, 5)", &[]), None).unwrap();
    assert_eq!((empty.shape, empty.values.len()), (vec![0, 5], 0));
    // Keys in another order, other white space and quotes, and version 2 of the format.
    let header = "{\"shape\":(2,),  'fortran_order' : False,\n'descr':'<i2'}";
    assert_eq!(values(&with_header(header, &[1, 0, 2, 0])), [1.0, 2.0]);
    let second = [b"\x93NUMPY\x02\x00", (header.len() as u32).to_le_bytes().as_slice(), header.as_bytes(), &[1, 0, 2, 0]].concat();
    assert_eq!(values(&second), [1.0, 2.0]);
}

#[test]
fn archives_are_read_packed_and_not() {
    let bytes: Vec<u8> = (0..100).map(|x| x / 10).collect();
    let arrays = [("x", npy("|u1", false, "(10, 10)", &bytes)), ("labels/y", npy("<i2", false, "(1,)", &[3, 0]))];
    for compressed in [false, true] {
        let archive = npz(&arrays, compressed);
        assert_eq!(entries(&archive).unwrap(), ["labels/y", "x"]);
        for name in ["x", "x.npy"] {
            assert_eq!(read(&archive, Some(name)).unwrap().shape, [10, 10]);
        }
        assert_eq!(read(&archive, Some("labels/y")).unwrap().values.to_f64(), [3.0]);
        let which = read(&archive, None).unwrap_err().to_string();
        assert_eq!(which, "has 2 entries, so say which: entry = \"...\"; it has labels/y, x");
        let missing = read(&archive, Some("z")).unwrap_err().to_string();
        assert_eq!(missing, "has no entry `z`; it has labels/y, x");
        assert_eq!(read(&npz(&arrays[..1], compressed), None).unwrap().shape, [10, 10]);
    }
    assert!(matches!(read(&arrays[0].1, Some("x")), Err(NumpyError::NoArchive { .. })));
}

#[test]
fn what_is_no_array_of_numbers_is_refused_by_name() {
    let refused = |bytes: &[u8]| read(bytes, None).unwrap_err().to_string();
    for (descr, expected) in [
        ("|O", "Python objects, which are not read because they hold code (`|O`)"),
        ("<c8", "complex numbers"),
        ("<U5", "texts"),
        ("|S3", "texts"),
        ("<M8[ns]", "times"),
        ("<f16", "a type that is not read"),
        ("f", "a type that is not read"),
        ("", "a type that is not read"),
    ] {
        assert!(
            refused(&npy(descr, false, "(1,)", &[0; 8])).contains(expected),
            "{descr}: {}",
            refused(&npy(descr, false, "(1,)", &[0; 8]))
        );
    }
    let fields = "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (1,), }";
    assert!(refused(&with_header(fields, &[0; 4])).contains("records with named fields"));
    for (shape, data) in [("(3,)", 8), ("(1,)", 8), ("(2, 0)", 4), ("(99999999999, 99999999999)", 8), ("(18446744073709551615, 2)", 8)] {
        let problem = refused(&npy("<f4", false, shape, &vec![0; data]));
        assert!(problem.contains("says that its shape is") && problem.contains("write or copy it again"), "{problem}");
    }
    for header in [
        "",
        "{",
        "{}",
        "[]",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1.5,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} + f()",
        "{'descr' '<f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4, 'fortran_order': False",
    ] {
        assert!(refused(&with_header(header, &[0; 4])).starts_with("has a damaged header: "), "{header}");
    }
    assert_eq!(refused(b"\x93NUMPY\x01"), "is cut off within its header: write or copy it again");
    assert!(refused(b"\x93NUMPY\x09\x00\x00\x00").contains("version 9"));
    assert!(refused(b"1,2,3").contains("no file of NumPy"));
    assert!(refused(b"PK\x03\x04nothing").starts_with("is no archive that can be read"));
}

/// A small archive cannot fill the memory.
#[test]
fn an_entry_that_is_far_larger_than_its_archive_is_refused() {
    let zeros = 17 << 20;
    let archive = npz(&[("x", npy("|u1", false, &format!("({zeros},)"), &vec![0; zeros]))], true);
    assert!(matches!(read(&archive, None), Err(NumpyError::TooLarge { most, .. }) if most == 16 << 20), "{}", archive.len());
    let plain = npz(&[("x", npy("|u1", false, &format!("({zeros},)"), &vec![0; zeros]))], false);
    assert_eq!(read(&plain, None).unwrap().shape, [zeros]);
}
