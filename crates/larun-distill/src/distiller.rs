//! Distillation as a callback of the trainer: teachers are run on every batch, and what the student lacks goes into its loss.

use core::fmt;

use larun_graph::ops::Op;
use larun_graph::{Graph, GraphError, TensorId};
use larun_train::{Batch, Callback, Executor, Mode, Seeds, Step, TrainError};

use crate::DistillError;
use crate::features::{FeatureShape, Regressor, attention};
use crate::logits::LogitLoss;
use crate::relations::{angles, distances};

/// A float network that teaches.
#[derive(Debug)]
pub struct Teacher {
    executor: Executor,
    logits: TensorId,
    input_len: usize,
    classes: usize,
    fingerprint: String,
}

impl Teacher {
    /// A network with one input and the output `[1, classes]`; of a SOFTMAX at the end, the input teaches.
    ///
    /// # Errors
    /// When it cannot be run as a float network.
    pub fn new(graph: &Graph) -> Result<Self, DistillError> {
        let executor = Executor::new(graph).map_err(DistillError::Teacher)?;
        let subgraph = graph.main().ok_or(GraphError::NoSubgraph)?;
        let &[output] = subgraph.outputs.as_slice() else {
            return Err(DistillError::Mismatch(format!(
                "a teacher has one output, this one has {}",
                subgraph.outputs.len()
            )));
        };
        let producer = subgraph
            .nodes
            .iter()
            .find(|node| node.outputs.contains(&output));
        let logits = match producer.map(|node| (node, node.known())) {
            Some((node, Some(Op::Softmax(_) | Op::LogSoftmax(_)))) => {
                node.input(0).unwrap_or(output)
            }
            _ => output,
        };
        let sums = executor.parameters().iter().map(|parameter| {
            let values = parameter.values();
            values.iter().map(|&x| f64::from(x)).sum::<f64>()
        });
        Ok(Self {
            input_len: executor.input_len(0).unwrap_or(0),
            classes: executor.output_shape(0).unwrap_or(&[]).iter().product(),
            fingerprint: format!("{:?}", sums.collect::<Vec<_>>()),
            logits,
            executor,
        })
    }

    /// Classes that the network tells apart.
    pub fn classes(&self) -> usize {
        self.classes
    }
}

/// How inner values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureKind {
    /// FitNets: through a regressor.
    Hint,
    /// By their attention maps.
    Attention,
    /// By the distances of samples.
    Distance,
    /// By the angles between samples.
    Angle,
}

/// Inner values of the student that are to be like some of the first teacher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FeaturePair {
    /// How they are compared.
    pub kind: FeatureKind,
    /// The student's tensor.
    pub student: TensorId,
    /// The teacher's tensor.
    pub teacher: TensorId,
    /// What the difference counts in the loss.
    pub weight: f32,
}

/// A pair with what belongs to it.
#[derive(Debug)]
struct Feature {
    pair: FeaturePair,
    shape: FeatureShape,
    regressor: Option<Regressor>,
}

/// Lets a network learn from others: a [`Callback`] whose loss is `task_weight` times the task's own plus `weight` times that of the
/// scores, plus those of inner values.
///
/// With several teachers, the mean of their logits teaches (the geometric mean of their answers).
pub struct Distiller {
    teachers: Vec<Teacher>,
    loss: Box<dyn LogitLoss>,
    description: String,
    task_weight: f32,
    weight: f32,
    features: Vec<Feature>,
}

impl fmt::Debug for Distiller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Distiller")
            .field("teachers", &self.teachers.len())
            .field("loss", &self.description)
            .finish_non_exhaustive()
    }
}

impl Distiller {
    /// Hinton's mixture: `alpha` times the task's loss plus `1 - alpha` times `loss`.
    ///
    /// # Errors
    /// When there is no teacher, teachers differ in their inputs or classes, or `alpha` is not between 0 and 1.
    pub fn new(
        teachers: Vec<Teacher>,
        loss: impl LogitLoss + fmt::Debug + 'static,
        alpha: f32,
    ) -> Result<Self, DistillError> {
        if !(0.0..=1.0).contains(&alpha) {
            return Err(DistillError::Setting {
                name: "alpha",
                problem: "must lie between 0 and 1",
            });
        }
        Self::weighted(teachers, loss, alpha, 1.0 - alpha)
    }

    /// Any weights of the task's loss and of `loss`: decoupled targets stand beside the whole of the task's.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when a weight is negative or no number.
    pub fn weighted(
        teachers: Vec<Teacher>,
        loss: impl LogitLoss + fmt::Debug + 'static,
        task_weight: f32,
        weight: f32,
    ) -> Result<Self, DistillError> {
        let Some(first) = teachers.first() else {
            return Err(DistillError::Mismatch("there is no teacher".to_owned()));
        };
        let is_weight = |weight: f32| weight >= 0.0 && weight.is_finite();
        if !is_weight(task_weight) || !is_weight(weight) {
            return Err(DistillError::Setting {
                name: "weight",
                problem: "must be finite and at least 0",
            });
        }
        let alike =
            |other: &Teacher| other.input_len == first.input_len && other.classes == first.classes;
        if !teachers.iter().all(alike) {
            return Err(DistillError::Mismatch(
                "teachers must have inputs of one size and the same classes".to_owned(),
            ));
        }
        let prints: Vec<&str> = teachers.iter().map(|t| t.fingerprint.as_str()).collect();
        Ok(Self {
            description: format!("{loss:?} {task_weight} {weight} {prints:?}"),
            loss: Box::new(loss),
            task_weight,
            weight,
            teachers,
            features: Vec::new(),
        })
    }

