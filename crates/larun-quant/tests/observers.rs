//! Observers: the histogram's exactness, and that each range is what its method asks for.

#![cfg(feature = "alloc")]

use larun_quant::{
    Affine, AnyObserver, Entropy, Histogram, IntegerRange, LeastSquares, MovingAverage, Observer,
    ObserverKind, Octav, Percentile, QuantError, octav,
};
use proptest::prelude::*;

/// Values of a heavy-tailed distribution, some of them 0, sometimes of one sign.
fn values(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<f32>> {
    let value = prop_oneof![
        8 => prop::array::uniform3(-1.0_f32..1.0).prop_map(|parts| parts.iter().sum::<f32>()),
        1 => (-2.0_f32..2.0).prop_map(|x| x * x * x * 3.0),
        1 => Just(0.0_f32),
    ];
    let one_sided = any::<bool>();
    (prop::collection::vec(value, len), one_sided).prop_map(|(values, one_sided)| {
        let fold = |x: f32| if one_sided { x.max(0.0) } else { x };
        values.into_iter().map(fold).collect()
    })
}

fn histogram(bins: usize, values: &[f32]) -> Histogram {
    let mut histogram = Histogram::new(bins).expect("enough bins");
    histogram.add(values).expect("finite");
    histogram
}

fn bounds(observer: &mut impl Observer, values: &[f32]) -> (f32, f32) {
    observer.observe(values).expect("finite");
    observer.bounds().expect("values")
}

fn squared_error(values: &[f32], (min, max): (f32, f32), integers: IntegerRange) -> f64 {
    let affine = Affine::asymmetric(min, max, integers).expect("a range");
    let error = |&x: &f32| f64::from(x - affine.dequantize(affine.quantize(x, integers))).powi(2);
    values.iter().map(error).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_histogram_depends_on_the_values_alone(
        values in values(1..200),
        scale in prop::sample::select(&[1e-38_f32, 1e-3, 1.0, 1e30][..]),
        cut in 0_usize..200,
        bins in prop::sample::select(&[4_usize, 16, 300][..]),
    ) {
        let values: Vec<f32> = values.iter().map(|x| x * scale).collect();
        let whole = histogram(bins, &values);
        let cut = cut.min(values.len());
        let mut reversed = Histogram::new(bins).expect("enough bins");
        for value in values.iter().rev() {
            reversed.add(&[*value]).expect("finite");
        }
        prop_assert_eq!(&reversed, &whole);
        let mut merged = histogram(bins, &values[..cut]);
        merged.merge(histogram(bins, &values[cut..])).expect("as many bins");
        prop_assert_eq!(&merged, &whole);

        prop_assert_eq!(whole.count(), values.len() as u64);
        prop_assert_eq!(whole.zeros(), values.iter().filter(|&&x| x == 0.0).count() as u64);
        let counted: u64 = whole.bins().map(|bin| bin.2).sum();
        prop_assert_eq!(counted + whole.zeros(), whole.count());
        for (lower, upper, count) in whole.bins() {
            let within = |&&x: &&f32| x != 0.0 && (lower..upper).contains(&f64::from(x));
            prop_assert_eq!(count, values.iter().filter(within).count() as u64);
            // Exactly a power of two.
            prop_assert_eq!((upper - lower).to_bits() & ((1 << 52) - 1), 0);
        }
        if let (Some(width), Some((min, max))) = (whole.width(), whole.extremes()) {
            let (min, max) = (f64::from(min.min(0.0)), f64::from(max.max(0.0)));
            prop_assert!(width < 2.0 * (max - min) / (bins - 2) as f64);
            // With bins of half the width there would be too many.
            let half = width / 2.0;
            prop_assert!((max / half).floor() - (min / half).floor() >= bins as f64);
        }
    }

    #[test]
    fn quantiles_are_within_a_bin(values in values(1..300), part in 0.0_f64..=1.0) {
        let histogram = histogram(64, &values);
        let found = f64::from(histogram.quantile(part).expect("values"));
        let mut sorted = values.clone();
        sorted.sort_by(f32::total_cmp);
        let place = part * sorted.len() as f64;
        let at = |place: f64| f64::from(sorted[(place.max(0.0) as usize).min(sorted.len() - 1)]);
        let width = histogram.width().unwrap_or(0.0) * 1.000_001;
        prop_assert!(found >= at((place - 1e-9).ceil() - 1.0) - width && found <= at(place + 1e-9) + width);
    }

    #[test]
    fn least_squares_is_better_than_any_other(values in values(600..800), levels in prop::sample::select(&[IntegerRange::INT4, IntegerRange::INT8][..])) {
        prop_assume!(values.iter().any(|&x| x != 0.0));
        let found = bounds(&mut LeastSquares::new(levels), &values);
        let error = squared_error(&values, found, levels);
        for kind in ObserverKind::ALL {
            let other = bounds(&mut kind.observer(levels).expect("good"), &values);
            // The histogram knows the values to within a bin, 1 / 4,000 of the range.
            let (allowed, bin) = (squared_error(&values, other, levels), (found.1 - found.0) / 2_000.0);
            prop_assert!(error <= allowed * 1.05 + f64::from(bin * bin) * values.len() as f64, "{kind}: {error} > {allowed}");
        }
        let (min, max) = bounds(&mut larun_quant::MinMax::new(), &values);
        for (lower, upper) in (1..=30_u8).flat_map(|l| (1..=30_u8).map(move |u| (l, u))) {
            let range = (min.min(0.0) * f32::from(lower) / 30.0, max.max(0.0) * f32::from(upper) / 30.0);
            let other = squared_error(&values, range, levels);
            prop_assert!(error <= other * 1.15, "{error} > {other} of {range:?}, not {found:?}");
        }
    }

    #[test]
    fn octav_on_a_histogram_is_octav_on_the_values(values in values(300..400)) {
        let (min, max) = values.iter().fold((0.0_f32, 0.0_f32), |(min, max), &x| (min.min(x), max.max(x)));
        let signed = min < 0.0 && max > 0.0;
        let levels = if signed { 7 } else { 15 };
        let threshold = octav::threshold(&values, levels).expect("finite");
        let found = bounds(&mut Octav::new(IntegerRange::INT4), &values);
        // By the error of the model, which is flat around the best threshold and jumps at values.
        let error = |t: f32| -> f64 {
            values.iter().filter(|&&x| x != 0.0).map(|x| {
                let beyond = f64::from((x.abs() - t).max(0.0));
                let step = f64::from(t) / f64::from(levels);
                if x.abs() > t { beyond * beyond } else { step * step / 12.0 }
            }).sum()
        };
        let found = found.1.max(-found.0);
        prop_assert!(error(found) <= error(threshold) * 1.05, "{found} {threshold}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn entropy_takes_the_threshold_of_least_divergence(values in values(2_000..2_500)) {
        let integers = IntegerRange::INT4;
        let mut observer = Entropy::new(integers);
        let found = bounds(&mut observer, &values);
        let histogram = histogram(2_048, &values);
        let (min, max) = histogram.extremes().expect("values");
        let width = histogram.width().expect("not all 0");
        let of = |range: (f32, f32)| divergence(&histogram, range, 16);
        let least = of(found);
        prop_assert!(least.is_finite());
        for step in (16..2_048).step_by(37) {
            let threshold = (f64::from(step) * width) as f32;
            let range = (min.max(-threshold), max.min(threshold));
            if f64::from(range.1.max(0.0) - range.0.min(0.0)) / width >= 17.0 {
                let other = of(range);
                prop_assert!(least <= other + 1e-9 * (1.0 + other), "{least} > {other}: {found:?} {range:?}");
            }
        }
    }
}

/// `KL(p || q)` as described, bin by bin.
fn divergence(histogram: &Histogram, (min, max): (f32, f32), levels: usize) -> f64 {
    let width = histogram.width().expect("not all 0");
    let number = |x: f64| (x / width).floor() as i64;
    let all: Vec<(i64, f64)> = histogram
        .bins()
        .map(|(lower, _, count)| (number(lower), count as f64))
        .collect();
    let (first, last) = (all[0].0, all[all.len() - 1].0);
    let start = ((f64::from(min) / width).floor() as i64).max(first);
    let end = ((f64::from(max) / width).ceil() as i64).min(last + 1);
    let bins = (end - start) as usize;
    let (mut raw, mut p) = (vec![0.0; bins], vec![0.0; bins]);
    for (bin, count) in all {
        if (start..end).contains(&bin) {
            raw[(bin - start) as usize] += count;
        }
        p[(bin.clamp(start, end - 1) - start) as usize] += count;
    }
    let level = |bin: usize| bin * levels / bins;
    let mut q = vec![0.0; bins];
    for bin in 0..bins {
        let members = (0..bins).filter(|&other| level(other) == level(bin) && raw[other] > 0.0);
        let sum: f64 = members.clone().map(|other| raw[other]).sum();
        q[bin] = if raw[bin] > 0.0 {
            sum / members.count() as f64
        } else {
            1e-4
        };
    }
    let (p_sum, q_sum): (f64, f64) = (p.iter().sum(), raw.iter().sum());
    let terms = p.iter().zip(&q).filter(|(p, _)| **p > 0.0);
    terms
        .map(|(p, q)| p / p_sum * ((p / p_sum) / (q / q_sum)).ln())
        .sum()
}

#[test]
fn moving_average_follows_tensorflow() {
    let mut observer = MovingAverage::starting_from(-6.0, 6.0, 0.999).expect("good");
    observer.observe(&[0.5, 2.0]).expect("finite");
    let rate = (1.0 - 0.999_f64) as f32;
    assert_eq!(
        observer.bounds(),
        Some((-6.0 + 6.0 * rate, 6.0 - 4.0 * rate))
    );
    let mut fresh = MovingAverage::new(0.999).expect("good");
    assert_eq!(fresh.bounds(), None);
    fresh.observe(&[]).expect("nothing");
    assert_eq!(fresh.bounds(), None);
    fresh.observe(&[0.5, 2.0]).expect("finite");
    assert_eq!(fresh.bounds(), Some((0.0, 2.0)));
    for momentum in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(
            MovingAverage::new(momentum),
            Err(QuantError::BadParameter { .. })
        ));
    }
    assert!(MovingAverage::starting_from(1.0, -1.0, 0.9).is_err());
    assert!(MovingAverage::starting_from(f32::NAN, 1.0, 0.9).is_err());
}

