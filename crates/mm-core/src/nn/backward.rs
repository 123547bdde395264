//! The backward pass of a loss, without the detour that candle takes to the gradients of variables.

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, TensorId};
use std::cell::RefCell;
use std::collections::HashMap;

/// Variables with their gradients.
type Collected = HashMap<TensorId, (Tensor, Tensor)>;

thread_local! {
    /// What the backward pass that runs on this thread has collected.
    static COLLECTED: RefCell<Option<Collected>> = const { RefCell::new(None) };
}

/// As [`Tensor::backward`], with the same gradients in less time: candle fills zeros for every variable and adds its gradient to them, on
/// one thread, which for a network of many weights is a tenth of a training step. Here the ops of [`crate::nn`] hand these gradients over.
pub fn backward(loss: &Tensor) -> Result<GradStore> {
    let collecting = Collecting { outer: COLLECTED.replace(Some(Collected::new())) };
    let mut gradients = loss.backward()?;
    let collected = COLLECTED.take().unwrap_or_default();
    drop(collecting);
    for (variable, gradient) in collected.into_values() {
        // An op of candle's own used it too.
        let gradient = match gradients.remove(&variable) {
            Some(part) => (part + gradient)?,
            None => gradient,
        };
        gradients.insert(&variable, gradient);
    }
    Ok(gradients)
}

/// Ends with the call that collects, whether or not it fails, so that later calls of [`Tensor::backward`] lose nothing.
struct Collecting {
    outer: Option<Collected>,
}

impl Drop for Collecting {
    fn drop(&mut self) {
        COLLECTED.set(self.outer.take());
    }
}

/// What an op answers for an input: nothing if it is a variable whose gradient is collected.
pub(super) fn hand_over(input: &Tensor, gradient: Tensor) -> Result<Option<Tensor>> {
    COLLECTED.with_borrow_mut(|collected| {
        let Some(collected) = collected.as_mut().filter(|_| input.is_variable()) else {
            return Ok(Some(gradient));
        };
        let sum = match collected.remove(&input.id()) {
            Some((_, part)) => (part + gradient)?,
            None => gradient,
        };
        collected.insert(input.id(), (input.clone(), sum));
        Ok(None)
    })
}
