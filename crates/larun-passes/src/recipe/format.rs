//! How recipes are written: our own format in TOML and JSON, and that of ai-edge-quantizer.

use larun_graph::ops::OpKind;
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::{Recipe, RecipeError, Rule};
use crate::quantize::{Activations, Algorithm, Granularity, LayerScheme, Weights};

impl Recipe {
    /// Reads a recipe: JSON where the text begins with `[` or `{`, TOML otherwise.
    ///
    /// # Errors
    /// When it is neither, or a rule is not understood.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let trimmed = text.trim_start();
        // `[[rule]]` opens a table of TOML; no list of JSON objects begins with two brackets.
        let is_json =
            trimmed.starts_with('{') || (trimmed.starts_with('[') && !trimmed.starts_with("[["));
        match is_json {
            true => Self::from_json(text),
            false => {
                let rules = toml::from_str::<TomlRecipe>(text)?.rule.into_iter();
                let rules = rules.enumerate().map(|(at, rule)| rule.read(at));
                Ok(Self {
                    rules: rules.collect::<Result<_, _>>()?,
                })
            }
        }
    }

    fn from_json(text: &str) -> Result<Self, RecipeError> {
        let rules = match serde_json::from_str(text)? {
            Value::Array(rules) => rules,
            Value::Object(mut object) => match object.remove("rule") {
                Some(Value::Array(rules)) => rules,
                _ if object.contains_key("default") => {
                    return Err(RecipeError::Shape(
                        "this file names another one as its default; give that one",
                    ));
                }
                _ => return Err(RecipeError::Shape("an object without rules was found")),
            },
            _ => return Err(RecipeError::Shape("something else was found")),
        };
        let rules = rules.into_iter().enumerate().map(|(at, rule)| {
            let bad = |reason: serde_json::Error| RecipeError::Rule {
                rule: at,
                reason: reason.to_string(),
            };
            match rule.get("algorithm_key").is_some() {
                true => serde_json::from_value::<AeqRule>(rule)
                    .map_err(bad)?
                    .read(at),
                false => serde_json::from_value::<OwnRule>(rule)
                    .map_err(bad)?
                    .read(at),
            }
        });
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
        })
    }
}

/// The list of tables in TOML.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TomlRecipe {
    #[serde(default)]
    rule: Vec<OwnRule>,
}

/// A rule of our own format.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnRule {
    scope: Option<String>,
    operator: Option<String>,
    #[serde(default)]
    activations: OwnActivations,
    #[serde(default)]
    weights: OwnWeights,
    granularity: Option<OwnGranularity>,
    #[serde(default)]
    algorithm: OwnAlgorithm,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    min_weight_elements: usize,
}

