//! Names that a C compiler accepts.

/// The name as a C identifier: ASCII letters, digits and single underscores, no digit first; `model` where nothing is left.
///
/// ```
/// use larun_codegen::c_identifier;
///
/// assert_eq!(c_identifier("LarunNet-Spectral v2"), "LarunNet_Spectral_v2");
/// assert_eq!(c_identifier("2d"), "model_2d");
/// assert_eq!(c_identifier("é__x"), "x");
/// ```
#[must_use]
pub fn c_identifier(name: &str) -> String {
    // Identifiers with two underscores in a row, or one at the start, belong to the compiler in C++.
    let words: Vec<_> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let identifier = words.join("_");
    match identifier.chars().next() {
        None => "model".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("model_{identifier}"),
        Some(_) => identifier,
    }
}

/// The method that registers an operator in TensorFlow Lite Micro's `MicroMutableOpResolver`, such as `AddConv2D` for `CONV_2D`.
pub(crate) fn resolver_method(operator: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        match word {
            // These are written otherwise than their words would be.
            "LSTM" | "2D" | "3D" => word.to_owned(),
            "CUMSUM" => "CumSum".to_owned(),
            "PADV2" => "PadV2".to_owned(),
            _ => format!("{}{}", first.to_uppercase(), rest.to_lowercase()),
        }
    };
    let words: String = c_identifier(operator).split('_').map(word).collect();
    format!("Add{words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolver_methods_are_those_of_tflm() {
        let cases = [
            ("CONV_2D", "AddConv2D"),
            ("DEPTHWISE_CONV_2D", "AddDepthwiseConv2D"),
            ("AVERAGE_POOL_2D", "AddAveragePool2D"),
            ("FULLY_CONNECTED", "AddFullyConnected"),
            ("RELU6", "AddRelu6"),
            ("EXPAND_DIMS", "AddExpandDims"),
            (
                "UNIDIRECTIONAL_SEQUENCE_LSTM",
                "AddUnidirectionalSequenceLSTM",
            ),
            ("PADV2", "AddPadV2"),
        ];
        for (operator, method) in cases {
            assert_eq!(resolver_method(operator), method);
        }
    }
}
