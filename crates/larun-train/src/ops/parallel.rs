//! How work is cut: by shapes alone, so that results do not depend on the number of threads.

use rayon::prelude::*;

/// Runs `f` with the vector instructions that the processor has, found when the program runs: loops inside it, and in what is
/// inlined into it, are compiled for each kind. The order of additions is that of the source, so that the bits are the same with
/// any of them.
#[inline(always)]
pub(super) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    larun_kernels::vectorised(f)
}

/// Elements that one task of an elementwise pass handles: large beside the cost of a task.
pub(super) const TASK: usize = 1 << 14;

/// The most partial sums that a reduction over the batch makes; they are added in order.
const GROUPS: usize = 16;

/// Samples per group when `samples` are cut for a reduction.
pub(super) fn group_size(samples: usize) -> usize {
    samples.div_ceil(GROUPS).max(1)
}

/// Samples per task when each has `elements` to handle.
pub(super) fn task_size(elements: usize) -> usize {
    (TASK / elements.max(1)).max(1)
}

/// `output[i] = f(input[i])`.
pub(super) fn map(input: &[f32], output: &mut [f32], f: impl Fn(f32) -> f32 + Sync) {
    output
        .par_chunks_mut(TASK)
        .zip(input.par_chunks(TASK))
        .for_each(|(output, input)| {
            vectorised(|| {
                for (o, &x) in output.iter_mut().zip(input) {
                    *o = f(x);
                }
            });
        });
}

/// `output[i] = f(a[i], b[i])`.
pub(super) fn zip_map(
    a: &[f32],
    b: &[f32],
    output: &mut [f32],
    f: impl Fn(f32, f32) -> f32 + Sync,
) {
    output
        .par_chunks_mut(TASK)
        .zip(a.par_chunks(TASK))
        .zip(b.par_chunks(TASK))
        .for_each(|((output, a), b)| {
            vectorised(|| {
                for ((o, &a), &b) in output.iter_mut().zip(a).zip(b) {
                    *o = f(a, b);
                }
            });
        });
}

/// `output[i] = input[i]`.
pub(super) fn copy(input: &[f32], output: &mut [f32]) {
    output
        .par_chunks_mut(TASK)
        .zip(input.par_chunks(TASK))
        .for_each(|(output, input)| output.copy_from_slice(input));
}

/// `total[i] += part[i]`.
pub(crate) fn accumulate(total: &mut [f32], part: &[f32]) {
    total
        .par_chunks_mut(TASK)
        .zip(part.par_chunks(TASK))
        .for_each(|(total, part)| {
            vectorised(|| {
                for (t, &p) in total.iter_mut().zip(part) {
                    *t += p;
                }
            });
        });
}

/// The sum of partial results, in their order.
pub(super) fn sum_in_order(parts: Vec<Vec<f32>>) -> Vec<f32> {
    let mut parts = parts.into_iter();
    let mut total = parts.next().unwrap_or_default();
    for part in parts {
        for (t, p) in total.iter_mut().zip(part) {
            *t += p;
        }
    }
    total
}
