//! Datasets from `.npz` files: what reads, what is refused and in which words, and the real sets.

use std::path::{Path, PathBuf};

use larun_data::dataset::{Dataset, DatasetFault, LoadOptions, Split, stratified_split};
use larun_data::npy::NpyArray;
use larun_data::npz::{self, NpzFault, NpzReader};
use proptest::prelude::*;
use tempfile::TempDir;

/// A file that can be spoiled array by array.
struct Archive {
    arrays: Vec<(&'static str, NpyArray)>,
    class_names: Option<Vec<String>>,
}

impl Archive {
    fn good() -> Self {
        let x: Vec<f32> = (0..24).map(|i| i as f32 / 8.0).collect();
        Self {
            arrays: vec![
                ("x", NpyArray::from_values(&[6, 4, 1], &x).unwrap()),
                (
                    "y",
                    NpyArray::from_values(&[6], &[0u8, 1, 0, 1, 0, 1]).unwrap(),
                ),
                (
                    "split",
                    NpyArray::from_values(&[6], &[0u8, 0, 1, 1, 2, 2]).unwrap(),
                ),
            ],
            class_names: Some(vec!["quiet".into(), "loud".into()]),
        }
    }

    fn without(mut self, name: &str) -> Self {
        self.arrays.retain(|(array, _)| *array != name);
        self
    }

    fn with(self, name: &'static str, array: NpyArray) -> Self {
        let mut changed = self.without(name);
        changed.arrays.push((name, array));
        changed
    }

    fn unnamed(mut self) -> Self {
        self.class_names = None;
        self
    }

    fn write(&self) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stars.npz");
        npz::write(&path, |file| {
            for (name, array) in &self.arrays {
                file.array(name, array)?;
            }
            self.class_names
                .iter()
                .try_for_each(|names| file.strings("class_names", names))
        })
        .unwrap();
        (folder, path)
    }

    fn load(&self) -> Result<Dataset, DatasetFault> {
        let (_folder, path) = self.write();
        Dataset::load_npz(&path).map_err(|error| {
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("{}: ", path.display()))
            );
            *error.fault
        })
    }

    /// Loads, expecting a refusal whose words contain each of `parts`.
    fn refuses(&self, parts: &[&str]) {
        let message = self.load().unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }
}

fn array<T: larun_data::npy::Element>(shape: &[usize], values: &[T]) -> NpyArray {
    NpyArray::from_values(shape, values).unwrap()
}

#[test]
fn a_sound_file_is_read() {
    let dataset = Archive::good().load().unwrap();
    assert_eq!(
        (
            dataset.len(),
            dataset.sample_len(),
            &dataset.sample_shape[..]
        ),
        (6, 4, &[4, 1][..])
    );
    assert_eq!(dataset.class_names, ["quiet", "loud"]);
    assert_eq!(dataset.name, "stars");
    assert_eq!(dataset.indices(Split::Validation), [2, 3]);
    assert_eq!(dataset.class_counts(Split::Test), [1, 1]);
    assert_eq!(dataset.sample(1), [0.5, 0.625, 0.75, 0.875]);
    assert_eq!(dataset.sample(6), []);
}

