//! The teacher that is asked once a sample.

use candle_core::{Device, Tensor};
use mm_core::data::Inputs;
use mm_core::model::Output;
use mm_core::teacher::{CachedTeacher, Teacher};
use mm_core::{Modalities, Presence, Result, Subset, rng};
use mm_testing::bits;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const SIDE: usize = 8;

/// Images of the samples `rows`.
fn inputs(rows: &[u64]) -> Inputs {
    let image = |row: &u64| rng::standard_normal(&mut rng::stream(1, "image", &[*row]), SIDE * SIDE);
    let images = Tensor::from_vec(rows.iter().flat_map(image).collect::<Vec<_>>(), (rows.len(), 1, SIDE, SIDE), &Device::Cpu).unwrap();
    let camera = Modalities::new(["camera"]).unwrap();
    Inputs::new(&camera, [Some(images)], Presence::uniform(Subset::full(1), rows.len()), rows.to_vec()).unwrap()
}

/// Answers with the image itself and counts the samples it is asked for.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Counting {
    fn asked(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Teacher for Counting {
    fn teach(&self, inputs: &Inputs) -> Result<Output> {
        self.0.fetch_add(inputs.len(), Ordering::Relaxed);
        let feature = inputs.at(0).unwrap().values.flatten_from(1)?;
        Ok(Output::with_feature(feature.narrow(1, 0, 2)?, feature))
    }
}

fn same(a: &Output, b: &Output) -> bool {
    a.tensors().count() == 2 && a.tensors().map(bits).eq(b.tensors().map(bits))
}

#[test]
fn altered_samples_pass_by_the_cache() {
    let counting = Counting::default();
    let teacher = CachedTeacher::new(Box::new(counting.clone()));
    let clean = inputs(&[0, 1, 2]);
    let first = teacher.teach(&clean).unwrap();
    assert!(same(&teacher.teach(&clean).unwrap(), &first));
    assert_eq!(counting.asked(), 3);
    let flipped = clean.at(0).unwrap().values.flip(&[3]).unwrap().contiguous().unwrap();
    let changed = clean.clone().with_values(0, flipped).unwrap();
    assert!(!same(&teacher.teach(&changed).unwrap(), &first));
    assert_eq!(counting.asked(), 3);
    assert!(same(&teacher.teach(&clean).unwrap(), &first));
    assert_eq!(counting.asked(), 0);
}

#[test]
fn the_budget_bounds_the_memory_and_changes_no_bit() {
    // Numbers of an answer, and 512 bytes for what keeps them.
    let size = (SIDE * SIDE + 2) * 4 + 512;
    let rows: Vec<u64> = (0..2 * (1 << 20) / size as u64).collect();
    let (all, counting) = (inputs(&rows), Counting::default());
    let expected = Counting::default().teach(&all).unwrap();
    for (mib, kept) in [(0, 0), (1, (1 << 20) / size), (256, rows.len())] {
        let teacher = CachedTeacher::with_budget(Box::new(counting.clone()), mib);
        assert!(same(&teacher.teach(&all).unwrap(), &expected));
        assert_eq!((counting.asked(), teacher.bytes()), (rows.len(), kept * size), "{mib} MiB");
        assert!(same(&teacher.teach(&all).unwrap(), &expected));
        assert_eq!(counting.asked(), rows.len() - kept, "{mib} MiB");
    }
}

/// A teacher that looks at its own cache from another thread, as one of its parallel parts may that took up another student's step.
struct Meddling(Arc<OnceLock<Arc<CachedTeacher>>>);

impl Teacher for Meddling {
    fn teach(&self, inputs: &Inputs) -> Result<Output> {
        let (cache, (sender, receiver)) = (self.0.get().unwrap().clone(), channel());
        std::thread::spawn(move || sender.send(cache.bytes()));
        receiver.recv_timeout(Duration::from_secs(60)).expect("the cache is locked while its teacher works");
        Counting::default().teach(inputs)
    }
}

#[test]
fn the_cache_is_free_while_the_teacher_works() {
    let cell = Arc::new(OnceLock::new());
    let teacher = Arc::new(CachedTeacher::new(Box::new(Meddling(cell.clone()))));
    assert!(cell.set(teacher.clone()).is_ok());
    teacher.teach(&inputs(&[3, 4])).unwrap();
}

/// The answer of a sample is the same whatever batch it came in, and all tensors of it come back.
#[test]
fn answers_are_put_together_in_the_order_asked_for() {
    let teacher = CachedTeacher::new(Box::new(Counting::default()));
    teacher.teach(&inputs(&[5, 1])).unwrap();
    let answer = teacher.teach(&inputs(&[1, 9, 5])).unwrap();
    assert!(same(&answer, &Counting::default().teach(&inputs(&[1, 9, 5])).unwrap()));
    let error = teacher.teach(&inputs(&[])).unwrap_err().to_string();
    assert!(error.contains("a batch without samples"), "{error}");
}
