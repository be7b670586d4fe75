//! Nodes that compute some rows of their output at a time: what generated code runs where values never exist whole.
//!
//! A stretch of nodes is run step by step. Each step computes rows of one node from rows of its inputs, or moves rows that
//! are still needed to the front of the memory that they pass through. Where everything lies is worked out on a host.

#[cfg(any(larun_arch = "armv7em", test, feature = "processors"))]
use crate::packed::{PackedKernel, run_at};
use crate::{InvokeError, Io, Locate, Location, PlanReader};

/// A step of a stretch of nodes. Places are start and end in the activations, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowStep {
    /// The node, by its number in the stretch.
    pub node: u16,
    /// Which of the node's plans is for so many rows.
    pub plan: u16,
    /// Where the rows of its inputs lie; an empty place for an input that it has not.
    pub reads: [[u32; 2]; 2],
    /// Where the rows of its output go.
    pub write: [u32; 2],
}

impl RowStep {
    /// Moves the rows of the first input to the output.
    pub fn shift(&self, activations: &mut [u8]) {
        let [[start, end], _] = self.reads;
        let [to, _] = self.write;
        let (start, end, to) = (start as usize, end as usize, to as usize);
        let fits = |len: usize| {
            to.checked_add(len)
                .is_some_and(|end| end <= activations.len())
        };
        if end <= activations.len() && end.checked_sub(start).is_some_and(fits) {
            activations.copy_within(start..end, to);
        }
    }
}

/// A node with a plan for each number of rows that a step may ask for.
#[derive(Clone, Copy, Debug)]
pub struct RowNode {
    /// The plans.
    pub plans: &'static [&'static [u32]],
    /// The constants among the inputs; [`Location::Absent`] for those that come by rows.
    pub inputs: &'static [Location<'static>],
    /// Scratch memory.
    pub scratch: Location<'static>,
}

impl RowNode {
    /// Runs a step with the `invoke` of the node's kernel.
    ///
    /// # Errors
    /// As the kernel's.
    pub fn run(
        &self,
        invoke: fn(PlanReader<'_>, Io<'_>) -> Result<(), InvokeError>,
        step: &RowStep,
        activations: &mut [u8],
    ) -> Result<(), InvokeError> {
        let plan = self.plans.get(usize::from(step.plan));
        let plan = PlanReader::new(plan.ok_or(InvokeError::Plan)?);
        invoke(plan, Io::new(activations, &AtStep { node: self, step }))
    }
}

/// A node at a step.
struct AtStep<'s> {
    node: &'s RowNode,
    step: &'s RowStep,
}

const fn arena(&[start, end]: &[u32; 2]) -> Location<'static> {
    Location::Arena {
        offset: start as usize,
        len: end.saturating_sub(start) as usize,
    }
}

impl Locate for AtStep<'_> {
    fn input(&self, index: usize) -> Location<'_> {
        match self.node.inputs.get(index) {
            Some(Location::Absent) => self.step.reads.get(index).map_or(Location::Absent, arena),
            Some(&constant) => constant,
            None => Location::Absent,
        }
    }

    fn output(&self, index: usize) -> Location<'_> {
        match index {
            0 => arena(&self.step.write),
            _ => Location::Absent,
        }
    }

    fn scratch(&self) -> Location<'_> {
        self.node.scratch
    }
}

/// A packed layer with its sizes for each number of rows that a step may ask for.
#[cfg(any(larun_arch = "armv7em", test, feature = "processors"))]
#[derive(Clone, Copy, Debug)]
pub struct PackedRows<L: 'static> {
    /// Sizes.
    pub layers: &'static [L],
    /// Packed weights.
    pub weights: &'static [u32],
    /// Bias and scale of each channel.
    pub channels: &'static [[i32; 4]],
    /// Scratch memory: start and end.
    pub scratch: [usize; 2],
}

#[cfg(any(larun_arch = "armv7em", test, feature = "processors"))]
impl<L: PackedKernel> PackedRows<L> {
    /// Runs a step. Places that overlap or are outside the activations are left alone.
    pub fn run(&self, step: &RowStep, activations: &mut [u8]) {
        let place = |place: [u32; 2]| place.map(|at| at as usize);
        let places = [place(step.reads[0]), place(step.write), self.scratch];
        if let Some(layer) = self.layers.get(usize::from(step.plan)) {
            run_at(layer, self.weights, self.channels, places, activations);
        }
    }
}

#[cfg(feature = "processors")]
pub use host::RowForm;

/// How the plans are made.
#[cfg(feature = "processors")]
mod host {
    use core::ops::Range;
    use std::vec::Vec;

    use larun_ops::{ElementType, OpKind, Shape};

    use crate::plan::Record;
    use crate::ways::EVERY_WAY;
    use crate::weighted::Scheme;
    use crate::{Broadcast, ConvGeometry, ImageWindow, PlanReader, PlanWriter, Processor};

    /// How rows of a node's output come from rows of its inputs.
    #[derive(Clone, Debug)]
    pub struct RowForm {
        kind: OpKind,
        /// Words of the plan before and behind those that say how many rows there are.
        before: Vec<u32>,
        behind: Vec<u32>,
        form: Form,
    }