#[test]
fn samples_of_any_number_are_read() {
    let bytes = array(&[6, 2], &[0u8, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(
        Archive::good().with("x", bytes).load().unwrap().sample(0),
        [0.0, 255.0]
    );
    let doubles = array(&[6, 1], &[0.1f64; 6]);
    assert_eq!(
        Archive::good().with("x", doubles).load().unwrap().x,
        [0.1f32; 6]
    );
    let labels = array(&[6], &[0i64, 1, 0, 1, 0, 1]);
    assert_eq!(
        Archive::good().with("y", labels).load().unwrap().y,
        [0, 1, 0, 1, 0, 1]
    );
    let labels = array(&[6], &[false, true, false, true, false, true]);
    assert_eq!(
        Archive::good().with("y", labels).load().unwrap().y,
        [0, 1, 0, 1, 0, 1]
    );
}

#[test]
fn what_is_missing_is_named() {
    Archive::good()
        .without("x")
        .refuses(&["no array \"x\"", "y, split, class_names"]);
    Archive::good()
        .without("y")
        .refuses(&["no array \"y\"", "x, split, class_names"]);
    let none = Dataset::load_npz("no/such/file.npz").unwrap_err();
    assert!(none.to_string().starts_with("no/such/file.npz: "), "{none}");
    assert!(matches!(*none.fault, DatasetFault::Npz(NpzFault::Io(_))));
}

#[test]
fn optional_arrays_have_substitutes() {
    let unnamed = Archive::good().unnamed().load().unwrap();
    assert_eq!(unnamed.class_names, ["class 0", "class 1"]);
    let archive = Archive::good().without("split");
    let drawn = archive.load().unwrap();
    assert_eq!(drawn.split, stratified_split(&drawn.y, 0));
    let (_folder, path) = archive.write();
    let seeds: Vec<_> = (0..20)
        .map(|seed| {
            LoadOptions {
                seed,
                ..Default::default()
            }
            .load(&path)
            .unwrap()
            .split
        })
        .collect();
    assert!(seeds.iter().any(|split| *split != seeds[0]));
}

#[test]
fn other_labels_bring_their_names() {
    let archive = Archive::good().with("y3", array(&[6], &[2u8, 1, 0, 2, 1, 0]));
    let (_folder, path) = archive.write();
    let by = |labels: &str, class_names: Option<&str>| {
        let options = LoadOptions {
            labels: labels.into(),
            class_names: class_names.map(Into::into),
            ..LoadOptions::default()
        };
        options.load(&path)
    };
    assert_eq!(
        by("y3", None).unwrap().class_names,
        ["class 0", "class 1", "class 2"]
    );
    let too_few = by("y3", Some("class_names")).unwrap_err();
    assert!(
        matches!(
            *too_few.fault,
            DatasetFault::Label {
                index: 0,
                label: 2,
                classes: 2,
                ..
            }
        ),
        "{too_few}"
    );
    let absent = by("y3", Some("class_names3")).unwrap_err();
    assert!(
        matches!(*absent.fault, DatasetFault::Npz(NpzFault::Missing { .. })),
        "{absent}"
    );
}

#[test]
fn wrong_shapes_are_refused() {
    let good = Archive::good;
    good()
        .with("x", array(&[6], &[0f32; 6]))
        .refuses(&["\"x\"", "shape is [6]", "[N, ...]"]);
    good()
        .with("x", array(&[6, 0], &[0f32; 0]))
        .refuses(&["\"x\"", "[6, 0]"]);
    good()
        .with("x", array(&[], &[0f32]))
        .refuses(&["\"x\"", "[]"]);
    good()
        .with("y", array(&[6, 1], &[0u8; 6]))
        .refuses(&["\"y\"", "[6, 1]", "one axis"]);
    good()
        .with("x", array(&[5, 4], &[0f32; 20]))
        .refuses(&["\"y\"", "6 entries", "expected 5"]);
    good().with("split", array(&[3], &[0u8, 1, 2])).refuses(&[
        "\"split\"",
        "3 entries",
        "expected 6",
    ]);
}

#[test]
fn wrong_element_types_are_refused() {
    let good = Archive::good;
    good()
        .with("y", array(&[6], &[0f32, 1., 0., 1., 0., 1.]))
        .refuses(&["\"y\"", "FLOAT32", "integers"]);
    good()
        .with("split", array(&[6], &[0f64; 6]))
        .refuses(&["\"split\"", "FLOAT64"]);
    let complex = NpyArray::new(larun_ops::ElementType::Complex64, &[6, 1], vec![0; 48]).unwrap();
    good().with("x", complex).refuses(&["\"x\"", "COMPLEX64"]);
}

#[test]
fn numbers_that_are_not_finite_are_found() {
    let mut x = [0f64; 24];
    x[14] = f64::NAN;
    x[20] = f64::INFINITY;
    Archive::good()
        .with("x", array(&[6, 2, 2], &x))
        .refuses(&["\"x\"", "NaN at index [3, 1, 0]"]);
    x[14] = 1e39; // a double that is no float
    Archive::good()
        .with("x", array(&[6, 4], &x))
        .refuses(&["inf at index [3, 2]"]);
}

#[test]
fn wrong_labels_and_splits_are_refused() {
    let good = Archive::good;
    good()
        .with("y", array(&[6], &[0u8, 1, 2, 0, 1, 0]))
        .refuses(&["label 2 at index 2", "0 to 1"]);
    good()
        .with("y", array(&[6], &[0i8, 1, 0, -1, 1, 0]))
        .refuses(&["label -1 at index 3"]);
    let huge = array(&[6], &[0u64, 1, 0, u64::MAX, 1, 0]);
    good()
        .unnamed()
        .with("y", huge)
        .refuses(&["label 18446744073709551615 at index 3", "0 to 5"]);
    good()
        .with("y", array(&[6], &[1u8; 6]))
        .refuses(&["every sample is of the class \"loud\""]);
    good()
        .with("split", array(&[6], &[0u8, 1, 2, 3, 0, 0]))
        .refuses(&["\"split\"", "3 at index 3"]);
    good()
        .with("split", array(&[6], &[0u8, 1, 0, 1, 0, 0]))
        .refuses(&["\"split\"", "the test split is empty"]);
}

#[test]
fn too_few_samples_to_split_are_refused() {
    let few = Archive::good()
        .without("split")
        .with("x", array(&[4, 1], &[0f32; 4]))
        .with("y", array(&[4], &[0u8, 1, 0, 1]));
    few.refuses(&["the validation split is empty", "no such array"]);
    let none = Archive::good()
        .without("split")
        .with("x", array(&[0, 1], &[0f32; 0]))
        .with("y", array(&[0], &[0u8; 0]));
    none.refuses(&["there are no samples"]);
}

#[test]
fn damaged_archives_are_refused() {
    let (_folder, path) = Archive::good().write();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, "no archive at all").unwrap();
    let error = Dataset::load_npz(&path).unwrap_err();
    assert!(error.to_string().contains("not a .npz file"), "{error}");
    // Every truncation, and every byte flipped: refused, or read as sound data.
    for len in 0..whole.len() {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert!(
            Dataset::load_npz(&path).is_err(),
            "truncated to {len} bytes"
        );
    }
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&path, &flipped).unwrap();
        if let Ok(dataset) = Dataset::load_npz(&path) {
            assert_eq!(dataset.x.len(), dataset.len() * dataset.sample_len());
            assert!(
                dataset
                    .y
                    .iter()
                    .all(|&class| (class as usize) < dataset.class_names.len())
            );
        }
    }
}

