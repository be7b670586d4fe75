//! Damaged and foreign files: an error, never a panic.

use std::path::Path;

use larun_onnx::{ImportOptions, OnnxError, import};
use proptest::prelude::*;

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/onnx")
        .join(name);
    std::fs::read(path).unwrap()
}

#[test]
fn what_is_no_model_is_said_to_be_none() {
    assert!(matches!(
        import(b"GIF89a", &ImportOptions::default()),
        Err(OnnxError::Decode(_))
    ));
    let error = import(&[], &ImportOptions::default()).unwrap_err();
    assert!(
        matches!(error, OnnxError::Opset { found: 0, .. }),
        "{error}"
    );
}

#[test]
fn a_file_that_is_not_there_is_not_called_damaged() {
    let error = larun_onnx::import_file("no.onnx".as_ref(), &ImportOptions::default()).unwrap_err();
    assert!(matches!(error, OnnxError::File(_)), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn damaged_models_never_panic(
        name in prop::sample::select(vec!["cnn2d.onnx", "squeeze_excite.onnx", "transformer.onnx", "lstm.onnx", "gru.onnx", "elementwise.onnx"]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = fixture(name);
        for (place, value) in damage {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        // Either is fine; a panic is not.
        if let Ok(model) = import(&bytes, &ImportOptions::default()) {
            prop_assert!(model.graph.validate().is_ok());
        }
    }
}
