//! Data sets in memory: construction, batches, order, splits, standardization; and a foreign data set from files.

use candle_core::{Device, Tensor};
use mm_core::data::{Amount, Batch, DatasetCard, InputSpec, Inputs, Meta, Part, Reading, Sample, Schema, Source, SplitSpec, Standardizer};
use mm_core::data::{TableDataset, Target, Targets, epoch_batches, nearest};
use mm_core::{Modalities, Presence, Result, Subset};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

fn schema(classes: usize) -> Schema {
    let inputs = vec![InputSpec::vector(2), InputSpec::image([1, 1, 3])];
    let names = (0..classes).map(|c| format!("class-{c}"));
    Schema::new(Modalities::new(["v", "i"]).unwrap(), inputs, Target::of_classes(names)).unwrap()
}

fn subset(bits: u16) -> Subset {
    Subset::from_bits(bits).unwrap()
}

/// Samples of two modalities; sample `i` has values near `i`, and of the second modality only what is odd has it.
fn table(labels: Vec<u32>, classes: usize) -> TableDataset {
    let n = labels.len();
    let v = (0..n).flat_map(|i| [i as f32, 7.0]).collect();
    let image = (0..n).flat_map(|i| if i % 2 == 1 { [i as f32; 3] } else { [f32::NAN; 3] }).collect();
    let presence = (0..n).map(|i| subset(if i % 2 == 1 { 0b11 } else { 0b01 })).collect();
    TableDataset::new(schema(classes), vec![v, image], Presence::new(presence), labels).unwrap()
}

#[test]
fn a_batch_holds_what_was_asked_for_and_zeros_where_absent() {
    let data = table(vec![0, 1, 0, 1, 1], 2);
    let batch = data.batch(&[3, 0, 3], &Device::Cpu).unwrap();
    let readings = mm_testing::tensors(batch.inputs());
    assert_eq!(readings[0].as_ref().unwrap().to_vec2::<f32>().unwrap(), [[3.0, 7.0], [0.0, 7.0], [3.0, 7.0]]);
    let image = &batch.inputs().reading("i").unwrap().unwrap().values;
    assert_eq!(image.dims(), [3, 1, 1, 3]);
    assert_eq!(image.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [3., 3., 3., 0., 0., 0., 3., 3., 3.]);
    assert_eq!(batch.targets().values().to_vec1::<u32>().unwrap(), [1, 0, 1]);
    assert_eq!(batch.ids(), [3, 0, 3]);
    assert_eq!(batch.presence().subsets().iter().map(|s| s.bits()).collect::<Vec<_>>(), [3, 1, 3]);
    assert!(data.batch(&[0, 2], &Device::Cpu).unwrap().inputs().reading("i").unwrap().is_none());
    assert!(batch.inputs().reading("j").unwrap_err().to_string().contains("no modality is called \"j\""));
    assert!(data.batch(&[], &Device::Cpu).unwrap().is_empty());
    let error = data.batch(&[5], &Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("row 5 was asked for, but there are 5 samples"), "{error}");
}

#[test]
fn sensors_of_a_batch_can_only_go_away() {
    let batch = table(vec![0, 1], 2).batch(&[1, 0], &Device::Cpu).unwrap();
    let inputs = batch.inputs();
    let fewer = inputs.with_presence(Presence::new(vec![subset(0b10), subset(0b01)])).unwrap();
    assert_eq!(fewer.presence().subsets()[0].bits(), 0b10);
    assert!(!fewer.is_altered());
    let error = inputs.with_presence(Presence::uniform(subset(0b11), 2)).unwrap_err().to_string();
    assert!(error.contains("sample 1 of the batch"), "{error}");
    assert!(inputs.with_presence(Presence::uniform(subset(0b01), 1)).is_err());
}

