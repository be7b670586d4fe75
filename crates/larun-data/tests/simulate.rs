//! Simulated light curves: reproducible, normalised as documented, and telling the classes apart.

use larun_data::dataset::{Dataset, Split};
use larun_data::simulate::{self, CLIP, Class, POINTS};
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

/// What another task's simulator gives.
struct Task {
    make: fn(usize, u64) -> Dataset,
    shape: &'static [usize],
    classes: &'static [&'static str],
    /// Least and greatest value.
    limits: [f32; 2],
    /// The sum of the first sample of every class, each value times its index modulo 7.
    pinned: &'static [f32],
}

const TASKS: [Task; 3] = [
    Task {
        make: simulate::galaxy::galaxies,
        shape: &[64, 64, 3],
        classes: &simulate::galaxy::CLASSES,
        limits: [0.0, 1.0],
        pinned: &[952.0936, 892.3084, 835.13464, 985.11926],
    },
    Task {
        make: simulate::spectrum::spectra,
        shape: &[1024, 1],
        classes: &simulate::spectrum::CLASSES,
        limits: [-1.0, 1.5],
        pinned: &[
            -13.54123, -22.125954, -31.5363, -12.09255, -6.1602473, -41.73939, -65.565575,
        ],
    },
    Task {
        make: simulate::views::candidates,
        shape: &[201, 2],
        classes: &simulate::views::CLASSES,
        limits: [-2.0, 3.0],
        pinned: &[13.735456, -80.452805],
    },
];

#[test]
fn every_task_has_its_shape_and_is_the_same_at_any_number_of_threads() {
    for task in TASKS {
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| (task.make)(7, 5))
        };
        let one = with(1);
        assert_eq!(one, with(3));
        assert_eq!(one.sample_shape, task.shape);
        assert_eq!(one.class_names, task.classes);
        assert_eq!(one.class_counts(Split::Test), vec![1; task.classes.len()]);
        let [low, high] = task.limits;
        assert!(one.x.iter().all(|value| (low..=high).contains(value)));
        // More samples leave the first ones as they are, and another seed changes every one.
        let (more, other) = ((task.make)(9, 5), (task.make)(7, 6));
        for class in 0..task.classes.len() {
            for i in 0..7 {
                assert_eq!(one.sample(class * 7 + i), more.sample(class * 9 + i));
                assert_ne!(one.sample(class * 7 + i), other.sample(class * 7 + i));
            }
        }
    }
}

/// Pins the generators, as above.
#[test]
fn every_task_stays_what_it_is() {
    let mut found = Vec::new();
    for task in TASKS {
        let dataset = (task.make)(1, 2024);
        let sum = |class: usize| -> f32 {
            let sample = dataset.sample(class).iter().enumerate();
            sample.map(|(i, value)| value * (i % 7) as f32).sum()
        };
        let sums: Vec<f32> = (0..task.classes.len()).map(sum).collect();
        println!("{sums:?}");
        found.push(sums);
    }
    let pinned = TASKS.map(|task| task.pinned.to_vec());
    assert_eq!(found, pinned);
}

/// Mean over samples of one class of a figure.
fn mean_of(dataset: &Dataset, class: &str, figure: impl Fn(&[f32]) -> f64) -> f64 {
    let label = dataset
        .class_names
        .iter()
        .position(|name| name == class)
        .unwrap() as u32;
    let of: Vec<usize> = (0..dataset.len())
        .filter(|&i| dataset.y[i] == label)
        .collect();
    of.iter().map(|&i| figure(dataset.sample(i))).sum::<f64>() / of.len() as f64
}

#[test]
fn lines_are_where_their_types_have_them() {
    let stars = simulate::spectrum::spectra(40, 11);
    let [first, last] = simulate::spectrum::RANGE;
    // The mean of the flux around a wavelength, less than 0 where a line is.
    let depth = |class: &str, line: f64| {
        let point = ((line - first) / (last - first) * 1023.0).round() as usize;
        mean_of(&stars, class, |s| {
            let near = &s[point - 2..=point + 2];
            -near.iter().map(|&v| f64::from(v)).sum::<f64>() / 5.0
        })
    };
    // Hydrogen is strongest in A, and weak at both ends.
    for line in [4340.5, 4861.3] {
        let hydrogen = simulate::spectrum::CLASSES.map(|class| depth(class, line));
        assert!(
            (0..7).all(|i| i == 2 || hydrogen[i] < hydrogen[2]),
            "{hydrogen:?}"
        );
        assert!(hydrogen[2] > 0.3 && hydrogen[0] < 0.5 * hydrogen[2] && hydrogen[6] < 0.1);
    }
    // Ionised helium in O alone, the K line of calcium in late types, titanium oxide in M.
    assert!(depth("O", 4685.7) > 0.05 && depth("A", 4685.7) < 0.05);
    assert!(depth("B", 4471.5) > 2.0 * depth("F", 4471.5).max(0.01));
    assert!(depth("K", 3933.7) > 0.3 && depth("B", 3933.7) < 0.1);
    assert!(depth("M", 5180.0) > depth("G", 5180.0));
}

#[test]
fn galaxies_have_their_shapes() {
    let galaxies = simulate::galaxy::galaxies(40, 3);
    // How elongated the light is: the smaller over the greater of its second moments.
    let roundness = |sample: &[f32]| {
        let (mut xx, mut yy, mut xy, mut all) = (0.0, 0.0, 0.0, 0.0);
        for (pixel, rgb) in sample.chunks_exact(3).enumerate() {
            let (x, y) = ((pixel % 64) as f64 - 31.5, (pixel / 64) as f64 - 31.5);
            let light = f64::from(rgb[1]) - 0.25;
            if light > 0.0 {
                xx += light * x * x;
                yy += light * y * y;
                xy += light * x * y;
                all += light;
            }
        }
        let (xx, yy, xy) = (xx / all, yy / all, xy / all);
        let (half, root) = ((xx + yy) / 2.0, ((xx - yy).powi(2) / 4.0 + xy * xy).sqrt());
        (half - root) / (half + root)
    };
    let blue_over_red = |sample: &[f32]| {
        let sum = |channel: usize| -> f64 {
            let values = sample.iter().skip(channel).step_by(3);
            values.map(|&v| f64::from(v)).sum()
        };
        sum(2) / sum(0)
    };
    let round = |class: &str| mean_of(&galaxies, class, roundness);
    let blue = |class: &str| mean_of(&galaxies, class, blue_over_red);
    println!(
        "{:?}",
        simulate::galaxy::CLASSES.map(|class| (round(class), blue(class)))
    );
    assert!(round("edge_on") < 0.6 * round("elliptical"));
    assert!(round("spiral") > round("edge_on"));
    assert!(blue("spiral") > blue("elliptical"));
}

#[test]
fn transits_are_in_the_middle() {
    let candidates = simulate::views::candidates(100, 4);
    let middle = |channel: usize, reach: usize| {
        move |sample: &[f32]| {
            let points = sample.iter().skip(channel).step_by(2);
            let near: Vec<f64> = points
                .skip(100 - reach)
                .take(2 * reach + 1)
                .map(|&v| f64::from(v))
                .collect();
            near.iter().sum::<f64>() / near.len() as f64
        }
    };
    assert!(mean_of(&candidates, "transit_like", middle(1, 8)) < -0.6);
    assert!(mean_of(&candidates, "junk", middle(1, 8)) > -0.4);
}
