//! The cases of optimizers and schedules.

use super::case::{Case, Outputs};
use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use candle_nn::Init;
use mm_core::nn::Parameters;
use mm_core::optim::{Optimizer, OptimizerConfig, Schedule, ScheduleConfig};

fn optimizer_config(case: &Case) -> Result<OptimizerConfig> {
    Ok(match case.param::<String>("kind")?.as_str() {
        "sgd_nesterov" | "sgd_momentum" => OptimizerConfig::Sgd {
            momentum: case.param("momentum")?,
            weight_decay: case.param("weight_decay")?,
            nesterov: case.param("nesterov")?,
        },
        "adam" => OptimizerConfig::Adam { betas: case.param("betas")?, eps: case.param("eps")?, weight_decay: case.param("weight_decay")? },
        "adamw" => {
            OptimizerConfig::AdamW { betas: case.param("betas")?, eps: case.param("eps")?, weight_decay: case.param("weight_decay")? }
        }
        other => bail!("unknown optimizer `{other}`"),
    })
}

/// The parameter after each step on `Σ_j (j+1) (p_j - t_j)²`.
pub fn optimizer(case: &Case) -> Result<Outputs> {
    let (start, target) = (case.tensor("parameter")?, case.tensor("target")?);
    let (count, steps): (usize, usize) = (start.elem_count(), case.param("steps")?);
    let shape: Vec<usize> = [steps].into_iter().chain(start.dims().iter().copied()).collect();
    case.expect_shape("trajectory", &shape)?;
    let parameters = Parameters::new(0, case.device());
    let parameter = parameters.builder().get_with_hints(count, "p", Init::Const(0.0))?;
    let (_, variable) = parameters.variables().into_iter().next().context("one variable")?;
    variable.set(&start)?;
    let scale = Tensor::arange(1f32, (count + 1) as f32, case.device())?;
    let mut optimizer = Optimizer::new(optimizer_config(case)?)?;
    let mut trajectory = Vec::with_capacity(steps);
    for _ in 0..steps {
        let loss = (&parameter - &target)?.sqr()?.mul(&scale)?.sum_all()?;
        optimizer.step(&parameters, &loss.backward()?, case.param("lr")?)?;
        trajectory.push(parameter.copy()?);
    }
    Outputs::default().tensor("trajectory", &Tensor::stack(&trajectory, 0)?)
}

/// The learning rate of each epoch.
pub fn schedule(case: &Case) -> Result<Outputs> {
    let none = 0.0;
    let (config, rate, total) = match case.param::<String>("kind")?.as_str() {
        "cosine" => {
            let total: usize = case.param("total")?;
            (ScheduleConfig::Cosine { warmup_epochs: none }, case.param("lr")?, total)
        }
        "multi_step" => {
            let config =
                ScheduleConfig::MultiStep { milestones: case.param("milestones")?, gamma: case.param("gamma")?, warmup_epochs: none };
            (config, case.param("lr")?, case.output_length("lr")?)
        }
        "one_cycle" => {
            let config = ScheduleConfig::OneCycle {
                pct_start: case.param("pct_start")?,
                div_factor: case.param("div_factor")?,
                final_div_factor: case.param("final_div_factor")?,
            };
            (config, case.param("max_lr")?, case.param("total")?)
        }
        other => bail!("unknown schedule `{other}`"),
    };
    // Each epoch is one step.
    let schedule = Schedule::new(config, rate, total, 1)?;
    let count = case.output_length("lr")?;
    Ok(Outputs::default().numbers("lr", &[count], (0..count).map(|epoch| schedule.rate(epoch)).collect()))
}
