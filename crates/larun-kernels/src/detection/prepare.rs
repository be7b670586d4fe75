//! What a detection checks when a model is loaded.

use larun_ops::{DetectionPostProcessOptions, ElementType};

use super::DetectionParameters;
use crate::operand::Operand;
use crate::{NodeView, Reason, Refusal};

/// The sizes and thresholds of a node.
pub(super) fn parameters(
    options: &DetectionPostProcessOptions,
    node: &dyn NodeView,
) -> Result<DetectionParameters, Refusal> {
    Operand::all_have_type(node, ElementType::Float32)?;
    let encoded = Operand::input(node, 0)?;
    let scores = Operand::input(node, 1)?;
    let [boxes, coordinates] = of_each_box(&encoded)?;
    let [_, classes_with_background] = of_each_box(&scores)?;
    scores.has_dims(&[1, boxes, classes_with_background])?;
    Operand::input(node, 2)?.has_dims(&[boxes, 4])?;
    if coordinates < 4 {
        let (axis, found, expected) = (2, coordinates, 4);
        return Err(encoded.refuse(Reason::Dimension {
            axis,
            found,
            expected,
        }));
    }
    let classes = at_least_one("number of classes", options.num_classes)?;
    if classes_with_background != classes && classes_with_background != classes.saturating_add(1) {
        let (axis, found, expected) = (2, classes_with_background, classes);
        return Err(scores.refuse(Reason::Dimension {
            axis,
            found,
            expected,
        }));
    }
    let max_detections = at_least_one("maximum of detections", options.max_detections)?;
    let overlap = options.nms_iou_threshold;
    if !(overlap > 0.0 && overlap <= 1.0) {
        let (what, found) = ("overlap in percent", (overlap * 100.0) as i32);
        return Err(Refusal::options(Reason::Option { what, found }));
    }
    let what = "maximum of classes of a detection";
    let classes_of_box = at_least_one(what, options.max_classes_per_detection)?;
    let what = "maximum of detections of a class";
    let (detections_of_class, needed) = match options.use_regular_nms {
        true => {
            let of_class = at_least_one(what, options.detections_per_class)?;
            (of_class, max_detections)
        }
        false => (0, max_detections.saturating_mul(classes_of_box)),
    };
    Ok(DetectionParameters {
        boxes,
        coordinates,
        scores: classes_with_background,
        classes,
        places: places(node, needed)?,
        max_detections,
        classes_of_box,
        detections_of_class,
        least_score: options.nms_score_threshold,
        most_overlap: overlap,
        scales: [
            options.y_scale,
            options.x_scale,
            options.h_scale,
            options.w_scale,
        ],
    })
}

fn at_least_one(what: &'static str, found: i32) -> Result<usize, Refusal> {
    match usize::try_from(found) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(Refusal::options(Reason::Option { what, found })),
    }
}

/// The boxes of `[1, N, K]`, and the values of each.
fn of_each_box(operand: &Operand<'_>) -> Result<[usize; 2], Refusal> {
    let dims = operand.info.shape.dims();
    let &[_, boxes, values] = dims else {
        let (found, expected) = (dims.len(), 3);
        return Err(operand.refuse(Reason::Rank { found, expected }));
    };
    operand.has_dims(&[1, boxes, values])?;
    Ok([boxes, values])
}

/// The places for detections in the outputs: `[1, D, 4]`, `[1, D]`, `[1, D]` and `[1]`.
fn places(node: &dyn NodeView, needed: usize) -> Result<usize, Refusal> {
    let classes = Operand::output(node, 1)?;
    let places = classes.elements()?;
    if places < needed {
        let (found, expected) = (places, needed);
        return Err(classes.refuse(Reason::Elements { found, expected }));
    }
    Operand::output(node, 0)?.has_elements(places.saturating_mul(4))?;
    Operand::output(node, 2)?.has_elements(places)?;
    Operand::output(node, 3)?.has_elements(1)?;
    Ok(places)
}
