//! A network with its loss: what a batch costs, what its gradient is, and what is measured of the answers.

use larun_graph::ops::Op;
use larun_graph::{Graph, GraphError, Place, Subgraph, TensorId};

use super::augment::Extent;
use super::callback::{Batch, Callback, Seeds, Step};
use super::data::TaskShape;
use super::metrics::Tally;
use super::{Augmentation, Confusion, Loss, Scores, TrainConfig, TrainingData};
use crate::ops::{
    BinaryCrossEntropy, Differentiable, MeanSquaredError, SoftmaxCrossEntropy, Tape, View,
};
use crate::{Executor, Mode, TrainError};

/// Samples per batch when nothing is trained.
const EVALUATION_BATCH: usize = 128;

/// The choices of a loss.
#[derive(Clone, Debug, Default)]
pub(super) struct LossSettings {
    loss: Loss,
    label_smoothing: f32,
    class_weights: Vec<f32>,
}

impl From<&TrainConfig> for LossSettings {
    fn from(config: &TrainConfig) -> Self {
        Self {
            loss: config.loss,
            label_smoothing: config.label_smoothing,
            class_weights: config.class_weights.clone(),
        }
    }
}

/// A network of one input and one output with its loss.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) executor: Executor,
    /// Classes that labels name; 0 where they play no part.
    pub(super) classes: usize,
    /// The shape of a sample.
    extent: Extent,
    settings: LossSettings,
    /// Values of the output of one sample.
    outputs: usize,
    /// The scores before a final SOFTMAX or LOGISTIC.
    logits: TensorId,
    /// The tensor that the loss is of, for messages.
    output: Place,
    /// The samples and labels of the current batch, and the gradient of the logits.
    x: Vec<f32>,
    labels: Vec<u32>,
    saved: Vec<f32>,
    seeds: Seeds,
}

impl Task {
    pub(super) fn new(graph: &Graph, settings: LossSettings) -> Result<Self, TrainError> {
        Self::with_executor(graph, Executor::new(graph)?, settings)
    }

    pub(super) fn with_executor(
        graph: &Graph,
        executor: Executor,
        settings: LossSettings,
    ) -> Result<Self, TrainError> {
        let subgraph = graph.main().ok_or(GraphError::NoSubgraph)?;
        let (&[input], &[output]) = (subgraph.inputs.as_slice(), subgraph.outputs.as_slice())
        else {
            return Err(TrainError::Data(format!(
                "a network that is trained has one input and one output, the graph has {} and {}",
                subgraph.inputs.len(),
                subgraph.outputs.len()
            )));
        };
        let place = Place::tensor(subgraph, output);
        let shape = executor.output_shape(0).unwrap_or(&[]).to_vec();
        let ends = End {
            subgraph,
            output,
            place: &place,
        };
        let (logits, classes) = ends.read(settings.loss, &shape)?;
        if !settings.class_weights.is_empty() && settings.class_weights.len() != classes {
            return Err(TrainError::Config {
                name: "class_weights",
                problem: format!(
                    "there are {} of them for {classes} classes",
                    settings.class_weights.len()
                ),
            });
        }
        Ok(Self {
            executor,
            classes,
            extent: Extent::of(
                &subgraph
                    .tensor(input)
                    .map_or_else(Vec::new, |tensor| tensor.shape.dims().to_vec()),
            ),
            settings,
            outputs: shape.iter().product(),
            logits,
            output: place,
            x: Vec::new(),
            labels: Vec::new(),
            saved: Vec::new(),
            seeds: Seeds::default(),
        })
    }

    /// The sizes that the data must have.
    pub(super) fn shape(&self, has_targets: bool) -> TaskShape {
        TaskShape {
            input: self.executor.input_len(0).unwrap_or(0),
            classes: match self.settings.loss {
                Loss::BinaryCrossEntropy if has_targets => 0,
                _ => self.classes,
            },
            target: self.outputs,
            needs_targets: self.settings.loss == Loss::MeanSquaredError,
        }
    }