    /// Lets inner values be compared too. `student` is the graph that is trained; `seed` draws the weights of a regressor.
    ///
    /// # Errors
    /// When a tensor does not exist, or values do not have the same positions where they are compared by them.
    pub fn compare(
        &mut self,
        student: &Graph,
        teacher: &Graph,
        pair: FeaturePair,
        seed: u64,
    ) -> Result<(), DistillError> {
        let dims = |graph: &Graph, id: TensorId| {
            let tensor = graph.main().and_then(|subgraph| subgraph.tensor(id));
            tensor
                .map(|tensor| tensor.shape.dims().to_vec())
                .ok_or_else(|| {
                    DistillError::Mismatch(format!("there is no tensor {id} to compare"))
                })
        };
        let (of_student, of_teacher) = (dims(student, pair.student)?, dims(teacher, pair.teacher)?);
        let split = |dims: &[usize]| {
            let channels = dims.last().copied().unwrap_or(1).max(1);
            (dims.iter().product::<usize>() / channels, channels)
        };
        let ((positions, channels), (others, wide)) = (split(&of_student), split(&of_teacher));
        let by_position = matches!(pair.kind, FeatureKind::Hint | FeatureKind::Attention);
        if by_position && positions != others {
            return Err(DistillError::Mismatch(format!(
                "values {of_student:?} and {of_teacher:?} have different positions; choose layers of one size"
            )));
        }
        let shape = FeatureShape {
            positions,
            student: channels,
            teacher: wide,
        };
        self.description.push_str(&format!(" {pair:?} {seed}"));
        let regressor = (pair.kind == FeatureKind::Hint).then(|| Regressor::new(shape, seed));
        self.features.push(Feature {
            pair,
            shape,
            regressor,
        });
        Ok(())
    }

    /// Runs the teachers; the mean of their logits.
    fn teach(&mut self, batch: &Batch<'_>) -> Result<Vec<f32>, TrainError> {
        let samples = batch.samples.len();
        let mut mean: Vec<f32> = Vec::new();
        let share = 1.0 / self.teachers.len() as f32;
        for teacher in &mut self.teachers {
            teacher
                .executor
                .forward(samples, &[batch.inputs], Mode::Inference)?;
            let logits = teacher.executor.value(teacher.logits).unwrap_or(&[]);
            mean.resize(logits.len(), 0.0);
            mean.iter_mut()
                .zip(logits)
                .for_each(|(m, x)| *m += share * x);
        }
        Ok(mean)
    }
}

impl Callback for Distiller {
    fn name(&self) -> &'static str {
        "distillation"
    }

    fn settings(&self) -> String {
        self.description.clone()
    }

    fn task_weight(&self) -> f32 {
        self.task_weight
    }

    fn loss(&mut self, batch: &Batch<'_>, seeds: &mut Seeds) -> Result<f32, TrainError> {
        let targets = self.teach(batch)?;
        let student = batch.executor.value(batch.logits).unwrap_or(&[]);
        if student.len() != targets.len() {
            return Err(TrainError::Data(format!(
                "the student gives {} scores where its teacher gives {}: they must tell the same classes apart",
                student.len(),
                targets.len()
            )));
        }
        let classes = student.len() / batch.samples.len().max(1);
        let zeros = vec![0; batch.samples.len()];
        let labels = match batch.labels.len() == batch.samples.len() {
            true => batch.labels,
            false => &zeros,
        };
        let (value, mut gradient) = self
            .loss
            .value_and_gradient(student, &targets, labels, classes);
        gradient.iter_mut().for_each(|g| *g *= self.weight);
        seeds.add(batch.logits, gradient);
        let mut total = self.weight * value;
        let Some(teacher) = self.teachers.first() else {
            return Ok(total);
        };
        for feature in &mut self.features {
            let FeaturePair {
                kind,
                student,
                teacher: of_teacher,
                weight,
            } = feature.pair;
            let missing = |which: &str, id: TensorId| {
                TrainError::Data(format!("the {which} computes no tensor {id} to compare"))
            };
            let own = batch.executor.value(student);
            let own = own.ok_or_else(|| missing("student", student))?;
            let wanted = teacher.executor.value(of_teacher);
            let wanted = wanted.ok_or_else(|| missing("teacher", of_teacher))?;
            let (value, mut gradient) = match (kind, &mut feature.regressor) {
                (FeatureKind::Hint, Some(regressor)) => regressor.value_and_gradient(own, wanted),
                (FeatureKind::Hint | FeatureKind::Attention, _) => {
                    attention(own, wanted, feature.shape)
                }
                (FeatureKind::Distance, _) => distances(own, wanted, batch.samples.len()),
                (FeatureKind::Angle, _) => angles(own, wanted, batch.samples.len()),
            };
            gradient.iter_mut().for_each(|g| *g *= weight);
            seeds.add(student, gradient);
            total += weight * value;
        }
        Ok(total)
    }

    fn after_step(&mut self, step: &Step<'_>) -> Result<(), TrainError> {
        for feature in &mut self.features {
            if let Some(regressor) = &mut feature.regressor {
                regressor.step(step.learning_rate, step.step + 1);
            }
        }
        Ok(())
    }

    fn state(&self) -> Vec<Vec<f32>> {
        let regressors = self.features.iter().filter_map(|f| f.regressor.as_ref());
        regressors.flat_map(Regressor::state).collect()
    }

    fn restore(&mut self, state: Vec<Vec<f32>>) -> Result<(), String> {
        let mut state = state.into_iter();
        let regressors = self
            .features
            .iter_mut()
            .filter_map(|f| f.regressor.as_mut());
        for regressor in regressors {
            let own = regressor.state().len();
            regressor.restore(state.by_ref().take(own).collect())?;
        }
        match state.next() {
            Some(_) => Err("there is more than the regressors keep".to_owned()),
            None => Ok(()),
        }
    }
}
