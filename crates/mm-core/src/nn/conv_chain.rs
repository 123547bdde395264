//! Convolutions with batch normalisation in a row, trained as one op.
//!
//! As ops of their own, every map between two of them is a node of the graph: candle fills its gradient with zeros and adds each part of it
//! on the calling thread, and keeps the map until the loss is dropped. Here the op keeps the maps, and its backward pass frees them as it goes.

use super::conv::output_shape;
use super::conv_step::Step;
use super::cpu::{contiguous_f32, runs_on_cpu_kernels, with_slices};
use super::handed_over::HandedOver;
use super::{ConvNorm, Lengths, Mode};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is added before the last ReLU of a row of layers.
#[derive(Debug, Clone, Copy)]
pub enum Residual<'a> {
    /// Nothing.
    Nothing,
    /// A map from elsewhere, of the shape of the output.
    Map(&'a Tensor),
    /// The input of the first layer.
    Input,
    /// That input through a layer of its own, without a ReLU.
    Projection(&'a ConvNorm),
}

/// Layers one behind the other, each with a ReLU where its flag says so, and a residual: `[batch, channels, height, width]` to
/// `[batch, outputs of the last, ..]`.
///
/// Of sequences `[batch, channels, 1, steps]` with `lengths` (those behind every layer), everything behind what is filled is zero.
pub fn conv_chain(
    layers: &[(&ConvNorm, bool)],
    residual: Residual,
    lengths: Option<&Lengths>,
    input: &Tensor,
    mode: Mode,
) -> Result<Tensor> {
    if mode.is_train()
        && let Some(output) = train_as_one(&[(layers.to_vec(), residual)], lengths, input)?
    {
        return Ok(output);
    }
    let residual = match residual {
        Residual::Nothing => None,
        Residual::Map(map) => Some(Cow::Borrowed(map)),
        Residual::Input => Some(Cow::Borrowed(input)),
        Residual::Projection(layer) => Some(Cow::Owned(layer.apply(input, None, false, lengths, mode)?)),
    };
    let mut x = input.clone();
    for (i, &(layer, relu)) in layers.iter().enumerate() {
        let residual = residual.as_deref().filter(|_| i + 1 == layers.len());
        x = layer.apply(&x, residual, relu, lengths, mode)?;
    }
    Ok(x)
}

/// A row of layers and what is added before its last ReLU.
pub(super) type BlockOf<'a> = (Vec<(&'a ConvNorm, bool)>, Residual<'a>);

/// In training; `None` where there are no kernels, or nothing to take statistics of. A map is added by the only block alone.
pub(super) fn train_as_one(blocks: &[BlockOf], lengths: Option<&Lengths>, input: &Tensor) -> Result<Option<Tensor>> {
    if !runs_on_cpu_kernels(input) {
        return Ok(None);
    }
    let mut parameters = HandedOver::new(input.device())?;
    let mut shape = input.shape().clone();
    let mut measured = Vec::new();
    let mut ops = Vec::with_capacity(blocks.len());
    for (layers, residual) in blocks {
        let Some(block) = Block::new(layers, *residual, lengths, &shape, &mut parameters)? else {
            return Ok(None);
        };
        let projection =
            if let Residual::Projection(layer) = *residual { block.added.projection().map(|step| (layer, step)) } else { None };
        let steps = layers.iter().map(|(layer, _)| *layer).zip(&block.steps).chain(projection);
        measured.extend(steps.filter_map(|(layer, step)| Some((layer.norm()?, step.statistics()?))));
        shape = block.output_shape(&shape);
        ops.push(block);
    }
    let op = Chain { blocks: ops, kept: Mutex::default() };
    let (input, token) = (input.contiguous()?, parameters.token());
    let output = match blocks {
        [(_, Residual::Map(map))] => input.apply_op3(token, &map.contiguous()?, op)?,
        _ => input.apply_op2(token, op)?,
    };
    for (norm, statistics) in measured {
        norm.update_from(&statistics, input.device())?;
    }
    Ok(Some(output))
}

/// [`Residual`] within the op.
enum Added {
    Nothing,
    /// The op's third input.
    Map,
    Input,
    Projection(Box<Step>),
}

impl Added {
    fn projection(&self) -> Option<&Step> {
        if let Self::Projection(step) = self { Some(step) } else { None }
    }
}