#[test]
fn parts_that_do_not_fit_together() {
    let cpu = &Device::Cpu;
    let input = |n: usize| Some(Tensor::zeros((n, 2), candle_core::DType::F32, cpu).unwrap());
    let presence = |bits| Presence::uniform(subset(bits), 2);
    let (one, two) = (Modalities::new(["v"]).unwrap(), Modalities::new(["v", "i"]).unwrap());
    let whole = Inputs::new(&two, [input(2), None], presence(0b01), vec![0, 1]).unwrap();
    for (modalities, readings, presence, ids, expected) in [
        (&one, vec![input(3)], presence(0b01), vec![0, 1], "input `v`"),
        (&one, vec![Some(Tensor::zeros((2, 2), candle_core::DType::F64, cpu).unwrap())], presence(0b01), vec![0, 1], "input `v`"),
        (&one, vec![None], presence(0b01), vec![0, 1], "a sample of the batch has `v`, but there is no tensor"),
        (&two, vec![input(2), None], presence(0b10), vec![0, 1], "a sample of the batch has `i`, but there is no tensor"),
        (&one, vec![input(2)], presence(0b11), vec![0, 1], "sample 0 has a modality past the 1"),
        (&two, vec![input(2)], presence(0b01), vec![0, 1], "1 readings for 2 modalities"),
        (&one, vec![input(2)], presence(0b01), vec![0], "a presence of 2 samples for 1"),
    ] {
        let error = Inputs::new(modalities, readings, presence, ids).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} lacks {expected:?}");
    }
    let labels = |n: u32| Targets::new(Tensor::arange(0, n, cpu).unwrap());
    assert_eq!(Batch::new(whole.clone(), labels(2)).unwrap().len(), 2);
    let error = Batch::new(whole.clone(), labels(3)).unwrap_err().to_string();
    assert!(error.contains("targets") && error.contains("[2, ..]"), "{error}");
    let weights = labels(2).with_weights(Tensor::ones(3, candle_core::DType::F32, cpu).unwrap()).unwrap_err().to_string();
    assert!(weights.contains("sample weights"), "{weights}");
    let lengths = |n| Reading { values: input(2).unwrap(), lengths: Some(Tensor::zeros(n, candle_core::DType::U32, cpu).unwrap()) };
    assert!(Inputs::new(&one, [Some(lengths(2))], presence(0b01), vec![0, 1]).is_ok());
    let error = Inputs::new(&one, [Some(lengths(3))], presence(0b01), vec![0, 1]).unwrap_err().to_string();
    assert!(error.contains("lengths of `v`"), "{error}");
    assert!(whole.select(&[2]).unwrap_err().to_string().contains("row 2 was asked for, but there are 2 samples"));
    let full = || Presence::uniform(subset(0b11), 1);
    for (columns, labels, expected) in [
        (vec![vec![0.0; 2]], vec![0], "1 tables for 2 modalities"),
        (vec![vec![0.0; 3], vec![0.0; 3]], vec![0], "tensor `v`: expected shape [1, 2], found [3]"),
        (vec![vec![0.0; 2], vec![0.0; 3]], vec![2], "sample 0 has label 2, but there are 2 classes"),
        (vec![vec![0.0; 2], vec![f32::NAN; 3]], vec![0], "sample 0, modality `i`"),
    ] {
        let error = TableDataset::new(schema(2), columns, full(), labels).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} lacks {expected:?}");
    }
    let names = Modalities::new(["v"]).unwrap();
    let classes = |names: &[&str]| Target::of_classes(names.iter().copied());
    for (inputs, target, expected) in [
        (vec![], classes(&["a"]), "0 inputs for 1 modalities"),
        (vec![InputSpec::vector(0)], classes(&["a"]), "tensor `v`: expected shape with at least one number, found [0]"),
        (vec![InputSpec::vector(1)], classes(&[]), "no classes"),
        (vec![InputSpec::vector(1)], classes(&["a", "b", "a"]), "class `a` appears twice"),
    ] {
        let error = Schema::new(names.clone(), inputs, target).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} lacks {expected:?}");
    }
}

