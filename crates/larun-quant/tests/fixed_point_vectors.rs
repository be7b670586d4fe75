//! The fixed-point arithmetic against vectors made with the real runtimes.

mod support;

use larun_quant::fixed_point::{
    FixedMultiplier, Rounding, SoftmaxInput, exp_on_negative_values,
    one_over_one_plus_x_for_x_in_0_1, reciprocal, rescale, rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
};
use support::{integers, rows, vectors};

#[test]
fn multiply_by_quantized_multiplier() {
    let Some(file) = vectors(
        "multiply_by_quantized_multiplier",
        "multiply_by_quantized_multiplier.json",
    ) else {
        return;
    };
    let rows = rows(&file["vectors"]);
    assert!(rows.len() > 2_000);
    for row in rows {
        let [
            Some(x),
            Some(multiplier),
            Some(shift),
            Some(double),
            Some(single),
            wide,
        ] = row[..]
        else {
            panic!("{row:?}");
        };
        let factor = FixedMultiplier {
            multiplier: multiplier as i32,
            shift: shift as i32,
        };
        assert_eq!(i64::from(factor.apply(x as i32)), double, "{row:?}");
        assert_eq!(
            i64::from(factor.apply_with(x as i32, Rounding::Single)),
            single,
            "{row:?}"
        );
        if let Some(wide) = wide {
            assert_eq!(i64::from(factor.apply_i64(x)), wide, "{row:?}");
        }
    }
}

#[test]
fn quantize_multiplier() {
    let Some(file) = vectors("quantize_multiplier", "quantize_multiplier.json") else {
        return;
    };
    let cases = file["vectors"].as_array().expect("vectors");
    assert!(cases.len() > 400);
    for case in cases {
        let bits: u64 = case["bits"].as_str().expect("bits").parse().expect("a u64");
        let fixed = FixedMultiplier::from_real(f64::from_bits(bits));
        assert_eq!(
            i64::from(fixed.multiplier),
            case["m"].as_i64().expect("m"),
            "{case}"
        );
        assert_eq!(
            i64::from(fixed.shift),
            case["shift"].as_i64().expect("shift"),
            "{case}"
        );
    }
}

#[test]
fn fixed_point_functions() {
    let Some(file) = vectors("fixed_point_functions", "gemmlowp.json") else {
        return;
    };
    let check = |name: &str, function: &dyn Fn(&[i32]) -> Vec<i32>, arguments: usize| {
        let rows = rows(&file[name]);
        assert!(rows.len() > 100, "{name}");
        for row in rows {
            let row: Vec<i32> = row.iter().map(|x| x.expect("an integer") as i32).collect();
            assert_eq!(
                function(&row[..arguments]),
                row[arguments..],
                "{name} {row:?}"
            );
        }
    };
    check(
        "saturating_rounding_doubling_high_mul",
        &|a| vec![saturating_rounding_doubling_high_mul(a[0], a[1])],
        2,
    );
    check(
        "rounding_divide_by_pot",
        &|a| vec![rounding_divide_by_pot(a[0], a[1])],
        2,
    );
    check(
        "exp_on_negative_values_q5_26",
        &|a| vec![exp_on_negative_values::<5>(a[0])],
        1,
    );
    check(
        "one_over_one_plus_x_q0_31",
        &|a| vec![one_over_one_plus_x_for_x_in_0_1(a[0])],
        1,
    );
    check(
        "get_reciprocal_12",
        &|a| {
            let (s, e) = reciprocal::<12>(a[0]);
            vec![s, e]
        },
        1,
    );
}

#[test]
fn softmax_int8() {
    let Some(file) = vectors("softmax_int8", "softmax_int8.json") else {
        return;
    };
    let cases = file["vectors"].as_array().expect("vectors");
    assert!(cases.len() > 20);
    for case in cases {
        let real = |key: &str| case[key].as_f64().expect("a number") as f32;
        let input = SoftmaxInput::new(real("beta"), real("scale")).expect("in range");
        assert_eq!(
            i64::from(input.multiplier.multiplier),
            case["mult"].as_i64().expect("mult"),
            "{case}"
        );
        assert_eq!(
            i64::from(input.multiplier.shift),
            case["left_shift"].as_i64().expect("left_shift"),
            "{case}"
        );
        assert_eq!(
            i64::from(input.diff_min),
            case["diff_min"].as_i64().expect("diff_min"),
            "{case}"
        );
        assert_eq!(
            softmax_row(input, &integers(&case["in"])),
            integers(&case["out"]),
            "{case}"
        );
    }
}

/// The quantised softmax of one row: exponentials of the differences to the largest input, over their sum.
fn softmax_row(input: SoftmaxInput, row: &[i64]) -> Vec<i64> {
    let largest = row.iter().max().copied().expect("a row is not empty");
    let exp = |x: i64| {
        let difference = (x - largest) as i32;
        (difference >= input.diff_min).then(|| input.exp(difference))
    };
    let sum = row
        .iter()
        .filter_map(|&x| exp(x))
        .map(rescale::<0, 12>)
        .sum();
    let (significand, exponent) = reciprocal::<12>(sum);
    let output = |x: i64| {
        let Some(exp) = exp(x) else { return -128 };
        let scaled = saturating_rounding_doubling_high_mul(significand, exp);
        i64::from(rounding_divide_by_pot(scaled, exponent + 31 - 8) - 128).clamp(-128, 127)
    };
    row.iter().map(|&x| output(x)).collect()
}
