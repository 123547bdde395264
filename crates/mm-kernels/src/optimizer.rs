//! One pass of an optimizer update over flat buffers.

use crate::error::{Error, Result};
use crate::threads::in_pieces;

fn check_lengths(parameter: usize, others: &[usize]) -> Result<()> {
    match others.iter().find(|&&n| n != parameter) {
        None => Ok(()),
        Some(&found) => Err(Error::Length { what: "optimizer buffer", expected: parameter, found }),
    }
}

/// Settings of stochastic gradient descent with momentum, as PyTorch defines them.
#[derive(Debug, Clone, Copy)]
pub struct SgdStep {
    /// Learning rate.
    pub learning_rate: f32,
    /// Momentum factor; 0 is plain SGD.
    pub momentum: f32,
    /// L2 penalty, added to the gradient.
    pub weight_decay: f32,
    /// Nesterov momentum.
    pub nesterov: bool,
}

/// `v = momentum v + g`, with `g = gradient + weight_decay parameter`: first half of the update, on the velocity.
pub fn sgd_velocity(step: SgdStep, velocity: &mut [f32], parameter: &[f32], gradient: &[f32]) -> Result<()> {
    check_lengths(velocity.len(), &[parameter.len(), gradient.len()])?;
    let SgdStep { momentum, weight_decay, .. } = step;
    in_pieces(
        velocity,
        [parameter, gradient],
        #[inline(always)]
        |velocity, [parameter, gradient]| velocity_loop(velocity, parameter, gradient, momentum, weight_decay),
    );
    Ok(())
}

#[inline(always)]
fn velocity_loop(velocity: &mut [f32], parameter: &[f32], gradient: &[f32], momentum: f32, weight_decay: f32) {
    for ((v, p), g) in velocity.iter_mut().zip(parameter).zip(gradient) {
        *v = momentum * *v + (g + weight_decay * p);
    }
}

/// `p -= learning_rate (v, or g + momentum v with Nesterov)`: second half of the update, on the parameter.
pub fn sgd_parameter(step: SgdStep, parameter: &mut [f32], velocity: &[f32], gradient: &[f32]) -> Result<()> {
    check_lengths(parameter.len(), &[velocity.len(), gradient.len()])?;
    in_pieces(
        parameter,
        [velocity, gradient],
        #[inline(always)]
        |parameter, [velocity, gradient]| parameter_loop(step, parameter, velocity, gradient),
    );
    Ok(())
}

#[inline(always)]
fn parameter_loop(step: SgdStep, parameter: &mut [f32], velocity: &[f32], gradient: &[f32]) {
    let SgdStep { learning_rate, momentum, weight_decay, nesterov } = step;
    for ((p, v), g) in parameter.iter_mut().zip(velocity).zip(gradient) {
        let direction = if nesterov { g + weight_decay * *p + momentum * v } else { *v };
        *p -= learning_rate * direction;
    }
}

/// `a += share (p - a)`: an average of weights goes a part of the way towards a parameter.
pub fn move_towards(share: f32, average: &mut [f32], parameter: &[f32]) -> Result<()> {
    check_lengths(average.len(), &[parameter.len()])?;
    in_pieces(
        average,
        [parameter, parameter],
        #[inline(always)]
        |average, [parameter, _]| average_loop(share, average, parameter),
    );
    Ok(())
}

#[inline(always)]
fn average_loop(share: f32, average: &mut [f32], parameter: &[f32]) {
    for (a, p) in average.iter_mut().zip(parameter) {
        *a += share * (p - *a);
    }
}

/// Settings of Adam and AdamW at one step.
#[derive(Debug, Clone, Copy)]
pub struct AdamStep {
    /// Learning rate.
    pub learning_rate: f32,
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f32,
    /// `1 - beta1^t`.
    pub correction1: f32,
    /// `1 - beta2^t`.
    pub correction2: f32,
    /// Weight decay.
    pub weight_decay: f32,
    /// Whether the decay acts on the parameter itself (AdamW) or is added to the gradient (Adam).
    pub decoupled: bool,
}

/// Updates the running mean of the gradient, or of its square if `second`.
pub fn adam_moment(step: AdamStep, second: bool, moment: &mut [f32], parameter: &[f32], gradient: &[f32]) -> Result<()> {
    check_lengths(moment.len(), &[parameter.len(), gradient.len()])?;
    let decay = if step.decoupled { 0.0 } else { step.weight_decay };
    let beta = if second { step.beta2 } else { step.beta1 };
    in_pieces(
        moment,
        [parameter, gradient],
        #[inline(always)]
        |moment, [parameter, gradient]| moment_loop(moment, parameter, gradient, second, [beta as f32, (1.0 - beta) as f32], decay),
    );
    Ok(())
}

#[inline(always)]
fn moment_loop(moment: &mut [f32], parameter: &[f32], gradient: &[f32], second: bool, [keep, add]: [f32; 2], decay: f32) {
    for ((m, p), g) in moment.iter_mut().zip(parameter).zip(gradient) {
        let g = g + decay * p;
        let value = if second { g * g } else { g };
        *m = keep * *m + add * value;
    }
}

/// Updates the parameter from both moments.
pub fn adam_parameter(step: AdamStep, parameter: &mut [f32], first: &[f32], second: &[f32]) -> Result<()> {
    check_lengths(parameter.len(), &[first.len(), second.len()])?;
    let keep = if step.decoupled { 1.0 - step.learning_rate * step.weight_decay } else { 1.0 };
    let (rate, root) = (step.learning_rate / step.correction1, 1.0 / step.correction2.sqrt());
    in_pieces(
        parameter,
        [first, second],
        #[inline(always)]
        |parameter, [first, second]| adam_loop(parameter, first, second, keep, rate, root, step.eps),
    );
    Ok(())
}

#[inline(always)]
fn adam_loop(parameter: &mut [f32], first: &[f32], second: &[f32], keep: f32, rate: f32, root: f32, eps: f32) {
    for ((p, m), v) in parameter.iter_mut().zip(first).zip(second) {
        *p = keep * *p - rate * m / (v.sqrt() * root + eps);
    }
}
