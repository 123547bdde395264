//! From rows to batches: the same bytes however far ahead they are made, errors that arrive, ends that are clean.

use candle_core::Device;
use mm_core::data::{Array, AugmentConfig, Batch, InputSpec, Loader, Loading, Meta, Sample, Schema, Shard, Source, Standardizer};
use mm_core::data::{TableDataset, Target, TargetValue, Transform, collate, epoch_batches};
use mm_core::{Error, Modalities, Presence, Result, Subset, rng};
use mm_testing::bits;
use rand::RngExt;
use std::sync::mpsc::channel;
use std::time::Duration;

const SAMPLES: usize = 23;
const BATCH: usize = 5;
const AUGMENT: AugmentConfig =
    AugmentConfig { flip: 0.5, rotation: 30.0, crop_area: [0.5, 1.0], crop_aspect: [0.75, 4.0 / 3.0], ..AugmentConfig::OFF };

fn schema() -> Schema {
    let inputs = vec![InputSpec::image([2, 5, 4]), InputSpec::vector(3)];
    Schema::new(Modalities::new(["camera", "scale"]).unwrap(), inputs, Target::of_classes(["a", "b"])).unwrap()
}

fn presence(row: usize) -> Subset {
    Subset::from_bits([0b11, 0b01, 0b10][row % 3]).unwrap()
}

fn reading(row: usize, m: usize) -> Vec<f32> {
    rng::standard_normal(&mut rng::stream(4, "reading", &[row as u64, m as u64]), [40, 3][m])
}

/// Reads one sample after the other, as from files, and knows nothing else; from `broken` on it cannot.
struct Files {
    schema: Schema,
    broken: usize,
}

impl Files {
    fn new() -> Self {
        Self { schema: schema(), broken: SAMPLES }
    }
}

impl Source for Files {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn len(&self) -> usize {
        SAMPLES
    }

    fn meta(&self, row: usize) -> Meta<'_> {
        let mut meta = Meta::new(presence(row));
        (meta.class, meta.weight) = (Some(row as u32 % 2), if row == 7 { 3.0 } else { 1.0 });
        meta
    }

    fn read(&self, row: usize) -> Result<Sample> {
        if row >= self.broken {
            return Err(Error::File { path: format!("file {row}").into(), problem: "is unreadable".into() });
        }
        let array = |(m, input): (usize, &InputSpec)| presence(row).contains(m).then(|| Array::new(input.shape.clone(), reading(row, m)));
        let readings = self.schema.inputs.iter().enumerate().map(array).collect();
        Ok(Sample { readings, target: TargetValue::Class(row as u32 % 2) })
    }
}

/// The same samples in memory.
fn table() -> TableDataset {
    let column = |m| (0..SAMPLES).flat_map(|row| reading(row, m)).collect();
    let has = Presence::new((0..SAMPLES).map(presence).collect());
    TableDataset::new(schema(), vec![column(0), column(1)], has, (0..SAMPLES as u32).map(|row| row % 2).collect()).unwrap()
}

/// All that a batch holds.
fn content(batch: &Batch) -> String {
    let inputs = batch.inputs();
    let readings: Vec<_> = inputs.readings().iter().map(|r| r.as_ref().map(|r| (r.values.dims().to_vec(), bits(&r.values)))).collect();
    let weights = batch.targets().weights().map(bits);
    let targets = batch.targets().values().to_vec1::<u32>().unwrap();
    format!("{:?} {:?} {targets:?} {weights:?} {} {readings:?}", batch.ids(), batch.presence(), inputs.is_altered())
}

fn epoch(loader: &Loader, epoch: u64, from: usize) -> Result<Vec<Batch>> {
    loader.epoch(epoch, from, |batches| batches.collect())
}

fn contents(batches: &[Batch]) -> Vec<String> {
    batches.iter().map(content).collect()
}

/// None ahead, fewer workers than batches, more than can be ready.
const LOADINGS: [Loading; 6] = [
    Loading { workers: 0, prefetch: 0 },
    Loading { workers: 0, prefetch: 4 },
    Loading { workers: 1, prefetch: 0 },
    Loading { workers: 1, prefetch: 4 },
    Loading { workers: 3, prefetch: 0 },
    Loading { workers: 3, prefetch: 4 },
];

#[test]
fn the_same_bytes_however_batches_are_made() {
    let (table, files, rows): (_, _, Vec<usize>) = (table(), Files::new(), (0..SAMPLES).collect());
    let augment: [Box<dyn Transform>; 1] = [Box::new(AUGMENT)];
    for (source, name) in [(&table as &dyn Source, "table"), (&files, "files")] {
        for transforms in [&augment[..0], &augment[..]] {
            let loader = |loading| Loader::new(source, &rows, BATCH, 9).transforms(transforms).loading(loading);
            let first = loader(LOADINGS[0]);
            let expected = contents(&epoch(&first, 1, 0).unwrap());
            assert_eq!((expected.len(), first.steps()), (SAMPLES / BATCH, SAMPLES / BATCH));
            assert_ne!(expected, contents(&epoch(&first, 2, 0).unwrap()));
            for loading in LOADINGS {
                assert_eq!(contents(&epoch(&loader(loading), 1, 0).unwrap()), expected, "{name} {loading:?}");
                // Taken up in the middle of the epoch.
                assert_eq!(contents(&epoch(&loader(loading), 1, 3).unwrap()), expected[3..], "{name} {loading:?}");
            }
            let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
            assert_eq!(contents(&pool.install(|| epoch(&first, 1, 0)).unwrap()), expected, "{name}");
        }
    }
}