#[test]
fn splits_say_which_class_is_too_small() {
    let data = table([vec![0; 10], vec![1; 3]].concat(), 2);
    let spec = |train, validation, test| SplitSpec { train, validation, test };
    let count = Amount::PerClass;
    let error = |spec: SplitSpec| spec.draw(&data, 0).unwrap_err().to_string();
    assert!(
        error(spec(count(2), count(1), count(1)))
            .contains("class `class-1` has 3 samples, but the split needs 4 (2 train, 1 validation, 1 test)")
    );
    assert!(error(spec(Amount::Share(0.7), Amount::Share(0.3), Amount::Share(0.2))).contains("more than 1"));
    assert!(error(spec(count(0), count(1), count(1))).contains("the train part of the split is empty"));
    let split = SplitSpec::default().draw(&data, 0).unwrap();
    assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (8, 2, 3));
    // Shares that leave samples over: six and two train, one and one test.
    assert_eq!(SplitSpec::default().remark(&split, &data), None);
    let half = spec(Amount::Share(0.6), count(0), Amount::Share(0.1));
    let remark = half.remark(&half.draw(&data, 0).unwrap(), &data).unwrap();
    assert!(remark.contains("3 of 13 samples are in no part: the shares under [split] sum to 0.7"), "{remark}");
    let error = split.with_train_per_class(2, &data, 0).unwrap_err().to_string();
    assert!(error.contains("class `class-1` has 1 training samples; 2 per class were asked for"), "{error}");
    let grouped = data.clone().with_groups((0..13).map(|i| (i / 10).to_string()).collect()).unwrap();
    let error = SplitSpec::default().draw(&grouped, 0).unwrap_err().to_string();
    let said =
        "class `class-0` cannot be split by group: it is in 1 group, 2 too few for 3 parts (train, validation, test); set `validation = 0`";
    assert!(error.contains(said) && error.contains("`part` column"), "{error}");
    // With two parts one group fewer is lacking, and there is no validation part to do without.
    let two_parts = SplitSpec { validation: Amount::PerClass(0), ..SplitSpec::default() };
    let error = two_parts.draw(&grouped, 0).unwrap_err().to_string();
    assert!(error.contains("1 too few for 2 parts (train, test); say in"), "{error}");
    // The groups a, b and c go to three parts, and so do a, b and d: then c and d are in one, and the last class is in two.
    let groups = ["a", "b", "c", "a", "b", "d", "c", "d", "e"].map(String::from).to_vec();
    let crossed = table([[0; 3], [1; 3], [2; 3]].concat(), 3).with_groups(groups).unwrap();
    let error = SplitSpec::default().draw(&crossed, 0).unwrap_err().to_string();
    assert!(error.contains("its 3 groups could not be dealt to 3 parts") && error.contains("some hold other classes"), "{error}");
    let error = data.with_groups(vec!["a".into()]).unwrap_err().to_string();
    assert!(error.contains("1 groups for 13 samples"), "{error}");
    let fixed = Named { table: table(vec![0, 1], 2), parts: vec![Some(Part::Train); 2], groups: vec![None; 2] };
    assert!(SplitSpec::default().draw(&fixed, 0).unwrap_err().to_string().contains("the test part"));
}

/// A table whose rows say what else is known of them.
struct Named {
    table: TableDataset,
    parts: Vec<Option<Part>>,
    groups: Vec<Option<&'static str>>,
}

impl Source for Named {
    fn schema(&self) -> &Schema {
        self.table.schema()
    }

    fn len(&self) -> usize {
        self.table.len()
    }

    fn meta(&self, row: usize) -> Meta<'_> {
        let mut meta = self.table.meta(row);
        (meta.part, meta.group) = (self.parts[row], self.groups[row]);
        meta
    }

    fn read(&self, row: usize) -> Result<Sample> {
        self.table.read(row)
    }
}

/// The part that rows name comes first, then their group.
#[test]
fn a_split_is_what_the_rows_say() {
    let parts = [Part::Test, Part::Train, Part::Validation, Part::Train].map(Some).to_vec();
    let mut named = Named { table: table(vec![0, 1, 0, 1], 2), parts, groups: vec![Some("one"); 4] };
    let split = SplitSpec::default().draw(&named, 0).unwrap();
    assert_eq!((split.train, split.validation, split.test), (vec![1, 3], vec![2], vec![0]));
    let refused = |named: &Named| SplitSpec::default().draw(named, 0).unwrap_err().to_string();
    // The first row is as good as any other.
    for row in [0, 2] {
        let there = named.parts[row].take();
        let problem = format!("1 of 4 samples have no part, and others have one: row {} of the data; name a part in every row", row + 1);
        assert!(refused(&named).contains(&problem), "{}", refused(&named));
        named.parts[row] = there;
    }
    named.parts = vec![None; 4];
    assert!(refused(&named).contains("cannot be split by group"));
    for row in [0, 3] {
        let there = named.groups[row].take();
        let problem = format!("1 of 4 samples have no group, and others have one: row {} of the data", row + 1);
        assert!(refused(&named).contains(&problem), "{}", refused(&named));
        named.groups[row] = there;
    }
    // Whether a split is drawn or given.
    named.parts = [Part::Test, Part::Train, Part::Validation, Part::Train].map(Some).to_vec();
    named.groups[1] = None;
    assert!(refused(&named).contains("1 of 4 samples have no group"), "{}", refused(&named));
}

