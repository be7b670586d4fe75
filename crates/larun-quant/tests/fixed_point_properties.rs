//! Invariants of the fixed-point arithmetic.

use larun_quant::fixed_point::{
    FixedMultiplier, Rounding, SigmoidInput, SoftmaxInput, exp_on_negative_values, input_radius,
    logistic, multiply_by_quantized_multiplier_smaller_than_one_exp,
    one_minus_x_over_one_plus_x_for_x_in_0_1, one_over_one_plus_x_for_x_in_0_1, reciprocal,
    rescale, rounding_divide_by_pot, saturating_rounding_doubling_high_mul,
    saturating_rounding_multiply_by_pot, tanh,
};
use proptest::prelude::*;

const ROUNDINGS: [Rounding; 3] = [Rounding::TflmDouble, Rounding::Single, Rounding::XnnFloat];

/// Any integer, the ends and the neighbourhood of 0 often.
fn any_i32() -> impl Strategy<Value = i32> {
    prop_oneof![
        any::<i32>(),
        -3..=3,
        Just(i32::MIN),
        Just(i32::MIN + 1),
        Just(i32::MAX),
        (0_u32..31).prop_map(|bit| 1 << bit),
    ]
}

/// A multiplier as `from_real` makes it.
fn multiplier() -> impl Strategy<Value = FixedMultiplier> {
    (1 << 30..=i32::MAX, -31..=30)
        .prop_map(|(multiplier, shift)| FixedMultiplier { multiplier, shift })
}

/// A multiplier and an accumulator whose shift loses no bit.
fn multiplier_and_input() -> impl Strategy<Value = (FixedMultiplier, i32)> {
    multiplier().prop_flat_map(|factor| {
        let largest = i32::MAX >> factor.shift.max(0);
        (Just(factor), -largest..=largest)
    })
}

