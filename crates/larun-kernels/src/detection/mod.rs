//! TFLite_Detection_PostProcess: of many boxes with scores, the best that do not overlap.
//!
//! Boxes are taken one by one, the best score first (of equal ones the first), and drop those that overlap too far. Looking
//! for the best that is left needs no sorting, and little memory.

mod boxes;
mod prepare;

use larun_ops::{Op, op};

use crate::operand::wrong_op;
use crate::plan::{Record, record};
use crate::window::nonzero;
use crate::{
    InvokeError, Io, Kernel, Memory, NodeView, PlanReader, PlanWriter, Refusal, check_len,
    check_scratch,
};
use boxes::Corners;

impl Kernel for op::DetectionPostProcess {
    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        match node.op() {
            Op::DetectionPostProcess(options) => {
                let parameters = prepare::parameters(options, node)?;
                let scratch = detection_scratch_len(&parameters);
                plan.request_scratch(scratch.saturating_mul(size_of::<f32>()));
                parameters.write(plan);
                Ok(())
            }
            _ => Err(wrong_op::<Self>(node)),
        }
    }

    fn invoke(mut plan: PlanReader<'_>, mut io: Io<'_>) -> Result<(), InvokeError> {
        let parameters = DetectionParameters::read(&mut plan)?;
        let detections = Detections {
            boxes: io.output(0)?,
            classes: io.output(1)?,
            scores: io.output(2)?,
            count: io.output(3)?,
        };
        let scratch = io.scratch()?;
        let io = io.freeze();
        let inputs = [io.input(0)?, io.input(1)?, io.input(2)?];
        detect(&parameters, inputs, detections, scratch)
    }
}

record! {
    /// Sizes and thresholds of a detection.
    pub struct DetectionParameters {
        /// Boxes, `N`.
        pub boxes: usize,
        /// Values of one box, at least 4; those from the fifth on are passed over.
        pub coordinates: usize,
        /// Scores of one box: as many as classes, or one more, that of the background, which comes first.
        pub scores: usize,
        /// Classes, without the background.
        pub classes: usize,
        /// Places for detections in the outputs.
        pub places: usize,
        /// Most boxes to give; where each class is looked at by itself, most detections.
        pub max_detections: usize,
        /// Places of one box, each for one of its classes.
        pub classes_of_box: usize,
        /// Most detections of one class, where each is looked at by itself; 0 where boxes are taken for their best class.
        pub detections_of_class: usize,
        /// Least score.
        pub least_score: f32,
        /// Overlap above which the lesser of two boxes is dropped.
        pub most_overlap: f32,
        /// Divisors of a box's `[y, x, height, width]`.
        pub scales: [f32; 4],
    }
}

/// Elements of scratch memory that [`detect`] needs: four edges and a score of each box.
#[must_use]
pub const fn detection_scratch_len(parameters: &DetectionParameters) -> usize {
    parameters.boxes.saturating_mul(5)
}

/// What is detected. Places behind the last detection are 0.
#[derive(Debug)]
pub struct Detections<'a> {
    /// `[y_min, x_min, y_max, x_max]` of each.
    pub boxes: &'a mut [f32],
    /// The class of each.
    pub classes: &'a mut [f32],
    /// The score of each.
    pub scores: &'a mut [f32],
    /// How many there are.
    pub count: &'a mut [f32],
}

/// Of boxes `[N, coordinates]`, their scores `[N, scores]` and anchors `[N, 4]`, the best that do not overlap.
///
/// A box without extent is never detected; TFLM fails on it.
///
/// # Errors
/// [`InvokeError::Length`] when a slice has another length than the parameters say.
pub fn detect(
    parameters: &DetectionParameters,
    inputs: [&[f32]; 3],
    mut detections: Detections<'_>,
    scratch: &mut [f32],
) -> Result<(), InvokeError> {
    parameters.check(&inputs, &detections)?;
    let [encoded, scores, anchors] = inputs;
    let scratch = check_scratch(scratch, detection_scratch_len(parameters))?;
    let split = scratch.split_at_mut_checked(parameters.boxes);
    let (candidates, edges) = split.unwrap_or_default();
    let (edges, _) = edges.as_chunks_mut();
    let (anchors, _) = anchors.as_chunks();
    let encoded = encoded.chunks_exact(nonzero(parameters.coordinates));
    for ((edges, encoded), &anchor) in edges.iter_mut().zip(encoded).zip(anchors) {
        let encoded = encoded.first_chunk().copied().unwrap_or_default();
        *edges = Corners::decode(encoded, anchor, parameters.scales).to_array();
    }
    detections.clear();
    let suppression = Suppression {
        parameters,
        edges,
        scores,
    };
    match parameters.detections_of_class {
        0 => suppression.by_box(candidates, &mut detections),
        _ => suppression.by_class(candidates, &mut detections),
    }
    Ok(())
}

impl DetectionParameters {
    fn check(&self, inputs: &[&[f32]; 3], detections: &Detections<'_>) -> Result<(), InvokeError> {
        for (index, (input, each)) in inputs
            .iter()
            .zip([self.coordinates, self.scores, 4])
            .enumerate()
        {
            let expected = self.boxes.checked_mul(each).ok_or(InvokeError::Plan)?;
            check_len(Memory::input(index), input.len(), expected)?;
        }
        let edges = self.places.checked_mul(4).ok_or(InvokeError::Plan)?;
        check_len(Memory::output(0), detections.boxes.len(), edges)?;
        check_len(Memory::output(1), detections.classes.len(), self.places)?;
        check_len(Memory::output(2), detections.scores.len(), self.places)?;
        check_len(Memory::output(3), detections.count.len(), 1)
    }
}

