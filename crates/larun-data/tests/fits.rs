//! FITS files: what astropy wrote is read as astropy reads it, what is wrong is named, and no bytes panic.

use std::path::{Path, PathBuf};

use larun_data::clean::{Mission, Quality};
use larun_data::dataset::list::{self, ImageRecipe};
use larun_data::fits::{ColumnType, Fits, FitsFault, Value};
use larun_data::image::Picture;
use larun_data::light_curve::{LightCurve, ReadOptions};
use proptest::prelude::*;
use serde_json::Value as Json;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn expected() -> Json {
    let text = std::fs::read_to_string(fixture("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn read(name: &str, quality: Quality) -> LightCurve {
    let options = ReadOptions {
        quality,
        ..ReadOptions::default()
    };
    LightCurve::open(&fixture(name), &options).unwrap()
}

/// Reading is refused in words that hold the file's name and each of `parts`.
#[track_caller]
fn refuses(name: &str, options: &ReadOptions, parts: &[&str]) {
    let message = LightCurve::open(&fixture(name), options)
        .unwrap_err()
        .to_string();
    for part in [name].iter().chain(parts) {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn keplers_curves_are_read_and_their_flags_heeded() {
    let expected = expected();
    for (quality, key) in [
        (Quality::None, "kepler_none"),
        (Quality::Default, "kepler_default"),
        (Quality::Hard, "kepler_hard"),
        (Quality::Hardest, "kepler_hardest"),
    ] {
        let curve = read("kepler.fits", quality);
        assert_eq!(curve.time.len() as u64, expected[key], "{key}");
        assert_eq!(curve.rows, curve.time.len() + curve.flagged + curve.missing);
    }
    let curve = read("kepler.fits", Quality::Default);
    assert_eq!(curve.mission, Some(Mission::Kepler));
    assert_eq!(curve.object.as_deref(), Some("KIC 11446443"));
    assert_eq!(curve.flux_column, "PDCSAP_FLUX");
    assert!(curve.time.windows(2).all(|pair| pair[0] < pair[1]));
    let options = ReadOptions {
        flux_column: Some("sap_flux".to_owned()),
        ..ReadOptions::default()
    };
    let raw = LightCurve::open(&fixture("kepler.fits"), &options).unwrap();
    assert!((raw.flux[0] / curve.flux[0] - 1.01).abs() < 1e-4);
}

#[test]
fn tesss_curves_are_read() {
    let curve = read("tess.fits", Quality::Default);
    assert_eq!(curve.mission, Some(Mission::Tess));
    assert_eq!((curve.rows, curve.flagged), (400, 10));
    assert!((curve.time[0] - 1325.3).abs() < 1e-9);
}

#[test]
fn the_masks_are_lightkurves() {
    let expected = expected();
    for (mission, key) in [
        (Mission::Kepler, "kepler_masks"),
        (Mission::Tess, "tess_masks"),
    ] {
        let masks = [Quality::Default, Quality::Hard, Quality::Hardest]
            .map(|quality| quality.mask(Some(mission)));
        assert_eq!(Json::from(masks.to_vec()), expected[key], "{key}");
    }
}

#[test]
fn columns_of_every_type_are_read() {
    let file = Fits::open(&fixture("types.fits")).unwrap();
    let table = file.table("types").unwrap();
    let values = |name: &str| table.column(name).unwrap().values().unwrap();
    assert_eq!(values("U8"), [1.0, 255.0, 3.0]);
    assert_eq!(values("I16")[..2], [-1.0, 2.0]);
    assert!(values("I16")[2].is_nan(), "a null");
    assert_eq!(values("U16"), [0.0, 65535.0, 40000.0]);
    assert_eq!(
        table.column("U16").unwrap().integers().unwrap(),
        [0, 65535, 40000]
    );
    assert_eq!(values("I32"), [1.0, -2.0, 2147483647.0]);
    assert_eq!(values("I64"), [1.0, -2.0, 1099511627776.0]);
    assert!(values("F32")[1].is_nan() && values("F32")[2] == -3.0);
    assert_eq!(values("F64"), [1e300, -1e-300, 3.0]);
    assert_eq!(values("SCALED"), [10.5, 11.0, 12.0]);
    for (name, element) in [
        ("TEXT", ColumnType::Text),
        ("PAIR", ColumnType::F32),
        ("FLAG", ColumnType::Logical),
    ] {
        let column = table.column(name).unwrap();
        assert_eq!(column.element, element);
        let message = column.values().unwrap_err().to_string();
        assert!(
            message.contains("types.fits") && message.contains(name),
            "{message}"
        );
    }
}

#[test]
fn images_are_read_and_cut() {
    let file = Fits::open(&fixture("scaled.fits")).unwrap();
    let image = file.image(None).unwrap();
    assert_eq!(image.axes, [3, 2]);
    for (value, expected) in image
        .values
        .iter()
        .zip(expected()["scaled"].as_array().unwrap())
    {
        match expected.as_f64() {
            Some(expected) => assert_eq!(f64::from(*value), expected),
            None => assert!(value.is_nan()),
        }
    }
    let recipe = ImageRecipe {
        crop: Some(20),
        size: 10,
        stretch: Some(5.0),
    };
    let picture = list::image(&fixture("planes.fits"), &recipe).unwrap();
    assert_eq!(
        (picture.height, picture.width, picture.channels),
        (10, 10, 3)
    );
    let pixel = |y: usize, x: usize| &picture.values[(y * 10 + x) * 3..][..3];
    assert!(
        pixel(5, 5)[2] > pixel(5, 5)[0],
        "the third plane is brighter"
    );
    assert!(pixel(5, 5)[0] > pixel(0, 0)[0], "the middle is brighter");
    let message = list::image(&fixture("no_table.fits"), &recipe)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("no_table.fits") && message.contains("image"),
        "{message}"
    );
}

#[test]
fn what_is_wrong_is_named_with_file_and_column() {
    let default = ReadOptions::default();
    refuses(
        "no_flux.fits",
        &default,
        &["\"PDCSAP_FLUX\"", "LIGHTCURVE", "TIME, TIMECORR"],
    );
    refuses("no_time.fits", &default, &["\"TIME\"", "LIGHTCURVE"]);
    refuses(
        "all_nan.fits",
        &default,
        &["\"PDCSAP_FLUX\"", "400 rows", "NaN"],
    );
    refuses(
        "all_flagged.fits",
        &default,
        &["\"PDCSAP_FLUX\"", "flagged"],
    );
    refuses(
        "magnitudes.fits",
        &default,
        &["\"PDCSAP_FLUX\"", "\"mag\"", "linear flux"],
    );
    refuses("seconds.fits", &default, &["\"TIME\"", "\"s\"", "days"]);
    refuses("text_flux.fits", &default, &["\"PDCSAP_FLUX\"", "4A"]);
    refuses("no_table.fits", &default, &["binary table", "0 PRIMARY"]);
    let other = ReadOptions {
        flux_column: Some("CORRECTED".to_owned()),
        ..ReadOptions::default()
    };
    refuses("kepler.fits", &other, &["\"CORRECTED\"", "PDCSAP_FLUX"]);
}

#[test]
fn files_that_are_cut_off_are_told() {
    let whole = std::fs::read(fixture("kepler.fits")).unwrap();
    let parse = |len: usize| Fits::from_bytes("cut.fits", whole[..len].to_vec());
    assert!(matches!(*parse(0).unwrap_err().fault, FitsFault::NotFits));
    assert!(matches!(
        *parse(200).unwrap_err().fault,
        FitsFault::NoEnd { unit: 0 }
    ));
    let message = parse(whole.len() - 2880).unwrap_err().to_string();
    for part in ["cut.fits", "truncated", "LIGHTCURVE", "download"] {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    // The padding behind the last data may be missing.
    let file = Fits::from_bytes("whole.fits", whole.clone()).unwrap();
    assert_eq!(file.units().len(), 2);
    let used: usize = 400 * (8 + 4 + 4 + 4 + 4 + 4);
    assert!(parse(whole.len() - (2880 - used % 2880) % 2880).is_ok());
}

#[test]
fn headers_are_read() {
    let card = |text: &str| format!("{text:80}");
    let bytes: String = [
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    0",
        "AUTHOR  = 'O''Neill  '         / quoted",
        "EXPO    =             1.25D-03",
        "LONG    = 'begins &'",
        "CONTINUE  'and ends'",
        "ODD     = nan",
        "EMPTY   =",
        "COMMENT = nothing",
        "END",
    ]
    .map(card)
    .concat();
    let file = Fits::from_bytes("cards", bytes.into_bytes()).unwrap();
    let header = file.primary().unwrap();
    assert_eq!(header.text("AUTHOR"), Some("O'Neill"));
    assert_eq!(header.number("EXPO"), Some(1.25e-3));
    assert_eq!(header.text("LONG"), Some("begins and ends"));
    assert_eq!(header.get("ODD"), Some(&Value::Other("nan".to_owned())));
    assert_eq!(header.get("SIMPLE"), Some(&Value::Logical(true)));
    assert_eq!(header.integer("NAXIS"), Some(0));
}

/// Everything that can be asked of a file.
fn ask_all(bytes: Vec<u8>) {
    let Ok(file) = Fits::from_bytes("any", bytes) else {
        return;
    };
    for (index, unit) in file.units().iter().enumerate() {
        if let Ok(table) = file.table(unit.name()) {
            for column in table.columns() {
                let _ = (column.values(), column.integers());
            }
        }
        if let Ok(image) = file.image(Some(index))
            && let Some(picture) = Picture::from_fits(&image)
        {
            let _ = picture.cut_out(5).resize(3).stretch(1.0);
        }
    }
    let _ = LightCurve::read_fits(&file, &ReadOptions::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..6000)) {
        ask_all([b"SIMPLE  =".to_vec(), bytes].concat());
    }

    /// Numbers and letters of a sound file changed, and its end cut off.
    #[test]
    fn no_damage_panics(
        name in prop::sample::select(vec!["kepler.fits", "types.fits", "scaled.fits", "planes.fits"]),
        changes in proptest::collection::vec((0usize..9000, prop::sample::select(b"0129-+. 'TEDKXAPQ/&\x00\xff".to_vec())), 1..20),
        end in 0.2f64..1.0,
    ) {
        let mut bytes = std::fs::read(fixture(name)).unwrap();
        let len = bytes.len();
        for (at, byte) in changes {
            bytes[at % len] = byte;
        }
        ask_all(bytes.clone());
        bytes.truncate((end * len as f64) as usize);
        ask_all(bytes);
    }

    /// Sizes of any magnitude in a header ask for no memory.
    #[test]
    fn no_sizes_panic(axes in proptest::collection::vec(any::<i64>(), 1..4), bitpix in prop::sample::select(vec![8, 16, -32, 64, 7, 0]), pcount in any::<i64>()) {
        let card = |text: String| format!("{text:80}");
        let mut cards = vec![card("SIMPLE  =                    T".into()), card(format!("BITPIX  = {bitpix}")), card(format!("NAXIS   = {}", axes.len()))];
        cards.extend(axes.iter().enumerate().map(|(i, axis)| card(format!("NAXIS{:<3}= {axis}", i + 1))));
        cards.push(card(format!("PCOUNT  = {pcount}")));
        cards.push(card("END".into()));
        ask_all(cards.concat().into_bytes());
    }
}