#[test]
fn every_observer_takes_what_comes() {
    for kind in ObserverKind::ALL {
        for integers in [IntegerRange::INT4, IntegerRange::INT8, IntegerRange::INT16] {
            let observer = kind.observer(integers).expect("good");
            assert_eq!(observer.bounds(), None, "{kind}");
            assert_eq!(
                observer.asymmetric(integers),
                Err(QuantError::NothingObserved)
            );
            let mut bad = observer.clone();
            assert!(matches!(
                bad.observe(&[1.0, f32::NAN]),
                Err(QuantError::NotFinite { index: 1, .. })
            ));
            assert_eq!(bad, observer);
            for values in [
                &[0.0][..],
                &[-0.0, 0.0],
                &[2.5],
                &[2.5; 40],
                &[-2.5; 3],
                &[f32::MAX, f32::MIN],
                &[1e-45, -1e-45],
                &[f32::MAX, 1e-45, 0.0],
            ] {
                let mut observer: AnyObserver = observer.clone();
                observer.observe(values).expect("finite");
                let (min, max) = observer.bounds().expect("values");
                let smallest = values.iter().copied().fold(0.0, f32::min);
                let largest = values.iter().copied().fold(0.0, f32::max);
                assert!(
                    smallest <= min && min <= max && max <= largest,
                    "{kind} {values:?} {min} {max}"
                );
                assert!(
                    observer
                        .asymmetric(integers)
                        .expect("a range")
                        .scale
                        .is_normal()
                );
                assert!(
                    observer
                        .symmetric(integers)
                        .expect("a range")
                        .scale
                        .is_normal()
                );
            }
        }
    }
}

