//! Graph to graph: batch-norm folding, activation fusion, calibration and integer quantisation
