//! Recipes: an ordered list of rules that say what layers become; the later one wins.
//!
//! A rule names layers by a regular expression on the names of their results, by their operator, or by both. The format is a list of
//! tables in TOML, or of objects in JSON; every field may be left out:
//!
//! ```toml
//! [[rule]]                       # every layer that can
//! activations = "int8"           # float32 (the default), int8, int16
//! weights = "int8"               # float32 (the default), float16, int8, int4, binary
//!
//! [[rule]]
//! operator = "FULLY_CONNECTED"   # the format's name of an operator, * for every one
//! scope = "logits"               # searched in the names of a layer's results, each followed by ;
//! activations = "int8"
//! weights = "int4"
//! granularity = "per-tensor"     # per-tensor, per-channel
//! algorithm = "least-squares"    # min-max (the default), least-squares, octav
//!
//! [[rule]]
//! scope = "^head/"
//! weights = "int8"
//! mode = "weight-only"           # for real activations: dynamic (the default), weight-only
//! ```
//!
//! The recipe files of ai-edge-quantizer are read as they are: lists of `regex`, `operation`, `algorithm_key` and `op_config`.

mod format;

use larun_graph::ops::OpKind;
use larun_graph::{Graph, Node, Place, Subgraph};
use regex::Regex;

use crate::quantize::check::weight_inputs;
use crate::quantize::decide::{Chosen, fit};
use crate::quantize::{LayerScheme, QuantizeOptions, Scheme};
use crate::{PassError, edit};

/// Rules in order; the last that fits a layer decides.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    scope: Regex,
    /// `None` for every operator.
    operator: Option<OpKind>,
    layer: LayerScheme,
    /// Weights with fewer elements stay as they are.
    min_weight_elements: usize,
}

/// Why a recipe cannot be read. Rules count from 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The text is no JSON, or no list of rules.
    #[error("the recipe is not valid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The text is no TOML, or no list of rules.
    #[error("the recipe is not valid TOML: {0}")]
    Toml(#[from] toml::de::Error),
    /// A rule that is not understood.
    #[error("rule {rule} of the recipe: {reason}")]
    Rule {
        /// Its number.
        rule: usize,
        /// What is wrong.
        reason: String,
    },
    /// The text holds something else.
    #[error("a recipe is a list of rules, in JSON or as [[rule]] in TOML: {0}")]
    Shape(&'static str),
}

impl Recipe {
    /// Whether a rule asks for integer activations.
    #[must_use]
    pub fn needs_calibration(&self) -> bool {
        let mut rules = self.rules.iter();
        rules.any(|rule| rule.layer.activations.is_integer())
    }

    /// What each node of a graph becomes: the last rule that names it and that it can follow, else what `base` says, else nothing.
    ///
    /// A rule for every operator passes over those that cannot follow it; one that names an operator does not.
    ///
    /// # Errors
    /// When a rule names an operator that cannot follow it.
    pub fn layers(
        &self,
        graph: &Graph,
        options: &QuantizeOptions,
        base: Option<Scheme>,
    ) -> Result<Vec<Option<LayerScheme>>, PassError> {
        let subgraph = edit::main(graph)?;
        let mut layers = Vec::with_capacity(subgraph.nodes.len());
        for (id, node) in subgraph.iter_nodes() {
            let mut layer = match base {
                Some(_) => None,
                None => Some(LayerScheme::FLOAT),
            };
            let scope = scope_of(subgraph, node);
            for rule in &self.rules {
                if !rule.names(node, &scope) || rule.spares(subgraph, node) {
                    continue;
                }
                match fit(graph, subgraph, node, rule.layer, options, Chosen::ByHand) {
                    Ok(_) => layer = Some(rule.layer),
                    Err(_) if rule.operator.is_none() => {}
                    Err(reason) => {
                        let place = Place::node(subgraph, id);
                        return Err(PassError::NotQuantizable { place, reason });
                    }
                }
            }
            layers.push(layer);
        }
        Ok(layers)
    }
}

/// The names of a node's results, each followed by `;`, as ai-edge-quantizer forms them.
fn scope_of(subgraph: &Subgraph, node: &Node) -> String {
    let outputs = node.outputs.iter().filter_map(|&id| subgraph.tensor(id));
    outputs
        .flat_map(|tensor| [tensor.name.as_str(), ";"])
        .collect()
}

impl Rule {
    fn names(&self, node: &Node, scope: &str) -> bool {
        let is_operator = self.operator.is_none_or(|kind| node.kind() == Some(kind));
        is_operator && self.scope.is_match(scope)
    }

    /// Whether the node's weights are too few to be worth it.
    fn spares(&self, subgraph: &Subgraph, node: &Node) -> bool {
        let sizes = weight_inputs(node).filter_map(|(_, _, id)| {
            let tensor = subgraph.tensor(id)?;
            tensor.shape.elements()
        });
        sizes
            .max()
            .is_some_and(|largest| largest < self.min_weight_elements)
    }
}