/// 43 samples: class 0 in three groups of very different size, class 1 in the largest of them and in two more.
fn lopsided() -> Vec<String> {
    let of = |i: usize| if i < 38 { "a" } else { ["b", "c", "a", "d", "e"][i - 38] };
    (0..43).map(|i| of(i).to_string()).collect()
}

/// Where groups are much larger than a part is to be, it gets one all the same.
#[test]
fn large_groups_are_dealt_to_every_part() {
    let count = |data: &TableDataset, group: &dyn Fn(usize) -> usize| {
        let split = SplitSpec::default().draw(data, 7).unwrap();
        assert_eq!(SplitSpec::default().draw(data, 7).unwrap(), split);
        [split.train, split.validation, split.test].map(|rows| rows.into_iter().map(group).collect::<HashSet<_>>().len())
    };
    for (groups, expected) in [(3, [1, 1, 1]), (4, [2, 1, 1]), (5, [3, 1, 1])] {
        let of = |row: usize| row * groups / 60;
        let data = table((0..60).map(|i| i % 2).collect(), 2).with_groups((0..60).map(|row| of(row).to_string()).collect()).unwrap();
        assert_eq!(count(&data, &of), expected);
    }
    // Which is told where it makes a part of far another size than was asked for.
    let data = table((0..60).map(|i| i % 2).collect(), 2).with_groups((0..60).map(|row| (row / 20).to_string()).collect()).unwrap();
    let remark = SplitSpec::default().remark(&SplitSpec::default().draw(&data, 7).unwrap(), &data).unwrap();
    assert!(remark.contains("20 validation samples where 6 are asked for: a group stays whole"), "{remark}");
    let data = table([vec![0; 40], vec![1; 3]].concat(), 2).with_groups(lopsided()).unwrap();
    let split = SplitSpec::default().draw(&data, 0).unwrap();
    for rows in [split.train, split.validation, split.test] {
        assert_eq!(rows.iter().map(|&row| data.meta(row).class).collect::<HashSet<_>>().len(), 2);
    }
}

#[test]
fn groups_stay_together_and_parts_are_near_their_size() {
    let data = table((0..600).map(|i| (i % 3) as u32).collect(), 3);
    let groups: Vec<String> = (0..600).map(|i| format!("person-{}", i * 7 % 83)).collect();
    let data = data.with_groups(groups.clone()).unwrap();
    let split = SplitSpec::default().draw(&data, 1).unwrap();
    let of = |rows: &[usize]| rows.iter().map(|&r| &groups[r]).collect::<HashSet<_>>();
    let (train, validation, test) = (of(&split.train), of(&split.validation), of(&split.test));
    assert!(train.is_disjoint(&test) && train.is_disjoint(&validation) && validation.is_disjoint(&test));
    assert_eq!(split.train.len() + split.validation.len() + split.test.len(), 600);
    for (rows, size) in [(&split.train, 140.0), (&split.validation, 20.0), (&split.test, 40.0)] {
        for class in 0..3 {
            let n = rows.iter().filter(|r| data.meta(**r).class == Some(class)).count() as f64;
            assert!((n - size).abs() <= 8.0, "{n} of {size}");
        }
    }
    assert_eq!(SplitSpec::default().draw(&data, 1).unwrap(), split);
    assert_eq!(SplitSpec::default().remark(&split, &data), None);
}

#[test]
fn a_data_set_comes_from_tensors_as_well() {
    let data = table(vec![0, 1, 0], 2);
    let tensor = |m: usize, shape: &[usize]| Tensor::from_slice(data.column(m), shape, &Device::Cpu).unwrap();
    let of = |image: Tensor| TableDataset::from_tensors(schema(2), &[tensor(0, &[3, 2]), image], data.presences().clone(), vec![0, 1, 0]);
    let same = of(tensor(1, &[3, 1, 1, 3])).unwrap();
    assert_eq!(same.content_hash().unwrap(), data.content_hash().unwrap());
    let refused = of(tensor(1, &[3, 1, 3, 1])).unwrap_err().to_string();
    assert!(refused.contains("i") && refused.contains("[3, 1, 1, 3]") && refused.contains("[3, 1, 3, 1]"), "{refused}");
    assert!(TableDataset::from_tensors(schema(2), &[tensor(0, &[3, 2])], data.presences().clone(), vec![0, 1, 0]).is_err());
}

