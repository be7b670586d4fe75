//! A training on disk: one safetensors file that holds everything needed to go on.
//!
//! The tensors are `parameter/N`, `first_moment/N`, `second_moment/N`, `best_parameter/N` for parameter number
//! `N`, `average/N` where weights are averaged, `statistic/N`, `best_statistic/N` for running average `N`, `callback/C/N` for state `N` of callback `C`; the state of the loop and the fingerprint
//! are JSON in the file's metadata.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use larun_graph::Graph;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use crate::trainer::average::Average;
use crate::trainer::state::State;
use crate::trainer::{Optimizer, Progress, Snapshot, TrainConfig, TrainingData};
use crate::{Executor, TrainError};

/// The key of the metadata.
const KEY: &str = "larun-train";

/// The version of the layout.
const VERSION: u32 = 2;

/// Which training a checkpoint belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    version: u32,
    graph: String,
    data: String,
    config: String,
    /// Name and settings of each callback.
    #[serde(default)]
    callbacks: Vec<String>,
}

impl Fingerprint {
    pub(crate) fn new(graph: &Graph, data: &TrainingData<'_>, config: &TrainConfig) -> Self {
        let mut of_graph = Hash::default();
        for subgraph in &graph.subgraphs {
            of_graph.text(&format!("{:?} {:?}", subgraph.inputs, subgraph.outputs));
            for node in &subgraph.nodes {
                of_graph.text(&format!(
                    "{:?} {:?} {:?}",
                    node.op, node.inputs, node.outputs
                ));
            }
            for tensor in &subgraph.tensors {
                of_graph.text(&format!("{:?} {:?}", tensor.shape, tensor.element_type));
                of_graph.bytes(graph.data(tensor));
            }
        }
        let mut of_data = Hash::default();
        of_data.numbers(data.x.iter().map(|x| u64::from(x.to_bits())));
        of_data.numbers(data.y.iter().map(|&y| u64::from(y)));
        if let Some(shares) = data.soft_labels {
            of_data.numbers(shares.iter().map(|x| u64::from(x.to_bits())));
        }
        if let Some(targets) = data.targets {
            of_data.numbers(targets.iter().map(|x| u64::from(x.to_bits())));
        }
        for split in [data.train, data.validation] {
            of_data.numbers(split.iter().map(|&index| index as u64));
        }
        let mut of_config = Hash::default();
        of_config.text(&serde_json::to_string(config).unwrap_or_default());
        Self {
            version: VERSION,
            graph: of_graph.hex(),
            data: of_data.hex(),
            config: of_config.hex(),
            callbacks: Vec::new(),
        }
    }

    /// Adds a callback that takes part.
    pub(crate) fn add_callback(&mut self, name: &str, settings: &str) {
        let mut hash = Hash::default();
        hash.text(settings);
        self.callbacks.push(format!("{name} {}", hash.hex()));
    }

    /// Says what differs, if anything.
    fn difference(&self, other: &Self) -> Option<String> {
        let foreign = |what: &str| {
            format!(
                "it belongs to another training: the {what} differs; resume with what it was started with, or start anew"
            )
        };
        if self.version != other.version {
            let (found, known) = (other.version, self.version);
            return Some(format!(
                "its layout is version {found}, this program reads {known}"
            ));
        }
        let parts = [
            ("graph", self.graph == other.graph),
            ("data or its split", self.data == other.data),
            ("configuration", self.config == other.config),
            (
                "list of callbacks or the settings of one",
                self.callbacks == other.callbacks,
            ),
        ];
        let different = parts.into_iter().find(|(_, is_same)| !is_same);
        different.map(|(what, _)| foreign(what))
    }
}

/// FNV-1a over words of 64 bits: tells trainings apart, does not withstand forgery.
struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word)
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(29);
    }

    fn numbers(&mut self, numbers: impl ExactSizeIterator<Item = u64>) {
        self.word(numbers.len() as u64);
        numbers.for_each(|number| self.word(number));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.numbers(bytes.iter().map(|&byte| u64::from(byte)));
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn hex(&self) -> String {
        format!("{:016x}", self.0)
    }
}

