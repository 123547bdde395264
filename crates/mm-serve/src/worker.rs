//! The thread that owns the model: it takes all requests that wait, up to a number, and answers them as one batch.

use crate::error::Refusal;
use crate::metrics::Metrics;
use crate::{ServeError, Settings};
use mm_core::Pipeline;
use mm_core::eval::evaluation_batch;
use mm_core::pipeline::{Answer, Prepared};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// A request that waits.
pub(crate) struct Job {
    pub prepared: Prepared,
    pub reply: oneshot::Sender<Result<Answer, Refusal>>,
    /// Its place in the queue, which ends with it. There are so many, so the channel is bounded.
    pub place: OwnedSemaphorePermit,
}

/// Since when the model has been computing, where it is.
#[derive(Clone, Default)]
pub(crate) struct Busy(Arc<Mutex<Option<Instant>>>);

impl Busy {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// For how long.
    pub fn for_how_long(&self) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map(|since| since.elapsed())
    }
}

/// Requests that are answered together, at most: what was asked for, or what the inputs of the model allow.
pub(crate) fn most_together(model: &Pipeline, settings: &Settings) -> usize {
    settings.max_batch.min(evaluation_batch(model.schema()))
}

/// Starts the thread; it ends when nobody can send to it any more.
pub(crate) fn start(
    model: Arc<Pipeline>,
    settings: &Settings,
    metrics: Arc<Metrics>,
    busy: Busy,
) -> Result<(Sender<Job>, JoinHandle<()>), ServeError> {
    let (sender, jobs) = channel();
    let (most, wait) = (most_together(&model, settings), settings.max_wait);
    let work = move || {
        while let Ok(first) = jobs.recv() {
            let batch = collect(first, &jobs, most, wait);
            busy.set(Some(Instant::now()));
            answer(&model, batch, &metrics);
            busy.set(None);
        }
    };
    let thread = std::thread::Builder::new().name("model".into()).spawn(work).map_err(ServeError::Threads)?;
    Ok((sender, thread))
}

/// The requests that wait, and those that come within `wait`.
fn collect(first: Job, jobs: &Receiver<Job>, most: usize, wait: Duration) -> Vec<Job> {
    let (mut batch, began) = (vec![first], Instant::now());
    while batch.len() < most {
        let left = wait.saturating_sub(began.elapsed());
        match jobs.try_recv().ok().or_else(|| jobs.recv_timeout(left).ok()) {
            Some(job) => batch.push(job),
            None => break,
        }
    }
    // Those whose client has gone or waited too long.
    batch.retain(|job| !job.reply.is_closed());
    batch
}

fn answer(model: &Pipeline, batch: Vec<Job>, metrics: &Metrics) {
    if batch.is_empty() {
        return;
    }
    let began = Instant::now();
    let (mut prepared, mut waiting) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
    for Job { prepared: sample, reply, place } in batch {
        prepared.push(sample);
        waiting.push((reply, place));
    }
    // A bug in one batch is not the end of the server.
    let answers = catch_unwind(AssertUnwindSafe(|| model.answer(prepared)));
    metrics.computed(waiting.len(), began.elapsed());
    let failed = |problem: String| {
        tracing::error!("a batch of {} requests failed: {problem}", waiting.len());
        Refusal::failed(format!("the model failed: {problem}"))
    };
    let answers = match answers {
        Ok(Ok(answers)) => Ok(answers),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("it panicked".into())),
    };
    // Whoever does not wait any more is not told.
    match answers {
        Ok(answers) => {
            for ((reply, place), answer) in waiting.into_iter().zip(answers) {
                drop(place);
                _ = reply.send(answer.map_err(Refusal::from));
            }
        }
        Err(refusal) => waiting.into_iter().for_each(|(reply, _)| _ = reply.send(Err(refusal.clone()))),
    }
}