#[test]
fn a_percentage_of_a_hundred_is_the_extremes() {
    let mut observer = Percentile::new(100.0).expect("good");
    assert_eq!(bounds(&mut observer, &[-3.0, 0.1, 7.0]), (-3.0, 7.0));
    for percent in [0.0, -1.0, 100.1, f64::NAN] {
        assert!(matches!(
            Percentile::new(percent),
            Err(QuantError::BadParameter { .. })
        ));
    }
    assert!(matches!(
        Histogram::new(3),
        Err(QuantError::BadParameter { .. })
    ));
    assert!(matches!(
        Histogram::new(usize::MAX),
        Err(QuantError::BadParameter { .. })
    ));
    let mut four = histogram(4, &[1.0]);
    assert!(four.merge(histogram(8, &[1.0])).is_err());
    assert_eq!(histogram(4, &[]).quantile(0.5), None);
}

#[test]
fn kinds_are_read_as_they_are_written() {
    for kind in ObserverKind::ALL {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    assert_eq!("percentile".parse(), Ok(ObserverKind::Percentile(99.99)));
    assert_eq!(
        "moving-average=0.5".parse(),
        Ok(ObserverKind::MovingAverage(0.5))
    );
    for bad in [
        "percentile=",
        "percentile=0",
        "percentile=x",
        "mse=1",
        "moving-average=2",
    ] {
        let error = bad.parse::<ObserverKind>().expect_err("refused");
        assert!(error.to_string().contains(bad));
    }
    let error = "median"
        .parse::<ObserverKind>()
        .expect_err("refused")
        .to_string();
    assert!(error.contains("median") && error.contains("octav") && error.contains("min-max"));
}