/// `x * factor * 2^(31 - shift)`: the product in units in which it is an integer, and how many of them make 1.
fn exact_product(factor: FixedMultiplier, x: i32) -> (i128, i128) {
    (
        i128::from(x) * i128::from(factor.multiplier),
        1 << (31 - factor.shift),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn nothing_panics(x in any_i32(), multiplier in any_i32(), shift in any_i32(), wide in any::<i64>()) {
        let factor = FixedMultiplier { multiplier, shift };
        for rounding in ROUNDINGS {
            let _ = factor.apply_with(x, rounding);
        }
        let _ = (factor.apply_i64(wide), factor.apply_greater_than_one(x), factor.to_real());
        let _ = multiply_by_quantized_multiplier_smaller_than_one_exp(x, multiplier, shift);
        let _ = (saturating_rounding_multiply_by_pot(x, shift), rounding_divide_by_pot(x, shift));
        let _ = (exp_on_negative_values::<0>(x), exp_on_negative_values::<5>(x), exp_on_negative_values::<29>(x));
        let _ = (logistic::<0>(x), logistic::<4>(x), logistic::<29>(x));
        let _ = (tanh::<0>(x), tanh::<4>(x), tanh::<28>(x));
        let _ = (reciprocal::<12>(x), rescale::<0, 12>(x), rescale::<31, 0>(x), rescale::<0, 31>(x));
        let _ = (one_over_one_plus_x_for_x_in_0_1(x), one_minus_x_over_one_plus_x_for_x_in_0_1(x));
        let _ = input_radius(multiplier as u32, shift);
        let sigmoid = SigmoidInput { zero_point: x, radius: shift, multiplier: factor };
        let _ = (sigmoid.logistic_i8(x as i8), sigmoid.tanh_i8(x as i8));
        let _ = SoftmaxInput { multiplier: factor, diff_min: x }.exp(x);
    }

    #[test]
    fn no_real_number_panics(bits in any::<u64>()) {
        let real = f64::from_bits(bits);
        let _ = FixedMultiplier::from_real(real).apply(bits as i32);
        let _ = SigmoidInput::new(real as f32, bits as i32).logistic_i8(bits as i8);
        let _ = SoftmaxInput::new(real as f32, f32::from_bits(bits as u32)).map(|input| input.exp(-1));
        let _ = FixedMultiplier::from_real_greater_than_one(real);
        let _ = FixedMultiplier::from_real_smaller_than_one(real);
    }

    #[test]
    fn high_multiplication_is_the_rounded_product(a in any_i32(), b in any_i32()) {
        // The C form: add a nudge, then divide truncating.
        let product = i64::from(a) * i64::from(b);
        let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
        let expected = ((product + nudge) / (1 << 31)).min(i64::from(i32::MAX));
        prop_assert_eq!(i64::from(saturating_rounding_doubling_high_mul(a, b)), expected);
    }

    #[test]
    fn division_by_a_power_of_two_rounds_half_away(x in any_i32(), exponent in 0..=31) {
        let divisor = 1_i64 << exponent;
        let magnitude = (i64::from(x).abs() + divisor / 2) / divisor;
        let expected = magnitude * i64::from(x.signum());
        prop_assert_eq!(i64::from(rounding_divide_by_pot(x, exponent)), expected);
        prop_assert_eq!(i64::from(saturating_rounding_multiply_by_pot(x, -exponent)), expected);
    }

    #[test]
    fn multiplication_by_a_power_of_two_saturates(x in any_i32(), exponent in 0..=31) {
        let wide: i64 = i64::from(x) << exponent;
        let expected = wide.clamp(i32::MIN.into(), i32::MAX.into());
        prop_assert_eq!(i64::from(saturating_rounding_multiply_by_pot(x, exponent)), expected);
    }

    #[test]
    fn a_multiplier_is_within_2_to_minus_31_of_its_real_number(exponent in -30..30, fraction in 0.5..1.0_f64) {
        let real = fraction * 2_f64.powi(exponent);
        let fixed = FixedMultiplier::from_real(real);
        prop_assert!((fixed.to_real() / real - 1.0).abs() <= 2_f64.powi(-31), "{fixed:?}");
        prop_assert!((1 << 30..=i32::MAX).contains(&fixed.multiplier));
        let negative = FixedMultiplier::from_real(-real);
        prop_assert_eq!(negative.to_real(), -fixed.to_real());
    }

    #[test]
    fn double_rounding_stays_within_its_bound((factor, x) in multiplier_and_input()) {
        let (product, one) = exact_product(factor, x);
        let error = (i128::from(factor.apply(x)) * one - product).abs();
        // Half a unit for the last rounding, and for a right shift half a unit of the product before it.
        let bound = one / 2 + if factor.shift < 0 { 1 << 30 } else { 0 };
        prop_assert!(error <= bound, "{error} > {bound}");
    }

    #[test]
    fn single_rounding_is_the_nearest_integer((factor, x) in multiplier_and_input()) {
        let (product, one) = exact_product(factor, x);
        let single = factor.apply_with(x, Rounding::Single);
        prop_assert_eq!(i128::from(single), (product + one / 2).div_euclid(one));
    }

    #[test]
    fn the_wide_form_is_good_to_fifteen_bits((factor, x) in multiplier_and_input()) {
        let factor = FixedMultiplier { shift: factor.shift.min(7), ..factor };
        let exact = f64::from(x) * factor.to_real();
        let error = (f64::from(factor.apply_i64(x.into())) - exact).abs();
        prop_assert!(error <= 0.5 + exact.abs() / f64::from(1 << 15), "{error}");
    }

    #[test]
    fn roundings_differ_by_one_at_most((factor, x) in multiplier_and_input()) {
        let result = factor.apply(x);
        prop_assert_eq!(factor.apply_with(x, Rounding::TflmDouble), result);
        prop_assert_eq!(factor.apply_with(x, Rounding::default()), result);
        prop_assert!(factor.apply_with(x, Rounding::Single).abs_diff(result) <= 1);
        // Float32 holds results up to here to a small part of 1.
        if result.abs() < 1 << 20 {
            prop_assert!(factor.apply_with(x, Rounding::XnnFloat).abs_diff(result) <= 1);
        }
    }

    #[test]
    fn applying_is_monotone((factor, x) in multiplier_and_input()) {
        for rounding in ROUNDINGS {
            prop_assert!(factor.apply_with(x - 1, rounding) <= factor.apply_with(x, rounding));
        }
    }

    #[test]
    fn the_narrower_forms_agree_with_the_whole((factor, x) in multiplier_and_input()) {
        if factor.shift <= 0 {
            prop_assert_eq!(factor.apply_smaller_than_one(x), factor.apply(x));
        }
        if factor.shift >= 0 {
            prop_assert_eq!(factor.apply_greater_than_one(x), factor.apply(x));
        }
    }

    #[test]
    fn exponential_is_close(a in i32::MIN..=0) {
        let close = |fixed: i32, x: f64| (f64::from(fixed) / 2_f64.powi(31) - x.exp()).abs() < 1e-6;
        prop_assert!(close(exp_on_negative_values::<0>(a), f64::from(a) / 2_f64.powi(31)));
        prop_assert!(close(exp_on_negative_values::<5>(a), f64::from(a) / 2_f64.powi(26)));
        prop_assert!(close(exp_on_negative_values::<12>(a), f64::from(a) / 2_f64.powi(19)));
    }

    #[test]
    fn logistic_and_tanh_are_close(a in any_i32()) {
        let x = f64::from(a) / 2_f64.powi(27);
        let close = |fixed: i32, expected: f64| (f64::from(fixed) / 2_f64.powi(31) - expected).abs() < 1e-6;
        prop_assert!(close(logistic::<4>(a), 1.0 / (1.0 + (-x).exp())));
        prop_assert!(close(tanh::<4>(a), x.tanh()));
        prop_assert!(close(one_over_one_plus_x_for_x_in_0_1(a & i32::MAX),
            1.0 / (1.0 + f64::from(a & i32::MAX) / 2_f64.powi(31))));
    }

    #[test]
    fn reciprocal_is_close(x in 1..=i32::MAX) {
        let (significand, exponent) = reciprocal::<12>(x);
        let value = f64::from(significand) / 2_f64.powi(31 + exponent);
        let expected = 2_f64.powi(19) / f64::from(x);
        prop_assert!((value / expected - 1.0).abs() < 1e-6);
    }
}

#[test]
fn the_ends_of_the_real_numbers_have_a_defined_multiplier() {
    let largest = FixedMultiplier {
        multiplier: i32::MAX,
        shift: 30,
    };
    assert_eq!(FixedMultiplier::from_real(f64::NAN), FixedMultiplier::ZERO);
    assert_eq!(
        FixedMultiplier::from_real(f64::MIN_POSITIVE / 4.0),
        FixedMultiplier::ZERO
    );
    assert_eq!(FixedMultiplier::from_real(f64::INFINITY), largest);
    assert_eq!(FixedMultiplier::from_real(f64::MAX), largest);
    let smallest = FixedMultiplier {
        multiplier: -i32::MAX,
        shift: 30,
    };
    assert_eq!(FixedMultiplier::from_real(f64::NEG_INFINITY), smallest);
    assert_eq!(FixedMultiplier::from_real(1.0), FixedMultiplier::ONE);
    assert_eq!(FixedMultiplier::from_real(-1.0).apply(5), -5);
}

#[test]
fn the_narrower_constructors_keep_to_their_domain() {
    for real in [0.0, -0.5, 1.0, 1.0 - f64::EPSILON, 2.0, f64::NAN] {
        assert_eq!(
            FixedMultiplier::from_real_smaller_than_one(real),
            None,
            "{real}"
        );
    }
    for real in [0.0, 0.5, 1.0, -2.0, f64::NAN] {
        assert_eq!(
            FixedMultiplier::from_real_greater_than_one(real),
            None,
            "{real}"
        );
    }
    assert!(FixedMultiplier::from_real_smaller_than_one(0.999).is_some());
    assert!(FixedMultiplier::from_real_greater_than_one(1.001).is_some());
    assert_eq!(SoftmaxInput::new(1.0, 1e-9), None);
    assert_eq!(SoftmaxInput::new(f32::NAN, 1.0), None);
    assert_eq!(
        SoftmaxInput::new(1.0, 1e6).map(|input| input.diff_min),
        Some(0)
    );
}

/// Any scale: normal and subnormal numbers, and few enough bits for ties.
fn any_scale() -> impl Strategy<Value = f32> {
    prop_oneof![
        (1u32..0x7F80_0000).prop_map(f32::from_bits),
        (1u32..0x0100_0000).prop_map(f32::from_bits),
        (1e-9f32..1e3),
        (1u32..255, 0u32..256)
            .prop_map(|(exponent, top)| f32::from_bits(exponent << 23 | top << 15)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200_000))]

    #[test]
    fn ratios_of_scales_are_those_of_double_precision(
        a in any_scale(),
        b in prop_oneof![any_scale(), Just(1.0f32), Just(0.5f32)],
        divisor in any_scale(),
    ) {
        let real = f64::from(a) * f64::from(b) / f64::from(divisor);
        let expected = (real < f64::from(1u32 << 30)).then(|| FixedMultiplier::from_real(real));
        prop_assert_eq!(FixedMultiplier::from_scales([a, b], divisor), expected);
    }

    #[test]
    fn softmax_parameters_are_those_of_double_precision(
        beta in prop_oneof![any_scale(), Just(1.0f32), Just(0.0), Just(-1.0), Just(f32::INFINITY), Just(f32::NAN)],
        scale in any_scale(),
    ) {
        let real = f64::from(beta) * f64::from(scale) * f64::from(1u32 << 26);
        let found = SoftmaxInput::new(beta, scale);
        prop_assert_eq!(found.is_some(), real > 1.0);
        if let Some(SoftmaxInput { multiplier, diff_min }) = found {
            let capped = real.min(f64::from(i32::MAX));
            prop_assert!((multiplier.to_real() - capped).abs() <= capped * 2f64.powi(-31));
            if real < f64::from(1u32 << 30) {
                prop_assert_eq!(multiplier, FixedMultiplier::from_real(real));
            }
            let radius = (31.0 * 2f64.powi(26) / 2f64.powi(multiplier.shift)).floor();
            prop_assert_eq!(f64::from(-diff_min), radius);
        }
    }
}

/// Scales that double precision cannot take, or whose ratio no multiplier can hold, have none.
#[test]
fn ratios_without_a_multiplier() {
    for odd in [-1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(FixedMultiplier::from_scales([odd, 1.0], 1.0), None);
        assert_eq!(FixedMultiplier::from_scales([1.0, odd], 1.0), None);
        assert_eq!(FixedMultiplier::from_scales([1.0, 1.0], odd), None);
    }
    assert_eq!(FixedMultiplier::from_scales([1.0, 1.0], 0.0), None);
    assert_eq!(
        FixedMultiplier::from_scales([1.0, 1.0], 1.0),
        Some(FixedMultiplier::ONE)
    );
    assert_eq!(
        FixedMultiplier::from_scales([0.0, 1.0], 1.0),
        Some(FixedMultiplier::ZERO)
    );
    let most = FixedMultiplier::from_real(f64::from(1u32 << 30));
    let below = f32::from_bits(((1u32 << 30) as f32).to_bits() - 1);
    assert_eq!(
        FixedMultiplier::from_scales([(1u32 << 30) as f32, 1.0], 1.0),
        None
    );
    assert_ne!(FixedMultiplier::from_scales([below, 1.0], 1.0), Some(most));
}
