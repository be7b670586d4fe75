//! The `.npy` format: what NumPy wrote, what is written here, and what nobody should write.

use proptest::prelude::*;

use super::*;
use crate::npz::{NpzFault, NpzReader};

fn numpy() -> NpzReader<io::Cursor<&'static [u8]>> {
    NpzReader::new(io::Cursor::new(
        &include_bytes!("../../tests/fixtures/arrays.npz")[..],
    ))
    .unwrap()
}

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn read(bytes: &[u8]) -> Result<NpyArray, NpyFault> {
    NpyArray::read_from(&mut &bytes[..], bytes.len() as u64)
}

#[test]
fn every_plain_type_of_numpy_is_read() {
    let types = [
        ("int8", ElementType::Int8),
        ("int16", ElementType::Int16),
        ("int32", ElementType::Int32),
        ("int64", ElementType::Int64),
        ("uint8", ElementType::UInt8),
        ("uint16", ElementType::UInt16),
        ("uint32", ElementType::UInt32),
        ("uint64", ElementType::UInt64),
        ("float16", ElementType::Float16),
        ("float32", ElementType::Float32),
        ("float64", ElementType::Float64),
    ];
    for (name, element_type) in types {
        let array = numpy().array(&format!("plain_{name}")).unwrap();
        assert_eq!(
            (array.element_type(), array.shape()),
            (element_type, &[2, 3][..])
        );
        assert_eq!(
            array.to_f32().unwrap(),
            [0.0, 1.0, 2.0, 3.0, 100.0, 127.0],
            "{name}"
        );
        assert_eq!(
            array.to_integers().is_some(),
            !name.starts_with("float"),
            "{name}"
        );
    }
    let bools = numpy().array("plain_bool").unwrap();
    assert_eq!(
        bools.values::<bool>().unwrap(),
        [false, true, true, true, true, true]
    );
    let complex = numpy().array("plain_complex64").unwrap();
    assert_eq!(
        (complex.element_type(), complex.bytes().len()),
        (ElementType::Complex64, 48)
    );
    assert_eq!((complex.to_f32(), complex.to_integers()), (None, None));
}

#[test]
fn any_byte_order_and_axis_order_is_put_in_order() {
    let mut numpy = numpy();
    assert_eq!(
        numpy.array("big_endian").unwrap().values::<i32>().unwrap(),
        [0, 1, 2, 3, 100, 127]
    );
    let thirds = numpy
        .array("big_endian_float")
        .unwrap()
        .values::<f64>()
        .unwrap();
    assert_eq!(thirds[1], 1.0 / 3.0);
    let fortran = numpy.array("fortran").unwrap();
    assert_eq!(fortran.shape(), [2, 3, 4]);
    assert!(fortran.values::<i16>().unwrap().into_iter().eq(0..24));
    assert_eq!(
        numpy.array("fortran_big_endian").unwrap().to_f32().unwrap(),
        [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    );
}

#[test]
fn scalars_empty_arrays_and_extremes_are_read() {
    let mut numpy = numpy();
    let scalar = numpy.array("scalar").unwrap();
    assert_eq!(
        (scalar.shape(), scalar.to_f32().unwrap()),
        (&[][..], vec![2.5])
    );
    let empty = numpy.array("empty").unwrap();
    assert_eq!((empty.shape(), empty.bytes().len()), (&[0, 3][..], 0));
    let extremes = numpy
        .array("extremes_int64")
        .unwrap()
        .to_integers()
        .unwrap();
    assert_eq!(extremes, [i128::from(i64::MIN), i128::from(i64::MAX)]);
    assert_eq!(
        numpy
            .array("extremes_uint64")
            .unwrap()
            .to_integers()
            .unwrap(),
        [0, i128::from(u64::MAX)]
    );
}

#[test]
fn strings_are_read() {
    let mut numpy = numpy();
    assert_eq!(
        numpy.strings("unicode").unwrap(),
        ["noise", "Sternflecken \u{2605}", ""]
    );
    assert_eq!(numpy.strings("unicode_big_endian").unwrap(), ["ab", "c"]);
    assert_eq!(numpy.strings("bytes").unwrap(), ["noise", "transit"]);
}

#[test]
fn other_kinds_of_array_are_refused_by_name() {
    let mut numpy = numpy();
    let objects = numpy.array("objects").unwrap_err().to_string();
    assert!(
        objects.contains("\"objects\"") && objects.contains("\"|O\""),
        "{objects}"
    );
    let strings = numpy.array("unicode").unwrap_err().to_string();
    assert!(
        strings.contains("\"<U14\"") && strings.contains("float16..64"),
        "{strings}"
    );
    let numbers = numpy.strings("plain_int8").unwrap_err().to_string();
    assert!(
        numbers.contains("\"|i1\"") && numbers.contains("strings"),
        "{numbers}"
    );
    let missing = numpy.array("nothing").unwrap_err();
    assert!(
        matches!(&missing, NpzFault::Missing { present, .. } if present.len() == 25),
        "{missing}"
    );
}

#[test]
fn written_files_have_the_layout_of_numpy() {
    let array = NpyArray::from_values(&[3], &[1u8, 2, 3]).unwrap();
    let mut bytes = Vec::new();
    array.write_to(&mut bytes).unwrap();
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (3,), }";
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    assert_eq!(&bytes[10..10 + header.len()], header.as_bytes());
    assert_eq!((&bytes[127..], bytes.len()), (&b"\n\x01\x02\x03"[..], 131));
}