/// What the metadata says.
#[derive(Serialize, Deserialize)]
struct Header {
    fingerprint: Fingerprint,
    state: State,
}

/// Writes a checkpoint beside `path` and renames it, so that `path` is never half a file.
pub(crate) fn write(
    path: &Path,
    fingerprint: &Fingerprint,
    executor: &Executor,
    progress: &Progress,
) -> Result<(), TrainError> {
    let damaged = |problem: String| TrainError::Checkpoint {
        path: path.to_owned(),
        problem,
    };
    let header = Header {
        fingerprint: fingerprint.clone(),
        state: progress.state.clone(),
    };
    let header = serde_json::to_string(&header).map_err(|error| damaged(error.to_string()))?;
    let mut tensors: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, _, values) in groups(progress) {
        let bytes = |values: &Vec<f32>| values.iter().flat_map(|x| x.to_le_bytes()).collect();
        let named = values
            .iter()
            .enumerate()
            .map(|(index, v)| (format!("{name}/{index}"), bytes(v)));
        tensors.extend(named);
    }
    debug_assert!(tensors.len() >= executor.parameters().len());
    for (callback, state) in progress.callbacks.iter().enumerate() {
        let named = state.iter().enumerate().map(|(index, values)| {
            let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            (format!("callback/{callback}/{index}"), bytes)
        });
        tensors.extend(named);
    }
    let views = tensors.iter().map(|(name, bytes)| {
        Ok((
            name.as_str(),
            TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes)?,
        ))
    });
    let views: Vec<_> = views
        .collect::<Result<_, safetensors::SafeTensorError>>()
        .map_err(|error| damaged(error.to_string()))?;
    let metadata = HashMap::from([(KEY.to_owned(), header)]);
    let file = safetensors::serialize(views, Some(metadata))
        .map_err(|error| damaged(error.to_string()))?;
    replace(path, &file).map_err(|source| TrainError::Io {
        path: path.to_owned(),
        source,
    })
}