/// The shorter way of a table, and the way of all other sources.
#[test]
fn a_table_and_files_of_the_same_samples_give_the_same_batches() {
    let (table, files) = (table(), Files::new());
    let rows = [7, 3, 3, 22, 0];
    let batch = table.batch(&rows, &Device::Cpu).unwrap();
    assert_eq!(content(&files.batch(&rows, &Device::Cpu).unwrap()), content(&batch));
    let samples = rows.map(|row| table.read(row).unwrap()).to_vec();
    let collated = collate(&schema(), samples, batch.ids().to_vec(), false, &Device::Cpu).unwrap();
    assert_eq!(content(&collated), content(&batch));
    let statistics = |source: &dyn Source| Standardizer::fit(source, &rows).unwrap();
    assert_eq!(statistics(&table), statistics(&files));
    assert!(table.read(SAMPLES).unwrap_err().to_string().contains("row 23 was asked for"));
}

/// As a step between source and model it does what it does to a whole table.
#[test]
fn samples_are_standardized_as_a_table_is() {
    let (mut table, files, rows): (_, _, Vec<usize>) = (table(), Files::new(), (0..SAMPLES).collect());
    let standardizer = Standardizer::fit(&table, &rows).unwrap();
    standardizer.apply(&mut table).unwrap();
    let transforms: [Box<dyn Transform>; 1] = [Box::new(standardizer)];
    let values = |batches: Vec<Batch>| -> Vec<_> {
        batches
            .iter()
            .map(|batch| (batch.inputs().is_altered(), mm_testing::tensors(batch.inputs()).iter().flatten().map(bits).collect::<Vec<_>>()))
            .collect()
    };
    let by_sample = epoch(&Loader::new(&files, &rows, BATCH, 9).transforms(&transforms), 0, 0).unwrap();
    assert_eq!(values(by_sample), values(epoch(&Loader::new(&table, &rows, BATCH, 9), 0, 0).unwrap()));
}

#[test]
fn samples_that_do_not_fit_the_schema_are_refused() {
    let sample = |readings| Sample { readings, target: TargetValue::Class(0) };
    let (image, vector) = (Array::new([2, 5, 4], vec![0.0; 40]), Array::new([3], vec![0.0; 3]));
    for (readings, expected) in [
        (vec![Some(image.clone())], "`readings of sample 8`: expected shape [2], found [1]"),
        (vec![Some(vector), None], "`camera` of sample 8"),
        (vec![Some(Array::new([2, 5, 4], vec![0.0; 39])), None], "`camera` of sample 8"),
        (vec![None, None], "at least one modality"),
    ] {
        let error = collate(&schema(), vec![sample(readings)], vec![8], false, &Device::Cpu).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} lacks {expected:?}");
    }
}

#[test]
fn an_error_of_the_source_reaches_who_asks_for_the_batch() {
    let rows: Vec<usize> = (0..SAMPLES).collect();
    let files = Files { broken: SAMPLES - 1, ..Files::new() };
    let position = epoch_batches(&rows, BATCH, true, 9, 0).iter().position(|rows| rows.contains(&(SAMPLES - 1))).unwrap();
    for loading in LOADINGS {
        let loader = Loader::new(&files, &rows, BATCH, 9).loading(loading);
        let results = loader.epoch(0, 0, |batches| batches.map(|batch| batch.map(|_| ())).collect::<Vec<_>>());
        assert_eq!(results.len(), SAMPLES / BATCH);
        for (step, result) in results.into_iter().enumerate() {
            assert_eq!(result.is_err(), step == position, "{loading:?}, step {step}");
            if let Err(error) = result {
                assert!(error.to_string().contains("file 22: is unreadable"), "{error}");
            }
        }
        assert!(epoch(&loader, 0, 0).is_err());
    }
}

/// What `work` returns, if it ends.
fn ends<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(Duration::from_secs(60)).expect("it hangs")
}

#[test]
fn whoever_stops_early_is_not_held_up() {
    let taken = ends(|| {
        // Many more batches than can be ready.
        let (files, rows): (_, Vec<usize>) = (Files::new(), (0..2000).map(|i| i % SAMPLES).collect());
        let taken = |loading| (0..3).map(move |count| (loading, count));
        let first = |(loading, count): (Loading, usize)| {
            Loader::new(&files, &rows, BATCH, 9).loading(loading).epoch(0, 0, |batches| batches.take(count).filter(Result::is_ok).count())
        };
        LOADINGS.into_iter().flat_map(taken).map(first).collect::<Vec<_>>()
    });
    assert_eq!(taken, [0, 1, 2].repeat(LOADINGS.len()));
}

