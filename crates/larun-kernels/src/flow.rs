//! The operators that run subgraphs: IF, WHILE and CALL_ONCE.
//!
//! Values go into a subgraph and out of it as copies, as in TFLM.

use larun_ops::{ElementType, Op, op};

use crate::operand::wrong_op;
use crate::{
    ControlIo, InvokeError, Io, Kernel, Next, NodeView, PlanReader, PlanWriter, Port, Reason,
    Refusal, Site, Step, TensorInfo,
};

/// Such an operator has steps instead.
fn no_invoke() -> Result<(), InvokeError> {
    Err(InvokeError::Plan)
}

impl Kernel for op::If {
    const CONTROL: Option<Step> = Some(step_if);

    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::If(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        is_condition(node.input(0), Site::input(0))?;
        let (inputs, outputs) = (node.input_count().saturating_sub(1), node.output_count());
        plan.push_usize(inputs);
        plan.push_usize(outputs);
        for index in [options.then_subgraph_index, options.else_subgraph_index] {
            let subgraph = Callee::find(node, index)?;
            subgraph.has_inputs(inputs)?;
            subgraph.has_outputs(outputs)?;
            for i in 0..inputs {
                let value = node.input(1 + i).ok_or(missing(Site::input(1 + i)))?;
                subgraph.takes(i, &value, Site::input(1 + i))?;
            }
            subgraph.gives_outputs()?;
            subgraph.call(plan);
        }
        Ok(())
    }

    fn invoke(_: PlanReader<'_>, _: Io<'_>) -> Result<(), InvokeError> {
        no_invoke()
    }
}

fn step_if(
    step: u32,
    mut plan: PlanReader<'_>,
    io: &mut ControlIo<'_>,
) -> Result<Next, InvokeError> {
    let (inputs, outputs) = (plan.read_usize()?, plan.read_usize()?);
    let branches = [plan.read_u32()?, plan.read_u32()?];
    let [then, otherwise] = branches;
    let subgraph = match io.is_true(Port::Input(0))? {
        true => then,
        false => otherwise,
    };
    if step == 0 {
        for i in 0..inputs {
            io.copy(Port::Input(1 + i), Port::SubgraphInput(subgraph, i))?;
        }
        return Ok(Next::Call(subgraph));
    }
    for i in 0..outputs {
        io.copy(Port::SubgraphOutput(subgraph, i), Port::Output(i))?;
    }
    Ok(Next::Done)
}

impl Kernel for op::While {
    const CONTROL: Option<Step> = Some(step_while);

    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::While(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let count = node.input_count();
        if node.output_count() != count {
            let found = node.output_count();
            return Err(Refusal::options(Reason::Outputs { found }));
        }
        plan.push_usize(count);
        let condition = Callee::find(node, options.cond_subgraph_index)?;
        let body = Callee::find(node, options.body_subgraph_index)?;
        condition.has_outputs(1)?;
        is_condition(condition.output(0), Site::Options)?;
        body.has_outputs(count)?;
        for subgraph in [&condition, &body] {
            subgraph.has_inputs(count)?;
            for i in 0..count {
                let value = node.input(i).ok_or(missing(Site::input(i)))?;
                subgraph.takes(i, &value, Site::input(i))?;
            }
        }
        for i in 0..count {
            let value = node.input(i).ok_or(missing(Site::input(i)))?;
            fits(node.output(i), &value, Site::output(i))?;
        }
        body.gives_outputs()?;
        condition.call(plan);
        body.call(plan);
        Ok(())
    }

    fn invoke(_: PlanReader<'_>, _: Io<'_>) -> Result<(), InvokeError> {
        no_invoke()
    }
}

/// The outputs hold the values of the loop: before odd steps the condition has looked at them, before even ones the
/// body has changed them.
fn step_while(
    step: u32,
    mut plan: PlanReader<'_>,
    io: &mut ControlIo<'_>,
) -> Result<Next, InvokeError> {
    let count = plan.read_usize()?;
    let (condition, body) = (plan.read_u32()?, plan.read_u32()?);
    let next = match step % 2 {
        0 => condition,
        _ if io.is_true(Port::SubgraphOutput(condition, 0))? => body,
        _ => return Ok(Next::Done),
    };
    for i in 0..count {
        if step == 0 {
            io.copy(Port::Input(i), Port::Output(i))?;
        } else if next == condition {
            io.copy(Port::SubgraphOutput(body, i), Port::Output(i))?;
        }
    }
    for i in 0..count {
        io.copy(Port::Output(i), Port::SubgraphInput(next, i))?;
    }
    Ok(Next::Call(next))
}

impl Kernel for op::CallOnce {
    const CONTROL: Option<Step> = Some(step_call_once);

