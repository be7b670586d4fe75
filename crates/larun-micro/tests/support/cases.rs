//! The models of the corpus that the interpreter loads.
//!
//! Apart from the rest of what the tests share: `larun-testing` is not published, so that the package leaves out what needs it.

use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::kernels;
use larun_testing::{Case, corpus_dir, model_cases, op_cases};

/// A model with an arena of the size that it needs.
pub(crate) struct Loadable {
    pub(crate) case: Case,
    pub(crate) model: AlignedBytes,
    pub(crate) arena: AlignedBytes,
}

/// The cases of the corpus that load, operators and models, or `None` where there is no corpus.
pub(crate) fn loadable_cases(test: &str) -> Option<Vec<Loadable>> {
    let corpus = corpus_dir(test)?;
    let mut cases = op_cases(&corpus).unwrap();
    cases.extend(model_cases(&corpus).unwrap());
    let loadable: Vec<_> = cases.into_iter().filter_map(loadable).collect();
    assert!(loadable.len() > 700, "only {} cases load", loadable.len());
    Some(loadable)
}

fn loadable(case: Case) -> Option<Loadable> {
    let model = AlignedBytes::copy_of(&case.model);
    let arena = arena_for(&model, kernels::ALL).ok()?;
    Some(Loadable { case, model, arena })
}
