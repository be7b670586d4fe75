//! Resource variables while a model is loaded: which there are, and how large each is.

use larun_kernels::{Reason, Refusal};
use larun_ops::view::{Operator, ViewError};

use crate::activations::Span;
use crate::error::LoadError;
use crate::layout::{Place, Resource, TABLE_WORDS, TENSOR_WORDS};
use crate::load::{Loader, Stop};
use crate::node::Node;
use crate::source::Source;

/// More resource variables than any model in earnest has: they are told apart one by one.
const MOST_RESOURCES: u16 = 256;

/// What identifies a resource variable.
#[derive(Clone, Copy)]
struct Names<'m> {
    container: Option<&'m [u8]>,
    shared_name: &'m [u8],
}

impl<'m> Names<'m> {
    /// The fields of the options of VAR_HANDLE.
    fn read(operator: &Operator<'m>) -> Result<Self, ViewError> {
        let (container, shared_name) = match operator.options()? {
            Some(options) => (options.bytes(0)?, options.bytes(1)?),
            None => (None, None),
        };
        Ok(Self {
            container,
            shared_name: shared_name.unwrap_or_default(),
        })
    }

    /// Whether both are names of one variable. Files leave a container out for any.
    fn are(&self, other: &Self) -> bool {
        let containers = self.container.zip(other.container);
        self.shared_name == other.shared_name && containers.is_none_or(|(a, b)| a == b)
    }
}

impl<'m> Loader<'_, 'm, '_> {
    /// The first output of a node becomes a handle of the variable that the node's options name.
    pub(crate) fn name_resource(
        &mut self,
        source: &Source<'_, 'm>,
        start: usize,
        node: &Node<'_, '_, 'm>,
    ) -> Result<(), Stop> {
        let Some(output) = node.file.outputs.get(0) else {
            return Ok(());
        };
        let tensor = source.tensor_number(Some(node.index), output)?;
        let operator = source.view(source.subgraph.operator(node.index))?;
        let names = source.view(Names::read(&operator))?;
        let number = match self.find(&names)? {
            Some(number) => number,
            None => self.add(source, node)?,
        };
        self.work.set_span(tensor, Span::Handle(number));
        let at = start + TABLE_WORDS + tensor * TENSOR_WORDS;
        self.work.write_kept(at, &Place::handle(number).words());
        Ok(())
    }

    fn find(&self, names: &Names<'m>) -> Result<Option<u16>, Stop> {
        let mut link = self.resources.first;
        for number in 0..self.resources.count {
            let Some(resource) = Resource::read(self.work.words(), link) else {
                break;
            };
            let [subgraph, node] = resource.named_by.map(usize::from);
            let request = self.request;
            let subgraph = request.view(request.model.subgraph(subgraph))?;
            let operator = request.view(subgraph.operator(node))?;
            if names.are(&request.view(Names::read(&operator))?) {
                return Ok(Some(number));
            }
            link = resource.link;
        }
        Ok(None)
    }

    fn add(&mut self, source: &Source<'_, 'm>, node: &Node<'_, '_, 'm>) -> Result<u16, Stop> {
        let number = self.resources.count;
        if number == MOST_RESOURCES {
            return Err(self.request.stop(LoadError::TooManyResources {
                most: MOST_RESOURCES.into(),
            }));
        }
        let at = self.work.store(Resource::WORDS)?;
        let resource = Resource {
            link: 0,
            offset: None,
            len: 0,
            zeros: 0,
            named_by: [source.number as u16, node.index as u16],
        };
        self.work.write(at, &resource.words());
        let link = at + 1;
        match self.resources.last.checked_sub(1) {
            None => self.resources.first = link,
            Some(last) => self.work.write(last, &[link as u32]),
        }
        self.resources.last = link;
        self.resources.count += 1;
        Ok(number)
    }

    /// The first input of a node is a handle of a variable of this size. One that comes from elsewhere than VAR_HANDLE,
    /// such as an input of the subgraph, is looked at when the node runs.
    pub(crate) fn use_resource(
        &mut self,
        node: &Node<'_, '_, 'm>,
        bytes: usize,
        zeros: u32,
    ) -> Result<(), Stop> {
        let input = node
            .file
            .inputs
            .get(0)
            .and_then(|t| usize::try_from(t).ok());
        let Some(Span::Handle(number)) = input.map(|tensor| self.work.span(tensor)) else {
            return Ok(());
        };
        let mut link = self.resources.first;
        for _ in 0..number {
            link = Resource::read(self.work.words(), link).map_or(0, |resource| resource.link);
        }
        let Some(mut resource) = Resource::read(self.work.words(), link) else {
            return Ok(());
        };
        let refused = |reason| node.refused(Refusal::input(0, reason));
        let expected = resource.len as usize;
        if resource.offset.is_some() {
            return match bytes == expected {
                true => Ok(()),
                false => Err(refused(Reason::ResourceSize {
                    found: bytes,
                    expected,
                })),
            };
        }
        let offset = self
            .keep_state(bytes)
            .ok_or_else(|| refused(Reason::TooLarge))?;
        resource.offset = Some(offset);
        resource.len = bytes as u32;
        resource.zeros = zeros;
        self.work.write(link.saturating_sub(1), &resource.words());
        Ok(())
    }
}
