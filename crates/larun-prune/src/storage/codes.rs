//! The encodings of TFLM_DECODE: a tensor's bytes as a stream of codes and a description.

use larun_graph::ops::{ElementType, Shape};
use larun_graph::{Quantization, Tensor};

use super::bits::{BitWriter, read_bits};
use super::huffman;

/// Bytes of a description before its values.
const HEADER: usize = 16;
/// Values of a channel's table at most: numbers have 7 bits.
const TABLE: usize = 128;

/// A way to encode a tensor for TFLM_DECODE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// A bit for each element, and the elements that are not zero.
    Pruning,
    /// The number of a value for each element, and the values: 128 at most, of each channel where there is a scale for each.
    Table,
    /// A prefix code for each element.
    Huffman,
}

impl Encoding {
    /// Every encoding.
    pub const ALL: [Self; 3] = [Self::Pruning, Self::Table, Self::Huffman];

    /// What it is called in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pruning => "pruning",
            Self::Table => "table",
            Self::Huffman => "huffman",
        }
    }
}

/// An encoded tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The codes.
    pub stream: Vec<u8>,
    /// The description.
    pub description: Vec<u8>,
}

impl Encoded {
    /// The encoded form of a constant, or why it has none.
    ///
    /// # Errors
    /// The reason, for a report.
    pub fn new(tensor: &Tensor, data: &[u8], encoding: Encoding) -> Result<Self, String> {
        let layout = Layout::of(tensor, data)?;
        match encoding {
            Encoding::Pruning => layout.pruning(data),
            Encoding::Table => layout.table(data),
            Encoding::Huffman => layout.huffman(data),
        }
    }

    /// Bytes of codes and description.
    pub fn len(&self) -> usize {
        self.stream.len() + self.description.len()
    }

    /// Whether there are none, which is never so.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The dense bytes of a tensor, `None` where the description is damaged or not one of these encodings.
    pub fn decode(&self, tensor: &Tensor) -> Option<Vec<u8>> {
        let elements = tensor.shape.elements()?;
        let layout = Layout::new(tensor).ok()?;
        let (size, values) = (layout.size, self.description.get(HEADER..)?);
        if self.description.get(1) != Some(&1) || self.description.get(4) != Some(&1) {
            return None;
        }
        let extra = *self.description.get(5)?;
        // What is claimed must be there before memory is taken for it.
        if elements > 8 * self.stream.len() {
            return None;
        }
        let mut data = Vec::with_capacity(elements * size);
        match *self.description.first()? {
            0 => {
                let (width, stride) =
                    (u32::from(extra & 7), usize::from(*self.description.get(6)?));
                for element in 0..elements {
                    let number = read_bits(&self.stream, element * width as usize, width) as usize;
                    let at = (layout.channel(element) * stride + number) * size;
                    data.extend_from_slice(values.get(at..at + size)?);
                }
            }
            1 => {
                let symbols = huffman::decode(&self.stream, values, extra, elements)?;
                for symbol in symbols {
                    data.extend_from_slice(symbol.to_le_bytes().get(..size)?);
                }
            }
            2 => {
                let mut left = values;
                for element in 0..elements {
                    if read_bits(&self.stream, element, 1) == 1 {
                        let (value, rest) = left.split_at_checked(size)?;
                        data.extend_from_slice(value);
                        left = rest;
                    } else {
                        data.extend_from_slice(&layout.zero(element));
                    }
                }
            }
            _ => return None,
        }
        Some(data)
    }
}

/// Elements and channels of a tensor.
struct Layout<'t> {
    tensor: &'t Tensor,
    /// Bytes of an element.
    size: usize,
    channels: usize,
    /// Neighbouring elements of one channel.
    run: usize,
}

impl<'t> Layout<'t> {
    fn new(tensor: &'t Tensor) -> Result<Self, String> {
        let size = match tensor.element_type {
            ElementType::Int8 => 1,
            ElementType::Int16 => 2,
            ElementType::Float32 | ElementType::Int32 => 4,
            ElementType::Int64 => 8,
            other => return Err(format!("TFLM_DECODE gives no elements of type {other}")),
        };
        let quantization = tensor.quantization.as_ref();
        let channels = quantization.map_or(1, |q| q.scale.len()).max(1);
        let (shape, rank) = (&tensor.shape, tensor.shape.rank());
        let axis = quantization
            .filter(|_| channels > 1)
            .and_then(|q| shape.axis(q.axis));
        let run = match axis {
            None => 1,
            Some(axis) if axis + 1 == rank => 1,
            Some(0) => inner(shape),
            Some(_) => {
                return Err("its channels are neither the first axis nor the last".to_owned());
            }
        };
        Ok(Self {
            tensor,
            size,
            channels,
            run,
        })
    }

