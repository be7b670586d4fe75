//! Invariants of the error measures, and their edge cases.

use larun_quant::QuantError;
use larun_quant::measure::{
    ErrorMeter, KlMeter, cosine_similarity, kl_divergence, kl_divergence_of_logits, largest_error,
    mean_squared_error, measures, sqnr_db,
};
use proptest::prelude::*;

fn pair() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
    prop::collection::vec((-10.0_f32..10.0, -10.0_f32..10.0), 1..40)
        .prop_map(|pairs| pairs.into_iter().unzip())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_tensor_in_pieces_measures_as_in_one((left, right) in pair(), cut in 0_usize..40) {
        let cut = cut.min(left.len());
        let whole = measures(&left, &right).expect("values");
        let mut pieces = ErrorMeter::new();
        pieces.add(&left[..cut], &right[..cut]).expect("lengths");
        let mut rest = ErrorMeter::new();
        rest.add(&left[cut..], &right[cut..]).expect("lengths");
        let pieces = pieces.union(rest).measures().expect("values");
        prop_assert_eq!(pieces.count, whole.count);
        prop_assert_eq!(pieces.largest, whole.largest);
        for (found, expected) in [
            (pieces.sqnr_db, whole.sqnr_db),
            (pieces.mse, whole.mse),
            (pieces.mean_error, whole.mean_error),
            (pieces.cosine, whole.cosine),
            (pieces.signal, whole.signal),
        ] {
            prop_assert!((found - expected).abs() <= 1e-9 * (1.0 + expected.abs()));
        }
    }

    #[test]
    fn measures_follow_their_formulas((left, right) in pair()) {
        let n = left.len() as f64;
        let pairs = || left.iter().zip(&right).map(|(&r, &y)| (f64::from(r), f64::from(y)));
        let noise: f64 = pairs().map(|(r, y)| (y - r).powi(2)).sum();
        let signal: f64 = pairs().map(|(r, _)| r * r).sum();
        let other: f64 = pairs().map(|(_, y)| y * y).sum();
        let product: f64 = pairs().map(|(r, y)| r * y).sum();
        let found = measures(&left, &right).expect("values");
        prop_assert!((found.mse - noise / n).abs() < 1e-9 * (1.0 + noise));
        prop_assert!((found.sqnr_db - 10.0 * (signal / noise).log10()).abs() < 1e-6);
        prop_assert!((found.cosine - product / (signal * other).sqrt()).abs() < 1e-9);
        prop_assert!((found.mean_error - pairs().map(|(r, y)| y - r).sum::<f64>() / n).abs() < 1e-9);
        prop_assert_eq!(found.largest, pairs().map(|(r, y)| (y - r).abs()).fold(0.0, f64::max));
    }

    #[test]
    fn divergence_is_not_negative_and_zero_only_for_the_same(
        (left, right) in pair(),
        shift in -5.0_f32..5.0,
    ) {
        let divergence = kl_divergence_of_logits(&left, &right).expect("logits");
        prop_assert!(divergence >= 0.0 && divergence.is_finite());
        // Softmax does not see a constant; what is left is the rounding of the sums to float32.
        let shifted: Vec<f32> = left.iter().map(|x| x + shift).collect();
        prop_assert!(kl_divergence_of_logits(&left, &shifted).expect("logits") < 1e-10);
        let softmax = |logits: &[f32]| -> Vec<f32> { logits.iter().map(|x| x.exp()).collect() };
        let given = kl_divergence(&softmax(&left), &softmax(&right)).expect("distributions");
        prop_assert!((given - divergence).abs() < 1e-4 * (1.0 + divergence), "{given} {divergence}");
    }
}

#[test]
fn identical_and_zero_tensors() {
    let values = [1.0, -2.0, 0.5];
    let same = measures(&values, &values).expect("values");
    assert_eq!(
        (same.sqnr_db, same.mse, same.largest),
        (f64::INFINITY, 0.0, 0.0)
    );
    assert!((same.cosine - 1.0).abs() < 1e-15);
    let zeros = [0.0; 3];
    assert_eq!(sqnr_db(&zeros, &zeros), Ok(f64::INFINITY));
    assert_eq!(cosine_similarity(&zeros, &zeros), Ok(1.0));
    assert_eq!(sqnr_db(&zeros, &values), Ok(f64::NEG_INFINITY));
    assert_eq!(cosine_similarity(&zeros, &values), Ok(0.0));
    // All of the signal is lost: 0 dB.
    assert_eq!(sqnr_db(&values, &zeros), Ok(0.0));
    assert_eq!(largest_error(&values, &zeros), Ok(2.0));
    assert_eq!(mean_squared_error(&values, &zeros), Ok(5.25 / 3.0));
    // The extremes of float32 overflow nothing.
    let far = measures(&[f32::MAX], &[f32::MIN]).expect("values");
    assert!(far.mse.is_finite() && far.largest == 2.0 * f64::from(f32::MAX));
}

#[test]
fn divergences_by_hand() {
    let expected = 0.5 * (0.5_f64 / 0.25).ln() + 0.5 * (0.5_f64 / 0.75).ln();
    let found = kl_divergence(&[1.0, 1.0], &[1.0, 3.0]).expect("counts");
    assert!((found - expected).abs() < 1e-12);
    assert_eq!(kl_divergence(&[0.0, 1.0], &[0.5, 0.5]), Ok(2.0_f64.ln()));
    assert_eq!(kl_divergence(&[0.5, 0.5], &[0.0, 1.0]), Ok(f64::INFINITY));
    let mut meter = KlMeter::new();
    meter.add(&[0.0, 1.0], &[0.5, 0.5]).expect("distributions");
    meter
        .add_logits(&[1e30, 0.0], &[1e30, 0.0])
        .expect("logits");
    assert_eq!(meter.mean(), Ok(2.0_f64.ln() / 2.0));
}

#[test]
fn what_cannot_be_measured() {
    assert_eq!(measures(&[], &[]), Err(QuantError::NothingObserved));
    assert_eq!(KlMeter::new().mean(), Err(QuantError::NothingObserved));
    assert!(matches!(
        measures(&[1.0], &[]),
        Err(QuantError::LengthMismatch {
            expected: 1,
            found: 0,
            ..
        })
    ));
    let mut meter = ErrorMeter::new();
    let bad = meter.add(&[0.0, 1.0], &[0.0, f32::INFINITY]);
    assert_eq!(
        bad,
        Err(QuantError::NotFinite {
            index: 1,
            value: f32::INFINITY
        })
    );
    assert_eq!(meter, ErrorMeter::new());
    assert!(kl_divergence_of_logits(&[], &[]).is_err());
    assert!(kl_divergence_of_logits(&[f32::NAN], &[0.0]).is_err());
    for bad in [[-1.0, 2.0], [0.0, 0.0]] {
        let refused = kl_divergence(&bad, &[0.5, 0.5]);
        assert!(matches!(
            refused,
            Err(QuantError::NotADistribution { index: 0, .. })
        ));
        assert!(kl_divergence(&[0.5, 0.5], &bad).is_err());
    }
}
