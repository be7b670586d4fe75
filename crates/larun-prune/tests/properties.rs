//! What holds for any weights: shares of zeros, patterns, clusters.

use larun_prune::{
    CentroidGradient, ClusterOptions, Clusters, Filters, Pattern, Pool, Schedule, Start,
};
use proptest::prelude::*;

fn weights() -> impl Strategy<Value = (Vec<f32>, usize)> {
    (1usize..12, 1usize..12).prop_flat_map(|(rows, columns)| {
        let values = prop::collection::vec(-2.0f32..2.0, rows * columns);
        (values, Just(rows))
    })
}

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![
        Just(Start::KMeansPlusPlus),
        Just(Start::Linear),
        Just(Start::Density)
    ]
}

proptest! {
    /// As many weights stay as were asked for, more only where magnitudes tie, and none that is smaller than one that goes.
    #[test]
    fn largest_stay((weights, rows) in weights(), sparsity in 0.0f32..0.99) {
        let keep = Pattern::Unstructured.keep(&weights, rows, sparsity).unwrap();
        let kept = keep.iter().filter(|keep| **keep).count();
        let wanted = (weights.len() as f32 * (1.0 - sparsity)).round_ties_even() as usize;
        prop_assert!(kept >= wanted.max(1));
        let size = |wanted: bool| weights.iter().zip(&keep).filter(move |(_, k)| **k == wanted).map(|(w, _)| w.abs());
        let smallest_kept = size(true).fold(f32::INFINITY, f32::min);
        let largest_gone = size(false).fold(-1.0, f32::max);
        prop_assert!(largest_gone < smallest_kept);
    }

    /// A block stays or goes as one.
    #[test]
    fn blocks_are_whole((weights, rows) in weights(), sparsity in 0.0f32..0.99, height in 1usize..5, width in 1usize..5, max: bool) {
        let pool = if max { Pool::Max } else { Pool::Average };
        let pattern = Pattern::Block { rows: height, columns: width, pool };
        let keep = pattern.keep(&weights, rows, sparsity).unwrap();
        let columns = weights.len() / rows;
        for (index, &kept) in keep.iter().enumerate() {
            let (row, column) = (index / columns / height * height, index % columns / width * width);
            prop_assert_eq!(kept, keep[row * columns + column]);
        }
        prop_assert!(keep.contains(&true));
    }

    /// Every whole group has exactly its zeros, the smallest of it.
    #[test]
    fn groups_have_their_zeros((weights, rows) in weights(), zeros in 1usize..4, more in 1usize..4) {
        let group = zeros + more;
        let keep = Pattern::Grouped { zeros, group }.keep(&weights, rows, 0.5).unwrap();
        let columns = weights.len() / rows;
        for (values, keep) in weights.chunks(columns).zip(keep.chunks(columns)) {
            for (values, keep) in values.chunks(group).zip(keep.chunks(group)) {
                let gone = keep.iter().filter(|keep| !**keep).count();
                prop_assert_eq!(gone, zeros.saturating_sub(group - values.len()));
                let largest_gone = values.iter().zip(keep).filter(|(_, k)| !**k).map(|(v, _)| v.abs()).fold(-1.0, f32::max);
                prop_assert!(values.iter().zip(keep).filter(|(_, k)| **k).all(|(v, _)| v.abs() >= largest_gone));
            }
        }
    }

    /// The share never shrinks, and ends where it should.
    #[test]
    fn schedules_grow(initial in 0.0f32..0.5, more in 0.0f32..0.49, begin in 0u64..50, length in 1u64..200) {
        let schedule = Schedule::polynomial(initial, initial + more, begin, begin + length);
        let shares: Vec<f32> = (0..begin + length + 10).map(|step| schedule.sparsity_at(step)).collect();
        prop_assert!(shares.windows(2).all(|pair| pair[0] <= pair[1] + 1e-6));
        prop_assert!((shares.last().unwrap() - schedule.final_sparsity()).abs() < 1e-6);
        prop_assert!(schedule.check().is_ok());
    }

    /// Every weight has the centroid nearest to it, zeros stay zero, and the same seed gives the same clusters.
    #[test]
    fn clusters_are_nearest((weights, _) in weights(), clusters in 1usize..20, start in start(), refine: bool, preserve_zeros: bool, seed: u64, zeros in 0usize..5) {
        let mut weights = weights;
        weights.iter_mut().take(zeros).for_each(|weight| *weight = 0.0);
        let options = ClusterOptions { clusters, start, refine, preserve_zeros, seed };
        let found = Clusters::fit(&weights, &options).unwrap();
        prop_assert_eq!(&found, &Clusters::fit(&weights, &options).unwrap());
        prop_assert!(!found.centroids.is_empty() && found.centroids.len() <= clusters);
        for (weight, value) in weights.iter().zip(found.weights()) {
            let nearest = found.centroids.iter().map(|c| (c - weight).abs()).fold(f32::INFINITY, f32::min);
            prop_assert_eq!((value - weight).abs(), nearest);
            prop_assert!(!(preserve_zeros && *weight == 0.0) || value == 0.0);
        }
    }

    /// Refined clusters are no worse than where they started, and a weight for each value is exact.
    #[test]
    fn refining_helps((weights, _) in weights(), clusters in 1usize..8, start in start(), seed: u64) {
        let error = |refine| {
            let options = ClusterOptions { clusters, start, refine, preserve_zeros: false, seed };
            let found = Clusters::fit(&weights, &options).unwrap().weights();
            weights.iter().zip(found).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
        };
        prop_assert!(error(true) <= error(false) + 1e-6);
        let all = ClusterOptions { clusters: 200, ..ClusterOptions::new(200) };
        prop_assert_eq!(Clusters::fit(&weights, &all).unwrap().weights(), weights);
    }

    /// The gradient of a centroid is that of the loss by finite differences: the loss is a weighted sum of the weights.
    #[test]
    fn centroid_gradients((weights, _) in weights(), clusters in 1usize..6) {
        let found = Clusters::fit(&weights, &ClusterOptions::new(clusters)).unwrap();
        let factors: Vec<f32> = (0..weights.len()).map(|i| (i % 7) as f32 - 3.0).collect();
        let loss = |clusters: &Clusters| -> f64 {
            clusters.weights().iter().zip(&factors).map(|(w, f)| f64::from(*w) * f64::from(*f)).sum()
        };
        let gradient = found.gradient(&factors, CentroidGradient::Sum).unwrap();
        for (index, gradient) in gradient.iter().enumerate() {
            let mut moved = found.clone();
            moved.centroids[index] += 0.5;
            let step = f64::from(moved.centroids[index]) - f64::from(found.centroids[index]);
            let numeric = (loss(&moved) - loss(&found)) / step;
            prop_assert!((numeric - f64::from(*gradient)).abs() < 1e-3);
        }
    }
}

