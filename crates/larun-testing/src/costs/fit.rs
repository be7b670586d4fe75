//! The fit of what was counted: for every family of kernels, what each of its terms takes.

use std::collections::BTreeMap;

use larun_device::cost::{InstructionSet, Term, work};
use serde::{Deserialize, Serialize};

use super::solve::non_negative_least_squares;

/// What the firmware counted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Counted {
    /// Model by model.
    pub models: Vec<CountedModel>,
}

/// What a model took.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CountedModel {
    /// What it is called.
    pub name: String,
    /// Whether it is a model to be predicted, not one to fit.
    pub held_out: bool,
    /// Instructions of each node, by its index.
    pub nodes: Vec<(usize, u64)>,
    /// Instructions of an inference.
    pub invoke: u64,
}

/// A family of kernels as it was fitted.
#[derive(Clone, Debug)]
pub struct FittedFamily {
    /// The family.
    pub family: String,
    /// Instructions of each term; those that take none are left out.
    pub terms: Vec<Term>,
    /// How many layers were counted.
    pub layers: usize,
    /// The mean and the largest relative error on them.
    pub errors: [f64; 2],
}

/// Counts below this weigh as if they were it: a few instructions of a small layer are of no interest.
const FLOOR: f64 = 2_000.0;
/// Fewer layers than terms and this say nothing.
const SPARE_LAYERS: usize = 2;

#[derive(Default)]
struct Family {
    rows: Vec<(Vec<Term>, f64)>,
}

/// Fits all families of an instruction set. `models` are the files of what was counted, in its order.
pub fn fit_families<'m>(
    set: InstructionSet,
    counted: &Counted,
    models: impl IntoIterator<Item = &'m [u8]>,
) -> Vec<FittedFamily> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for (counted, model) in counted.models.iter().zip(models) {
        let Ok(graph) = larun_tflite::read(model) else {
            continue;
        };
        let Some(subgraph) = graph.main().filter(|_| !counted.held_out) else {
            continue;
        };
        for &(index, instructions) in &counted.nodes {
            let node = subgraph.nodes.get(index);
            let done = node.and_then(|node| work(subgraph, node, set.kernels()));
            if let Some(done) = done {
                let family = families.entry(done.family).or_default();
                family.rows.push((done.terms, instructions as f64));
            }
        }
        let inside: u64 = counted.nodes.iter().map(|(_, n)| n).sum();
        let around = counted.invoke.saturating_sub(inside) as f64;
        let terms = vec![("nodes", counted.nodes.len() as f64), ("call", 1.0)];
        let own = families
            .entry(larun_device::cost::INTERPRETER.to_owned())
            .or_default();
        own.rows.push((terms, around));
    }
    let fitted = families.into_iter().map(|(name, family)| family.fit(name));
    fitted.collect()
}

impl Family {
    fn fit(&self, family: String) -> FittedFamily {
        let mut names: Vec<&'static str> = Vec::new();
        for (name, _) in self.rows.iter().flat_map(|(terms, _)| terms) {
            if !names.contains(name) {
                names.push(name);
            }
        }
        if self.rows.len() < SPARE_LAYERS + names.len() {
            // Too few to tell the terms apart: the last, "call", takes the rest.
            names.retain(|name| self.rows.iter().all(|(terms, _)| value(terms, name) > 0.0));
        }
        let weight = |count: f64| 1.0 / count.max(FLOOR);
        let row = |(terms, count): &(Vec<Term>, f64)| -> Vec<f64> {
            let scaled = names.iter().map(|name| value(terms, name) * weight(*count));
            scaled.collect()
        };
        let rows: Vec<Vec<f64>> = self.rows.iter().map(row).collect();
        let targets: Vec<f64> = self.rows.iter().map(|(_, n)| n * weight(*n)).collect();
        let found = non_negative_least_squares(&rows, &targets);
        let terms: Vec<Term> = names
            .into_iter()
            .zip(found)
            .filter(|(_, each)| *each > 1e-9)
            .collect();
        let error = |(counts, n): &(Vec<Term>, f64)| {
            let predicted: f64 = terms
                .iter()
                .map(|(name, each)| each * value(counts, name))
                .sum();
            (predicted - n).abs() / n.max(FLOOR)
        };
        let errors: Vec<f64> = self.rows.iter().map(error).collect();
        let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
        FittedFamily {
            family,
            terms,
            layers: self.rows.len(),
            errors: [mean, errors.iter().fold(0.0, |a, &b| a.max(b))],
        }
    }
}

fn value(terms: &[Term], name: &str) -> f64 {
    let found = terms.iter().find(|(other, _)| *other == name);
    found.map_or(0.0, |(_, count)| *count)
}