/// What a backward pass of a block needs: before the norm and behind each step (of the last that is `output`), and before the norm of the
/// projection.
struct Maps {
    steps: Vec<[Vec<f32>; 2]>,
    beside: Vec<f32>,
    /// Behind the last step, of a block that is not the last one.
    output: Vec<f32>,
}

/// Layers one behind the other, and what is added before the last ReLU.
struct Block {
    steps: Vec<Step>,
    added: Added,
}

impl Block {
    /// `None` where a layer has nothing to take statistics of, or no norm is at the end.
    fn new(
        layers: &[(&ConvNorm, bool)],
        residual: Residual,
        lengths: Option<&Lengths>,
        input: &Shape,
        parameters: &mut HandedOver,
    ) -> Result<Option<Self>> {
        if layers.last().is_none_or(|(layer, _)| layer.norm().is_none()) {
            return Ok(None);
        }
        let mut shape = input.clone();
        let mut steps = Vec::with_capacity(layers.len());
        for &(layer, relu) in layers {
            let Some(step) = Step::new(layer, relu, lengths, &shape, parameters)? else {
                return Ok(None);
            };
            shape = output_shape(&step.shape);
            steps.push(step);
        }
        let (added, added_shape) = match residual {
            Residual::Nothing => (Added::Nothing, shape.clone()),
            Residual::Map(map) => (Added::Map, map.shape().clone()),
            Residual::Input => (Added::Input, input.clone()),
            Residual::Projection(layer) => {
                let Some(step) = Step::new(layer, false, lengths, input, parameters)? else {
                    return Ok(None);
                };
                let shape = output_shape(&step.shape);
                (Added::Projection(Box::new(step)), shape)
            }
        };
        if added_shape != shape {
            bail!("conv2d and batch norm: output {shape:?} and residual {:?} must have the same shape", added_shape.dims());
        }
        Ok(Some(Self { steps, added }))
    }

    fn output_shape(&self, input: &Shape) -> Shape {
        self.steps.last().map_or(input.clone(), |step| output_shape(&step.shape))
    }

    fn forward(&self, x: &[f32], map: Option<&[f32]>) -> Result<Maps> {
        let [beside, projected] = self.added.projection().map_or(Ok([Vec::new(), Vec::new()]), |step| step.forward(x, None))?;
        let residual = match self.added {
            Added::Nothing => None,
            Added::Map => map,
            Added::Input => Some(x),
            Added::Projection(_) => Some(&projected[..]),
        };
        let mut steps: Vec<[Vec<f32>; 2]> = Vec::with_capacity(self.steps.len());
        for (i, step) in self.steps.iter().enumerate() {
            let from = steps.last().map_or(x, |[_, output]| output);
            let passed = step.forward(from, residual.filter(|_| i + 1 == self.steps.len()))?;
            steps.push(passed);
        }
        let output = steps.last_mut().map(|[_, output]| std::mem::take(output)).unwrap_or_default();
        Ok(Maps { steps, beside, output })
    }

    /// Gradients of the input (if it is asked for) and of an added map.
    fn backward(&self, x: &[f32], maps: Maps, output: &[f32], g: &[f32], asked: bool) -> Result<[Vec<f32>; 2]> {
        let Maps { mut steps, beside, .. } = maps;
        let mut gradient = Cow::Borrowed(g);
        let mut of_residual = Vec::new();
        for (i, step) in self.steps.iter().enumerate().rev() {
            let is_last = i + 1 == self.steps.len();
            let [between, own_output] = steps.pop().unwrap_or_default();
            let y = if is_last { output } else { &own_output };
            let from = steps.last().map_or(x, |[_, output]| output);
            let has_residual = is_last && !matches!(self.added, Added::Nothing);
            let [of_input, added] = step.backward(from, [&between, y], &gradient, has_residual, asked || i > 0)?;
            if has_residual {
                of_residual = added;
            }
            gradient = Cow::Owned(of_input);
        }
        let mut of_input = gradient.into_owned();
        match &self.added {
            Added::Nothing => {}
            Added::Map => return Ok([of_input, of_residual]),
            Added::Input if asked => add_to(&mut of_input, &of_residual),
            Added::Input => {}
            Added::Projection(step) => {
                // Without a ReLU nobody looks at the output, here its input in its place.
                let [projected, _] = step.backward(x, [&beside, &beside], &of_residual, false, asked)?;
                add_to(&mut of_input, &projected);
            }
        }
        Ok([of_input, Vec::new()])
    }
}

/// Of the input, what stands for the parameters, and a map to add.
struct Chain {
    /// One behind the other.
    blocks: Vec<Block>,
    /// Of each block, until a backward pass took them.
    kept: Mutex<Option<Vec<Maps>>>,
}

