use super::Bench;
use mm_core::data::{DatasetCard, Part, Source, TargetValue};

/// A stay, in PhysioNet's layout; blood gases of every other one.
fn stay(record: usize) -> String {
    let mut text = format!(
        "Time,Parameter,Value\n00:00,RecordID,{record}\n00:00,Age,{}\n00:00,Gender,0\n00:00,Height,-1\n00:00,ICUType,4\n00:00,Weight,-1\n",
        50 + record % 7
    );
    text += "00:07,HR,80\n10:07,HR,90\n48:00,HR,70\n03:00,Temp,-17.8\n05:00,GCS,15\n00:30,Unknown,3\n";
    if record.is_multiple_of(2) {
        text += "01:00,pH,7.4\n02:00,pH,735\n09:00,Lactate,1.5\n";
    }
    // One that has everything.
    if record == 132_502 {
        for name in ["RespRate", "SysABP", "FiO2", "BUN", "HCT", "ALT", "TroponinT", "Urine"] {
            text += &format!("04:00,{name},{}\n", if name == "FiO2" { 0.5 } else { 40.0 });
        }
    }
    text
}

fn layout(bench: &Bench) {
    for (set, records) in [("a", 0..16), ("b", 16..20)] {
        let mut outcomes = String::from("RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n");
        for record in records {
            let record = 132_500 + record;
            bench.write(&format!("set-{set}/{record}.txt"), stay(record));
            outcomes += &format!("{record},6,1,{},-1,{}\n", if record % 5 == 0 { -1 } else { 5 }, usize::from(record % 3 == 0));
        }
        bench.write(&format!("Outcomes-{set}.txt"), outcomes);
    }
}

#[test]
fn stays_become_a_table_of_panels() {
    let bench = Bench::new();
    layout(&bench);
    let made = bench.prepare("icu2012").unwrap();
    assert_eq!((made.cards[0].samples, made.cards[0].classes), (20, 2));
    // Of four stays nobody knows how long they were.
    assert_eq!((made.cards.len(), made.cards[1].samples), (2, 16));
    let days = DatasetCard::from_path(&made.cards[1].path).unwrap();
    let days = days.load(|file| Ok(std::fs::read(days.folder().join(file)).unwrap().into())).unwrap().joined.data;
    assert_eq!(days.read(0).unwrap().target, TargetValue::Numbers(vec![5.0]));
    let card = DatasetCard::from_path(&made.cards[0].path).unwrap();
    let loaded = card.load(|file| Ok(std::fs::read(card.folder().join(file)).unwrap().into())).unwrap();
    let data = &loaded.joined.data;
    let names = data.schema().modalities.names();
    assert_eq!((names.len(), data.schema().target.class_names()), (12, ["survived".to_string(), "died".into()].as_slice()));
    // What was never measured is absent; what was measured in part is there, with columns that say which.
    let has = |row: usize| data.schema().modalities.format(data.meta(row).presence);
    assert_eq!((has(0), has(1)), ("patient+bedside+blood_gas+neuro".into(), "patient+bedside+neuro".into()));
    assert_eq!(data.ids().unwrap()[0], "132500");
    let parts: Vec<Part> = (0..20).map(|row| data.meta(row).part.unwrap()).collect();
    assert_eq!((parts[7], parts[8], parts[15], parts[16]), (Part::Validation, Part::Train, Part::Validation, Part::Test));
    let bedside = &loaded.joined.report[1];
    let of = |variable: &str| bedside.features.iter().position(|name| name == variable).unwrap();
    let sample = data.read(0).unwrap().readings[1].clone().unwrap().filled();
    let statistics = ["first", "last", "mean", "min", "max", "count"].map(|name| sample[of(&format!("bedside.HR.{name}"))]);
    assert_eq!(statistics, [80.0, 70.0, 80.0, 70.0, 90.0, 3.0]);
    // A temperature that nobody has is none, and so is a pH of 735.
    assert!(sample[of("bedside.Temp.first")].is_nan() && sample[of("bedside.Temp.first.measured")] == 0.0);
    let gases = data.read(0).unwrap().readings[4].clone().unwrap().filled();
    assert_eq!((gases[0], gases[5]), (7.4f32.into(), 1.0));
}

#[test]
fn stays_that_are_not_as_they_should_be_are_named() {
    let refused = |change: &dyn Fn(&Bench), expected: &str| {
        let bench = Bench::new();
        layout(&bench);
        change(&bench);
        let error = bench.prepare("icu2012").unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(
        &|bench| bench.write("set-a/132500.txt", "Time,Parameter\n"),
        "132500.txt:1: a stay begins with the line `Time,Parameter,Value`",
    );
    refused(&|bench| bench.write("set-a/132501.txt", "Time,Parameter,Value\n00:00,HR,fast\n"), "132501.txt:2: `fast` is no number");
    refused(
        &|bench| bench.write("set-a/132501.txt", "Time,Parameter,Value\nnoon,HR,80\n"),
        "132501.txt:2: `noon` is no time such as 07:30",
    );
    refused(&|bench| bench.write("set-b/999.txt", stay(999)), "Outcomes-b.txt has no record 999");
    let other = "RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death\n132500,6,1,5,-1,2\n";
    refused(&|bench| bench.write("Outcomes-a.txt", other), "Outcomes-a.txt:2: In-hospital_death is `2`");
    let empty = Bench::new();
    empty.write("README", "");
    assert!(empty.prepare("icu2012").unwrap_err().to_string().contains("set-a is not there: a text file for each stay. Unpack set-a.zip"));
}
