//! Work that is independent for every index, over threads with the feature `rayon`.

use alloc::vec::Vec;

/// The results of `function` for `0..count`, in order: the same at any number of threads.
#[cfg(not(feature = "rayon"))]
pub(crate) fn map<R: Send>(count: usize, function: impl Fn(usize) -> R + Sync) -> Vec<R> {
    (0..count).map(function).collect()
}

/// The results of `function` for `0..count`, in order: the same at any number of threads.
#[cfg(feature = "rayon")]
pub(crate) fn map<R: Send>(count: usize, function: impl Fn(usize) -> R + Sync) -> Vec<R> {
    use rayon::iter::{IntoParallelIterator, ParallelIterator};
    (0..count).into_par_iter().map(&function).collect()
}

/// Applies `function` to each item with its index: the same result at any number of threads.
#[cfg(not(feature = "rayon"))]
pub(crate) fn for_each<T: Send>(items: &mut [T], function: impl Fn(usize, &mut T) + Sync) {
    for (index, item) in items.iter_mut().enumerate() {
        function(index, item);
    }
}

/// Applies `function` to each item with its index: the same result at any number of threads.
#[cfg(feature = "rayon")]
pub(crate) fn for_each<T: Send>(items: &mut [T], function: impl Fn(usize, &mut T) + Sync) {
    use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};
    let indexed = items.par_iter_mut().enumerate();
    indexed.for_each(|(index, item)| function(index, item));
}