impl Chain {
    fn kept(&self) -> MutexGuard<'_, Option<Vec<Maps>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The output, and what the blocks keep.
    fn forward(&self, x: &[f32], map: Option<&[f32]>) -> Result<(Vec<f32>, Vec<Maps>)> {
        let mut kept: Vec<Maps> = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let maps = block.forward(kept.last().map_or(x, |maps| &maps.output), map)?;
            kept.push(maps);
        }
        let output = kept.last_mut().map(|maps| std::mem::take(&mut maps.output)).unwrap_or_default();
        Ok((output, kept))
    }

    fn run(&self, input: (&CpuStorage, &Layout), map: Option<(&CpuStorage, &Layout)>) -> Result<(CpuStorage, Shape)> {
        let map = map.map(|(storage, layout)| contiguous_f32(storage, layout)).transpose()?;
        let (output, kept) = self.forward(contiguous_f32(input.0, input.1)?, map)?;
        *self.kept() = Some(kept);
        let shape = self.blocks.last().map_or(input.1.shape().clone(), |block| block.output_shape(input.1.shape()));
        Ok((CpuStorage::F32(output), shape))
    }

    /// Gradients of the input (if it is asked for) and of the third input.
    fn backward(&self, x: &[f32], map: Option<&[f32]>, output: &[f32], g: &[f32], asked: bool) -> Result<[Vec<f32>; 2]> {
        let kept = self.kept().take();
        // A second backward pass over the same graph computes them again.
        let mut kept = kept.map_or_else(|| self.forward(x, map).map(|(_, kept)| kept), Ok)?;
        let mut gradient = Cow::Borrowed(g);
        let mut of_map = Vec::new();
        for (i, block) in self.blocks.iter().enumerate().rev() {
            let Some(mut maps) = kept.pop() else { bail!("a block without maps") };
            let own_output = std::mem::take(&mut maps.output);
            let y = if i + 1 == self.blocks.len() { output } else { &own_output };
            let from = kept.last().map_or(x, |maps| &maps.output);
            let [of_input, added] = block.backward(from, maps, y, &gradient, asked || i > 0)?;
            (gradient, of_map) = (Cow::Owned(of_input), added);
        }
        Ok([gradient.into_owned(), of_map])
    }

    fn tensors(&self, [input, token, output, gradient]: [&Tensor; 4], map: Option<&Tensor>) -> Result<[Option<Tensor>; 3]> {
        let asked = input.track_op();
        let run = |[x, y, g]: [&[f32]; 3], map: Option<&[f32]>| self.backward(x, map, y, g, asked);
        let [of_input, of_map] = match map {
            None => with_slices([input, output, gradient], |numbers| run(numbers, None)),
            Some(map) => with_slices([input, output, gradient, map], |[x, y, g, map]| run([x, y, g], Some(map))),
        }?;
        let tensor = |numbers: Vec<f32>, like: &Tensor| Tensor::from_vec(numbers, like.shape(), like.device());
        let of_input = asked.then(|| tensor(of_input, input)).transpose()?;
        let of_map = map.filter(|map| map.track_op()).map(|map| tensor(of_map, map)).transpose()?;
        Ok([of_input, token.track_op().then(|| token.zeros_like()).transpose()?, of_map])
    }
}

fn add_to(sum: &mut [f32], part: &[f32]) {
    const CHUNK: usize = 1 << 14;
    sum.par_chunks_mut(CHUNK)
        .zip(part.par_chunks(CHUNK))
        .for_each(|(sum, part)| sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part));
}

impl CustomOp2 for Chain {
    fn name(&self) -> &'static str {
        "conv-chain"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run((input, layout), None)
    }

    fn bwd(&self, input: &Tensor, token: &Tensor, output: &Tensor, gradient: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [of_input, of_token, _] = self.tensors([input, token, output, gradient], None)?;
        Ok((of_input, of_token))
    }
}

impl CustomOp3 for Chain {
    fn name(&self) -> &'static str {
        "conv-chain"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
        map: &CpuStorage,
        map_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.run((input, layout), Some((map, map_layout)))
    }

    fn bwd(
        &self,
        input: &Tensor,
        token: &Tensor,
        map: &Tensor,
        output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [of_input, of_token, of_map] = self.tensors([input, token, output, gradient], Some(map))?;
        Ok((of_input, of_token, of_map))
    }
}
