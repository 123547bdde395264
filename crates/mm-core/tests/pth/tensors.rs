//! Views of storages, types of numbers, and the ways in which pickles write them.

use super::writer::{Py, counting, dict, floats, ints, ordered_dict, pickle, storage, storage_with, text, view};
use super::{numbers, problem, tensors};
use candle_core::DType;
use mm_core::weights::PthError;

/// Element `index` of a view of 0, 1, 2, ...
fn at(offset: i64, strides: &[i64], index: &[i64]) -> f64 {
    (offset + strides.iter().zip(index).map(|(stride, i)| stride * i).sum::<i64>()) as f64
}

/// The numbers of a view, by the definition of strides.
fn expected(offset: i64, shape: &[i64], strides: &[i64]) -> Vec<f64> {
    let count: i64 = shape.iter().product();
    let index = |mut number: i64| {
        let mut index = vec![0; shape.len()];
        for (i, n) in index.iter_mut().zip(shape).rev() {
            (*i, number) = (number % n, number / n);
        }
        index
    };
    (0..count).map(|number| at(offset, strides, &index(number))).collect()
}

#[test]
fn views_of_a_storage_come_in_the_order_of_their_shape() {
    let cases: [(&str, i64, &[i64], &[i64]); 17] = [
        ("whole", 0, &[4, 6], &[6, 1]),
        ("transposed", 0, &[6, 4], &[1, 6]),
        ("rows", 6, &[2, 6], &[6, 1]),
        ("columns", 2, &[4, 3], &[6, 1]),
        ("column", 3, &[4], &[6]),
        ("every other", 0, &[2, 3], &[12, 2]),
        ("permuted", 0, &[3, 2, 4], &[1, 12, 3]),
        ("expanded", 5, &[3, 4], &[0, 1]),
        ("one number, often", 23, &[2, 5], &[0, 0]),
        ("overlapping", 0, &[4, 4], &[2, 1]),
        ("a side of 1, any stride", 0, &[4, 1, 6], &[6, 99, 1]),
        ("zero-dimensional", 7, &[], &[]),
        ("last", 23, &[1], &[1]),
        ("empty", 0, &[0], &[1]),
        ("empty, with sides", 24, &[3, 0, 2], &[2, 2, 1]),
        ("empty, any stride", 24, &[0, 5], &[i64::MAX, i64::MAX]),
        ("five dimensions", 1, &[2, 1, 2, 1, 2], &[8, 1, 4, 1, 2]),
    ];
    let entries =
        cases.iter().map(|(name, offset, shape, strides)| (*name, view(storage("FloatStorage", "0", 24), *offset, shape, strides)));
    let tensors = tensors(&dict(entries.collect()), &[("0", 24, counting(24))]).unwrap();
    assert_eq!(tensors.len(), cases.len());
    for (name, offset, shape, strides) in cases {
        let dims: Vec<i64> = tensors[name].dims().iter().map(|&n| n as i64).collect();
        assert_eq!((dims.as_slice(), numbers(&tensors[name])), (shape, expected(offset, shape, strides)), "{name}");
    }
}

/// Key and class of a storage, the bytes of two numbers, and what they are here.
type TypeCase = (&'static str, &'static str, Vec<u8>, DType, [f64; 2]);

