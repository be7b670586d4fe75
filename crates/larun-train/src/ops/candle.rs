//! The operators on candle's tape.
//!
//! [`apply`] runs an operator on candle tensors and records it, so that `Tensor::backward` goes through
//! its gradient. Candle's own convolutions and pooling have wrong or slow gradients on the CPU; these are
//! held to finite differences.

use std::sync::{Mutex, PoisonError};

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, DType, Layout, Shape, Storage, Tensor,
};

use super::{Differentiable, ShapeError, Tape, View};

/// Runs an operator of one to three inputs on contiguous float tensors on the CPU.
///
/// # Errors
/// When the operator does not take these shapes, or a tensor is not a float tensor on the CPU.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use larun_train::ops::{Clamp, candle::apply};
///
/// let x = Var::new(&[-1.0f32, 2.0], &Device::Cpu)?;
/// let y = apply(Clamp::RELU, &[x.as_tensor()])?;
/// let gradient = y.sum_all()?.backward()?;
/// assert_eq!(gradient.get(&x).unwrap().to_vec1::<f32>()?, [0.0, 1.0]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn apply(
    operator: impl Differentiable + 'static,
    inputs: &[&Tensor],
) -> candle_core::Result<Tensor> {
    let inputs: Vec<Tensor> = inputs
        .iter()
        .map(|x| x.contiguous())
        .collect::<Result<_, _>>()?;
    let recorded = Recorded {
        operator,
        saved: Mutex::default(),
    };
    match inputs.as_slice() {
        [a] => a.apply_op1(recorded),
        [a, b] => a.apply_op2(b, recorded),
        [a, b, c] => a.apply_op3(b, c, recorded),
        _ => Err(candle_core::Error::Msg(format!(
            "{}: candle records one to three inputs, got {}",
            recorded.operator.name(),
            inputs.len()
        ))),
    }
}

impl From<ShapeError> for candle_core::Error {
    fn from(error: ShapeError) -> Self {
        Self::wrap(error)
    }
}

/// An operator with what its forward pass saved.
struct Recorded<O> {
    operator: O,
    saved: Mutex<Vec<f32>>,
}

impl<O: Differentiable> Recorded<O> {
    fn forward(
        &self,
        inputs: &[(&CpuStorage, &Layout)],
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|(_, layout)| layout.dims()).collect();
        let shape = self.operator.output_shape(&shapes)?;
        let views = inputs
            .iter()
            .map(|(storage, layout)| view(storage, layout))
            .collect::<Result<Vec<_>, _>>()?;
        let mut output = vec![0.0; shape.iter().product()];
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        self.operator.forward(&views, &mut output, &mut saved);
        Ok((CpuStorage::F32(output), shape.into()))
    }

    fn backward<const N: usize>(
        &self,
        inputs: [&Tensor; N],
        output: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<[Option<Tensor>; N]> {
        let gradient = gradient.contiguous()?;
        let mut results =
            inputs.map(|input| input.track_op().then(|| vec![0.0; input.elem_count()]));
        let tensors: Vec<&Tensor> = inputs.iter().copied().chain([output, &gradient]).collect();
        read(&tensors, &mut |views| {
            let ([gradient, output], inputs) = match views {
                [inputs @ .., output, gradient] => ([gradient, output], inputs),
                _ => return,
            };
            let tape = Tape {
                inputs,
                output: *output,
                saved: &self.saved.lock().unwrap_or_else(PoisonError::into_inner),
                gradient: gradient.data,
            };
            let mut wanted: Vec<_> = results.iter_mut().map(Option::as_deref_mut).collect();
            self.operator.backward(tape, &mut wanted);
        })?;
        let mut gradients = inputs.map(|_| None);
        for ((gradient, result), input) in gradients.iter_mut().zip(results).zip(inputs) {
            if let Some(result) = result {
                *gradient = Some(Tensor::from_vec(result, input.shape(), input.device())?);
            }
        }
        Ok(gradients)
    }
}

/// Calls `f` with views of all tensors.
fn read(tensors: &[&Tensor], f: &mut dyn FnMut(&[View<'_>])) -> candle_core::Result<()> {
    let guards: Vec<_> = tensors
        .iter()
        .map(|tensor| tensor.storage_and_layout())
        .collect();
    let views = guards
        .iter()
        .map(|(storage, layout)| match &**storage {
            Storage::Cpu(storage) => view(storage, layout),
            _ => Err(candle_core::Error::Msg(
                "the operators run on the CPU".to_owned(),
            )),
        })
        .collect::<Result<Vec<_>, _>>()?;
    f(&views);
    Ok(())
}

fn view<'a>(storage: &'a CpuStorage, layout: &'a Layout) -> candle_core::Result<View<'a>> {
    let CpuStorage::F32(data) = storage else {
        return Err(candle_core::Error::UnexpectedDType {
            msg: "the operators take float tensors",
            expected: DType::F32,
            got: candle_core::backend::BackendStorage::dtype(storage),
        });
    };
    let (start, end) = layout.contiguous_offsets().ok_or_else(|| {
        candle_core::Error::Msg("the operators take contiguous tensors".to_owned())
    })?;
    Ok(View {
        data: &data[start..end],
        shape: layout.dims(),
    })
}

impl<O: Differentiable> CustomOp1 for Recorded<O> {
    fn name(&self) -> &'static str {
        self.operator.name()
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        self.forward(&[(s, l)])
    }

    fn bwd(&self, a: &Tensor, y: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let [a] = self.backward([a], y, g)?;
        Ok(a)
    }
}

impl<O: Differentiable> CustomOp2 for Recorded<O> {
    fn name(&self) -> &'static str {
        self.operator.name()
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.forward(&[(s1, l1), (s2, l2)])
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        y: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let [a, b] = self.backward([a, b], y, g)?;
        Ok((a, b))
    }
}

impl<O: Differentiable> CustomOp3 for Recorded<O> {
    fn name(&self) -> &'static str {
        self.operator.name()
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.forward(&[(s1, l1), (s2, l2), (s3, l3)])
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        y: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [a, b, c] = self.backward([a, b, c], y, g)?;
        Ok((a, b, c))
    }
}