#[test]
fn standardization_uses_training_rows_that_have_the_modality() {
    let data = table(vec![0; 6], 1);
    let standardizer = Standardizer::fit(&data, &[0, 1, 2, 4, 5]).unwrap();
    let [view, image] = standardizer.views() else { panic!("two modalities") };
    // The image is there in samples 1 and 5, all its pixels are one channel.
    assert_eq!((image.mean.as_slice(), image.std.as_slice()), ([3.0].as_slice(), [2.0].as_slice()));
    // A constant gets 1.
    assert_eq!((view.mean.as_slice(), view.std[1]), ([2.4, 7.0].as_slice(), 1.0));
    assert!((view.std[0] - (17.2f64 / 5.0).sqrt()).abs() < 1e-12);
    let mut applied = data.clone();
    standardizer.apply(&mut applied).unwrap();
    let rows = data.batch(&[5, 0], &Device::Cpu).unwrap();
    let same = standardizer.apply_tensor("v", &rows.inputs().at(0).unwrap().values).unwrap().to_vec2::<f32>().unwrap();
    assert_eq!(same[0], applied.column(0)[10..]);
    assert_eq!(same[0][1], 0.0);
    assert_eq!(applied.column(1)[3..6], [-1.0; 3]);
    let image = standardizer.apply_tensor("i", &rows.inputs().at(1).unwrap().values).unwrap();
    assert_eq!(image.flatten_all().unwrap().to_vec1::<f32>().unwrap()[..3], [1.0; 3]);
    let text = serde_json::to_string(&standardizer).unwrap();
    assert_eq!(serde_json::from_str::<Standardizer>(&text).unwrap(), standardizer);
}

