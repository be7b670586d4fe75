//! How much a network suffers when one layer alone is pruned.

use larun_graph::Graph;

use crate::{ChannelGroups, Keep, MagnitudePruning, PruneError, Selection, apply_masks};

/// What a network's quality is with one layer pruned.
#[derive(Clone, Debug, PartialEq)]
pub struct Sensitivity {
    /// The layer, or the group of layers.
    pub name: String,
    /// The shares that were tried, and the quality at each: accuracy or loss, whatever was measured.
    pub points: Vec<(f32, f64)>,
}

/// Prunes the weights of one layer after the other, each share at a time, and measures the rest of the network with it.
///
/// # Errors
/// When a share is impossible, or `evaluate` fails.
pub fn weight_sensitivity(
    graph: &Graph,
    pruning: &MagnitudePruning,
    shares: &[f32],
    mut evaluate: impl FnMut(&Graph) -> Result<f64, PruneError>,
) -> Result<Vec<Sensitivity>, PruneError> {
    let mut layers: Vec<Sensitivity> = Vec::new();
    for &share in shares {
        for (number, mask) in pruning.masks(graph, share)?.into_iter().enumerate() {
            let mut pruned = graph.clone();
            let name = crate::values::tensor(graph, mask.tensor)?.name.clone();
            apply_masks(&mut pruned, &[mask])?;
            let point = (share, evaluate(&pruned)?);
            match layers.get_mut(number) {
                Some(layer) => layer.points.push(point),
                None => layers.push(Sensitivity {
                    name,
                    points: vec![point],
                }),
            }
        }
    }
    Ok(layers)
}

impl ChannelGroups {
    /// Masks channels of one group after the other, each share at a time, and measures the network with it.
    ///
    /// # Errors
    /// As [`weight_sensitivity`].
    pub fn sensitivity(
        &self,
        graph: &Graph,
        scores: &[Option<Vec<f64>>],
        keep: Keep,
        shares: &[f32],
        mut evaluate: impl FnMut(&Graph) -> Result<f64, PruneError>,
    ) -> Result<Vec<Sensitivity>, PruneError> {
        let mut groups = Vec::new();
        let selections: Vec<Selection> = shares
            .iter()
            .map(|&share| self.select_each(scores, share, keep))
            .collect::<Result<_, _>>()?;
        for (number, group) in self.groups().iter().enumerate() {
            if scores.get(number).is_none_or(Option::is_none) {
                continue;
            }
            let mut points = Vec::new();
            for (&share, selection) in shares.iter().zip(&selections) {
                let alone = |(other, gone): (usize, &Vec<usize>)| match other == number {
                    true => gone.clone(),
                    false => Vec::new(),
                };
                let removed = selection.removed.iter().enumerate().map(alone).collect();
                let masked = self.mask(graph, &Selection { removed })?;
                points.push((share, evaluate(&masked)?));
            }
            groups.push(Sensitivity {
                name: group.name.clone(),
                points,
            });
        }
        Ok(groups)
    }
}