    fn prepare(node: &dyn NodeView, plan: &mut PlanWriter<'_>) -> Result<(), Refusal> {
        let Op::CallOnce(options) = node.op() else {
            return Err(wrong_op::<Self>(node));
        };
        let subgraph = Callee::find(node, options.init_subgraph_index)?;
        subgraph.has_inputs(0)?;
        subgraph.call(plan);
        plan.request_state(1);
        Ok(())
    }

    fn invoke(_: PlanReader<'_>, _: Io<'_>) -> Result<(), InvokeError> {
        no_invoke()
    }
}

/// The node's state says whether it has run.
fn step_call_once(
    step: u32,
    mut plan: PlanReader<'_>,
    io: &mut ControlIo<'_>,
) -> Result<Next, InvokeError> {
    let has_run = io.flag()?;
    if step > 0 {
        *has_run = 1;
    }
    match *has_run {
        0 => Ok(Next::Call(plan.read_u32()?)),
        _ => Ok(Next::Done),
    }
}

/// A subgraph that a node runs.
struct Callee<'n> {
    node: &'n dyn NodeView,
    number: u32,
    inputs: usize,
    outputs: usize,
}

impl<'n> Callee<'n> {
    fn find(node: &'n dyn NodeView, index: i32) -> Result<Self, Refusal> {
        let number = u32::try_from(index).ok();
        let ports = number.and_then(|number| Some((number, node.subgraph_ports(number)?)));
        let no_subgraph = Refusal::options(Reason::NoSubgraph { index });
        let (number, [inputs, outputs]) = ports.ok_or(no_subgraph)?;
        Ok(Self {
            node,
            number,
            inputs,
            outputs,
        })
    }

    fn call(&self, plan: &mut PlanWriter<'_>) {
        plan.push_u32(self.number);
        plan.request_call(self.number);
    }

    fn has_inputs(&self, expected: usize) -> Result<(), Refusal> {
        self.has("inputs", self.inputs, expected)
    }

    fn has_outputs(&self, expected: usize) -> Result<(), Refusal> {
        self.has("outputs", self.outputs, expected)
    }

    fn has(&self, what: &'static str, found: usize, expected: usize) -> Result<(), Refusal> {
        if found == expected {
            return Ok(());
        }
        let subgraph = self.number;
        Err(Refusal::options(Reason::Ports {
            subgraph,
            what,
            found,
            expected,
        }))
    }

    fn output(&self, index: usize) -> Option<TensorInfo<'n>> {
        self.node.subgraph_output(self.number, index)
    }

    /// Checks that input `index` can be set to `value`.
    fn takes(&self, index: usize, value: &TensorInfo<'_>, site: Site) -> Result<(), Refusal> {
        let input = self.node.subgraph_input(self.number, index);
        if input.is_some_and(|input| input.constant.is_some_and(|bytes| !bytes.is_empty())) {
            return Err(refuse(site, Reason::Constant));
        }
        fits(input, value, site)
    }

    /// Checks that the outputs can become those of the node.
    fn gives_outputs(&self) -> Result<(), Refusal> {
        (0..self.outputs).try_for_each(|i| {
            let site = Site::output(i);
            let value = self.node.output(i).ok_or(missing(site))?;
            fits(self.output(i), &value, site)
        })
    }
}

/// Checks that a value is of the type and the size of another, to or from which it is copied.
fn fits(found: Option<TensorInfo<'_>>, other: &TensorInfo<'_>, site: Site) -> Result<(), Refusal> {
    let found = found.ok_or(missing(site))?;
    if found.element_type != other.element_type {
        let (found, expected) = (other.element_type, found.element_type);
        return Err(refuse(site, Reason::TypeDiffers { found, expected }));
    }
    match (other.byte_len(), found.byte_len()) {
        (Some(found), Some(expected)) if found == expected => Ok(()),
        (Some(_), Some(_)) => {
            let elements = |tensor: &TensorInfo<'_>| tensor.shape.elements().unwrap_or(0);
            let (found, expected) = (elements(other), elements(&found));
            Err(refuse(site, Reason::Elements { found, expected }))
        }
        _ => Err(refuse(site, Reason::TooLarge)),
    }
}

/// Checks that a value is a single BOOL.
fn is_condition(tensor: Option<TensorInfo<'_>>, site: Site) -> Result<(), Refusal> {
    let tensor = tensor.ok_or(missing(site))?;
    if tensor.element_type != ElementType::Bool {
        let (found, supported) = (tensor.element_type, &[ElementType::Bool][..]);
        return Err(refuse(site, Reason::ElementType { found, supported }));
    }
    match tensor.shape.elements() {
        Some(1) => Ok(()),
        found => {
            let found = found.unwrap_or(usize::MAX);
            Err(refuse(site, Reason::Elements { found, expected: 1 }))
        }
    }
}

const fn refuse(at: Site, reason: Reason) -> Refusal {
    Refusal::new(at, reason)
}

#[cold]
const fn missing(at: Site) -> Refusal {
    refuse(at, Reason::Missing)
}