    fn of(tensor: &'t Tensor, data: &[u8]) -> Result<Self, String> {
        if tensor.byte_len() != Some(data.len()) || tensor.sparsity.is_some() {
            return Err("it is stored in another way already".to_owned());
        }
        Self::new(tensor)
    }

    fn channel(&self, element: usize) -> usize {
        element / self.run.max(1) % self.channels
    }

    /// The bytes of an element that stands for 0.
    fn zero(&self, element: usize) -> Vec<u8> {
        let points = self
            .tensor
            .quantization
            .as_ref()
            .map_or(&[][..], |q: &Quantization| &q.zero_point);
        let point = points.get(self.channel(element)).or(points.first());
        let point = point.copied().filter(|_| self.size == 1).unwrap_or(0);
        let mut bytes = vec![0; self.size];
        if let Some(first) = bytes.first_mut() {
            *first = point as u8;
        }
        bytes
    }

    fn pruning(&self, data: &[u8]) -> Result<Encoded, String> {
        let mut bitmap = BitWriter::default();
        let mut description = header(2, 0, 0);
        for (element, value) in data.chunks_exact(self.size).enumerate() {
            let stays = value != self.zero(element).as_slice();
            bitmap.push(u32::from(stays), 1);
            if stays {
                description.extend_from_slice(value);
            }
        }
        let stream = bitmap.finish();
        Ok(Encoded {
            stream,
            description,
        })
    }

    fn table(&self, data: &[u8]) -> Result<Encoded, String> {
        let mut values: Vec<Vec<&[u8]>> = vec![Vec::new(); self.channels];
        for (element, value) in data.chunks_exact(self.size).enumerate() {
            let channel = self.channel(element);
            let own = values
                .get_mut(channel)
                .ok_or("its channels do not fit its shape")?;
            if let Err(at) = own.binary_search(&value) {
                own.insert(at, value);
                if own.len() > TABLE {
                    return Err(format!(
                        "it has more than {TABLE} different values; cluster it"
                    ));
                }
            }
        }
        let most = values.iter().map(Vec::len).max().unwrap_or(1).max(1);
        let width = (usize::BITS - (most - 1).leading_zeros()).max(1);
        // A stride of 128 is the most that the header holds in words of old decoders.
        let stride = most;
        let mut stream = BitWriter::default();
        for (element, value) in data.chunks_exact(self.size).enumerate() {
            let own = values.get(self.channel(element));
            let number = own
                .and_then(|own| own.binary_search(&value).ok())
                .unwrap_or(0);
            stream.push(number as u32, width);
        }
        let mut description = header(0, width as u8, stride as u8);
        for own in &values {
            own.iter()
                .for_each(|value| description.extend_from_slice(value));
            let missing = (stride - own.len()) * self.size;
            description.resize(description.len() + missing, 0);
        }
        let stream = stream.finish();
        Ok(Encoded {
            stream,
            description,
        })
    }

    fn huffman(&self, data: &[u8]) -> Result<Encoded, String> {
        let symbols: Vec<u16> = match self.size {
            1 => data.iter().map(|&byte| u16::from(byte)).collect(),
            2 => data
                .chunks_exact(2)
                .map(|b| u16::from(b[0]) | u16::from(b[1]) << 8)
                .collect(),
            _ => return Err("Huffman codes stand for INT8 and INT16 elements".to_owned()),
        };
        let coded = huffman::encode(&symbols, self.size == 2);
        let coded = coded.ok_or("its codes do not fit the decoder's tables")?;
        let mut description = header(1, coded.layout, 0);
        description.extend_from_slice(&coded.tables);
        Ok(Encoded {
            stream: coded.stream,
            description,
        })
    }
}

fn inner(shape: &Shape) -> usize {
    shape.dims().iter().skip(1).product()
}

/// The header of a description: the kind of code, the versions, and two bytes of the code's own.
fn header(kind: u8, fifth: u8, sixth: u8) -> Vec<u8> {
    let mut header = vec![0; HEADER];
    for (at, byte) in [(0, kind), (1, 1), (4, 1), (5, fifth), (6, sixth)] {
        if let Some(slot) = header.get_mut(at) {
            *slot = byte;
        }
    }
    header
}