#[test]
fn no_more_batches_wait_than_were_asked_for() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    struct Counting(Files, AtomicUsize);
    impl Source for Counting {
        fn schema(&self) -> &Schema {
            self.0.schema()
        }
        fn len(&self) -> usize {
            SAMPLES
        }
        fn meta(&self, row: usize) -> Meta<'_> {
            self.0.meta(row)
        }
        fn read(&self, row: usize) -> Result<Sample> {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.read(row)
        }
    }
    let rows: Vec<usize> = (0..200).map(|i| i % SAMPLES).collect();
    for (workers, prefetch) in [(1, 1), (1, 4), (2, 4)] {
        let counting = Counting(Files::new(), AtomicUsize::new(0));
        Loader::new(&counting, &rows, BATCH, 9).loading(Loading { workers, prefetch }).epoch(0, 0, |batches| {
            batches.next().unwrap().unwrap();
            std::thread::sleep(Duration::from_millis(200));
            assert!(counting.1.load(Ordering::SeqCst) <= (1 + prefetch) * BATCH, "{workers} workers, {prefetch} ahead");
        });
    }
}

#[test]
fn processes_share_the_samples_of_each_step() {
    let (files, rows): (_, Vec<usize>) = (Files::new(), (0..SAMPLES).collect());
    let augment: [Box<dyn Transform>; 1] = [Box::new(AUGMENT)];
    for (batch_size, world) in [(4, 2), (5, 2), (6, 3)] {
        let loader = || Loader::new(&files, &rows, batch_size, 9).transforms(&augment);
        let whole = epoch(&loader(), 0, 0).unwrap();
        let parts: Vec<Vec<Batch>> = (0..world).map(|rank| epoch(&loader().shard(Shard { rank, world }), 0, 0).unwrap()).collect();
        for (step, whole) in whole.iter().enumerate() {
            for (rank, part) in parts.iter().enumerate() {
                // Every sample as it is in the whole batch: what is drawn for it does not depend on who has it.
                let positions: Vec<usize> = (rank * batch_size / world..(rank + 1) * batch_size / world).collect();
                let expected = whole.select(&positions).unwrap();
                assert_eq!(part[step].ids(), expected.ids());
                for (found, expected) in mm_testing::tensors(part[step].inputs()).iter().zip(mm_testing::tensors(expected.inputs())) {
                    // Where no sample of the part has a modality, there is no tensor.
                    if let Some(found) = found {
                        assert_eq!(bits(found), bits(&expected.unwrap()), "step {step}, rank {rank} of {world}");
                    }
                }
            }
        }
    }
    assert_eq!(Shard::WHOLE.of(&rows), rows);
    assert_eq!((0..4).map(|rank| Shard { rank, world: 4 }.of(&rows[..2]).len()).collect::<Vec<_>>(), [0, 1, 0, 1]);
}

#[test]
fn weights_of_samples_come_with_the_targets() {
    let (files, rows): (_, Vec<usize>) = (Files::new(), (0..SAMPLES).collect());
    let batches = epoch(&Loader::new(&files, &rows, BATCH, 9), 0, 0).unwrap();
    assert!(batches.iter().any(|batch| batch.ids().contains(&7)));
    for batch in batches {
        let expected =
            batch.ids().contains(&7).then(|| batch.ids().iter().map(|&id| if id == 7 { 3.0 } else { 1.0 }).collect::<Vec<f32>>());
        assert_eq!(batch.targets().weights().map(|weights| weights.to_vec1::<f32>().unwrap()), expected);
    }
}

#[test]
fn what_suits_a_source() {
    let augment: [Box<dyn Transform>; 1] = [Box::new(AUGMENT)];
    assert_eq!(Loading::suited_to(&table(), &[]), Loading::default());
    assert!(Loading::suited_to(&table(), &augment).workers > 0);
    assert!(Loading::suited_to(&Files::new(), &[]).workers > 0);
}

/// A sample's draws are those of its number: another order of the rows gives each the same values.
#[test]
fn the_order_of_the_rows_changes_no_sample() {
    let files = Files::new();
    let augment: [Box<dyn Transform>; 1] = [Box::new(AUGMENT)];
    let by_id = |rows: &[usize]| {
        let batches = epoch(&Loader::new(&files, rows, rows.len(), 9).transforms(&augment), 0, 0).unwrap();
        let batch = &batches[0];
        let mut order: Vec<usize> = (0..batch.len()).collect();
        order.sort_by_key(|&position| batch.ids()[position]);
        content(&batch.select(&order).unwrap())
    };
    let rows: Vec<usize> = (0..SAMPLES).collect();
    let mut random = rng::stream(1, "rows", &[]);
    let mut shuffled = rows.clone();
    (1..SAMPLES).for_each(|i| shuffled.swap(i, random.random_range(0..=i)));
    assert_ne!(shuffled, rows);
    assert_eq!(by_id(&shuffled), by_id(&rows));
}
