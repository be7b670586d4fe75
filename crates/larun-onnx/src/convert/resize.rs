//! Images of another size, and blocks of pixels moved to channels and back.

use larun_graph::ops::{
    DepthToSpaceOptions, GatherOptions, Op, ResizeBilinearOptions, ResizeNearestNeighborOptions,
    SpaceToDepthOptions,
};

use super::Converter;
use super::conv::{image_slots, image_view, spatial};
use crate::error::Refusal;
use crate::net::to_i32;
use crate::node::OnnxNode;
use crate::view::View;

pub(super) fn resize(converter: &mut Converter<'_>, node: OnnxNode<'_>) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    let size = spatial(&view)?;
    let wanted = wanted(converter, node, &view, size)?;
    let mode = node.text("mode").unwrap_or("nearest");
    let coordinates = node
        .text("coordinate_transformation_mode")
        .unwrap_or("half_pixel");
    let (align_corners, half_pixel_centers) = match coordinates {
        "half_pixel" => (false, true),
        // Differs from half_pixel where the output has one position only.
        "pytorch_half_pixel" if !wanted.contains(&1) || view.rank() == 3 => (false, true),
        "align_corners" => (true, false),
        "asymmetric" => (false, false),
        other => return Err(format!("coordinates by '{other}' have no counterpart")),
    };
    let op = match mode {
        "linear" => Op::ResizeBilinear(ResizeBilinearOptions {
            align_corners,
            half_pixel_centers,
            ..ResizeBilinearOptions::default()
        }),
        "nearest" => {
            let rounding = node.text("nearest_mode").unwrap_or("round_prefer_floor");
            let whole = wanted.iter().zip(size).all(|(&w, s)| w % s == 0);
            // By a whole factor every usual rule repeats each element.
            let repeats = whole
                && matches!(
                    (coordinates, rounding),
                    ("asymmetric", "floor")
                        | (
                            "half_pixel" | "pytorch_half_pixel",
                            "round_prefer_floor" | "round_prefer_ceil"
                        )
                );
            let floor = coordinates == "asymmetric" && rounding == "floor";
            if !repeats && !floor {
                return Err(format!(
                    "nearest neighbours by '{coordinates}' and '{rounding}' have no counterpart but for whole factors"
                ));
            }
            Op::ResizeNearestNeighbor(ResizeNearestNeighborOptions::default())
        }
        other => {
            return Err(format!(
                "mode '{other}' has no counterpart: nearest and linear have"
            ));
        }
    };
    let tensor = converter.net.arrange(&view, image_slots(view.rank())?)?;
    let target = converter.net.ints("size", &wanted)?;
    let output = converter.net.node(op, &[tensor, target])?;
    let view = image_view(converter, output, view.rank())?;
    converter.set_output(node, view);
    Ok(())
}

/// The height and width asked for.
fn wanted(
    converter: &Converter<'_>,
    node: OnnxNode<'_>,
    view: &View,
    size: [usize; 2],
) -> Result<[usize; 2], Refusal> {
    if node.ints("axes").is_some()
        || node
            .text("keep_aspect_ratio_policy")
            .is_some_and(|p| p != "stretch")
    {
        return Err(
            "resizing of chosen axes or with a kept ratio has no counterpart: export it with sizes"
                .to_owned(),
        );
    }
    let rank = view.rank();
    let all = match converter.constant(node, 3, "sizes")? {
        Some(sizes) => crate::fold::sizes(&sizes.to_ints()?)?,
        None => {
            let scales = converter
                .constant(node, 2, "scales")?
                .ok_or("it has neither scales nor sizes")?;
            let dims = view.dims();
            scales
                .to_floats()
                .iter()
                .zip(&dims)
                .map(|(&scale, &dim)| (dim as f32 * scale).floor() as usize)
                .collect()
        }
    };
    let unchanged = all.get(..2) == view.dims().get(..2);
    match (all.get(2..), rank) {
        (Some(&[w]), 3) if unchanged && w > 0 => Ok([size[0], w]),
        (Some(&[h, w]), 4) if unchanged && h > 0 && w > 0 => Ok([h, w]),
        _ => Err(format!(
            "a size of {all:?} for an input of {:?}: height and width can change",
            view.dims()
        )),
    }
}

pub(super) fn depth_space(
    converter: &mut Converter<'_>,
    node: OnnxNode<'_>,
) -> Result<(), Refusal> {
    let view = converter.input(node, 0)?;
    if view.rank() != 4 {
        return Err(format!(
            "its input has {} axes, 4 are expected",
            view.rank()
        ));
    }
    let block = node
        .int("blocksize")
        .and_then(|b| usize::try_from(b).ok())
        .filter(|&b| b > 0)
        .ok_or("it has no blocksize")?;
    let block_size = to_i32(block)?;
    let mut tensor = converter.net.arrange(&view, image_slots(4)?)?;
    let op = match node.op() {
        "SpaceToDepth" => Op::SpaceToDepth(SpaceToDepthOptions { block_size }),
        _ => {
            if node.text("mode") == Some("CRD") {
                // Channels from channel-major to the block-major order of the file format.
                let channels = view.dim(1);
                let blocks = block.checked_mul(block).filter(|&b| channels % b == 0);
                let blocks = blocks
                    .ok_or_else(|| format!("{channels} channels do not fill blocks of {block}"))?;
                let order: Vec<usize> = (0..channels)
                    .map(|c| c % (channels / blocks) * blocks + c / (channels / blocks))
                    .collect();
                let order = converter.net.ints("channels", &order)?;
                tensor = converter.net.node(
                    Op::Gather(GatherOptions {
                        axis: 3,
                        batch_dims: 0,
                    }),
                    &[tensor, order],
                )?;
            }
            Op::DepthToSpace(DepthToSpaceOptions { block_size })
        }
    };
    let output = converter.net.node(op, &[tensor])?;
    let view = image_view(converter, output, 4)?;
    converter.set_output(node, view);
    Ok(())
}