#[test]
fn every_type_of_numbers_is_read() {
    let cases: [TypeCase; 10] = [
        ("a", "DoubleStorage", [1.5f64, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect(), DType::F64, [1.5, -2.0]),
        ("b", "FloatStorage", [1.5f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect(), DType::F32, [1.5, -2.0]),
        // 1.5 and -2: sign, 5 bits of exponent, 10 of mantissa; or the upper half of the f32.
        ("c", "HalfStorage", [0x3E00u16, 0xC000].iter().flat_map(|x| x.to_le_bytes()).collect(), DType::F16, [1.5, -2.0]),
        ("d", "BFloat16Storage", [0x3FC0u16, 0xC000].iter().flat_map(|x| x.to_le_bytes()).collect(), DType::BF16, [1.5, -2.0]),
        ("e", "LongStorage", [1i64 << 40, -3].iter().flat_map(|x| x.to_le_bytes()).collect(), DType::I64, [1_099_511_627_776.0, -3.0]),
        ("f", "IntStorage", [70_000i32, -3].iter().flat_map(|x| x.to_le_bytes()).collect(), DType::I32, [70_000.0, -3.0]),
        ("g", "ShortStorage", [700i16, -3].iter().flat_map(|x| x.to_le_bytes()).collect(), DType::I16, [700.0, -3.0]),
        ("h", "CharStorage", vec![127, 0xFD], DType::I16, [127.0, -3.0]),
        ("i", "ByteStorage", vec![7, 255], DType::U8, [7.0, 255.0]),
        ("j", "BoolStorage", vec![1, 0], DType::U8, [1.0, 0.0]),
    ];
    let entries = cases.iter().map(|(key, class, ..)| (*key, view(storage(class, key, 2), 0, &[2], &[1]))).collect();
    let storages: Vec<(&str, u64, Vec<u8>)> = cases.iter().map(|(key, _, bytes, ..)| (*key, 2, bytes.clone())).collect();
    let tensors = tensors(&dict(entries), &storages).unwrap();
    for (key, class, _, dtype, values) in cases {
        assert_eq!((tensors[key].dtype(), numbers(&tensors[key])), (dtype, values.to_vec()), "{class}");
    }
}

/// What PyTorch of different ages wrote for the same tensor.
#[test]
fn old_and_new_ways_of_writing_a_tensor() {
    let numbers_of = |value: Py| numbers(&tensors(&dict(vec![("w", value)]), &[("0", 4, counting(4))]).unwrap()["w"]);
    let storage_of = || storage("FloatStorage", "0", 4);
    let rebuild = |name, more: &[Py]| {
        let arguments = [vec![storage_of(), Py::Int(1), ints(&[2]), ints(&[2])], more.to_vec()].concat();
        Py::Call("torch._utils", name, arguments)
    };
    assert_eq!(numbers_of(rebuild("_rebuild_tensor", &[])), [1.0, 3.0]);
    let v2 = rebuild("_rebuild_tensor_v2", &[Py::Bool(false), ordered_dict()]);
    assert_eq!(numbers_of(v2.clone()), [1.0, 3.0]);
    assert_eq!(numbers_of(rebuild("_rebuild_tensor_v2", &[Py::Bool(false), Py::None, Py::Dict(vec![])])), [1.0, 3.0]);
    assert_eq!(numbers_of(Py::Call("torch._utils", "_rebuild_parameter", vec![v2, Py::Bool(true), ordered_dict()])), [1.0, 3.0]);
    let size = Py::Call("torch", "Size", vec![ints(&[2])]);
    let arguments = vec![storage_of(), Py::Int(0), size, Py::List(vec![Py::Int(1)]), Py::Bool(false), ordered_dict()];
    assert_eq!(numbers_of(Py::Call("torch._utils", "_rebuild_tensor_v2", arguments)), [0.0, 1.0]);
    // A part of a storage, as before 1.0: numbers 1 to 3.
    let part = storage_with("FloatStorage", "0", 4, vec![Py::Tuple(vec![text("part"), Py::Int(1), Py::Int(3)])]);
    assert_eq!(numbers_of(view(part.clone(), 1, &[2], &[1])), [2.0, 3.0]);
    assert_eq!(numbers_of(view(storage_with("FloatStorage", "0", 4, vec![Py::None]), 3, &[1], &[1])), [3.0]);
    let beyond = tensors(&dict(vec![("w", view(part, 2, &[2], &[1]))]), &[("0", 4, counting(4))]);
    assert!(matches!(problem(beyond), PthError::Tensor { .. }));
}

/// What a pickle of these instructions holds; the storage `0` has two numbers.
fn run(instructions: &[&[u8]]) -> Vec<(String, Vec<f64>)> {
    let tensors = tensors(&Py::Raw(instructions.concat()), &[("0", 2, counting(2))]).unwrap();
    tensors.into_iter().map(|(name, tensor)| (name, numbers(&tensor))).collect()
}

/// The instructions of a value, without the protocol and the end.
fn instructions(value: &Py) -> Vec<u8> {
    let bytes = pickle(value);
    bytes[2..bytes.len() - 1].to_vec()
}

#[test]
fn the_instructions_of_every_protocol_and_of_python_2_are_known() {
    let tensor = instructions(&floats("0", &[2]));
    let named = |names: &[&str]| names.iter().map(|name| (name.to_string(), vec![0.0, 1.0])).collect::<Vec<_>>();
    // Python 2: SHORT_BINSTRING, BINSTRING (one of them no UTF-8), a dictionary from a list of lists, BUILD.
    assert_eq!(run(&[b"}(U\x01w", &tensor, b"T\x01\0\0\0xU\x02\xff\xfeu"]), named(&["w"]));
    let metadata = b"}U\x09_metadata}sb";
    assert_eq!(run(&[b"ccollections\nOrderedDict\nq\x01]q\x02(]q\x03(U\x01wq\x04", &tensor, b"ee\x85Rq\x05", metadata]), named(&["w"]));
    // SETITEM, APPEND, TUPLE1, TUPLE2, TUPLE3, EMPTY_TUPLE; LONG1 and LONG4 of several lengths, BININT1, BININT2, BINFLOAT.
    let lists = b"(U\x01a]K\x01aU\x01b)\x85U\x01cK\x01K\x02\x86U\x01dK\x01K\x02K\x03\x87u";
    assert_eq!(run(&[b"}U\x01w", &tensor, b"s", lists]), named(&["w"]));
    let integers = b"(U\x01a\x8a\0U\x01b\x8a\x09\0\0\0\0\0\0\0\0\x01U\x01c\x8b\x02\0\0\0\xff\x7fU\x01dM\x01\x02U\x01eG\0\0\0\0\0\0\0\0u";
    assert_eq!(run(&[b"}U\x01w", &tensor, b"s", integers]), named(&["w"]));
    // BINPUT, LONG_BINPUT, BINGET, LONG_BINGET.
    assert_eq!(run(&[b"}(U\x01wr\x05\0\0\0", &tensor, b"q\x06U\x01vj\x06\0\0\0U\x01xh\x05u"]), named(&["v", "w"]));
    // Protocol 4: FRAME, SHORT_BINUNICODE, BINUNICODE8, MEMOIZE, STACK_GLOBAL.
    let call = b"\x95\0\0\0\0\0\0\0\0\x8c\x0ctorch._utils\x94\x8c\x0f_rebuild_tensor\x94\x93\x94";
    let storage = instructions(&storage("FloatStorage", "0", 2));
    assert_eq!(run(&[b"}\x94\x8d\x01\0\0\0\0\0\0\0w", call, b"(", &storage, b"K\x00K\x02\x85K\x01\x85tR\x94s"]), named(&["w"]));
    // EMPTY_SET, ADDITEMS, FROZENSET, SHORT_BINBYTES, BINBYTES, BINBYTES8, BYTEARRAY8, NEWOBJ.
    let rest = b"(\x8c\x01a\x8f(K\x01K\x02\x90\x8c\x01b(K\x01\x91\x8c\x01cC\x01x\x8c\x01dB\x01\0\0\0x\x8c\x01e\x8e\x01\0\0\0\0\0\0\0x\
        \x8c\x01f\x96\x01\0\0\0\0\0\0\0x\x8c\x01g\x8c\x08argparse\x8c\x09Namespace\x93)\x81}\x8c\x02lrK\x01sbu";
    assert_eq!(run(&[b"}U\x01w", &tensor, b"s", rest]), named(&["w"]));
}

/// A tensor by name, for what is wrong with it.
fn refused(value: Py) -> PthError {
    problem(tensors(&dict(vec![("w", value)]), &[("0", 4, counting(4))]))
}

#[test]
fn a_view_beyond_its_storage_is_refused_by_name() {
    let all = || storage("FloatStorage", "0", 4);
    let beyond: [(i64, &[i64], &[i64]); 9] = [
        (0, &[5], &[1]),
        (1, &[4], &[1]),
        (4, &[], &[]),
        (0, &[2, 2], &[3, 2]),
        (0, &[2], &[4]),
        (i64::MAX, &[1], &[1]),
        (i64::MAX, &[3], &[i64::MAX]),
        (0, &[i64::MAX, i64::MAX], &[0, 0]),
        // No numbers at all, but no machine multiplies such sides.
        (0, &[0, i64::MAX, 4], &[1, 1, 1]),
    ];
    for (offset, shape, strides) in beyond {
        let found = refused(view(all(), offset, shape, strides));
        assert!(matches!(&found, PthError::Tensor { name, .. } if name == "w"), "{found:?}");
        assert!(found.to_string().contains("tensor `w`"), "{found}");
    }
}

#[test]
fn a_tensor_that_cannot_be_is_refused() {
    let all = || storage("FloatStorage", "0", 4);
    let many = vec![1; 65];
    let cases = [
        view(all(), -1, &[1], &[1]),
        view(all(), 0, &[-1], &[1]),
        view(all(), 0, &[2], &[-1]),
        view(all(), 0, &[2, 2], &[1]),
        view(all(), 0, &many, &many),
        view(Py::Int(3), 0, &[1], &[1]),
        Py::Call("torch._utils", "_rebuild_tensor_v2", vec![]),
        Py::Call("torch._utils", "_rebuild_parameter", vec![Py::None]),
        view(Py::Persistent(Box::new(text("0"))), 0, &[1], &[1]),
        view(storage_with("FloatStorage", "0", 4, vec![Py::Tuple(vec![text("part"), Py::Int(2), Py::Int(3)])]), 0, &[1], &[1]),
        view(storage_with("FloatStorage", "0", 4, vec![Py::Int(1)]), 0, &[1], &[1]),
        view(storage("FloatStorage", "0", -4), 0, &[1], &[1]),
        view(storage("FloatStorage", &"0".repeat(300), 4), 0, &[1], &[1]),
        // The same storage, described in two ways.
        Py::List(vec![floats("0", &[4]), view(storage("HalfStorage", "0", 4), 0, &[1], &[1])]),
    ];
    for case in cases {
        assert!(matches!(refused(case), PthError::Pickle { .. }));
    }
    let conjugate = vec![all(), Py::Int(0), ints(&[1]), ints(&[1]), Py::Bool(false), Py::None, dict(vec![("conj", Py::Bool(true))])];
    assert!(matches!(refused(Py::Call("torch._utils", "_rebuild_tensor_v2", conjugate)), PthError::Unresolved));
}