impl Detections<'_> {
    fn clear(&mut self) {
        for output in [&mut *self.boxes, &mut *self.classes, &mut *self.scores] {
            output.fill(0.0);
        }
        self.set_count(0);
    }

    fn set_count(&mut self, count: usize) {
        self.count.fill(count as f32);
    }

    /// Writes a detection to a place, if there is such a place.
    fn set(&mut self, place: usize, edges: [f32; 4], class: usize, score: f32) {
        let (boxes, _) = self.boxes.as_chunks_mut();
        if let Some(at) = boxes.get_mut(place) {
            *at = edges;
        }
        if let Some(at) = self.classes.get_mut(place) {
            *at = class as f32;
        }
        if let Some(at) = self.scores.get_mut(place) {
            *at = score;
        }
    }

    /// Puts a detection behind those of at least its score among the first `count`, and moves the others by a place;
    /// the last of `most` falls out. How many there are then.
    fn insert(
        &mut self,
        [count, most]: [usize; 2],
        edges: [f32; 4],
        class: usize,
        score: f32,
    ) -> usize {
        let among = self.scores.get(..count).unwrap_or(&[]);
        let place = among.partition_point(|&other| other >= score);
        if place >= most {
            return count;
        }
        let count = (count + 1).min(most);
        for of_place in [&mut *self.classes, &mut *self.scores] {
            let moved = of_place.get_mut(place..count).unwrap_or_default();
            moved.copy_within(..moved.len().saturating_sub(1), moved.len().min(1));
        }
        let (boxes, _) = self.boxes.as_chunks_mut::<4>();
        let moved = boxes.get_mut(place..count).unwrap_or_default();
        moved.copy_within(..moved.len().saturating_sub(1), moved.len().min(1));
        self.set(place, edges, class, score);
        count
    }
}

/// The search for the best boxes.
struct Suppression<'a> {
    parameters: &'a DetectionParameters,
    edges: &'a [[f32; 4]],
    scores: &'a [f32],
}

impl Suppression<'_> {
    /// The scores of a box, without that of the background.
    fn scores_of(&self, number: usize) -> &[f32] {
        let DetectionParameters {
            scores, classes, ..
        } = *self.parameters;
        let of_box = self.scores.chunks_exact(nonzero(scores)).nth(number);
        let from = scores.saturating_sub(classes);
        of_box.and_then(|of_box| of_box.get(from..)).unwrap_or(&[])
    }

    /// Boxes for their best class, each with its best classes.
    fn by_box(&self, candidates: &mut [f32], detections: &mut Detections<'_>) {
        let parameters = self.parameters;
        self.gather(candidates, |scores| best(scores).map(|(_, score)| score));
        let mut count = 0;
        self.select(candidates, parameters.max_detections, |number, _| {
            let scores = self.scores_of(number);
            let mut last = None;
            for place in 0..parameters.classes_of_box.min(parameters.classes) {
                last = next_best(scores, last);
                if let Some((class, score)) = last {
                    let place = parameters.classes_of_box * count + place;
                    detections.set(place, self.edges_of(number), class, score);
                }
            }
            count += 1;
        });
        detections.set_count(count);
    }

    /// The best of every class, then the best of all.
    fn by_class(&self, candidates: &mut [f32], detections: &mut Detections<'_>) {
        let parameters = self.parameters;
        let most = parameters.max_detections.min(parameters.places);
        let mut count = 0;
        for class in 0..parameters.classes {
            self.gather(candidates, |scores| scores.get(class).copied());
            self.select(
                candidates,
                parameters.detections_of_class,
                |number, score| {
                    count = detections.insert([count, most], self.edges_of(number), class, score);
                },
            );
        }
        detections.set_count(count);
    }

    fn edges_of(&self, number: usize) -> [f32; 4] {
        self.edges.get(number).copied().unwrap_or_default()
    }

    /// The score of every box, NaN where it is too low or the box is none.
    fn gather(&self, candidates: &mut [f32], score: impl Fn(&[f32]) -> Option<f32>) {
        for (number, candidate) in candidates.iter_mut().enumerate() {
            let is_box = !Corners::from_array(self.edges_of(number)).is_empty();
            *candidate = score(self.scores_of(number))
                .filter(|&score| is_box && score >= self.parameters.least_score)
                .unwrap_or(f32::NAN);
        }
    }

    /// Takes up to `most` boxes, each the best that is left, and drops those that overlap it. A candidate that is taken
    /// or dropped becomes NaN.
    fn select(&self, candidates: &mut [f32], most: usize, mut each: impl FnMut(usize, f32)) {
        for _ in 0..most.min(candidates.len()) {
            let Some((number, score)) = best(candidates) else {
                return;
            };
            each(number, score);
            let taken = Corners::from_array(self.edges_of(number));
            for (other, candidate) in candidates.iter_mut().enumerate() {
                let edges = Corners::from_array(self.edges_of(other));
                let drops = || taken.overlap(&edges) > self.parameters.most_overlap;
                if other == number || (!candidate.is_nan() && drops()) {
                    *candidate = f32::NAN;
                }
            }
        }
    }
}

/// The largest value and where it is; of equal ones the first. NaN counts for nothing.
fn best(values: &[f32]) -> Option<(usize, f32)> {
    next_best(values, None)
}

/// The largest value that comes after another in the order of decreasing values, equal ones in their order.
fn next_best(values: &[f32], last: Option<(usize, f32)>) -> Option<(usize, f32)> {
    let mut best: Option<(usize, f32)> = None;
    for (at, &value) in values.iter().enumerate() {
        let comes_after =
            last.is_none_or(|(last_at, last)| value < last || (value == last && at > last_at));
        let is_better = best.is_none_or(|(_, best)| value > best);
        if comes_after && is_better && !value.is_nan() {
            best = Some((at, value));
        }
    }
    best
}
