//! What every plan must satisfy, on random problems, held against naive versions written here.

use larun_arena::{
    Buffer, Fault, GreedyBySize, Overlap, PlanError, Planner, Problem, check, first_fit,
    greedy_by_size, keep_given, lower_bound, lower_bound_by_sweep,
};
use proptest::prelude::*;

fn buffer() -> impl Strategy<Value = Buffer> {
    (0u32..200, 0u32..20, 0u32..8)
        .prop_map(|(size, first, duration)| Buffer::new(size, first, first + duration))
}

/// Few sizes, so that ties are common.
fn tied_buffer() -> impl Strategy<Value = Buffer> {
    (1u32..4, 0u32..12, 0u32..6)
        .prop_map(|(size, first, duration)| Buffer::new(size * 16, first, first + duration))
}

fn problem() -> impl Strategy<Value = Vec<Buffer>> {
    prop_oneof![
        prop::collection::vec(buffer(), 0..40),
        prop::collection::vec(tied_buffer(), 0..40)
    ]
}

fn alignment() -> impl Strategy<Value = u32> {
    prop_oneof![Just(1), Just(4), Just(12), Just(16), Just(64)]
}

fn greedy(problem: &[Buffer], alignment: u32) -> Result<(u32, Vec<u32>), PlanError> {
    let (mut offsets, mut order) = (vec![0; problem.len()], vec![0; problem.len()]);
    greedy_by_size(problem, alignment, &mut offsets, &mut order).map(|peak| (peak, offsets))
}

/// The planner as its description says it, trying every multiple of the alignment from zero.
fn naive_greedy(problem: &[Buffer], alignment: u32) -> Vec<u32> {
    let footprint = |b: &Buffer| b.size.div_ceil(alignment) * alignment;
    let mut order: Vec<usize> = (0..problem.len()).rev().collect();
    order.sort_by_key(|&i| {
        (
            problem[i].fixed.is_none(),
            core::cmp::Reverse(footprint(&problem[i])),
        )
    });
    let mut placed: Vec<(usize, u32)> = Vec::new();
    for i in order {
        let free = |offset: u32| {
            placed.iter().all(|&(j, other)| {
                let apart_in_time =
                    problem[i].last < problem[j].first || problem[j].last < problem[i].first;
                let apart_in_space = offset + footprint(&problem[i]) <= other
                    || other + footprint(&problem[j]) <= offset;
                apart_in_time || apart_in_space || problem[i].size == 0 || problem[j].size == 0
            })
        };
        let lowest = || {
            (0..)
                .map(|k| k * alignment)
                .find(|&offset| free(offset))
                .unwrap()
        };
        placed.push((i, problem[i].fixed.unwrap_or_else(lowest)));
    }
    placed.sort_unstable();
    placed.into_iter().map(|(_, offset)| offset).collect()
}

/// Paints every step's bytes one by one; the peak, or `None` where a byte is painted twice.
fn naive_check(problem: &[Buffer], offsets: &[u32]) -> Option<u32> {
    let steps = problem.iter().map(|b| b.last + 1).max().unwrap_or(0);
    for step in 0..steps {
        let mut owner = std::collections::HashSet::new();
        let live = problem
            .iter()
            .zip(offsets)
            .filter(|(b, _)| b.first <= step && step <= b.last);
        for byte in live.flat_map(|(b, &offset)| offset..offset + b.size) {
            if !owner.insert(byte) {
                return None;
            }
        }
    }
    Some(
        problem
            .iter()
            .zip(offsets)
            .map(|(b, o)| b.size + o)
            .max()
            .unwrap_or(0),
    )
}

