//! Simulated light curves: reproducible, normalised as documented, and telling the classes apart.

use larun_zoo::dataset::{Dataset, Split};
use larun_zoo::simulate::{self, CLIP, Class, POINTS};
use proptest::prelude::*;

#[test]
fn curves_are_the_same_at_any_number_of_threads() {
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| simulate::light_curves(8, 3))
    };
    let one = with(1);
    assert_eq!(one, with(3));
    // More samples leave the first ones as they are, and another seed changes every one.
    let more = simulate::light_curves(11, 3);
    let other = simulate::light_curves(8, 4);
    for class in 0..6 {
        for i in 0..8 {
            assert_eq!(one.sample(class * 8 + i), more.sample(class * 11 + i));
            assert_ne!(one.sample(class * 8 + i), other.sample(class * 8 + i));
        }
    }
}

/// Pins the generator: a change of these numbers is a change of every model trained from a seed.
#[test]
fn curves_stay_what_they_are() {
    let sums: Vec<f32> = Class::ALL
        .iter()
        .map(|&class| {
            let curve = simulate::light_curve(class, 2024, 7);
            curve
                .iter()
                .enumerate()
                .map(|(i, value)| value * (i % 7) as f32)
                .sum()
        })
        .collect();
    println!("{sums:?}");
    assert_eq!(sums, PINNED);
}

const PINNED: [f32; 6] = [
    -41.797386, -1130.8677, -653.7156, -476.5276, -25.988615, 391.40897,
];

#[test]
fn a_dataset_is_balanced_and_split() {
    let dataset = simulate::light_curves(20, 1);
    assert_eq!(dataset.class_names, Class::ALL.map(Class::name));
    assert_eq!(dataset.class_counts(Split::Train), [14; 6]);
    assert_eq!(dataset.class_counts(Split::Validation), [3; 6]);
    assert_eq!(dataset.class_counts(Split::Test), [3; 6]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("simulated.npz");
    dataset.save_npz(&path).unwrap();
    let back = Dataset::load_npz(&path).unwrap();
    assert_eq!(
        (back.x, back.y, back.split),
        (dataset.x, dataset.y, dataset.split)
    );
    assert!(simulate::light_curves(0, 1).is_empty());
}

/// What share of a curve is below -2.5 standard deviations, above 2.5, and how alike neighbours are.
fn shape(curve: &[f32]) -> [f32; 3] {
    let share =
        |of: &dyn Fn(f32) -> bool| curve.iter().filter(|&&v| of(v)).count() as f32 / POINTS as f32;
    let alike: f32 = curve.windows(2).map(|pair| pair[0] * pair[1]).sum::<f32>() / POINTS as f32;
    [share(&|v| v < -2.5), share(&|v| v > 2.5), alike]
}

#[test]
fn classes_look_as_they_should() {
    let mean = |class: Class| {
        let shapes: Vec<[f32; 3]> = (0..200)
            .map(|i| shape(&simulate::light_curve(class, 9, i)))
            .collect();
        [0, 1, 2].map(|k| shapes.iter().map(|shape| shape[k]).sum::<f32>() / 200.0)
    };
    let [noise, star, planet, binary, _, _] = Class::ALL.map(mean);
    println!("noise {noise:?}, star {star:?}, planet {planet:?}, binary {binary:?}");
    // Noise is symmetric and hardly alike from point to point; stars vary smoothly; eclipses and transits go down.
    assert!(noise[0] < 0.012 && noise[1] < 0.016 && noise[2] < 0.2);
    assert!(star[2] > 0.6);
    assert!(planet[0] > 2.0 * noise[0] && planet[0] > planet[1]);
    assert!(binary[0] > 3.0 * noise[0] && binary[0] > binary[1] && binary[2] > 0.5);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn curves_are_normalised(seed in any::<u64>(), index in any::<u64>(), class in 0usize..6) {
        let curve = simulate::light_curve(Class::ALL[class], seed, index);
        prop_assert_eq!(curve.len(), POINTS);
        prop_assert!(curve.iter().all(|value| value.is_finite() && f64::from(value.abs()) <= CLIP));
        let mut sorted = curve.clone();
        sorted.sort_by(f32::total_cmp);
        prop_assert!((sorted[POINTS / 2 - 1] + sorted[POINTS / 2]).abs() < 1e-5);
        let mean = curve.iter().map(|&v| f64::from(v)).sum::<f64>() / POINTS as f64;
        let variance = curve.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / POINTS as f64;
        // Less than 1 where points were clipped.
        let clipped = curve.iter().any(|value| f64::from(value.abs()) == CLIP);
        prop_assert!(variance < 1.0 + 1e-4 && (clipped || variance > 1.0 - 1e-4), "variance {}", variance);
    }
}
