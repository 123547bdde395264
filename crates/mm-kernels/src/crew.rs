//! Threads that stay awake between the many short loops of a network. A thread of rayon sleeps within microseconds of its
//! last task, and waking it takes longer than a small layer; these look for the next loop for a while before they sleep.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a helper looks for work before it sleeps: longer than what stands between two layers, shorter than a person or
/// another program notices.
const AWAKE: Duration = Duration::from_micros(200);

/// Looks between two looks at the clock, and before a waiting thread lets others run.
const LOOKS: usize = 64;

/// A helper that is let in takes one from the seats and adds one to those inside.
const INSIDE: usize = 1 << 16;

/// The helpers of this process, for one loop at a time.
struct Crew {
    /// Someone's loop is being worked on.
    taken: AtomicBool,
    /// `seats + INSIDE * helpers inside`: without seats no one comes in.
    door: AtomicUsize,
    /// What is worked on while there are seats or helpers inside.
    job: AtomicPtr<Job<'static>>,
    hired: AtomicUsize,
    asleep: AtomicUsize,
    /// Held by who goes to sleep or wakes others.
    bed: Mutex<()>,
    woken: Condvar,
}

static CREW: Crew = Crew {
    taken: AtomicBool::new(false),
    door: AtomicUsize::new(0),
    job: AtomicPtr::new(std::ptr::null_mut()),
    hired: AtomicUsize::new(0),
    asleep: AtomicUsize::new(0),
    bed: Mutex::new(()),
    woken: Condvar::new(),
};

/// A loop.
struct Job<'a> {
    task: &'a (dyn Fn(usize) + Sync),
    /// A part of the tasks for each thread that may come: neighbours, which often read and write the same memory.
    parts: Vec<Part>,
    /// Threads that came. The caller is the first: so it meets again what it wrote in the loop before.
    came: AtomicUsize,
    panicked: Mutex<Option<Box<dyn Any + Send>>>,
}

/// Tasks of a thread, and of those who are done before it. On a cache line of its own.
#[repr(align(128))]
struct Part {
    next: AtomicUsize,
    end: usize,
}

impl<'a> Job<'a> {
    fn new(task: &'a (dyn Fn(usize) + Sync), tasks: usize, threads: usize) -> Self {
        let part = |i| Part { next: AtomicUsize::new(tasks * i / threads), end: tasks * (i + 1) / threads };
        Self { task, parts: (0..threads).map(part).collect(), came: AtomicUsize::new(1), panicked: Mutex::new(None) }
    }

    /// Does tasks until none is left, from the part `first` on.
    fn work(&self, first: usize) {
        for i in first..first + self.parts.len() {
            let part = &self.parts[i % self.parts.len()];
            loop {
                let task = part.next.fetch_add(1, SeqCst);
                if task >= part.end {
                    break;
                }
                (self.task)(task);
            }
        }
    }

    /// As [`work`](Self::work), by a thread that must live on.
    fn help(&self) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.work(self.came.fetch_add(1, SeqCst)))) {
            *lock(&self.panicked) = Some(panic);
        }
    }
}

/// A poisoned lock guards nothing that a panic could have left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls `task(0..tasks)` on this thread and up to `helpers` others; `wake`: also where they sleep. `false`, and nothing done, where
/// the helpers are at work for someone else.
pub(crate) fn for_each(tasks: usize, helpers: usize, wake: bool, task: &(dyn Fn(usize) + Sync)) -> bool {
    let helpers = helpers.min(tasks.saturating_sub(1)).min(INSIDE - 1);
    if CREW.taken.swap(true, SeqCst) {
        return false;
    }
    let job = Job::new(task, tasks, helpers + 1);
    {
        let _closed = Open::new(&job, helpers);
        if wake {
            wake_up(helpers);
        }
        job.work(0);
    }
    if let Some(panic) = lock(&job.panicked).take() {
        resume_unwind(panic);
    }
    true
}

/// While it lives helpers may come in; its end waits until none is inside.
struct Open;

