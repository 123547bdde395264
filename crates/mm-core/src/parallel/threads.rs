//! Ranks that are threads of one process: for tests, and for a look at what ranks do without MPI.

use super::{Communicator, ParallelError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A rank that is a thread.
///
/// ```
/// use mm_core::parallel::{Communicator, Threads};
/// let ranks = Threads::new(2);
/// let gathered: Vec<_> = std::thread::scope(|scope| {
///     let run = |rank: Threads| scope.spawn(move || rank.all_gather("name", &[rank.rank() as u8]));
///     let threads: Vec<_> = ranks.into_iter().map(run).collect();
///     threads.into_iter().map(|thread| thread.join().unwrap()).collect()
/// });
/// assert_eq!(gathered, vec![Ok(vec![vec![0], vec![1]]); 2]);
/// ```
pub struct Threads {
    rank: usize,
    world: usize,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// What a rank has brought to an exchange.
#[derive(Clone)]
struct Brought {
    what: String,
    /// One for each rank, or one for all.
    parts: Arc<Vec<Vec<u8>>>,
}

#[derive(Default)]
struct State {
    /// Of the exchange that is going on, by rank.
    brought: Vec<Option<Brought>>,
    /// Of the exchange that is complete, and how many ranks have yet to fetch it.
    complete: Vec<Brought>,
    to_fetch: usize,
    /// Exchanges that are complete.
    exchanges: u64,
    gone: Option<usize>,
}

impl Threads {
    /// So many ranks, each for a thread of its own.
    pub fn new(world: usize) -> Vec<Self> {
        let state = State { brought: vec![None; world], ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        (0..world).map(|rank| Self { rank, world, shared: shared.clone() }).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as `not_yet` holds; an error where a rank ends meanwhile.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        not_yet: impl Fn(&State) -> bool,
    ) -> Result<MutexGuard<'a, State>, ParallelError> {
        while not_yet(&state) {
            if let Some(rank) = state.gone {
                return Err(ParallelError::Gone { rank });
            }
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(state)
    }

    fn exchange(&self, what: &str, parts: Vec<Vec<u8>>) -> Result<Vec<Brought>, ParallelError> {
        // Others may still be fetching what was exchanged before.
        let mut state = self.wait(self.state(), |state| state.to_fetch > 0)?;
        let exchange = state.exchanges;
        state.brought[self.rank] = Some(Brought { what: what.into(), parts: Arc::new(parts) });
        if state.brought.iter().all(Option::is_some) {
            state.complete = state.brought.iter_mut().filter_map(Option::take).collect();
            state.to_fetch = self.world;
            state.exchanges += 1;
            self.shared.changed.notify_all();
        }
        let mut state = self.wait(state, |state| state.exchanges == exchange)?;
        let complete = state.complete.clone();
        state.to_fetch -= 1;
        if state.to_fetch == 0 {
            self.shared.changed.notify_all();
        }
        drop(state);
        match complete.iter().enumerate().find(|(_, brought)| brought.what != what) {
            Some((rank, brought)) => {
                Err(ParallelError::Mismatch { own_rank: self.rank, own: what.into(), rank, theirs: brought.what.clone() })
            }
            None => Ok(complete),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        let mut state = self.state();
        state.gone.get_or_insert(self.rank);
        self.shared.changed.notify_all();
    }
}

impl Communicator for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world(&self) -> usize {
        self.world
    }

    fn all_gather(&self, what: &str, own: &[u8]) -> Result<Vec<Vec<u8>>, ParallelError> {
        let all = self.exchange(what, vec![own.to_vec()])?;
        Ok(all.iter().map(|brought| brought.parts.first().cloned().unwrap_or_default()).collect())
    }

    fn all_to_all(&self, what: &str, parts: &[&[u8]]) -> Result<Vec<Vec<u8>>, ParallelError> {
        let all = self.exchange(what, parts.iter().map(|part| part.to_vec()).collect())?;
        Ok(all.iter().map(|brought| brought.parts.get(self.rank).cloned().unwrap_or_default()).collect())
    }
}
