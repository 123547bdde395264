//! Uncertainty-weighted balancing of the terms (Kendall et al. 2018).

use candle_core::Tensor;
use candle_nn::{Init, VarBuilder};
use mm_core::Result;
use mm_core::train::Losses;

/// The terms that have an uncertainty, by the names that the log shows.
pub(crate) const TERMS: [&str; 4] = ["task", "rec", "restored_task", "ja"];

/// One learned `s` a term, 0 at first: `balance.<term>`.
pub(crate) struct Uncertainties {
    values: [Tensor; TERMS.len()],
}

impl Uncertainties {
    /// Makes the parameters.
    pub fn new(vb: VarBuilder) -> Result<Self> {
        let mut values = Vec::with_capacity(TERMS.len());
        for term in TERMS {
            values.push(vb.get_with_hints((), term, Init::Const(0.0))?);
        }
        let [task, rec, restored_task, ja] = values.as_slice() else { unreachable!("one value a term") };
        Ok(Self { values: [task.clone(), rec.clone(), restored_task.clone(), ja.clone()] })
    }

    /// `Σ exp(-s_i) w_i L_i + s_i` over `(name, w_i, L_i)`; the terms themselves are logged beside it, without gradient.
    pub fn balance(&self, terms: Vec<(&'static str, f64, Tensor)>) -> Result<Losses> {
        let mut total: Option<Tensor> = None;
        let mut losses = Losses::default();
        for (name, weight, value) in terms {
            losses = losses.with(name, 0.0, value.detach());
            let Some(s) = TERMS.iter().position(|term| *term == name).map(|i| &self.values[i]) else { continue };
            let term = ((s.neg()?.exp()?.mul(&value)? * weight)? + s)?;
            total = Some(match total {
                Some(total) => (total + term)?,
                None => term,
            });
        }
        Ok(match total {
            Some(total) => losses.with("balanced", 1.0, total),
            None => losses,
        })
    }
}
