//! Ranks that `mpirun` started, on one machine or several.

use mm_core::parallel::{Communicator, ParallelError};
use mpi::Threading;
use mpi::datatype::{Partition, PartitionMut};
use mpi::environment::Universe;
use mpi::topology::{Communicator as _, SimpleCommunicator};
use mpi::traits::CommunicatorCollectives;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// This process among those that `mpirun` started.
///
/// [`Communicator::finish`] ends MPI in good order. A process that ends without it, or by [`Communicator::abort`], is one that failed, and
/// `mpirun` ends the others.
pub struct Mpi {
    rank: usize,
    world: usize,
    /// Held during a call: MPI serves one thread at a time.
    universe: Mutex<Option<Universe>>,
}

/// Bytes of a name that ranks tell each other when they are not at the same exchange.
const NAME: usize = 64;

impl Mpi {
    /// Starts MPI; once in a process.
    pub fn start() -> Result<Self, ParallelError> {
        let problem = |problem: &str| ParallelError::Mpi { problem: problem.into() };
        let (universe, threading) =
            mpi::initialize_with_threading(Threading::Serialized).ok_or_else(|| problem("it was started already in this process"))?;
        if threading < Threading::Serialized {
            return Err(problem("it does not support calls from threads other than the first: it needs MPI_THREAD_SERIALIZED"));
        }
        let all = SimpleCommunicator::world();
        // Neither is ever negative.
        let [rank, world] = [all.rank(), all.size()].map(|n| usize::try_from(n).unwrap_or(0));
        Ok(Self { rank, world, universe: Mutex::new(Some(universe)) })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Universe>> {
        self.universe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells all ranks the lengths that each is about to send, `[rank][message]`, after a look at whether they are at the same exchange.
    fn announce(&self, what: &str, lengths: &[usize]) -> Result<Vec<Vec<usize>>, ParallelError> {
        let all = SimpleCommunicator::world();
        let own: Vec<u64> = std::iter::once(hash_of(what)).chain(lengths.iter().map(|length| *length as u64)).collect();
        // Of one length in every exchange, so that two that differ understand each other.
        let width = 1 + self.world;
        let mut sent = own.clone();
        sent.resize(width, 0);
        let mut received = vec![0u64; width * self.world];
        all.all_gather_into(&sent[..], &mut received[..]);
        let by_rank: Vec<&[u64]> = received.chunks_exact(width).collect();
        if let Some(rank) = by_rank.iter().position(|theirs| theirs[0] != sent[0]) {
            // Every rank sees that, and tells its name.
            let mut name = [0u8; NAME];
            name.iter_mut().zip(what.bytes()).for_each(|(to, byte)| *to = byte);
            let mut names = vec![0u8; NAME * self.world];
            all.all_gather_into(&name[..], &mut names[..]);
            let theirs = String::from_utf8_lossy(&names[rank * NAME..][..NAME]).trim_end_matches('\0').to_string();
            return Err(ParallelError::Mismatch { own_rank: self.rank, own: what.into(), rank, theirs });
        }
        Ok(by_rank.iter().map(|theirs| theirs[1..].iter().map(|length| *length as usize).collect()).collect())
    }
}

/// The same on all ranks: they run the same program.
fn hash_of(what: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    what.hash(&mut hash);
    hash.finish()
}

/// Lengths and places of messages one behind the other, and their length together.
fn layout(what: &str, lengths: &[usize]) -> Result<(Vec<i32>, Vec<i32>, usize), ParallelError> {
    let total: usize = lengths.iter().sum();
    if i32::try_from(total).is_err() {
        return Err(ParallelError::TooLong { what: what.into(), bytes: total });
    }
    let counts: Vec<i32> = lengths.iter().map(|length| *length as i32).collect();
    let places = counts.iter().scan(0, |place, count| {
        let at = *place;
        *place += count;
        Some(at)
    });
    let places = places.collect();
    Ok((counts, places, total))
}

/// Messages one behind the other, by rank.
fn split(received: &[u8], lengths: &[usize]) -> Vec<Vec<u8>> {
    let mut rest = received;
    let mut next = |length: &usize| {
        let (own, behind) = rest.split_at(*length);
        rest = behind;
        own.to_vec()
    };
    lengths.iter().map(&mut next).collect()
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn world(&self) -> usize {
        self.world
    }

    fn all_gather(&self, what: &str, own: &[u8]) -> Result<Vec<Vec<u8>>, ParallelError> {
        let _one_at_a_time = self.lock();
        let lengths: Vec<usize> = self.announce(what, &[own.len()])?.iter().map(|lengths| lengths[0]).collect();
        let (counts, places, total) = layout(what, &lengths)?;
        let mut received = vec![0u8; total];
        SimpleCommunicator::world().all_gather_varcount_into(own, &mut PartitionMut::new(&mut received[..], counts, places));
        Ok(split(&received, &lengths))
    }

    fn all_to_all(&self, what: &str, parts: &[&[u8]]) -> Result<Vec<Vec<u8>>, ParallelError> {
        let _one_at_a_time = self.lock();
        let sent: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        let lengths: Vec<usize> = self.announce(what, &sent)?.iter().map(|lengths| lengths[self.rank]).collect();
        let (send_counts, send_places, _) = layout(what, &sent)?;
        let (counts, places, total) = layout(what, &lengths)?;
        let (parts, mut received) = (parts.concat(), vec![0u8; total]);
        SimpleCommunicator::world().all_to_all_varcount_into(
            &Partition::new(&parts[..], send_counts, send_places),
            &mut PartitionMut::new(&mut received[..], counts, places),
        );
        Ok(split(&received, &lengths))
    }

    fn abort(&self) {
        SimpleCommunicator::world().abort(1);
    }

    fn finish(&self) {
        // Waits for the other ranks.
        drop(self.lock().take());
    }
}

impl Drop for Mpi {
    /// Not in good order: to end MPI here would wait for ranks that wait for this one.
    fn drop(&mut self) {
        std::mem::forget(self.lock().take());
    }
}