#[test]
fn standardization_of_other_data_is_refused() {
    let vectors = |names: &[&str], width: usize, present: u16| {
        let inputs = vec![InputSpec::vector(width); names.len()];
        let schema = Schema::new(Modalities::new(names.iter().copied()).unwrap(), inputs, Target::of_classes(["c"])).unwrap();
        TableDataset::new(schema, vec![vec![0.5; 2 * width]; names.len()], Presence::uniform(subset(present), 2), vec![0, 0]).unwrap()
    };
    let fitted = Standardizer::fit(&vectors(&["a", "b"], 3, 0b11), &[0, 1]).unwrap();
    let error = |mut data: TableDataset| fitted.apply(&mut data).unwrap_err().to_string();
    assert!(error(vectors(&["a", "c"], 3, 0b11)).contains("no modality is called \"b\""));
    assert!(error(vectors(&["a", "b", "c"], 3, 0b111)).contains("the standardizer has no modality `c`; it has: a, b"));
    assert!(error(vectors(&["a", "b"], 4, 0b11)).contains("modality `a` has 4 features, but the standardizer was fitted on 3"));
    let xs = Tensor::zeros((2, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
    assert!(fitted.apply_tensor("a", &xs).unwrap_err().to_string().contains("tensor `a`: expected shape [batch, 3]"));
    assert!(fitted.apply_tensor("x", &xs).unwrap_err().to_string().contains("the standardizer has no modality `x`; it has: a, b"));
    let absent = Standardizer::fit(&vectors(&["a", "b"], 3, 0b01), &[0, 1]).unwrap_err().to_string();
    assert!(absent.contains("modality `b` is absent in all 2 training samples"), "{absent}");
}

#[test]
fn near_names() {
    let known = ["modality", "file", "label"];
    for (name, expected) in [("modalty", Some("modality")), ("lable", Some("label")), ("File", Some("file")), ("colour", None), ("", None)]
    {
        assert_eq!(nearest(name, known), expected, "{name}");
    }
    // What only one name begins with goes before what is short and as near; two letters begin too much.
    assert_eq!(nearest("best", ["last", "best_validation"]), Some("best_validation"));
    assert_eq!(nearest("best", ["last", "best_validation", "best_test"]), Some("last"));
    assert_eq!(nearest("be", ["last", "best_validation"]), None);
}

/// Two files, string labels, 40 samples in another order, cells of whole views empty, a person's samples together.
#[test]
fn a_foreign_data_set_from_two_files() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = ["oak", "elm", "yew", "fir"];
    let (mut leaf, mut bark) = (String::from("tree,length,width,kind\n"), String::from("rough,tree,site\n"));
    for i in 0..40 {
        let size = if i % 8 == 3 { ",".into() } else { format!("{}.5,{}", i, i * i) };
        leaf += &format!("t{i},{size},{}\n", kinds[i % 4]);
        let j = (i * 27 + 5) % 40;
        bark += &format!("{},t{j},s{}\n", if j % 8 == 6 { String::new() } else { format!("{j}e-1") }, j / 4);
    }
    std::fs::write(folder.path().join("leaf.csv"), leaf).unwrap();
    std::fs::write(folder.path().join("bark.csv"), bark).unwrap();
    let card = "name = \"trees\"\njoin = \"id\"\nid = \"tree\"\nlabel = \"kind\"\ngroup = \"site\"\n\
        [split]\ntrain = 0.6\nvalidation = 0.2\ntest = 0.2\n\
        [[view]]\nmodality = \"leaf\"\nfile = \"leaf.csv\"\n[[view]]\nmodality = \"bark\"\nfile = \"bark.csv\"\n";
    std::fs::write(folder.path().join("trees.toml"), card).unwrap();
    let loaded = DatasetCard::from_path(folder.path().join("trees.toml")).unwrap().load_files().unwrap();
    assert_eq!(loaded.data.len(), 40);
    assert_eq!(loaded.data.schema().target.class_names(), ["elm", "fir", "oak", "yew"]);
    assert_eq!(loaded.report.iter().map(|r| r.absent).collect::<Vec<_>>(), [5, 5]);
    for row in 0..40 {
        assert_eq!(
            loaded.data.meta(row).presence.bits(),
            match row % 8 {
                3 => 0b10,
                6 => 0b01,
                _ => 0b11,
            }
        );
        assert_eq!(loaded.data.column(1)[row], if row % 8 == 6 { 0.0 } else { format!("{row}e-1").parse().unwrap() });
    }
    let split = loaded.split(0).unwrap();
    assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (24, 8, 8));
    let site = |rows: &[usize]| rows.iter().map(|r| r / 4).collect::<HashSet<_>>();
    assert!(site(&split.train).is_disjoint(&site(&split.test)));
    let mut data = loaded.data.clone();
    Standardizer::fit(&data, &split.train).unwrap().apply(&mut data).unwrap();
    // A fixed split in a column instead.
    let card = card.replace("group = \"site\"\n", "").replace("[split]\ntrain = 0.6\nvalidation = 0.2\ntest = 0.2\n", "part = \"site\"\n");
    let error = DatasetCard::from_str(&card, folder.path().join("trees.toml")).unwrap().load_files().unwrap_err().to_string();
    assert!(error.contains("bark.csv:27:3: `s0` is no part; use train, validation or test"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_epoch_is_every_row_once(n in 0usize..200, size in 0usize..70, seed in any::<u64>(), epoch in 0u64..5, drop_last in any::<bool>()) {
        let rows: Vec<usize> = (0..n).map(|i| 3 * i).collect();
        let batches = epoch_batches(&rows, size, drop_last, seed, epoch);
        prop_assert_eq!(&batches, &epoch_batches(&rows, size, drop_last, seed, epoch));
        let size = size.max(1);
        let mut seen: Vec<usize> = batches.concat();
        prop_assert_eq!(seen.len(), if drop_last && n >= size { n / size * size } else { n });
        seen.sort_unstable();
        seen.dedup();
        prop_assert_eq!(seen.len(), batches.concat().len());
        prop_assert!(seen.iter().all(|row| rows.contains(row)));
        if n > 50 {
            prop_assert_ne!(epoch_batches(&rows, size, false, seed, epoch), epoch_batches(&rows, size, false, seed, epoch + 1));
        }
    }

    #[test]
    fn splits_are_disjoint_and_the_same_share_of_each_class(
        labels in prop::collection::vec(0u32..4, 1..200), seed in any::<u64>(), train in 0.1..0.6f64, test in 0.1..0.39f64,
    ) {
        let data = table(labels.clone(), 4);
        let spec = SplitSpec { train: Amount::Share(train), validation: Amount::Share(1.0 - train - test), test: Amount::Share(test) };
        if let Ok(split) = spec.draw(&data, seed) {
            let mut all = [split.train.clone(), split.validation.clone(), split.test.clone()].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
            let mut counts: HashMap<u32, [f64; 2]> = HashMap::new();
            labels.iter().for_each(|l| counts.entry(*l).or_default()[0] += 1.0);
            split.test.iter().for_each(|r| counts.entry(labels[*r]).or_default()[1] += 1.0);
            prop_assert!(counts.values().all(|[n, t]| (t - test * n).abs() < 1.0));
        }
    }
}
