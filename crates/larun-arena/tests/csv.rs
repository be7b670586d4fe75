//! Reading and writing MiniMalloc's tables, and the greedy planner on its hard problems.

use larun_arena::csv::{self, CsvError, Table};
use larun_arena::{Buffer, GreedyBySize, Planner, check};
use proptest::prelude::*;

/// The peaks of TensorFlow Lite Micro's planner on MiniMalloc's problems, in per cent over the optimum of 1,048,576 bytes.
const TFLM_EXCESS: [(&str, f64); 11] = [
    ("A", 29.0),
    ("B", 34.7),
    ("C", 35.2),
    ("D", 24.1),
    ("E", 36.9),
    ("F", 28.6),
    ("G", 36.7),
    ("H", 37.8),
    ("I", 41.0),
    ("J", 23.8),
    ("K", 27.7),
];

#[test]
fn greedy_is_as_good_as_tflm_on_hard_problems() {
    let Some(corpus) = std::env::var_os("LARUN_CORPUS") else {
        println!("skipped: greedy_is_as_good_as_tflm_on_hard_problems: LARUN_CORPUS is not set");
        return;
    };
    for (name, tflm) in TFLM_EXCESS {
        let path = std::path::Path::new(&corpus).join(format!("arena/{name}.1048576.csv"));
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let table = csv::read(&text).unwrap();
        let plan = GreedyBySize.plan(&table, 1).unwrap();
        assert_eq!(check(&table, &plan.offsets, 1), Ok(plan.peak));
        assert!(
            plan.lower_bound <= 1_048_576,
            "{name}: the bound is above the known optimum"
        );
        let excess = (f64::from(plan.peak) / 1_048_576.0 - 1.0) * 100.0;
        println!(
            "{name}: peak {} ({excess:.1} % over), TFLM {tflm} %",
            plan.peak
        );
        assert!(
            excess < tflm + 0.05,
            "{name}: {excess} % over the optimum, TFLM's planner is at {tflm} %"
        );
    }
}

#[test]
fn columns_may_come_in_any_order() {
    let table =
        csv::read("size,offset,id,upper,lower\r\n4,,b1,3,0\r\n\r\n8, 16 ,b2,9,3\r\n").unwrap();
    assert_eq!(table.ids, ["b1", "b2"]);
    assert_eq!(
        table.buffers,
        [Buffer::new(4, 0, 2), Buffer::new(8, 3, 8).at(16)]
    );
}

#[test]
fn a_solution_has_an_offset_for_each_buffer() {
    let table = csv::read("id,lower,upper,size\nx,0,2,4\ny,1,3,8\n").unwrap();
    assert_eq!(
        csv::write(&table, None),
        "id,lower,upper,size\nx,0,2,4\ny,1,3,8\n"
    );
    let solution = csv::write(&table, Some(&[8, 0]));
    assert_eq!(
        solution,
        "id,lower,upper,size,offset\nx,0,2,4,8\ny,1,3,8,0\n"
    );
    assert_eq!(csv::read(&solution).unwrap().buffers[0].fixed, Some(8));
}

#[test]
fn faults_name_line_and_column() {
    let header = "id,lower,upper,size\n";
    let not_a_number = |line, column, text: &str| CsvError::NotANumber {
        line,
        column,
        text: text.into(),
    };
    let cases = [
        (String::new(), CsvError::Empty),
        ("id,lower,size\n".into(), CsvError::MissingColumn("upper")),
        (
            "id,lower,upper,size,colour\n".into(),
            CsvError::UnexpectedColumn("colour".into()),
        ),
        (
            "id,lower,upper,size,id\n".into(),
            CsvError::UnexpectedColumn("id".into()),
        ),
        (
            format!("{header}a,0,1\n"),
            CsvError::FieldCount {
                line: 2,
                expected: 4,
                found: 3,
            },
        ),
        (
            format!("{header}a,0,1,2\n\nb,0,1,x\n"),
            not_a_number(4, "size", "x"),
        ),
        (
            format!("{header}a,-1,1,2\n"),
            not_a_number(2, "lower", "-1"),
        ),
        (
            format!("{header}a,0,1,4294967296\n"),
            not_a_number(2, "size", "4294967296"),
        ),
        (
            format!("{header}a,0,4294967297,1\n"),
            not_a_number(2, "upper", "4294967297"),
        ),
        (
            format!("{header}a,3,3,1\n"),
            CsvError::EmptyLifetime { line: 2 },
        ),
        (
            format!("{header}a,0,0,1\n"),
            CsvError::EmptyLifetime { line: 2 },
        ),
    ];
    for (text, expected) in cases {
        let error = csv::read(&text).unwrap_err();
        assert_eq!(error, expected);
        assert!(!error.to_string().is_empty());
    }
}

prop_compose! {
    fn row()(size in any::<u32>(), a in any::<u32>(), b in any::<u32>(), fixed in any::<Option<u32>>(), id in "[a-z0-9_/:. -]{0,8}") -> (String, Buffer) {
        (id.trim().to_owned(), Buffer { size, first: a.min(b), last: a.max(b), fixed })
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(rows in prop::collection::vec(row(), 0..20)) {
        let (ids, buffers) = rows.into_iter().unzip();
        let table = Table { ids, buffers };
        prop_assert_eq!(csv::read(&csv::write(&table, None)), Ok(table));
    }

    #[test]
    fn no_text_panics(text in prop_oneof![any::<String>(), "(id|lower|upper|size|offset|[0-9]{1,11}|[,\n -])*"]) {
        let _ = csv::read(&text);
    }
}