/// The groups of tensors in a checkpoint: their name, whether they are one a parameter (else one a statistic),
/// and their values.
fn groups(progress: &Progress) -> Vec<(&'static str, bool, &[Vec<f32>])> {
    let mut groups: Vec<(_, _, &[Vec<f32>])> = vec![
        ("parameter", true, &progress.current.parameters),
        ("statistic", false, &progress.current.statistics),
        ("range", false, &progress.current.ranges),
        ("first_moment", true, &progress.optimizer.first),
        ("second_moment", true, &progress.optimizer.second),
    ];
    if let Some(best) = &progress.best {
        groups.push(("best_parameter", true, &best.parameters));
        groups.push(("best_statistic", false, &best.statistics));
        groups.push(("best_range", false, &best.ranges));
    }
    if !progress.average.is_empty() {
        groups.push(("average", true, &progress.average.parameters));
    }
    groups
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".larun-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any program would create the file, less what the user's mask takes away.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// Reads a checkpoint of the training with this fingerprint.
pub(crate) fn read(
    path: &Path,
    fingerprint: &Fingerprint,
    executor: &Executor,
) -> Result<Progress, TrainError> {
    let io = |source| TrainError::Io {
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::read(path).map_err(io)?;
    let reader = Reader {
        path: path.to_owned(),
        executor,
    };
    let header = reader.header(&bytes)?;
    if let Some(problem) = fingerprint.difference(&header.fingerprint) {
        return Err(reader.refuse(problem));
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| reader.damaged(&error))?;
    let has_average = tensors.tensor("average/0").is_ok();
    let has_best = tensors.tensor("best_parameter/0").is_ok();
    Ok(Progress {
        state: header.state,
        current: Snapshot {
            parameters: reader.parameters(&tensors, "parameter")?,
            statistics: reader.statistics(&tensors, "statistic")?,
            ranges: reader.ranges(&tensors, "range")?,
        },
        best: if has_best {
            Some(Snapshot {
                parameters: reader.parameters(&tensors, "best_parameter")?,
                statistics: reader.statistics(&tensors, "best_statistic")?,
                ranges: reader.ranges(&tensors, "best_range")?,
            })
        } else {
            None
        },
        average: Average {
            parameters: match has_average {
                true => reader.parameters(&tensors, "average")?,
                false => Vec::new(),
            },
        },
        optimizer: Optimizer {
            first: reader.parameters(&tensors, "first_moment")?,
            second: reader.parameters(&tensors, "second_moment")?,
        },
        callbacks: (0..fingerprint.callbacks.len())
            .map(|callback| reader.callback(&tensors, callback))
            .collect::<Result<_, _>>()?,
    })
}

/// The reading of one file.
struct Reader<'a> {
    path: PathBuf,
    executor: &'a Executor,
}

impl Reader<'_> {
    fn refuse(&self, problem: String) -> TrainError {
        TrainError::Checkpoint {
            path: self.path.clone(),
            problem,
        }
    }

    fn damaged(&self, error: &dyn core::fmt::Display) -> TrainError {
        self.refuse(format!("it is damaged ({error}); delete it and start anew"))
    }

    fn header(&self, bytes: &[u8]) -> Result<Header, TrainError> {
        let (_, metadata) =
            SafeTensors::read_metadata(bytes).map_err(|error| self.damaged(&error))?;
        let header = metadata
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get(KEY));
        let Some(header) = header else {
            return Err(
                self.refuse("it is a safetensors file, but no checkpoint of a training".to_owned())
            );
        };
        serde_json::from_str(header).map_err(|error| self.damaged(&error))
    }

    fn parameters(&self, file: &SafeTensors<'_>, group: &str) -> Result<Vec<Vec<f32>>, TrainError> {
        let lengths = self.executor.parameters().iter().map(crate::Parameter::len);
        self.group(file, group, lengths)
    }

    fn statistics(&self, file: &SafeTensors<'_>, group: &str) -> Result<Vec<Vec<f32>>, TrainError> {
        let lengths = self.executor.statistics().iter().map(|s| s.values.len());
        self.group(file, group, lengths)
    }

    fn ranges(&self, file: &SafeTensors<'_>, group: &str) -> Result<Vec<Vec<f32>>, TrainError> {
        let lengths = self.executor.ranges().into_iter().map(|range| range.len());
        self.group(file, group, lengths)
    }

    /// The state of a callback, of as many tensors as there are.
    fn callback(
        &self,
        file: &SafeTensors<'_>,
        callback: usize,
    ) -> Result<Vec<Vec<f32>>, TrainError> {
        let mut state = Vec::new();
        while let Ok(tensor) = file.tensor(&format!("callback/{callback}/{}", state.len())) {
            if tensor.dtype() != Dtype::F32 {
                return Err(self.damaged(&"the state of a callback holds no floats"));
            }
            state.push(floats(tensor.data()));
        }
        Ok(state)
    }

    fn group(
        &self,
        file: &SafeTensors<'_>,
        group: &str,
        lengths: impl Iterator<Item = usize>,
    ) -> Result<Vec<Vec<f32>>, TrainError> {
        let tensors = lengths.enumerate().map(|(index, length)| {
            let name = format!("{group}/{index}");
            let tensor = file.tensor(&name).map_err(|error| self.damaged(&error))?;
            if tensor.dtype() != Dtype::F32 || tensor.shape() != [length] {
                let problem = format!("tensor `{name}` is no {length} floats");
                return Err(self.damaged(&problem));
            }
            Ok(floats(tensor.data()))
        });
        tensors.collect()
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let words = bytes.chunks_exact(4);
    words
        .filter_map(|word| Some(f32::from_le_bytes(word.try_into().ok()?)))
        .collect()
}
