//! Models in memory, and running them with the interpreter that also runs on the microcontroller.

mod channels;
pub mod run;
pub mod trace;

use std::path::{Path, PathBuf};

use larun_graph::Graph;
use larun_micro::host::{AlignedBytes, arena_for};
use larun_micro::{Interpreter, LoadError, Options, RunError, kernels};

use larun_onnx::Port;
use larun_zoo::npy::NpyArray;

use crate::{Error, files};

/// The bytes of a `.tflite` model, and where they came from.
#[derive(Clone, Debug)]
pub struct Model {
    path: PathBuf,
    bytes: AlignedBytes,
    /// How the file has its inputs, where the model was imported from one with other axes.
    ports: Vec<Port>,
}

impl Model {
    /// Reads a file: a `.tflite` model, or an ONNX model by its ending `.onnx`, which is imported, with batch normalisation
    /// folded, and taken as the `.tflite` model that it becomes.
    ///
    /// # Errors
    /// When it cannot be read or imported. What a `.tflite` file holds is looked at when it is loaded.
    pub fn open(path: &Path) -> Result<Self, Error> {
        match path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"))
        {
            true => Self::import(path),
            false => Ok(Self::new(path, &files::read(path)?)),
        }
    }

    fn import(path: &Path) -> Result<Self, Error> {
        let imported = larun_onnx::import_file(path, &larun_onnx::ImportOptions::default());
        let imported = imported.map_err(|source| Error::Import {
            path: path.to_owned(),
            source,
        })?;
        let graph = larun_passes::fold_batch_norm(imported.graph)?;
        Ok(Self {
            ports: imported.inputs,
            ..Self::new(path, &larun_tflite::write(&graph)?)
        })
    }

    /// An array for input `index` as the model takes it: of an ONNX model's input, channels first, it takes the order of the graph.
    /// Axes before those of the input count sets or samples.
    pub(crate) fn arranged(&self, index: usize, array: NpyArray) -> NpyArray {
        match self.ports.get(index) {
            Some(port) => channels::arranged(port, array),
            None => array,
        }
    }

    /// A model of these bytes; `path` is what error messages call it.
    pub fn new(path: &Path, bytes: &[u8]) -> Self {
        Self {
            path: path.to_owned(),
            bytes: AlignedBytes::copy_of(bytes),
            ports: Vec::new(),
        }
    }

    /// What error messages call it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The model as a graph.
    ///
    /// # Errors
    /// When the file is damaged or the graph does not hold together.
    pub fn graph(&self) -> Result<Graph, Error> {
        let graph = larun_tflite::read(&self.bytes).map_err(|source| Error::Read {
            path: self.path.clone(),
            source,
        })?;
        graph.validate().map_err(|source| Error::InvalidModel {
            path: self.path.clone(),
            source,
        })?;
        Ok(graph)
    }

    /// The smallest arena for the model.
    ///
    /// # Errors
    /// When the interpreter cannot load it.
    pub fn arena(&self) -> Result<AlignedBytes, Error> {
        arena_for(&self.bytes, kernels::ALL).map_err(|error| self.load_error(&error))
    }

    /// An interpreter in an arena from [`Model::arena`].
    ///
    /// # Errors
    /// When the interpreter cannot load the model.
    pub fn interpreter<'a>(&'a self, arena: &'a mut [u8]) -> Result<Interpreter<'a, 'a>, Error> {
        Interpreter::new(&self.bytes, kernels::ALL, arena).map_err(|error| self.load_error(&error))
    }

    /// An interpreter with other choices than the default ones.
    ///
    /// # Errors
    /// As [`Model::interpreter`].
    pub fn interpreter_with<'a>(
        &'a self,
        arena: &'a mut [u8],
        options: Options,
    ) -> Result<Interpreter<'a, 'a>, Error> {
        Interpreter::with_options(&self.bytes, kernels::ALL, arena, options)
            .map_err(|error| self.load_error(&error))
    }

    pub(crate) fn load_error(&self, error: &LoadError<'_>) -> Error {
        Error::Load {
            path: self.path.clone(),
            reason: error.to_string(),
        }
    }

    pub(crate) fn run_error(&self, error: RunError) -> Error {
        Error::Run {
            path: self.path.clone(),
            reason: error.to_string(),
        }
    }
}
