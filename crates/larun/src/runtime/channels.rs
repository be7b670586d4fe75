//! Arrays of models that were imported: channels first in their files, channels last in the graph.

use larun_onnx::Port;
use larun_zoo::npy::NpyArray;

/// An array in the order of the graph, where it has the shape that the file gives the input, behind any axes that count sets
/// or samples; any other array as it is.
pub(super) fn arranged(port: &Port, array: NpyArray) -> NpyArray {
    turned(port, &array).unwrap_or(array)
}

fn turned(port: &Port, array: &NpyArray) -> Option<NpyArray> {
    // The batch may be left out, or count samples itself.
    let own = port.dims.get(1..)?;
    let front = array.shape().len().checked_sub(own.len())?;
    let (front, back) = array.shape().split_at_checked(front)?;
    let axes: Vec<usize> = port.axes.iter().skip(1).flatten().copied().collect();
    let moved: Vec<usize> = axes
        .iter()
        .filter_map(|&axis| port.dims.get(axis).copied())
        .collect();
    if back != own || port.is_as_in_file() || back == moved {
        return None;
    }
    let elements: usize = back.iter().product();
    let size = array
        .bytes()
        .len()
        .checked_div(array.shape().iter().product::<usize>())?;
    let one = Port {
        name: String::new(),
        dims: [&[1], own].concat(),
        axes: port.axes.clone(),
    };
    let order = one.to_graph(&(0..elements).collect::<Vec<_>>())?;
    let mut bytes = Vec::with_capacity(array.bytes().len());
    for sample in array.bytes().chunks_exact(elements * size) {
        for &element in &order {
            bytes.extend_from_slice(sample.get(element * size..(element + 1) * size)?);
        }
    }
    let shape = [front, &moved].concat();
    NpyArray::new(array.element_type(), &shape, bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port() -> Port {
        Port {
            name: "image".to_owned(),
            dims: vec![1, 3, 2, 2],
            axes: vec![Some(0), Some(2), Some(3), Some(1)],
        }
    }

    #[test]
    fn samples_channels_first_are_turned() {
        let values: Vec<f32> = (0..24u8).map(f32::from).collect();
        let array = NpyArray::from_values(&[2, 3, 2, 2], &values).unwrap();
        let turned = arranged(&port(), array);
        assert_eq!(turned.shape(), [2, 2, 2, 3]);
        let turned = turned.to_f32().unwrap();
        assert_eq!(turned[..6], [0.0, 4.0, 8.0, 1.0, 5.0, 9.0]);
        assert_eq!(turned[12..15], [12.0, 16.0, 20.0]);
    }

    #[test]
    fn samples_channels_last_stay() {
        let array = NpyArray::from_values(&[1, 2, 2, 3], &[0.5f32; 12]).unwrap();
        assert_eq!(arranged(&port(), array.clone()), array);
    }
}