    #[derive(Clone, Debug)]
    enum Form {
        /// A window over one image.
        Window(ImageWindow),
        /// Two operands and an output of one shape, taken as so many rows of so many elements.
        Pairs { rows: usize, elements: usize },
    }

    impl RowForm {
        /// The form of a node, from the plan that its kernel's `prepare` wrote; `None` for one that cannot be computed by rows.
        ///
        /// Operators of two operands have the `rows` that the caller sees in their output.
        #[must_use]
        pub fn of(kind: OpKind, plan: &[u32], rows: usize) -> Option<Self> {
            let mut reader = PlanReader::new(plan);
            let before = match kind {
                OpKind::Conv2D | OpKind::DepthwiseConv2D => {
                    // Real inputs that are quantised as a whole while the layer runs have no rows.
                    Scheme::read(&mut reader).ok()?.takes_rows().then_some(())?;
                    plan.len() - reader.rest().len()
                }
                OpKind::AveragePool2D
                | OpKind::MaxPool2D
                | OpKind::Add
                | OpKind::Sub
                | OpKind::Mul => {
                    ElementType::read(&mut reader).ok()?;
                    plan.len() - reader.rest().len()
                }
                _ => return None,
            };
            let form = match kind {
                OpKind::Add | OpKind::Sub | OpKind::Mul => {
                    let elements = Broadcast::read(&mut reader).ok()?.of_one_shape()?;
                    (rows > 0 && elements.is_multiple_of(rows)).then_some(())?;
                    Form::Pairs { rows, elements }
                }
                _ => {
                    let window = ImageWindow::read(&mut reader).ok()?;
                    window.outer_axis()?;
                    Form::Window(window)
                }
            };
            Some(Self {
                kind,
                before: plan.get(..before)?.to_vec(),
                behind: reader.rest().to_vec(),
                form,
            })
        }

        /// Rows of the output.
        #[must_use]
        pub fn rows(&self) -> usize {
            match &self.form {
                Form::Window(window) => window.outer_axis().map_or(0, |axis| axis.output()),
                Form::Pairs { rows, .. } => *rows,
            }
        }

        /// Rows of each input that comes by rows.
        #[must_use]
        pub fn input_rows(&self) -> usize {
            match &self.form {
                Form::Window(window) => window.outer_axis().map_or(0, |axis| axis.input()),
                Form::Pairs { rows, .. } => *rows,
            }
        }

        /// How many inputs come by rows: the first ones.
        #[must_use]
        pub fn inputs(&self) -> usize {
            match &self.form {
                Form::Window(_) => 1,
                Form::Pairs { .. } => 2,
            }
        }

        /// The rows of an input that some rows of the output come from.
        #[must_use]
        pub fn seen(&self, rows: &Range<usize>) -> Range<usize> {
            match &self.form {
                Form::Window(window) => {
                    let axis = window.outer_axis();
                    axis.map_or(0..0, |axis| axis.seen(rows))
                }
                Form::Pairs { .. } => rows.clone(),
            }
        }

        /// The plan for some rows of the output, on the rows of the inputs that they come from.
        #[must_use]
        pub fn plan(&self, rows: &Range<usize>) -> Option<Vec<u32>> {
            let mut words = [0; 64];
            let mut writer = PlanWriter::new(&mut words);
            match &self.form {
                Form::Window(window) => window.narrowed(rows)?.write(&mut writer),
                Form::Pairs {
                    rows: all,
                    elements,
                } => {
                    let shape = Shape::new(&[rows.len(), elements / all])?;
                    Broadcast::new(&shape, &shape)?.write(&mut writer);
                }
            }
            let written = writer.fits().then(|| writer.words_needed())?;
            let own = words.get(..written)?;
            Some([&self.before, own, &self.behind].concat())
        }

        /// Bytes of scratch memory that a [plan](Self::plan) needs on a processor. They may be more than the node takes as a
        /// whole: for fewer rows another way may be faster.
        #[must_use]
        pub fn scratch_bytes(&self, plan: &[u32], processor: Processor) -> usize {
            self.scratch_halves(plan, processor)
                .map_or(0, |halves| halves.saturating_mul(size_of::<i16>()))
        }

        fn scratch_halves(&self, plan: &[u32], processor: Processor) -> Option<usize> {
            let mut reader = PlanReader::new(plan);
            if !matches!(self.kind, OpKind::Conv2D | OpKind::DepthwiseConv2D)
                || Scheme::read(&mut reader).ok()? != Scheme::Int8
            {
                return None;
            }
            Some(match self.kind {
                OpKind::Conv2D => processor
                    .conv2d_i8_scratch_len(&ConvGeometry::read(&mut reader).ok()?, EVERY_WAY),
                _ => processor.depthwise_conv2d_i8_scratch_len(
                    &ImageWindow::read(&mut reader).ok()?,
                    EVERY_WAY,
                ),
            })
        }
    }
}