#[test]
fn malformed_files_are_refused() {
    let good = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}";
    assert_eq!(read(&file(good, &[0; 4])).unwrap().shape(), [1]);
    let headers = [
        "",
        "{",
        "{}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
    ];
    for header in headers {
        assert!(
            matches!(read(&file(header, &[0; 4])), Err(NpyFault::Header(_))),
            "{header}"
        );
    }
    for element in [
        "f4",
        "<f",
        "<q4",
        "<f3",
        "|O",
        "<i99999999999999999999",
        "\u{fc}",
    ] {
        let header = good.replace("<f4", element);
        assert!(
            matches!(
                read(&file(&header, &[0; 4])),
                Err(NpyFault::ElementType { .. })
            ),
            "{header}"
        );
    }
    for shape in [
        "(2,)",
        "(0,)",
        "()",
        "(4294967296, 4294967296)",
        "(4611686018427387904,)",
    ] {
        let header = good.replace("(1,)", shape);
        let found = if shape == "()" { 3 } else { 4 };
        assert!(
            matches!(
                read(&file(&header, &vec![0; found])),
                Err(NpyFault::Length { .. })
            ),
            "{header}"
        );
    }
}

#[test]
fn a_header_cannot_claim_memory_that_is_not_there() {
    let claims_four_gigabytes = b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr'";
    assert!(matches!(
        read(claims_four_gigabytes),
        Err(NpyFault::Header(_))
    ));
    let strings = file(
        "{'descr': '<U0', 'fortran_order': False, 'shape': (18446744073709551615,)}",
        &[],
    );
    assert!(matches!(
        read_strings(&mut &strings[..], strings.len() as u64),
        Err(NpyFault::Length { .. })
    ));
}

#[test]
fn a_failed_write_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("is_a_folder");
    std::fs::create_dir(&path).unwrap();
    let error = NpyArray::from_values(&[1], &[1.0f32])
        .unwrap()
        .write(&path)
        .unwrap_err();
    assert_eq!(error.file, path);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

proptest! {
    #[test]
    fn what_is_written_reads_back(shape in prop::collection::vec(0usize..5, 0..5), seed in any::<u8>()) {
        let count: usize = shape.iter().product();
        let values: Vec<i16> = (0..count).map(|i| (i as i16).wrapping_mul(257) ^ i16::from(seed)).collect();
        let array = NpyArray::from_values(&shape, &values).unwrap();
        let mut bytes = Vec::new();
        array.write_to(&mut bytes).unwrap();
        prop_assert_eq!((bytes.len() - 2 * count) % 64, 0);
        let back = read(&bytes).unwrap();
        prop_assert_eq!(back.values::<i16>().unwrap(), values);
        prop_assert_eq!(back, array);
    }

    #[test]
    fn written_strings_read_back(strings in prop::collection::vec("[^\0]{0,9}", 0..6)) {
        let mut bytes = Vec::new();
        write_strings(&strings, &mut bytes).unwrap();
        prop_assert_eq!(read_strings(&mut &bytes[..], bytes.len() as u64).unwrap(), strings);
    }

    #[test]
    fn no_bytes_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = file("{'descr': '>i2', 'fortran_order': True, 'shape': (2, 3), }", &[7; 12]);
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        let _ = read(&bytes);
        let _ = read_strings(&mut &bytes[..], bytes.len() as u64);
    }

    #[test]
    fn no_header_panics(text in "[{}()'\":, LTrueFalsdcpoh<>|fiUSb0-9]{0,60}") {
        let _ = read(&file(&text, &[0; 8]));
    }
}
