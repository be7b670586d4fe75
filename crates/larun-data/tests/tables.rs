//! CSV datasets, lists of files, and changes of whole datasets.

use std::path::{Path, PathBuf};

use larun_data::DataError;
use larun_data::clean::Normalisation;
use larun_data::csv::CsvTable;
use larun_data::dataset::list::{self, ImageRecipe};
use larun_data::dataset::{Dataset, Split};
use larun_data::light_curve::{LightCurve, ReadOptions};
use larun_data::npy::NpyArray;
use larun_data::recipe::{Form, Recipe};
use larun_data::simulate;
use proptest::prelude::*;

/// A file of this text in a folder of its own.
fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

#[track_caller]
fn refuses<T: core::fmt::Debug>(result: Result<T, impl core::error::Error>, parts: &[&str]) {
    let message = result.unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn labelled_lines_are_a_dataset() {
    let (_folder, path) = file(
        "few.csv",
        "# by hand\nlabel,a,split,b\nquiet,1,train,2\nloud,3,val,4\nquiet,5,test,-6e1\n",
    );
    let dataset = Dataset::load(&path, 0).unwrap();
    assert_eq!(dataset.class_names, ["loud", "quiet"]);
    assert_eq!(dataset.y, [1, 0, 1]);
    assert_eq!(dataset.x, [1.0, 2.0, 3.0, 4.0, 5.0, -60.0]);
    assert_eq!(dataset.split, Split::ALL);
    assert_eq!(dataset.sample_shape, [2, 1]);
    // Numbers are in order of value, not of letters.
    let (_folder, path) = file("ten.csv", "y,v\n10,1\n9,2\n10,3\n");
    assert_eq!(Dataset::load(&path, 0).unwrap().class_names, ["9", "10"]);
}

#[test]
fn a_dataset_survives_csv() {
    let mut dataset = simulate::spectrum::spectra(4, 3);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stars.csv");
    dataset.save_csv(&path).unwrap();
    let back = Dataset::load(&path, 0).unwrap();
    // Classes come back in the order of their names.
    let sorted = ["A", "B", "F", "G", "K", "M", "O"];
    assert_eq!(back.class_names, sorted);
    let name = |dataset: &Dataset, i: usize| dataset.class_names[dataset.y[i] as usize].clone();
    assert!((0..dataset.len()).all(|i| name(&dataset, i) == name(&back, i)));
    assert_eq!(
        (back.x, back.split),
        (dataset.x.clone(), dataset.split.clone())
    );
    dataset.split.clear();
    dataset.y.clear();
    dataset.x.clear();
    dataset.save_csv(&path).unwrap();
    refuses(Dataset::load(&path, 0), &["stars.csv", "no rows"]);
}

#[test]
fn what_is_wrong_with_a_table_is_named() {
    let load = |text: &str, parts: &[&str]| {
        let (_folder, path) = file("bad.csv", text);
        let all: Vec<&str> = ["bad.csv"].iter().chain(parts).copied().collect();
        refuses(Dataset::load(&path, 0), &all);
    };
    load("name,v\na,1\n", &["\"label\"", "name, v"]);
    load(
        "label,v\na,1\nb,two\n",
        &["\"v\"", "line 3", "\"two\"", "a number"],
    );
    load("label,v\na,1\nb,\n", &["\"v\"", "line 3", "finite"]);
    load("label,v\na,1\nb,1e39\n", &["line 3", "float32"]);
    load("label,v\na,1\n,2\n", &["\"label\"", "line 3"]);
    load("label,v\na,1\na,2\n", &["two classes"]);
    load(
        "label,split,v\na,0,1\nb,3,2\n",
        &["\"split\"", "line 3", "train"],
    );
    load("label,v\na,1\nb,2,3\n", &["not a CSV file"]);
    load("label,split\na,0\nb,1\n", &["of values"]);
    load("", &["no rows"]);
    refuses(Dataset::load(Path::new("no/such.csv"), 0), &["no/such.csv"]);
}

#[test]
fn light_curves_in_csv_are_read() {
    let (_folder, path) = file(
        "curve.csv",
        "time,flux,quality\n2,10,0\n1,11,0\n3,,0\n4,9,8\n5,nan,0\n6,8,\n",
    );
    let curve = LightCurve::open(&path, &ReadOptions::default()).unwrap();
    assert_eq!(curve.time, [1.0, 2.0, 6.0]);
    assert_eq!((curve.flagged, curve.missing, curve.rows), (1, 2, 6));
    let open = |text: &str, parts: &[&str]| {
        let (_folder, path) = file("bad.csv", text);
        let curve = LightCurve::open(&path, &ReadOptions::default());
        refuses(curve, &[&["bad.csv"], parts].concat());
    };
    open("date,flux\n1,2\n", &["\"time\"", "date, flux"]);
    open("time,mag\n1,2\n", &["\"PDCSAP_FLUX\"", "time, mag"]);
    open("time,flux\n1,\n2,nan\n", &["\"flux\"", "2 rows"]);
    open("time,flux\nx,1\n", &["\"time\"", "line 2", "\"x\""]);
    open("time,flux,quality\n1,1,bad\n", &["\"quality\"", "\"bad\""]);
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

#[test]
fn lists_of_files_become_datasets() {
    let folder = fixtures();
    let path = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "file,label,split,period,epoch\n{},planet,train,3.0,132.06\n{},star,val,2.0,\n{},star,test,2.0,0\n",
        path("kepler.fits"),
        path("tess.fits"),
        path("tess.fits")
    );
    let (_folder, list) = file("list.csv", &text);
    let entries = list::read_list(&list).unwrap();
    assert_eq!(entries[0].ephemeris.unwrap().period, 3.0);
    let recipe = Recipe {
        form: Form::Folded { points: 50 },
        normalisation: Normalisation::Depth,
        ..Recipe::default()
    };
    let options = ReadOptions::default();
    let dataset = list::light_curves(&entries, &options, &recipe, 0).unwrap();
    assert_eq!(dataset.class_names, ["planet", "star"]);
    assert_eq!(
        (dataset.len(), &dataset.sample_shape[..]),
        (3, &[50, 1][..])
    );
    assert_eq!(dataset.split, Split::ALL);
    let lowest = (0..50)
        .min_by(|&a, &b| dataset.x[a].total_cmp(&dataset.x[b]))
        .unwrap();
    assert!(
        (23..28).contains(&lowest),
        "the transit is in the middle, not at {lowest}"
    );
    // Windows make several samples of a file, all in its split.
    let windows = Recipe {
        form: Form::Windows { points: 100 },
        ..Recipe::default()
    };
    let dataset = list::light_curves(&entries, &options, &windows, 0).unwrap();
    assert_eq!(dataset.class_counts(Split::Train), [4, 0]);

    let long = Recipe {
        form: Form::Windows { points: 1000 },
        ..Recipe::default()
    };
    let cut = list::light_curves(&entries, &options, &long, 0);
    assert!(matches!(cut, Err(DataError::Clean { .. })));
    refuses(cut, &["kepler.fits", "1000"]);
    let (_folder, list) = file("list.csv", "file,label\nnone.fits,a\nnone.fits,b\n");
    let entries = list::read_list(&list).unwrap();
    refuses(
        list::light_curves(&entries, &options, &recipe, 0),
        &["none.fits"],
    );
}

#[test]
fn lists_of_images_become_datasets() {
    let folder = fixtures();
    let path = |name: &str| folder.join(name).display().to_string();
    let list = |second: &str| {
        let text = format!("file,label\n{},a\n{},b\n", path("image.fits"), path(second));
        let (_folder, list) = file("list.csv", &text);
        let recipe = ImageRecipe {
            crop: Some(32),
            size: 16,
            stretch: Some(8.0),
        };
        list::images(&list::read_list(&list).unwrap(), &recipe, 0)
    };
    let dataset = list("image.fits").unwrap();
    assert_eq!(dataset.sample_shape, [16, 16, 1]);
    assert_eq!(dataset.sample(0), dataset.sample(1));
    assert!(dataset.x.iter().all(|value| (0.0..=1.0).contains(value)));
    refuses(list("planes.fits"), &["planes.fits", "3 planes"]);
}

#[test]
fn classes_are_merged() {
    let mut dataset = simulate::galaxy::galaxies(3, 1);
    dataset.merge_classes("spiral", "edge_on").unwrap();
    assert_eq!(dataset.class_names, ["elliptical", "edge_on", "merger"]);
    assert_eq!(dataset.y, [0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2]);
    refuses(
        dataset.merge_classes("spiral", "merger"),
        &["\"spiral\"", "elliptical"],
    );
    refuses(dataset.merge_classes("merger", "merger"), &["two classes"]);
    dataset.merge_classes("merger", "elliptical").unwrap();
    refuses(
        dataset.merge_classes("edge_on", "elliptical"),
        &["two classes"],
    );
}

/// Soft labels survive a file, follow classes that are merged, and are refused where a row is no distribution.
#[test]
fn soft_labels_go_with_the_samples() {
    let folder = tempfile::tempdir().unwrap();
    let mut dataset = simulate::galaxy::galaxies(4, 0);
    let classes = dataset.class_names.len();
    let mut shares = vec![0.0; dataset.len() * classes];
    for (row, &class) in shares.chunks_exact_mut(classes).zip(&dataset.y) {
        row[class as usize] = 0.75;
        row[(class as usize + 1) % classes] = 0.25;
    }
    let array = |values: &[f32]| NpyArray::from_values(&[values.len() / classes, classes], values);
    dataset.set_soft_labels(&array(&shares).unwrap()).unwrap();
    let path = folder.path().join("soft.npz");
    dataset.save_npz(&path).unwrap();
    let mut again = Dataset::load_npz(&path).unwrap();
    assert_eq!(again.soft_labels, shares);

    let (from, into) = (again.class_names[1].clone(), again.class_names[0].clone());
    again.merge_classes(&from, &into).unwrap();
    let rows = again.soft_labels.chunks_exact(classes - 1);
    for ((row, before), &class) in rows.zip(shares.chunks_exact(classes)).zip(&dataset.y) {
        assert_eq!(row[0], before[0] + before[1], "class {class}");
        assert_eq!(row[1..], before[2..], "class {class}");
    }

    shares[classes] = 0.5;
    refuses(
        dataset.set_soft_labels(&array(&shares).unwrap()),
        &["row 1", "sum to 1"],
    );
    refuses(
        dataset.set_soft_labels(&array(&shares[classes..]).unwrap()),
        &["a row for each"],
    );
}

#[test]
fn signals_are_stacked_as_channels() {
    let part = |x: &[f32], points: usize| Dataset {
        x: x.to_vec(),
        sample_shape: vec![points],
        y: vec![0, 1],
        class_names: vec!["a".into(), "b".into()],
        split: vec![Split::Train; 2],
        name: "part".into(),
        ..Dataset::default()
    };
    let long = part(&[0.0, 1.0, 2.0, 3.0, 4.0, 9.0, 8.0, 7.0, 6.0, 5.0], 5);
    let short = part(&[0.0, 10.0, 20.0, 1.0, 1.0, 1.0], 3);
    let stacked = Dataset::stack(vec![long, short]).unwrap();
    assert_eq!(stacked.sample_shape, [5, 2]);
    assert_eq!(
        stacked.sample(0),
        [0.0, 0.0, 1.0, 5.0, 2.0, 10.0, 3.0, 15.0, 4.0, 20.0]
    );
    assert_eq!(stacked.sample(1)[8..], [5.0, 1.0]);
    refuses(Dataset::stack(vec![]), &["nothing"]);
    let image = simulate::galaxy::galaxies(1, 0);
    refuses(Dataset::stack(vec![image]), &["no signals"]);
}

#[test]
fn values_are_rescaled() {
    let mut dataset = simulate::spectrum::spectra(1, 0);
    let first = dataset.x[100];
    dataset.rescale(-1.0, 2.0, [0.5, 3.0]);
    assert_eq!(dataset.x[100], ((first + 1.0) * 2.0).clamp(0.5, 3.0));
    dataset.rescale(0.0, 1.0, [1.0, -1.0]);
    assert!(dataset.x.iter().all(|&value| value == -1.0));
}

proptest! {
    #[test]
    fn no_text_panics(text in "[a-z0-9,.#\"\n -]{0,400}") {
        if let Ok(table) = CsvTable::from_bytes(Path::new("any"), text.as_bytes()) {
            for column in 0..table.columns.len() {
                let _ = table.numbers(column);
            }
        }
        let (_folder, path) = file("any.csv", &text);
        let _ = (Dataset::load(&path, 0), list::read_list(&path), LightCurve::open(&path, &ReadOptions::default()));
    }
}
