//! Gradients of more tensors than an op of candle may have inputs (three).

use super::backward::hand_over;
use super::cpu::contiguous_f32;
use candle_core::{CpuStorage, CustomOp2, Device, Layout, Result, Shape, Tensor};
use std::sync::{Arc, Mutex, PoisonError};

/// The tensors behind one input of an op: its backward pass leaves their gradients in their [`Slot`]s, and the graph fetches them there,
/// since what it sees as that input was made of all of them.
pub(super) struct HandedOver {
    token: Tensor,
}

impl HandedOver {
    /// No tensor yet.
    pub(super) fn new(device: &Device) -> Result<Self> {
        Ok(Self { token: Tensor::zeros(1, candle_core::DType::F32, device)? })
    }

    /// One more; its numbers (f32 on the CPU) are the op's to keep.
    pub(super) fn add(&mut self, tensor: &Tensor) -> Result<Slot> {
        let slot = Slot { shape: tensor.shape().clone(), wanted: tensor.track_op(), gradient: Arc::default() };
        if slot.wanted {
            self.token = self.token.apply_op2(&tensor.contiguous()?, Fetch(slot.clone()))?;
        }
        Ok(slot)
    }

    /// What the op takes as an input.
    pub(super) fn token(&self) -> &Tensor {
        &self.token
    }
}

/// Where an op leaves the gradient of a tensor.
#[derive(Clone)]
pub(super) struct Slot {
    shape: Shape,
    wanted: bool,
    gradient: Arc<Mutex<Option<Vec<f32>>>>,
}

impl Slot {
    /// Whether anything depends on it.
    pub(super) fn wanted(&self) -> bool {
        self.wanted
    }

    /// Leaves a gradient, of as many numbers as the tensor has; it is dropped where nobody wants it.
    pub(super) fn leave(&self, gradient: Vec<f32>) {
        if !self.wanted {
            return;
        }
        *self.gradient.lock().unwrap_or_else(PoisonError::into_inner) = Some(gradient);
    }
}

/// Of a token and one tensor more.
struct Fetch(Slot);

impl CustomOp2 for Fetch {
    fn name(&self) -> &'static str {
        "hand-over"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        contiguous_f32(storage, layout)?;
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(1)))
    }

    fn bwd(&self, token: &Tensor, tensor: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let left = self.0.gradient.lock().unwrap_or_else(PoisonError::into_inner).take();
        let left = left.map(|numbers| hand_over(tensor, Tensor::from_vec(numbers, &self.0.shape, gradient.device())?));
        Ok((token.track_op().then(|| gradient.clone()), left.transpose()?.flatten()))
    }
}