#[test]
fn the_filter_nearest_to_the_others_goes_first() {
    let weights = [0.0f32, 0.0, 10.0, 0.0, 1.0, 1.0];
    let filters = Filters::new(&weights, &[3, 2], 0).unwrap();
    let scores = filters.geometric_median();
    assert_eq!(larun_prune::ascending(&scores)[2], 1);
    assert_eq!(
        filters.taylor(&[0.0, 0.0, 0.0, 0.0, 1.0, 2.0]).unwrap(),
        [0.0, 0.0, 9.0]
    );
}

#[test]
fn impossible_requests_are_refused() {
    let message = |error: larun_prune::PruneError| error.to_string();
    let keep = |pattern: Pattern, sparsity| pattern.keep(&[1.0, f32::NAN], 1, sparsity);
    assert!(message(keep(Pattern::Unstructured, 1.0).unwrap_err()).contains("0 <= s < 1"));
    assert!(message(keep(Pattern::Unstructured, 0.5).unwrap_err()).contains("not finite"));
    assert!(message(Pattern::parse("4:2").unwrap_err()).contains("4:2"));
    assert!(message(Pattern::parse("0x4").unwrap_err()).contains("at least one row"));
    assert!(message(Pattern::parse("blocks").unwrap_err()).contains("unstructured"));
    assert_eq!(
        Pattern::parse("2:4").unwrap(),
        Pattern::Grouped { zeros: 2, group: 4 }
    );
    assert!(Pattern::Unstructured.keep(&[1.0; 5], 2, 0.5).is_err());
    assert!(Clusters::fit(&[], &ClusterOptions::new(4)).is_err());
    assert!(Clusters::fit(&[1.0], &ClusterOptions::new(0)).is_err());
    assert!(Filters::new(&[1.0; 6], &[2, 2], 0).is_err());
}