proptest! {
    #[test]
    fn greedy_is_the_described_planner(problem in problem(), alignment in alignment()) {
        let (_, offsets) = greedy(&problem, alignment).unwrap();
        prop_assert_eq!(offsets, naive_greedy(&problem, alignment));
    }

    #[test]
    fn greedy_passes_both_checkers_and_respects_the_bound(problem in problem(), alignment in alignment()) {
        let (peak, offsets) = greedy(&problem, alignment).unwrap();
        prop_assert_eq!(check(&problem[..], &offsets, alignment), Ok(peak));
        prop_assert!(naive_check(&problem, &offsets).is_some_and(|naive| naive <= peak && peak - naive < alignment));
        prop_assert!(peak >= lower_bound(&problem[..], alignment).unwrap());
        let all: u32 = problem.iter().map(|b| b.size.next_multiple_of(alignment)).sum();
        prop_assert!(peak <= all);
    }

    #[test]
    fn fixed_buffers_stay_and_the_rest_goes_round_them(
        problem in problem(),
        fixed in prop::collection::vec(prop::option::weighted(0.3, 0u32..40), 40),
        alignment in alignment(),
    ) {
        let problem: Vec<Buffer> = problem.iter().zip(fixed).map(|(b, at)| Buffer { fixed: at.map(|k| k * alignment), ..*b }).collect();
        match greedy(&problem, alignment) {
            Ok((peak, offsets)) => {
                prop_assert_eq!(check(&problem[..], &offsets, alignment), Ok(peak));
                prop_assert!(peak >= lower_bound(&problem[..], alignment).unwrap());
                prop_assert_eq!(offsets, naive_greedy(&problem, alignment));
            }
            Err(PlanError::FixedOverlap { first, second }) => {
                let pair = [problem[first as usize], problem[second as usize]];
                prop_assert!(naive_check(&pair, &[pair[0].fixed.unwrap(), pair[1].fixed.unwrap()]).is_none());
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    #[test]
    fn the_checker_agrees_with_painting_bytes(
        plan in prop::collection::vec((buffer(), 0u32..2000), 0..6),
    ) {
        let (problem, offsets): (Vec<_>, Vec<_>) = plan.into_iter().unzip();
        match check(&problem[..], &offsets, 1) {
            Ok(peak) => prop_assert_eq!(naive_check(&problem, &offsets), Some(peak)),
            Err(Fault::Overlap(Overlap { first, second, offset, step })) => {
                prop_assert!(first < second);
                for i in [first as usize, second as usize] {
                    prop_assert!((offsets[i]..offsets[i] + problem[i].size).contains(&offset));
                    prop_assert!((problem[i].first..=problem[i].last).contains(&step));
                }
            }
            Err(fault) => prop_assert!(false, "{fault}"),
        }
    }

    #[test]
    fn the_bound_does_not_depend_on_order_or_clock(problem in problem(), alignment in alignment(), delay in 0u32..1000) {
        let bound = lower_bound(&problem[..], alignment).unwrap();
        prop_assert_eq!(lower_bound_by_sweep(&problem[..], alignment), Ok(bound));
        let later: Vec<Buffer> =
            problem.iter().rev().map(|b| Buffer::new(b.size, b.first + delay, b.last + delay)).collect();
        prop_assert_eq!(lower_bound(&later[..], alignment), Ok(bound));
    }

    #[test]
    fn first_fit_is_right_in_any_order(
        (problem, order) in problem().prop_flat_map(|p| {
            let order: Vec<u32> = (0..p.len() as u32).collect();
            (Just(p), Just(order).prop_shuffle())
        }),
        alignment in alignment(),
    ) {
        let mut by_offset = order;
        let mut offsets = vec![0; problem.len()];
        let peak = first_fit(&problem[..], alignment, &mut by_offset, &mut offsets).unwrap();
        prop_assert_eq!(check(&problem[..], &offsets, alignment), Ok(peak));
        prop_assert!(by_offset.is_sorted_by_key(|&id| offsets[id as usize]));
        by_offset.sort_unstable();
        prop_assert!(by_offset.iter().enumerate().all(|(i, &id)| i as u32 == id));
    }

    /// Any numbers at all: an answer that the checker accepts, or an error.
    #[test]
    fn no_numbers_panic(
        numbers in prop::collection::vec((any::<u32>(), any::<u32>(), any::<u32>(), any::<Option<u32>>()), 0..12),
        alignment in prop_oneof![any::<u32>(), 0u32..4],
        order in prop::collection::vec(any::<u32>(), 12),
    ) {
        let problem: Vec<Buffer> =
            numbers.into_iter().map(|(size, first, last, fixed)| Buffer { size, first, last, fixed }).collect();
        if let Ok((peak, offsets)) = greedy(&problem, alignment) {
            prop_assert_eq!(check(&problem[..], &offsets, alignment), Ok(peak));
        }
        prop_assert_eq!(
            lower_bound(&problem[..], alignment).is_ok(),
            lower_bound_by_sweep(&problem[..], alignment).is_ok()
        );
        let (mut order, mut offsets) = (order, vec![0; 12]);
        let _ = first_fit(&problem[..], alignment, &mut order, &mut offsets);
        let _ = check(&problem[..], &offsets, alignment);
    }
}

#[test]
fn of_equal_sizes_the_later_buffer_goes_first() {
    let problem = [
        Buffer::new(16, 0, 0),
        Buffer::new(10, 0, 0),
        Buffer::new(16, 0, 0),
    ];
    assert_eq!(greedy(&problem, 16), Ok((48, vec![32, 16, 0])));
}

#[test]
fn malformed_problems_are_refused() {
    let fine = Buffer::new(16, 0, 1);
    let cases = [
        (vec![fine], 0, PlanError::ZeroAlignment),
        (
            vec![fine, Buffer::new(1, 5, 4)],
            1,
            PlanError::EndsBeforeStart {
                buffer: 1,
                first: 5,
                last: 4,
            },
        ),
        (
            vec![fine.at(8)],
            16,
            PlanError::Misaligned {
                buffer: 0,
                offset: 8,
                alignment: 16,
            },
        ),
        (
            vec![fine.at(0), fine, fine.at(8)],
            8,
            PlanError::FixedOverlap {
                first: 0,
                second: 2,
            },
        ),
        (
            vec![Buffer::new(u32::MAX, 0, 0)],
            16,
            PlanError::Overflow { buffer: 0 },
        ),
        (
            vec![fine.at(u32::MAX - 15)],
            16,
            PlanError::Overflow { buffer: 0 },
        ),
        (
            vec![fine, Buffer::new(u32::MAX - 15, 0, 0)],
            1,
            PlanError::Overflow { buffer: 0 },
        ),
    ];
    for (problem, alignment, expected) in cases {
        assert_eq!(greedy(&problem, alignment), Err(expected), "{problem:?}");
        let plan = GreedyBySize.plan(&problem, alignment);
        assert!(
            plan.is_err_and(
                |error| core::mem::discriminant(&error) == core::mem::discriminant(&expected)
            ),
            "{problem:?}"
        );
        assert!(!expected.to_string().is_empty());
    }
}

#[test]
fn slices_of_the_wrong_length_are_refused() {
    let problem = [Buffer::new(16, 0, 1); 3];
    let short = Err(PlanError::SliceTooShort {
        needed: 3,
        given: 2,
    });
    assert_eq!(
        greedy_by_size(&problem[..], 16, &mut [0; 2], &mut [0; 3]),
        short
    );
    assert_eq!(
        greedy_by_size(&problem[..], 16, &mut [0; 3], &mut [0; 2]),
        short
    );
    assert_eq!(
        check(&problem[..], &[0; 2], 16),
        short.map_err(Fault::Problem)
    );
    let mut offsets = [7; 4];
    assert_eq!(
        greedy_by_size(&problem[..], 16, &mut offsets, &mut [9; 5]),
        Ok(48)
    );
    assert_eq!(offsets, [32, 16, 0, 7]);
}

#[test]
fn the_checker_names_what_is_wrong() {
    let problem = [
        Buffer::new(16, 0, 1),
        Buffer::new(16, 1, 2),
        Buffer::new(8, 3, 3).at(32),
    ];
    assert_eq!(check(&problem[..], &[0, 16, 32], 16), Ok(48));
    let overlap = Overlap {
        first: 0,
        second: 1,
        offset: 8,
        step: 1,
    };
    assert_eq!(
        check(&problem[..], &[0, 8, 32], 8),
        Err(Fault::Overlap(overlap))
    );
    assert_eq!(
        check(&problem[..], &[0, 8, 32], 16),
        Err(Fault::Misaligned {
            buffer: 1,
            offset: 8,
            alignment: 16
        })
    );
    assert_eq!(
        check(&problem[..], &[0, 16, 0], 16),
        Err(Fault::Moved {
            buffer: 2,
            fixed: 32,
            offset: 0
        })
    );
}

#[test]
fn a_plan_says_whether_it_is_optimal() {
    let chain = vec![
        Buffer::new(1024, 0, 1),
        Buffer::new(4096, 1, 2),
        Buffer::new(512, 2, 3),
    ];
    let plan = GreedyBySize.plan(&chain, 16).unwrap();
    assert!(plan.is_optimal());

    // The last buffer must dodge the first, put at 0, and the second, put at 4. With the first two swapped 8 bytes would do.
    let dodging = vec![
        Buffer::new(4, 3, 3),
        Buffer::new(4, 0, 2),
        Buffer::new(4, 0, 0),
        Buffer::new(3, 2, 3),
    ];
    let plan = GreedyBySize.plan(&dodging, 1).unwrap();
    assert_eq!((plan.peak, plan.lower_bound), (11, 8));
    assert!(!plan.is_optimal());
    assert_eq!(check(&dodging, &[0, 0, 4, 4], 1), Ok(8));
}

#[test]
fn no_buffers_need_no_memory() {
    let none: &[Buffer] = &[];
    assert!(Problem::is_empty(none));
    assert_eq!(greedy(none, 16), Ok((0, vec![])));
    assert_eq!(lower_bound(none, 16), Ok(0));
}

proptest! {
    /// What a planner has found passes as given; what the checker refuses does not.
    #[test]
    fn given_plans_are_kept_or_refused(problem in problem(), moved in any::<prop::sample::Index>(), to in 0u32..40) {
        let (peak, offsets) = greedy(&problem, 16).unwrap();
        let mut given: Vec<Buffer> = problem.iter().zip(&offsets).map(|(b, &at)| b.at(at)).collect();
        let mut kept = vec![0; problem.len()];
        prop_assert_eq!(keep_given(&given[..], 16, &mut kept), Ok(peak));
        prop_assert_eq!(&kept, &offsets);
        if !given.is_empty() {
            let moved = moved.index(given.len());
            given[moved] = given[moved].at(to * 16);
            let mut offsets = offsets;
            offsets[moved] = to * 16;
            let verdict = check(&given[..], &offsets, 16);
            let result = keep_given(&given[..], 16, &mut kept);
            prop_assert_eq!(result.is_ok(), verdict.is_ok(), "{:?} {:?}", result, verdict);
        }
    }

    /// A buffer that lives at one step needs no offset.
    #[test]
    fn scratch_memory_goes_on_top(problem in problem(), step in 0u32..20, size in 1u32..100) {
        let (_, offsets) = greedy(&problem, 16).unwrap();
        let mut given: Vec<Buffer> = problem.iter().zip(&offsets).map(|(b, &at)| b.at(at)).collect();
        given.push(Buffer::new(size, step, step));
        let mut kept = vec![0; given.len()];
        let peak = keep_given(&given[..], 16, &mut kept).unwrap();
        prop_assert_eq!(check(&given[..], &kept, 16), Ok(peak));
        given.push(Buffer::new(size, step, step + 1));
        kept.push(0);
        let refused = PlanError::NoOffset { buffer: given.len() as u32 - 1 };
        prop_assert_eq!(keep_given(&given[..], 16, &mut kept), Err(refused));
    }
}
