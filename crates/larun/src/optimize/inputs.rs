//! What the pipeline begins with: labelled samples and a network.

use std::path::Path;

use larun_graph::Graph;
use larun_zoo::dataset::{Dataset, Split};
use larun_zoo::{networks, simulate};

use super::Source;
use crate::{Error, Model};

/// Labelled samples from a file, or simulated ones; every split has some.
pub(crate) fn dataset(
    path: Option<&Path>,
    samples_per_class: usize,
    seed: u64,
) -> Result<Dataset, Error> {
    let data = match path {
        Some(path) => Dataset::load(path, seed)?,
        None => simulate::light_curves(samples_per_class, seed),
    };
    check_splits(&data)?;
    Ok(data)
}

/// Every split is needed: to train, to stop, and to measure.
fn check_splits(data: &Dataset) -> Result<(), Error> {
    for split in Split::ALL {
        if data.indices(split).is_empty() {
            return Err(Error::Usage(format!(
                "{} has no samples in its {split:?} split (0 train, 1 validation, 2 test): each needs some",
                data.name
            )));
        }
    }
    Ok(())
}

/// The network to train.
pub(crate) fn network(source: &Source, data: &Dataset, seed: u64) -> Result<Graph, Error> {
    match source {
        Source::Zoo(name) => {
            let network = networks::find(name)?;
            Ok(network.build(&data.sample_shape, data.class_names.len(), seed)?)
        }
        Source::Model(path) => Model::open(path)?.graph(),
    }
}

/// At most `count` of `all`, evenly spaced.
pub(crate) fn spread(all: &[usize], count: usize) -> Vec<usize> {
    let count = count.min(all.len());
    (0..count)
        .filter_map(|i| all.get(i * all.len() / count).copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn calibration_samples_are_spread() {
        let all: Vec<usize> = (10..20).collect();
        assert_eq!(spread(&all, 5), [10, 12, 14, 16, 18]);
        assert_eq!(spread(&all, 100), all);
        assert!(spread(&[], 3).is_empty());
    }
}
