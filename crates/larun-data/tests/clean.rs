//! Cleaning: agrees with astropy and SciPy, and keeps what each step must keep.

use std::path::Path;

use larun_data::clean::{
    CleanError, Detrend, GapFill, Normalisation, SigmaClip, bin, biweight_location, cadence, even,
    fold, rebin, segments,
};
use larun_data::light_curve::LightCurve;
use larun_data::recipe::{Ephemeris, Form, Recipe};
use proptest::prelude::*;
use serde_json::Value as Json;

fn expected() -> Json {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/expected.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn numbers(value: &Json) -> Vec<f64> {
    let values = value.as_array().unwrap();
    values.iter().map(|value| value.as_f64().unwrap()).collect()
}

#[test]
fn sigma_clipping_is_astropys() {
    let expected = expected();
    let series = numbers(&expected["series"]);
    for (key, lower, upper) in [("clip", 3.0, 3.0), ("clip_upper", f64::INFINITY, 2.5)] {
        let clip = SigmaClip {
            lower,
            upper,
            iterations: 5,
        };
        let keep = clip.keep(&series);
        let gone: Vec<usize> = (0..series.len()).filter(|&i| !keep[i]).collect();
        assert!(!gone.is_empty());
        assert_eq!(Json::from(gone), expected[key], "{key}");
    }
}

#[test]
fn savitzky_golay_is_scipys() {
    let expected = expected();
    let series = numbers(&expected["series"]);
    let time: Vec<f64> = (0..series.len()).map(|i| i as f64).collect();
    for (key, window, degree) in [("savgol", 25.0, 2), ("savgol_cubic", 11.0, 3)] {
        let detrend = Detrend::SavitzkyGolay { window, degree };
        let trend = detrend.trend(&time, &series).unwrap();
        for (i, (found, expected)) in trend.iter().zip(numbers(&expected[key])).enumerate() {
            assert!(
                (found - expected).abs() < 1e-9,
                "{key} at {i}: {found}, not {expected}"
            );
        }
    }
}

#[test]
fn biweight_is_tukeys() {
    let expected = expected();
    let sample = &numbers(&expected["series"])[..41];
    let location = biweight_location(sample, 5.0);
    assert!((location - expected["biweight"].as_f64().unwrap()).abs() < 1e-8);
    // astropy takes one step where this goes to the end: near, and not the same.
    assert!((location - expected["biweight_one_step"].as_f64().unwrap()).abs() < 0.02);
    assert_eq!(biweight_location(&[], 5.0), 0.0);
    assert_eq!(biweight_location(&[2.0, 2.0, 2.0, 9.0], 5.0), 2.0);
}

#[test]
fn windows_do_not_reach_across_gaps() {
    // Two levels with a gap between them: every trend is the level, up to the edge.
    let time: Vec<f64> = (0..100)
        .map(|i| f64::from(i) * 0.02 + if i < 50 { 0.0 } else { 5.0 })
        .collect();
    let flux: Vec<f64> = (0..100).map(|i| if i < 50 { 10.0 } else { 20.0 }).collect();
    assert_eq!(segments(&time, 0.5), [0..50, 50..100]);
    for detrend in [
        Detrend::Median { window: 0.4 },
        Detrend::Biweight { window: 0.4 },
        Detrend::SavitzkyGolay {
            window: 0.4,
            degree: 2,
        },
    ] {
        let flat = detrend.apply(&time, &flux).unwrap();
        assert!(
            flat.iter().all(|value| (value - 1.0).abs() < 1e-9),
            "{detrend:?}"
        );
    }
}

#[test]
fn a_transit_survives_detrending() {
    let time: Vec<f64> = (0..2000).map(|i| f64::from(i) * 0.0204).collect();
    let inside = |t: f64| (t - 2.0).rem_euclid(5.0) < 0.2;
    let flux: Vec<f64> = time
        .iter()
        .map(|&t| 1000.0 * (1.0 + 0.02 * (t / 4.0).sin()) * if inside(t) { 0.99 } else { 1.0 })
        .collect();
    for detrend in [
        Detrend::Median { window: 1.0 },
        Detrend::Biweight { window: 1.0 },
    ] {
        let flat = detrend.apply(&time, &flux).unwrap();
        for (&time, &flux) in time.iter().zip(&flat) {
            let level = if inside(time) { 0.99 } else { 1.0 };
            assert!((flux - level).abs() < 2e-3, "{detrend:?} at {time}: {flux}");
        }
    }
}

#[test]
fn gaps_are_bridged() {
    let time = [0.0, 1.0, 2.0, 6.0, 7.0, 8.0];
    let flux = [1.0, 1.0, 1.0, 5.0, 5.0, 5.0];
    assert_eq!(cadence(&time), Some(1.0));
    assert_eq!(
        even(&time, &flux, GapFill::Linear).unwrap(),
        [1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0]
    );
    assert_eq!(even(&time, &flux, GapFill::Median).unwrap()[4], 3.0);
    let stray = even(&[0.0, 1.0, 2.0, 1e9], &[1.0; 4], GapFill::Linear);
    assert!(matches!(stray, Err(CleanError::Sparse { .. })), "{stray:?}");
    assert!(matches!(
        even(&[1.0], &[1.0], GapFill::Linear),
        Err(CleanError::TooFew { .. })
    ));
    assert!(matches!(
        even(&[1.0], &[], GapFill::Linear),
        Err(CleanError::Lengths { .. })
    ));
}

fn curve(time: Vec<f64>, flux: Vec<f64>) -> LightCurve {
    LightCurve {
        rows: time.len(),
        time,
        flux,
        object: None,
        mission: None,
        flux_column: "FLUX".to_owned(),
        flagged: 0,
        missing: 0,
    }
}

#[test]
fn recipes_give_their_forms() {
    let time: Vec<f64> = (0..2500).map(|i| f64::from(i) * 0.0204).collect();
    let flux = time
        .iter()
        .map(|t| {
            if (t - 1.0).rem_euclid(3.0) < 0.2 {
                990.0
            } else {
                1000.0
            }
        })
        .collect();
    let curve = curve(time, flux);
    let with = |form| Recipe {
        form,
        normalisation: Normalisation::Depth,
        ..Recipe::default()
    };
    let turn = Some(Ephemeris {
        period: 3.0,
        epoch: 1.1,
    });
    let windows = with(Form::Windows { points: 1024 })
        .apply(&curve, None)
        .unwrap();
    assert_eq!((windows.len(), windows[0].len()), (2, 1024));
    let whole = with(Form::Whole { points: 500 })
        .apply(&curve, None)
        .unwrap();
    assert_eq!((whole.len(), whole[0].len()), (1, 500));
    let folded = with(Form::Folded { points: 101 })
        .apply(&curve, turn)
        .unwrap();
    assert_eq!(folded[0][50], -1.0, "the transit is in the middle");
    assert_eq!(folded[0][10], 0.0);
    let views = with(Form::Views {
        points: 61,
        local_width: 150,
    });
    let samples = views.apply(&curve, turn).unwrap();
    assert_eq!(samples[0].len(), 122);
    let in_transit = |channel: usize| {
        let points = samples[0].iter().skip(channel).step_by(2);
        points.filter(|&&value| value < -0.5).count()
    };
    assert!(
        in_transit(1) > 3 * in_transit(0),
        "the second channel is closer"
    );
    let message = views.apply(&curve, None).unwrap_err().to_string();
    assert!(message.contains("the period"), "{message}");
    let short = with(Form::Windows { points: 5000 }).apply(&curve, None);
    assert!(matches!(
        short,
        Err(CleanError::TooFew {
            left: 2500,
            least: 5000,
            ..
        })
    ));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let refused = |error: CleanError, part: &str| {
        let message = error.to_string();
        assert!(message.contains(part), "{message}");
    };
    refused(fold(&[1.0], 0.0, 0.0).unwrap_err(), "the period is 0");
    refused(fold(&[1.0], 1.0, f64::NAN).unwrap_err(), "the epoch is NaN");
    refused(bin(&[1.0], &[1.0], [0.0, 0.0], 4).unwrap_err(), "range");
    refused(bin(&[1.0], &[1.0], [0.0, 1.0], 0).unwrap_err(), "bins is 0");
    let window = Detrend::Median { window: -1.0 };
    refused(
        window.trend(&[0.0, 1.0], &[1.0, 1.0]).unwrap_err(),
        "the window is -1",
    );
    let degree = Detrend::SavitzkyGolay {
        window: 9.0,
        degree: 6,
    };
    refused(
        degree.trend(&[0.0, 1.0], &[1.0, 1.0]).unwrap_err(),
        "degree",
    );
}

proptest! {
    /// A signal of a period folds to itself: equal phases have equal values.
    #[test]
    fn folding_a_periodic_signal_gives_its_shape(period in 0.1f64..20.0, epoch in -50.0f64..50.0, cadence in 0.001f64..0.3) {
        let time: Vec<f64> = (0..500).map(|i| f64::from(i) * cadence).collect();
        let shape = |phase: f64| (core::f64::consts::TAU * phase).cos();
        let flux: Vec<f64> = time.iter().map(|t| shape((t - epoch) / period)).collect();
        let phase = fold(&time, period, epoch).unwrap();
        for (phase, flux) in phase.iter().zip(&flux) {
            prop_assert!((-0.5..0.5).contains(phase));
            prop_assert!((shape(*phase) - flux).abs() < 1e-6);
        }
    }

    /// Bins weighed by their counts have the mean of the values; none is lost.
    #[test]
    fn binning_conserves_the_mean(values in proptest::collection::vec(-100.0f64..100.0, 1..300), bins in 1usize..50) {
        let len = values.len() as f64;
        let positions: Vec<f64> = (0..values.len()).map(|i| i as f64 / len).collect();
        let means = bin(&positions, &values, [0.0, 1.0], bins).unwrap();
        let ones = vec![1.0; values.len()];
        let mut sum = 0.0;
        let mut count = 0;
        for (index, mean) in means.iter().enumerate() {
            let inside = positions.iter().filter(|p| ((*p * bins as f64) as usize).min(bins - 1) == index).count();
            prop_assert_eq!(mean.is_some(), inside > 0);
            sum += mean.unwrap_or(0.0) * inside as f64;
            count += inside;
        }
        prop_assert_eq!(count, ones.len());
        prop_assert!((sum - values.iter().sum::<f64>()).abs() < 1e-6);
    }

    #[test]
    fn rebinning_conserves_the_mean(values in proptest::collection::vec(-100.0f64..100.0, 1..300), points in 1usize..400) {
        let rebinned = rebin(&values, points);
        prop_assert_eq!(rebinned.len(), points);
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        prop_assert!((mean(&rebinned) - mean(&values)).abs() < 1e-9);
        let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(l, h), &v| (l.min(v), h.max(v)));
        prop_assert!(rebinned.iter().all(|v| (low - 1e-9..=high + 1e-9).contains(v)));
    }

    /// What stays is within the limits of what stays, or the passes ran out.
    #[test]
    fn clipping_ends(values in proptest::collection::vec(-10.0f64..10.0, 3..200), lower in 1.0f64..5.0, upper in 1.0f64..5.0) {
        let clip = SigmaClip { lower, upper, iterations: 1000 };
        let keep = clip.keep(&values);
        let left: Vec<f64> = values.iter().zip(&keep).filter(|(_, k)| **k).map(|(v, _)| *v).collect();
        prop_assert!(clip.keep(&left).iter().all(|kept| *kept));
    }

    /// A constant has itself as trend, and a straight line too for polynomials.
    #[test]
    fn trends_of_simple_series(level in 1.0f64..1e4, slope in -1.0f64..1.0, points in 20usize..200, window in 0.1f64..3.0) {
        let time: Vec<f64> = (0..points).map(|i| i as f64 * 0.02).collect();
        let flat = vec![level; points];
        for detrend in [Detrend::Median { window }, Detrend::Biweight { window }, Detrend::SavitzkyGolay { window, degree: 2 }] {
            let trend = detrend.trend(&time, &flat).unwrap();
            prop_assert!(trend.iter().all(|v| (v - level).abs() < 1e-9 * level), "{:?}", detrend);
        }
        let line: Vec<f64> = time.iter().map(|t| level + slope * t).collect();
        let trend = Detrend::SavitzkyGolay { window: window.max(0.1), degree: 1 }.trend(&time, &line).unwrap();
        prop_assert!(trend.iter().zip(&line).all(|(a, b)| (a - b).abs() < 1e-8 * level));
    }

    #[test]
    fn an_even_series_stays_as_it_is(values in proptest::collection::vec(-10.0f64..10.0, 2..200), start in -1e4f64..1e4, step in 0.001f64..1.0) {
        let time: Vec<f64> = (0..values.len()).map(|i| start + i as f64 * step).collect();
        prop_assert_eq!(even(&time, &values, GapFill::Linear).unwrap(), values);
    }

    /// No numbers whatever make a recipe panic, and what it gives has its shape.
    #[test]
    fn no_curve_panics(
        mut time in proptest::collection::vec(prop::num::f64::NORMAL | prop::num::f64::ZERO, 0..40),
        seed in any::<u64>(),
        form in 0usize..4,
        window in prop::num::f64::ANY,
        points in 0usize..50,
    ) {
        time.sort_by(f64::total_cmp);
        let flux: Vec<f64> = time.iter().enumerate().map(|(i, t)| f64::from_bits(t.to_bits() ^ seed.rotate_left(i as u32))).filter(|v| v.is_finite()).collect();
        time.truncate(flux.len());
        let form = [Form::Whole { points }, Form::Windows { points }, Form::Folded { points }, Form::Views { points, local_width: seed as u16 }][form];
        for detrend in [Detrend::None, Detrend::Median { window }, Detrend::Biweight { window }, Detrend::SavitzkyGolay { window, degree: 2 }] {
            let recipe = Recipe { detrend, form, clip: Some(SigmaClip::default()), ..Recipe::default() };
            let turn = Ephemeris { period: window, epoch: window };
            if let Ok(samples) = recipe.apply(&curve(time.clone(), flux.clone()), Some(turn)) {
                let len: usize = form.shape().iter().product();
                prop_assert!(samples.iter().all(|sample| sample.len() == len));
            }
        }
    }
}