    /// The error that the network cannot be trained.
    pub(super) fn refuse(&self, reason: &str) -> TrainError {
        refuse(&self.output, reason)
    }

    /// Runs a batch forwards and backwards. Returns the loss; the executor holds the gradients.
    pub(super) fn train_batch(
        &mut self,
        data: &TrainingData<'_>,
        samples: &[usize],
        tally: &mut Tally,
        step: StepNumbers,
        (augmentation, seed): (Augmentation, u64),
        callbacks: &mut [Box<dyn Callback + '_>],
    ) -> Result<f32, TrainError> {
        for callback in callbacks.iter_mut() {
            callback.before_step(&step.of(&self.executor))?;
        }
        let extent = self.extent;
        let augment = |sample: usize, values: &mut [f32]| {
            augmentation.apply(seed, step.epoch, sample, extent, data, values);
            for callback in callbacks.iter_mut() {
                callback.augment(seed, step.epoch, sample, values);
            }
        };
        let (operator, mut loss) = self.forward(data, samples, Mode::Training, tally, augment)?;
        let weight: f32 = callbacks.iter().map(|c| c.task_weight()).product();
        let gradient = self.logits_gradient(operator.as_ref(), loss, weight, samples.len());
        let mut seeds = core::mem::take(&mut self.seeds);
        seeds.clear();
        seeds.add(self.logits, gradient);
        if !callbacks.is_empty() {
            loss *= weight;
            let batch = Batch {
                step: step.of(&self.executor),
                samples,
                inputs: &self.x,
                labels: &self.labels,
                logits: self.logits,
                executor: &self.executor,
            };
            for callback in callbacks.iter_mut() {
                loss += callback.loss(&batch, &mut seeds)?;
            }
        }
        if loss.is_finite() {
            let all: Vec<_> = seeds.iter().collect();
            self.executor.backward(&all)?;
        }
        self.seeds = seeds;
        Ok(loss)
    }

    /// Lets callbacks change the gradients.
    pub(super) fn change_gradients(
        &mut self,
        step: StepNumbers,
        callbacks: &mut [Box<dyn Callback + '_>],
    ) -> Result<(), TrainError> {
        let (parameters, gradients) = self.executor.parameters_and_gradients();
        for callback in callbacks {
            callback.gradients(&step.with(parameters), gradients)?;
        }
        Ok(())
    }

    fn logits_gradient(
        &self,
        operator: &dyn Differentiable,
        loss: f32,
        weight: f32,
        samples: usize,
    ) -> Vec<f32> {
        let logits = self.executor.value(self.logits).unwrap_or(&[]);
        let shape = [samples, self.outputs];
        let mut gradient = vec![0.0; logits.len()];
        let tape = Tape {
            inputs: &[View {
                data: logits,
                shape: &shape,
            }],
            output: View {
                data: &[loss],
                shape: &[],
            },
            saved: &self.saved,
            gradient: &[weight],
        };
        operator.backward(tape, &mut [Some(&mut gradient)]);
        gradient
    }

    /// Loss and answers on some samples, with the running averages.
    pub(super) fn evaluate(
        &mut self,
        data: &TrainingData<'_>,
        samples: &[usize],
    ) -> Result<(Scores, Confusion), TrainError> {
        let mut tally = Tally::ranked(self.confusion_classes());
        for samples in samples.chunks(EVALUATION_BATCH) {
            self.forward(data, samples, Mode::Inference, &mut tally, |_, _| {})?;
        }
        Ok((tally.scores(), tally.confusion))
    }

    /// The outputs for some samples, one after the other.
    pub(super) fn outputs(
        &mut self,
        data: &TrainingData<'_>,
        samples: &[usize],
    ) -> Result<Vec<f32>, TrainError> {
        let mut tally = Tally::new(self.confusion_classes());
        let mut outputs = Vec::new();
        for samples in samples.chunks(EVALUATION_BATCH) {
            self.forward(data, samples, Mode::Inference, &mut tally, |_, _| {})?;
            outputs.extend_from_slice(self.executor.output(0).unwrap_or(&[]));
        }
        Ok(outputs)
    }

    /// Classes of the table of answers: two where one output tells two classes apart.
    pub(super) fn confusion_classes(&self) -> usize {
        match (self.settings.loss, self.classes) {
            (Loss::MeanSquaredError, _) => 0,
            (_, classes) => classes,
        }
    }

    /// Measures the moments of batch normalisation anew on batches of some samples.
    pub(super) fn measure(
        &mut self,
        data: &TrainingData<'_>,
        batches: core::slice::Chunks<'_, usize>,
    ) -> Result<(), TrainError> {
        let mut tally = Tally::new(self.confusion_classes());
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
        mut augment: impl FnMut(usize, &mut [f32]),
    ) -> Result<(Box<dyn Differentiable>, f32), TrainError> {
        self.x.clear();
        self.labels.clear();
        for &sample in samples {
            let start = self.x.len();
            self.x.extend_from_slice(data.sample(sample));
            augment(sample, &mut self.x[start..]);
            self.labels.extend(data.y.get(sample));
        }
        self.executor.forward(samples.len(), &[&self.x], mode)?;
        let logits = self.executor.value(self.logits).unwrap_or(&[]);
        let operator = self.operator(data, samples);
        let shape = [samples.len(), self.outputs];
        operator
            .output_shape(&[&shape])
            .map_err(|source| TrainError::Shape {
                place: self.output.clone(),
                source,
            })?;
        let mut loss = [0.0];
        let view = View {
            data: logits,
            shape: &shape,
        };
        operator.forward(&[view], &mut loss, &mut self.saved);
        tally.add_loss(loss[0], samples.len());
        self.count(tally, logits);
        Ok((operator, loss[0]))
    }

    fn count(&self, tally: &mut Tally, logits: &[f32]) {
        let labelled = !self.labels.is_empty();
        match self.settings.loss {
            Loss::CrossEntropy => tally.add_answers(&self.saved, &self.labels),
            Loss::BinaryCrossEntropy if self.outputs == 1 && labelled => {
                let answers: Vec<f32> = logits.iter().flat_map(|&x| [0.0, x]).collect();
                tally
                    .confusion
                    .add_batch(&answers, self.labels.iter().copied());
                tally.rank(logits, &self.labels);
            }
            Loss::BinaryCrossEntropy if labelled => tally.add_answers(logits, &self.labels),
            Loss::MeanSquaredError if labelled => {
                let errors: Vec<f32> = self.errors(logits);
                tally.rank(&errors, &self.labels);
            }
            Loss::BinaryCrossEntropy | Loss::MeanSquaredError => {}
        }
    }

    /// The squared error of each sample as a reconstruction of its input; noughts where targets are something else.
    fn errors(&self, outputs: &[f32]) -> Vec<f32> {
        let same = outputs.len() == self.x.len();
        let rows = outputs
            .chunks_exact(self.outputs.max(1))
            .zip(self.x.chunks(self.outputs.max(1)));
        rows.map(|(y, x)| {
            let squares = y.iter().zip(x).map(|(y, x)| (y - x) * (y - x));
            if same { squares.sum() } else { 0.0 }
        })
        .collect()
    }

    /// The loss with what the samples ask of it.
    fn operator(&self, data: &TrainingData<'_>, samples: &[usize]) -> Box<dyn Differentiable> {
        let given = || -> Option<Vec<f32>> {
            data.targets?;
            let targets = samples.iter().filter_map(|&sample| data.target(sample));
            Some(targets.flatten().copied().collect())
        };
        let LossSettings {
            loss,
            label_smoothing,
            class_weights,
        } = &self.settings;
        match loss {
            Loss::CrossEntropy => Box::new(SoftmaxCrossEntropy {
                labels: self.labels.clone(),
                smoothing: *label_smoothing,
                class_weights: class_weights.clone(),
                shares: {
                    let shares = samples.iter();
                    let shares = shares.filter_map(|&s| data.soft_label(s, self.classes));
                    shares.flatten().copied().collect()
                },
            }),
            Loss::BinaryCrossEntropy => {
                let mut targets = given().unwrap_or_else(|| self.binary_targets());
                for target in &mut targets {
                    *target = *target * (1.0 - label_smoothing) + 0.5 * label_smoothing;
                }
                let weights = self.labels.iter().flat_map(|&label| {
                    let weight = class_weights.get(label as usize).copied();
                    core::iter::repeat_n(weight.unwrap_or(1.0), self.outputs)
                });
                let weights = match class_weights.is_empty() {
                    true => Vec::new(),
                    false => weights.collect(),
                };
                Box::new(BinaryCrossEntropy { targets, weights })
            }
            Loss::MeanSquaredError => Box::new(MeanSquaredError {
                targets: given().unwrap_or_else(|| self.x.clone()),
            }),
        }
    }

    /// Labels as noughts and ones: one output says whether it is class 1, several say which class it is.
    fn binary_targets(&self) -> Vec<f32> {
        let one_hot = |&label: &u32| {
            (0..self.outputs).map(move |output| {
                let is_it = match self.outputs {
                    1 => label == 1,
                    _ => label as usize == output,
                };
                f32::from(u8::from(is_it))
            })
        };
        self.labels.iter().flat_map(one_hot).collect()
    }
}

/// The end of a graph.
struct End<'g> {
    subgraph: &'g Subgraph,
    output: TensorId,
    place: &'g Place,
}

impl End<'_> {
    /// The tensor that the loss is of, and how many classes labels name.
    fn read(&self, loss: Loss, shape: &[usize]) -> Result<(TensorId, usize), TrainError> {
        let mut nodes = self.subgraph.nodes.iter();
        let Some(node) = nodes.find(|node| node.outputs.contains(&self.output)) else {
            return Err(refuse(self.place, "no operator computes the output"));
        };
        let before = node.input(0).unwrap_or(self.output);
        match loss {
            Loss::CrossEntropy => {
                let logits = match node.known() {
                    Some(Op::Softmax(options)) if options.beta == 1.0 => before,
                    Some(Op::Softmax(_)) => {
                        return Err(refuse(self.place, "the beta of its SOFTMAX must be 1"));
                    }
                    Some(Op::LogSoftmax(_)) => before,
                    _ => self.output,
                };
                match shape {
                    [others @ .., classes] if others.iter().all(|&size| size == 1) => {
                        if *classes < 2 {
                            let reason = "a classifier must tell at least two classes apart";
                            return Err(refuse(self.place, reason));
                        }
                        Ok((logits, *classes))
                    }
                    _ => Err(refuse(
                        self.place,
                        "a classifier's output must have the shape [1, classes]",
                    )),
                }
            }
            Loss::BinaryCrossEntropy => {
                let logits = match node.known() {
                    Some(Op::Logistic(_)) => before,
                    _ => self.output,
                };
                let outputs: usize = shape.iter().product();
                Ok((logits, outputs.max(2)))
            }
            Loss::MeanSquaredError => Ok((self.output, 0)),
        }
    }
}

fn refuse(place: &Place, reason: &str) -> TrainError {
    TrainError::Unsupported {
        place: place.clone(),
        reason: reason.to_owned(),
    }
}

/// The numbers of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepNumbers {
    pub(super) step: u64,
    pub(super) epoch: usize,
    pub(super) epochs: usize,
    pub(super) batch: usize,
    pub(super) batches: usize,
    pub(super) learning_rate: f32,
}

impl StepNumbers {
    /// As callbacks see it.
    pub(super) fn of(self, executor: &Executor) -> Step<'_> {
        self.with(executor.parameters())
    }

    fn with(self, parameters: &[crate::Parameter]) -> Step<'_> {
        Step {
            step: self.step,
            steps: (self.epochs * self.batches) as u64,
            epoch: self.epoch,
            epochs: self.epochs,
            batch: self.batch,
            batches: self.batches,
            learning_rate: self.learning_rate,
            parameters,
        }
    }
}