/// Declares an enum that a recipe names and the type it stands for.
macro_rules! named {
    ($name:ident: $target:ident { $($(#[$meta:meta])* $text:literal => $own:ident = $variant:ident,)* }) => {
        #[derive(Clone, Copy, Default, Deserialize)]
        enum $name {
            $($(#[$meta])* #[serde(rename = $text)] $own,)*
        }

        impl From<$name> for $target {
            fn from(name: $name) -> Self {
                match name {
                    $($name::$own => Self::$variant,)*
                }
            }
        }
    };
}

named!(OwnActivations: Activations {
    #[default]
    "float32" => Float32 = Float32,
    "int8" => Int8 = Int8,
    "int16" => Int16 = Int16,
});

named!(OwnWeights: Weights {
    #[default]
    "float32" => Float32 = Float32,
    "float16" => Float16 = Float16,
    "int8" => Int8 = Int8,
    "int4" => Int4 = Int4,
    "binary" => Binary = Binary,
});

named!(OwnGranularity: Granularity {
    "per-tensor" => PerTensor = PerTensor,
    #[default]
    "per-channel" => PerChannel = PerChannel,
});

named!(OwnAlgorithm: Algorithm {
    #[default]
    "min-max" => MinMax = MinMax,
    "least-squares" => LeastSquares = LeastSquares,
    "octav" => Octav = Octav,
});

/// What happens to integer weights of layers on real activations.
#[derive(Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    /// The layer quantises its input while it runs.
    #[default]
    Dynamic,
    /// A DEQUANTIZE makes the weights real.
    WeightOnly,
}

/// A rule of ai-edge-quantizer.
#[derive(Deserialize)]
struct AeqRule {
    regex: String,
    operation: String,
    algorithm_key: String,
    #[serde(default)]
    op_config: AeqConfig,
}

#[derive(Default, Deserialize)]
struct AeqConfig {
    activation_tensor_config: Option<AeqTensor>,
    weight_tensor_config: Option<AeqTensor>,
    #[serde(default)]
    compute_precision: String,
    #[serde(default)]
    explicit_dequantize: bool,
    #[serde(default)]
    min_weight_elements: usize,
}

#[derive(Deserialize)]
struct AeqTensor {
    num_bits: u32,
    #[serde(default)]
    granularity: Option<String>,
    #[serde(default)]
    dtype: Option<String>,
}

impl OwnRule {
    fn read(self, at: usize) -> Result<Rule, RecipeError> {
        let activations = Activations::from(self.activations);
        let weights = Weights::from(self.weights);
        if activations.is_integer() && weights.integers().is_none() {
            return Err(RecipeError::Rule {
                rule: at,
                reason: "integer activations need weights of int8, int4 or binary".to_owned(),
            });
        }
        Ok(Rule {
            scope: scope(at, self.scope.as_deref().unwrap_or_default())?,
            operator: operator(at, self.operator.as_deref().unwrap_or("*"))?,
            layer: LayerScheme {
                activations,
                weights,
                granularity: self.granularity.map(Granularity::from),
                algorithm: self.algorithm.into(),
                dequantize: self.mode == Mode::WeightOnly || weights == Weights::Float16,
            },
            min_weight_elements: self.min_weight_elements,
        })
    }
}

impl AeqRule {
    fn read(self, at: usize) -> Result<Rule, RecipeError> {
        let bad = |reason: String| RecipeError::Rule { rule: at, reason };
        let operator = match self.operation.as_str() {
            "CONV_2D_TRANSPOSE" => operator(at, "TRANSPOSE_CONV")?,
            name => operator(at, name)?,
        };
        let config = &self.op_config;
        let layer = match self.algorithm_key.as_str() {
            "no_quantize" => LayerScheme::FLOAT,
            "float_casting" => LayerScheme {
                weights: Weights::Float16,
                dequantize: true,
                ..LayerScheme::FLOAT
            },
            "min_max_uniform_quantize" => config.layer(Algorithm::MinMax).map_err(bad)?,
            "MSE" => config.layer(Algorithm::LeastSquares).map_err(bad)?,
            "OCTAV" => config.layer(Algorithm::Octav).map_err(bad)?,
            "GPTQ" => {
                let reason = "GPTQ rounds by the samples that a layer sees, which a rule does not have: \
                              `larun quantize --scheme int8 --optimize` rounds every layer so; here use MSE";
                return Err(bad(reason.to_owned()));
            }
            other => return Err(bad(format!("the algorithm `{other}` is not known"))),
        };
        Ok(Rule {
            scope: scope(at, &self.regex)?,
            operator,
            layer,
            min_weight_elements: config.min_weight_elements,
        })
    }
}

impl AeqConfig {
    fn layer(&self, algorithm: Algorithm) -> Result<LayerScheme, String> {
        let activations = match self.activation_tensor_config.as_ref().map(|a| a.num_bits) {
            None => Activations::Float32,
            Some(8) => Activations::Int8,
            Some(16) => Activations::Int16,
            Some(bits) => return Err(format!("activations of {bits} bits are not known")),
        };
        let weights = self.weight_tensor_config.as_ref();
        let is_float = weights.and_then(|w| w.dtype.as_deref()) == Some("FLOAT");
        let stored = match weights.map(|w| w.num_bits) {
            Some(16) if is_float => Weights::Float16,
            Some(8) => Weights::Int8,
            Some(4) => Weights::Int4,
            None if activations.is_integer() => Weights::Int8,
            None => Weights::Float32,
            Some(bits) => return Err(format!("weights of {bits} bits are not known")),
        };
        let granularity = match weights.and_then(|w| w.granularity.as_deref()) {
            None => None,
            Some("TENSORWISE") => Some(Granularity::PerTensor),
            Some("CHANNELWISE") => Some(Granularity::PerChannel),
            Some(blocks) if blocks.starts_with("BLOCKWISE") => {
                return Err(format!(
                    "the granularity `{blocks}` gives blocks of a row scales of their own, which neither TensorFlow \
                     Lite Micro nor LARUN's interpreter multiplies by: use CHANNELWISE"
                ));
            }
            Some(other) => {
                return Err(format!("the granularity `{other}` is not supported"));
            }
        };
        Ok(LayerScheme {
            activations,
            weights: stored,
            granularity,
            algorithm,
            dequantize: self.explicit_dequantize || self.compute_precision == "FLOAT",
        })
    }
}

fn scope(rule: usize, pattern: &str) -> Result<Regex, RecipeError> {
    Regex::new(pattern).map_err(|fault| RecipeError::Rule {
        rule,
        reason: format!("the scope is no regular expression: {fault}"),
    })
}

/// The operator of a name, `None` for every one.
fn operator(rule: usize, name: &str) -> Result<Option<OpKind>, RecipeError> {
    if name == "*" {
        return Ok(None);
    }
    let found = OpKind::ALL.iter().find(|kind| kind.info().name == name);
    match found {
        Some(&kind) => Ok(Some(kind)),
        None => Err(RecipeError::Rule {
            rule,
            reason: format!("there is no operator `{name}`"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATIC: &str = r#"[
      {"regex": ".*", "operation": "*", "algorithm_key": "min_max_uniform_quantize", "op_config": {
        "activation_tensor_config": {"num_bits": 8, "symmetric": false, "granularity": "TENSORWISE", "dtype": "INT"},
        "weight_tensor_config": {"num_bits": 8, "symmetric": true, "granularity": "CHANNELWISE", "dtype": "INT"},
        "compute_precision": "INTEGER", "explicit_dequantize": false, "skip_checks": false, "min_weight_elements": 0}},
      {"regex": "head", "operation": "FULLY_CONNECTED", "algorithm_key": "OCTAV", "op_config": {
        "weight_tensor_config": {"num_bits": 4, "symmetric": true, "granularity": "CHANNELWISE", "dtype": "INT"},
        "compute_precision": "FLOAT", "explicit_dequantize": true, "skip_checks": false, "min_weight_elements": 10}},
      {"regex": ".*", "operation": "CONV_2D", "algorithm_key": "no_quantize"}
    ]"#;

    #[test]
    fn recipes_of_ai_edge_quantizer_are_read() {
        let rules = Recipe::parse(STATIC).unwrap().rules;
        let layer = |at: usize| rules[at].layer;
        assert_eq!(
            (layer(0).activations, layer(0).weights),
            (Activations::Int8, Weights::Int8)
        );
        assert_eq!(layer(0).granularity, Some(Granularity::PerChannel));
        assert_eq!(
            (layer(1).activations, layer(1).weights),
            (Activations::Float32, Weights::Int4)
        );
        assert!(layer(1).dequantize && layer(1).algorithm == Algorithm::Octav);
        assert_eq!(
            (rules[1].operator, rules[1].min_weight_elements),
            (Some(OpKind::FullyConnected), 10)
        );
        assert!(layer(2).is_float());
    }

    #[test]
    fn both_forms_of_ours_are_the_same() {
        let toml = "[[rule]]\nscope = \"a\"\nactivations = \"int16\"\nweights = \"int8\"\n";
        let json = r#"[{"scope": "a", "activations": "int16", "weights": "int8"}]"#;
        let [a, b] = [toml, json].map(|text| Recipe::parse(text).unwrap().rules.remove(0));
        assert_eq!((a.layer, a.scope.as_str()), (b.layer, b.scope.as_str()));
        assert_eq!(a.layer.activations, Activations::Int16);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            (
                "[{\"scope\": \"(\"}]",
                "rule 0 of the recipe: the scope is no regular expression",
            ),
            (
                "[{}, {\"operator\": \"CONV\"}]",
                "rule 1 of the recipe: there is no operator `CONV`",
            ),
            ("[{\"weight\": \"int8\"}]", "unknown field `weight`"),
            (
                "[{\"activations\": \"int8\"}]",
                "integer activations need weights",
            ),
            ("{\"default\": \"x.json\"}", "names another one"),
            ("[[rule]]\nweights = \"int3\"", "int3"),
            ("[1", "not valid JSON"),
            (
                "[{\"regex\": \"\", \"operation\": \"*\", \"algorithm_key\": \"GPTQ\"}]",
                "rule 0 of the recipe: GPTQ rounds by the samples",
            ),
            (
                "[{\"regex\": \"\", \"operation\": \"*\", \"algorithm_key\": \"SPQR\"}]",
                "the algorithm `SPQR` is not known",
            ),
            (
                "[{\"regex\": \"\", \"operation\": \"FULLY_CONNECTED\", \"algorithm_key\": \"MSE\", \"op_config\": {
                  \"weight_tensor_config\": {\"num_bits\": 4, \"granularity\": \"BLOCKWISE_32\", \"dtype\": \"INT\"}}}]",
                "the granularity `BLOCKWISE_32` gives blocks",
            ),
        ] {
            let error = Recipe::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
