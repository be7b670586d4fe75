//! Plans that models bring: followed where they are right, refused where they are not, never trusted.

mod support;

use larun_arena::PlanError;
use larun_micro::host::{Owner, arena_for, memory_plan};
use larun_micro::{LoadError, kernels};
use larun_tflite::{read, set_offline_plan, write};
use support::{fill_inputs, load, outputs, transit_file};

/// Where the interpreter puts each tensor by itself.
fn own_plan(model: &[u8]) -> Vec<Option<u32>> {
    let mut offsets = vec![None; read(model).unwrap().main().unwrap().tensors.len()];
    for planned in memory_plan(model, kernels::ALL).unwrap() {
        if let Owner::Tensor(tensor) = planned.owner {
            offsets[tensor] = Some(planned.offset);
        }
    }
    offsets
}

fn with_plan(model: &[u8], offsets: &[Option<u32>]) -> Vec<u8> {
    let mut graph = read(model).unwrap();
    set_offline_plan(&mut graph, offsets);
    write(&graph).unwrap()
}

fn refusal(model: &[u8]) -> String {
    let error = arena_for(model, kernels::ALL).unwrap_err();
    assert!(
        matches!(error, LoadError::Plan(_) | LoadError::OfflinePlan { .. }),
        "{error}"
    );
    error.to_string()
}

#[test]
fn a_plan_is_followed() {
    let model = transit_file();
    let own = own_plan(&model);
    assert!(own.iter().flatten().count() > 2);
    let shifted: Vec<_> = own.iter().map(|at| at.map(|at| at + 64)).collect();
    let planned = with_plan(&model, &shifted);
    assert_eq!(own_plan(&planned), shifted);

    let run = |model: &[u8]| {
        let mut arena = arena_for(model, kernels::ALL).unwrap();
        let mut interpreter = load(model, &mut arena).unwrap();
        fill_inputs(&mut interpreter, 7);
        interpreter.invoke().unwrap();
        (interpreter.activation_bytes(), outputs(&interpreter))
    };
    let ((bytes, expected), (planned_bytes, computed)) = (run(&model), run(&planned));
    assert_eq!(computed, expected);
    // Scratch memory, which no plan names, may lie below.
    let above = shifted.iter().flatten().max().map_or(0, |&at| at as usize);
    assert!(
        (above..=bytes + 64).contains(&planned_bytes),
        "{planned_bytes}, {bytes} without a plan"
    );
}

#[test]
fn what_a_plan_leaves_open_is_planned_around_it() {
    let model = transit_file();
    let own = own_plan(&model);
    let first = own.iter().position(Option::is_some).unwrap();
    for kept in [None, Some(first)] {
        let some: Vec<_> = own
            .iter()
            .enumerate()
            .map(|(i, &at)| at.filter(|_| Some(i) == kept))
            .collect();
        let planned = own_plan(&with_plan(&model, &some));
        assert!(
            own.iter()
                .zip(&planned)
                .all(|(own, planned)| own.is_some() == planned.is_some())
        );
        assert!(kept.is_none_or(|kept| planned[kept] == own[kept]));
    }
}

#[test]
fn a_wrong_plan_is_refused() {
    let model = transit_file();
    let own = own_plan(&model);
    // All in one place: what lives together overlaps.
    let piled: Vec<_> = own.iter().map(|at| at.map(|_| 0)).collect();
    let piled = with_plan(&model, &piled);
    let error = arena_for(&piled, kernels::ALL).unwrap_err();
    assert!(
        matches!(error, LoadError::Plan(PlanError::FixedOverlap { .. })),
        "{error}"
    );
    assert!(refusal(&piled).contains("share bytes"));

    let crooked: Vec<_> = own.iter().map(|at| at.map(|at| at + 4)).collect();
    assert!(refusal(&with_plan(&model, &crooked)).contains("multiple of the alignment"));

    // A plan for another model.
    let mut graph = read(&model).unwrap();
    set_offline_plan(&mut graph, &own);
    let extra = graph.main().unwrap().tensors[0].clone();
    graph.main_mut().unwrap().add_tensor(extra);
    assert!(refusal(&write(&graph).unwrap()).contains("plan it again"));
}