impl Open {
    fn new(job: &Job, seats: usize) -> Self {
        CREW.job.store(std::ptr::from_ref(job).cast_mut().cast(), SeqCst);
        CREW.door.store(seats, SeqCst);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        CREW.door.fetch_and(!(INSIDE - 1), SeqCst);
        let mut looks = 0;
        while CREW.door.load(SeqCst) != 0 {
            looks += 1;
            // Where there are fewer cores than threads, the one that is waited for may need this one.
            if looks % LOOKS == 0 { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
        CREW.taken.store(false, SeqCst);
    }
}

/// Wakes those who sleep, and starts threads until there are so many; where none can be started, there are fewer.
fn wake_up(helpers: usize) {
    // Who is about to sleep has counted itself and looks at the door once more, so one of both sees the other.
    if CREW.hired.load(SeqCst) >= helpers && CREW.asleep.load(SeqCst) == 0 {
        return;
    }
    let _bed = lock(&CREW.bed);
    CREW.woken.notify_all();
    while CREW.hired.load(SeqCst) < helpers {
        let name = format!("mm-kernels-{}", CREW.hired.load(SeqCst) + 1);
        if std::thread::Builder::new().name(name).spawn(help_forever).is_err() {
            return;
        }
        CREW.hired.fetch_add(1, SeqCst);
    }
}

fn help_forever() {
    let mut idle_since = Instant::now();
    let mut looks = 0usize;
    loop {
        if help_once() {
            idle_since = Instant::now();
            continue;
        }
        looks = looks.wrapping_add(1);
        if looks.is_multiple_of(LOOKS) && idle_since.elapsed() > AWAKE {
            sleep();
            idle_since = Instant::now();
        }
        std::hint::spin_loop();
    }
}

/// Works on what there is, if a seat is free.
fn help_once() -> bool {
    let come_in = |door| (door % INSIDE > 0).then(|| door - 1 + INSIDE);
    if CREW.door.load(SeqCst).is_multiple_of(INSIDE) || CREW.door.fetch_update(SeqCst, SeqCst, come_in).is_err() {
        return false;
    }
    // SAFETY: the job was stored before the seats, and its owner waits for everyone inside.
    unsafe { &*CREW.job.load(SeqCst) }.help();
    CREW.door.fetch_sub(INSIDE, SeqCst);
    true
}

/// Until a loop is opened that is worth waking for.
fn sleep() {
    let bed = lock(&CREW.bed);
    CREW.asleep.fetch_add(1, SeqCst);
    if CREW.door.load(SeqCst).is_multiple_of(INSIDE) {
        drop(CREW.woken.wait(bed).unwrap_or_else(PoisonError::into_inner));
    }
    CREW.asleep.fetch_sub(1, SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often each task was done.
    fn counts(tasks: usize, helpers: usize, wake: bool) -> Option<Vec<usize>> {
        let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
        let done = for_each(tasks, helpers, wake, &|task| _ = counts[task].fetch_add(1, SeqCst));
        let counts: Vec<usize> = counts.into_iter().map(AtomicUsize::into_inner).collect();
        assert!(counts.iter().all(|&count| count == usize::from(done)), "{counts:?}");
        done.then_some(counts)
    }

    /// Loops of several threads at once, some of which find the helpers at work; helpers sleep and wake in between.
    #[test]
    fn every_task_is_done_once_or_the_loop_is_refused() {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    for round in 0..300 {
                        counts((7 * round + thread) % 23, 1 + round % 4, round % 3 > 0);
                        if round % 50 == 0 {
                            std::thread::sleep(2 * AWAKE);
                        }
                    }
                });
            }
        });
        while counts(5, 2, true).is_none() {}
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_helpers_live_on() {
        for culprit in 0..40 {
            let panic = catch_unwind(|| while !for_each(40, 3, true, &|task| assert_ne!(task, culprit)) {});
            assert!(panic.is_err(), "{culprit}");
        }
        while counts(40, 3, true).is_none() {}
    }

    #[test]
    fn a_loop_in_a_loop_is_refused() {
        let outer = || for_each(3, 2, true, &|_| assert!(!for_each(2, 1, true, &|_| unreachable!("the helpers are at work"))));
        while !outer() {}
    }
}
