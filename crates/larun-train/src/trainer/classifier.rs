//! A network with its classification loss.

use larun_graph::ops::Op;
use larun_graph::{Graph, GraphError, Place, TensorId};

use super::metrics::Tally;
use super::{Confusion, Scores, TrainingData};
use crate::ops::{Differentiable, SoftmaxCrossEntropy, Tape, View};
use crate::{Executor, Mode, TrainError};

/// Samples per batch when nothing is trained.
const EVALUATION_BATCH: usize = 128;

/// A network whose output is one score a class, with softmax cross-entropy on its logits.
#[derive(Debug)]
pub(super) struct Classifier {
    pub(super) executor: Executor,
    pub(super) classes: usize,
    /// Values of one point of a sample.
    pub(super) channels: usize,
    /// The scores before a final SOFTMAX.
    logits: TensorId,
    /// The node that computes them, for messages.
    output: Place,
    /// The samples and labels of the current batch, and the gradient of the logits.
    x: Vec<f32>,
    labels: Vec<u32>,
    saved: Vec<f32>,
    gradient: Vec<f32>,
}

impl Classifier {
    pub(super) fn new(graph: &Graph) -> Result<Self, TrainError> {
        let executor = Executor::new(graph)?;
        let subgraph = graph.main().ok_or(GraphError::NoSubgraph)?;
        let (&[input], &[output]) = (subgraph.inputs.as_slice(), subgraph.outputs.as_slice())
        else {
            return Err(TrainError::Data(format!(
                "a classifier has one input and one output, the graph has {} and {}",
                subgraph.inputs.len(),
                subgraph.outputs.len()
            )));
        };
        let place = Place::tensor(subgraph, output);
        let refuse = |reason: &str| TrainError::Unsupported {
            place: place.clone(),
            reason: reason.to_owned(),
        };
        let classes = match executor.output_shape(0) {
            Some(&[1, classes]) => classes,
            _ => {
                return Err(refuse(
                    "a classifier's output must have the shape [1, classes]",
                ));
            }
        };
        if classes < 2 {
            return Err(refuse("a classifier must tell at least two classes apart"));
        }
        let mut nodes = subgraph.nodes.iter();
        let logits = match nodes.find(|node| node.outputs.contains(&output)) {
            Some(node) => match node.known() {
                Some(Op::Softmax(options)) if options.beta == 1.0 => {
                    node.input(0).unwrap_or(output)
                }
                Some(Op::Softmax(_)) => return Err(refuse("the beta of its SOFTMAX must be 1")),
                _ => output,
            },
            None => return Err(refuse("no operator computes the output")),
        };
        Ok(Self {
            executor,
            classes,
            channels: subgraph
                .tensor(input)
                .map_or(1, |tensor| tensor.shape.last()),
            logits,
            output: place,
            x: Vec::new(),
            labels: Vec::new(),
            saved: Vec::new(),
            gradient: Vec::new(),
        })
    }

    /// The error that the network cannot be trained.
    pub(super) fn refuse(&self, reason: &str) -> TrainError {
        TrainError::Unsupported {
            place: self.output.clone(),
            reason: reason.to_owned(),
        }
    }

    /// Runs a batch forwards and backwards. Returns the loss; the executor holds the gradients. `augment` may change the
    /// values of each sample.
    pub(super) fn train_batch(
        &mut self,
        data: &TrainingData<'_>,
        samples: &[usize],
        tally: &mut Tally,
        augment: impl Fn(usize, &mut [f32]),
    ) -> Result<f32, TrainError> {
        let loss = self.forward(data, samples, Mode::Training, tally, augment)?;
        let loss_operator = SoftmaxCrossEntropy {
            labels: core::mem::take(&mut self.labels),
        };
        let logits = self.executor.value(self.logits).unwrap_or(&[]);
        let shape = [samples.len(), self.classes];
        self.gradient.resize(logits.len(), 0.0);
        loss_operator.backward(
            Tape {
                inputs: &[View {
                    data: logits,
                    shape: &shape,
                }],
                output: View {
                    data: &[loss],
                    shape: &[],
                },
                saved: &self.saved,
                gradient: &[1.0],
            },
            &mut [Some(&mut self.gradient)],
        );
        self.labels = loss_operator.labels;
        self.executor.backward(&[(self.logits, &self.gradient)])?;
        Ok(loss)
    }

    /// Loss and answers on some samples, with the running averages.
    pub(super) fn evaluate(
        &mut self,
        data: &TrainingData<'_>,
        samples: &[usize],
    ) -> Result<(Scores, Confusion), TrainError> {
        let mut tally = Tally::new(self.classes);
        for samples in samples.chunks(EVALUATION_BATCH) {
            self.forward(data, samples, Mode::Inference, &mut tally, |_, _| {})?;
        }
        Ok((tally.scores(), tally.confusion))
    }

    /// Measures the moments of batch normalisation anew on batches of some samples.
    pub(super) fn measure(
        &mut self,
        data: &TrainingData<'_>,
        batches: core::slice::Chunks<'_, usize>,
    ) -> Result<(), TrainError> {
        let mut tally = Tally::new(self.classes);
        for (before, samples) in batches.enumerate() {
            self.forward(
                data,
                samples,
                Mode::Measuring(before),
                &mut tally,
                |_, _| {},
            )?;
        }
        Ok(())
    }

    /// The first parameter with a value that is no number.
    pub(super) fn lost_parameter(&self) -> Option<Place> {
        let mut parameters = self.executor.parameters().iter();
        let lost = parameters.find(|p| p.values().iter().any(|value| !value.is_finite()))?;
        Some(Place::Tensor {
            index: lost.tensor().0,
            name: lost.name().to_owned(),
        })
    }

    /// The first node with a value that is no number in the last forward pass.
    pub(super) fn culprit(&self) -> Place {
        self.executor
            .first_not_finite()
            .unwrap_or(&self.output)
            .clone()
    }

    fn forward(
        &mut self,
        data: &TrainingData<'_>,
        samples: &[usize],
        mode: Mode,
        tally: &mut Tally,
        augment: impl Fn(usize, &mut [f32]),
    ) -> Result<f32, TrainError> {
        self.x.clear();
        self.labels.clear();
        for &sample in samples {
            let start = self.x.len();
            self.x.extend_from_slice(data.sample(sample));
            augment(sample, &mut self.x[start..]);
            self.labels.push(data.y[sample]);
        }
        self.executor.forward(samples.len(), &[&self.x], mode)?;
        let logits = self.executor.value(self.logits).unwrap_or(&[]);
        let shape = [samples.len(), self.classes];
        let operator = SoftmaxCrossEntropy {
            labels: core::mem::take(&mut self.labels),
        };
        let place = || self.output.clone();
        operator
            .output_shape(&[&shape])
            .map_err(|source| TrainError::Shape {
                place: place(),
                source,
            })?;
        let mut loss = [0.0];
        operator.forward(
            &[View {
                data: logits,
                shape: &shape,
            }],
            &mut loss,
            &mut self.saved,
        );
        self.labels = operator.labels;
        tally.add(loss[0], logits, &self.labels);
        Ok(loss[0])
    }
}
