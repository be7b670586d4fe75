//! Values that nodes read as an operator keeps them encoded: they take no memory, and the operator runs those nodes.

use larun_kernels::PlanWriter;

use crate::activations::Span;
use crate::load::{Loader, Stop};
use crate::node::Node;
use crate::source::Source;

/// Whether there are such values.
pub(crate) const ENCODED: bool = cfg!(feature = "encoded");

/// What takes a node over: an operator, by one of its outputs, which is an input of the node.
pub(crate) struct Taker<'s, 'r, 'm> {
    operator: Node<'s, 'r, 'm>,
    output: usize,
    input: usize,
}

impl Taker<'_, '_, '_> {
    /// Writes the beginning of the node's plan; whether the operator can run the node.
    pub(crate) fn write(&self, node: &Node<'_, '_, '_>, plan: &mut PlanWriter<'_>) -> bool {
        let take_over = self.operator.kernel.take_over;
        take_over.is_some_and(|take_over| {
            let operator = &self.operator.file;
            take_over(operator, self.output, &node.file, self.input, plan)
        })
    }

    /// The kernel that runs the node, and the inputs that are added to its own.
    pub(crate) fn kernel(&self) -> (u8, [i32; 2]) {
        let inputs = &self.operator.file.inputs;
        let at = 2 * self.output;
        // Numbers of tensors that there are not are refused with the operator itself.
        let added = [at, at + 1].map(|input| inputs.get(input).unwrap_or(-1));
        (self.operator.number, added)
    }
}

impl<'m> Loader<'_, 'm, '_> {
    /// Marks the outputs of such operators that none but nodes they can take over read.
    pub(crate) fn note_encoded(&mut self, source: &Source<'_, 'm>) -> Result<(), Stop> {
        let request = self.request;
        let mut kernels = request.kernels.iter();
        if !ENCODED || !request.reads_encoded || kernels.all(|kernel| kernel.take_over.is_none()) {
            return Ok(());
        }
        for index in 0..source.nodes {
            let node = source.node(index)?;
            for input in 0..node.file.inputs.len() {
                if let Some((tensor, taker)) = self.taker_by(source, &node, input)?
                    && !taker.write(&node, &mut PlanWriter::new(&mut []))
                {
                    self.work.set_span(tensor, Span::NEVER);
                }
            }
            if node.kernel.take_over.is_none() {
                continue;
            }
            for number in node.file.outputs.iter() {
                let tensor = source.tensor_number(Some(index), number)?;
                match self.work.span(tensor) {
                    Span::NEVER => self.work.set_span(tensor, Span::Encoded(index as u16)),
                    // Written twice, which is found out when the node is loaded.
                    Span::Encoded(_) => {
                        let alive = Span::NEVER.with(index as u16);
                        self.work.set_span(tensor, alive);
                    }
                    _ => {}
                }
            }
        }
        for number in source.outputs()?.iter() {
            let tensor = source.tensor_number(None, number)?;
            if matches!(self.work.span(tensor), Span::Encoded(_)) {
                self.work.set_span(tensor, Span::NEVER);
            }
        }
        Ok(())
    }

    /// What takes a node over.
    pub(crate) fn taker<'s, 'r>(
        &self,
        source: &'s Source<'r, 'm>,
        node: &Node<'_, '_, 'm>,
    ) -> Result<Option<Taker<'s, 'r, 'm>>, Stop> {
        if !ENCODED {
            return Ok(None);
        }
        for input in 0..node.file.inputs.len() {
            if let Some((_, taker)) = self.taker_by(source, node, input)? {
                return Ok(Some(taker));
            }
        }
        Ok(None)
    }

    /// What takes a node over by one of its inputs, and that tensor, if it is encoded.
    fn taker_by<'s, 'r>(
        &self,
        source: &'s Source<'r, 'm>,
        node: &Node<'_, '_, 'm>,
        input: usize,
    ) -> Result<Option<(usize, Taker<'s, 'r, 'm>)>, Stop> {
        let Some(tensor) = node.file.inputs.get(input).filter(|&number| number != -1) else {
            return Ok(None);
        };
        let tensor = source.tensor_number(Some(node.index), tensor)?;
        let Span::Encoded(operator) = self.work.span(tensor) else {
            return Ok(None);
        };
        let operator = source.node(operator.into())?;
        let is_it = |&number: &i32| usize::try_from(number) == Ok(tensor);
        let output = operator
            .file
            .outputs
            .iter()
            .position(|number| is_it(&number));
        Ok(output.map(|output| {
            let taker = Taker {
                operator,
                output,
                input,
            };
            (tensor, taker)
        }))
    }
}