#[test]
fn saved_datasets_read_back_and_are_reproducible() {
    let dataset = Archive::good().load().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [a, b] = ["stars.npz", "again.npz"].map(|name| folder.path().join(name));
    dataset.save_npz(&a).unwrap();
    dataset.save_npz(&b).unwrap();
    assert_eq!(Dataset::load_npz(&a).unwrap(), dataset);
    assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    assert!(
        dataset
            .save_npz(folder.path().join("no/such/folder.npz"))
            .is_err()
    );
}

proptest! {
    #[test]
    fn drawn_splits_are_stratified(sizes in prop::collection::vec(0usize..60, 1..6), seed in any::<u64>()) {
        let labels: Vec<u32> = sizes.iter().enumerate().flat_map(|(class, &n)| vec![class as u32; n]).collect();
        let split = stratified_split(&labels, seed);
        prop_assert_eq!(&split, &stratified_split(&labels, seed));
        for (class, &n) in sizes.iter().enumerate() {
            let of_class = |wanted| labels.iter().zip(&split).filter(|&(&y, &s)| y as usize == class && s == wanted).count();
            let (validation, test) = (of_class(Split::Validation), of_class(Split::Test));
            prop_assert_eq!(validation, test);
            prop_assert_eq!(test > 0, n >= 3);
            prop_assert!(n < 3 || (test as f64 - 0.15 * n as f64).abs() < 1.0);
        }
    }

    #[test]
    fn a_class_keeps_its_split_when_others_grow(n in 3usize..40, more in 0usize..40, seed in any::<u64>()) {
        let with = |other: usize| {
            let labels: Vec<u32> = core::iter::repeat_n(0, n).chain(core::iter::repeat_n(1, other)).collect();
            stratified_split(&labels, seed)[..n].to_vec()
        };
        prop_assert_eq!(with(0), with(more));
    }
}

#[test]
fn the_real_sets_are_read() {
    let Some(folder) = std::env::var_os("LARUN_DATA") else {
        println!("skipped: the_real_sets_are_read: LARUN_DATA is not set");
        return;
    };
    let cases: [(&str, LoadOptions, &[usize], usize, &str); 6] = [
        (
            "lc6_hybrid1024",
            LoadOptions::default(),
            &[1024, 1],
            6,
            "planetary_transit",
        ),
        (
            "kepler_folded1024",
            LoadOptions::default(),
            &[1024, 1],
            2,
            "transit",
        ),
        (
            "asas_folded1024",
            LoadOptions {
                labels: "y3".into(),
                ..Default::default()
            },
            &[1024, 1],
            3,
            "mira",
        ),
        (
            "galaxy_gz64",
            LoadOptions::default(),
            &[64, 64, 3],
            5,
            "spiral_disk",
        ),
        ("mnist_t10k", LoadOptions::default(), &[28, 28], 10, "7"),
        (
            "tess_triage",
            LoadOptions {
                samples: "x_global".into(),
                ..Default::default()
            },
            &[201],
            3,
            "junk",
        ),
    ];
    for (name, options, sample_shape, classes, class) in cases {
        let path = Path::new(&folder).join(format!("{name}.npz"));
        let dataset = options
            .load(&path)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            (&dataset.sample_shape[..], dataset.class_names.len()),
            (sample_shape, classes),
            "{name}"
        );
        assert!(
            dataset.class_names.iter().any(|known| known == class),
            "{name}"
        );
        for split in Split::ALL {
            println!("{name}: {split} {:?}", dataset.class_counts(split));
        }
        let names = NpzReader::open(&path).unwrap().names().to_vec();
        assert!(
            names.iter().any(|array| array == "class_names"),
            "{names:?}"
        );
    }
}
