//! The TensorFlow Lite file format: a checked zero-copy view without std or alloc, and a lossless reader and writer of graphs
