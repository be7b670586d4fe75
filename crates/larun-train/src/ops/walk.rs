//! A walk over an index space in which each of several tensors has its own strides.

/// Row-major strides of a shape.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// An index space with `K` tensors on it. Stride 0 stands for an axis along which a tensor repeats.
#[derive(Debug)]
pub(super) struct Walk<const K: usize> {
    /// Size and strides of each axis, outermost first; neighbours that all tensors can join are joined.
    axes: Vec<(usize, [usize; K])>,
}

impl<const K: usize> Walk<K> {
    pub(super) fn new(shape: &[usize], strides: [&[usize]; K]) -> Self {
        let mut axes: Vec<(usize, [usize; K])> = Vec::with_capacity(shape.len());
        for (axis, &size) in shape.iter().enumerate().filter(|&(_, &size)| size != 1) {
            let step = strides.map(|strides| strides[axis]);
            match axes.last_mut() {
                Some((outer, outer_step)) if *outer_step == step.map(|step| step * size) => {
                    *outer *= size;
                    *outer_step = step;
                }
                _ => axes.push((size, step)),
            }
        }
        Self { axes }
    }

    /// Calls `f` with the offsets of every innermost run, its length and its strides.
    pub(super) fn runs(&self, mut f: impl FnMut([usize; K], usize, [usize; K])) {
        match self.axes.split_last() {
            Some((&(size, step), outer)) => visit(outer, [0; K], &mut |at| f(at, size, step)),
            None => f([0; K], 1, [0; K]),
        }
    }
}

fn visit<const K: usize>(
    axes: &[(usize, [usize; K])],
    mut at: [usize; K],
    f: &mut impl FnMut([usize; K]),
) {
    let Some((&(size, step), inner)) = axes.split_first() else {
        return f(at);
    };
    for _ in 0..size {
        visit(inner, at, f);
        for (at, step) in at.iter_mut().zip(step) {
            *at += step;
        }
    }
}
