//! Tables with a row a step, made into series.

use crate::damage::damage;
use mm_core::data::{FileCard, Fill, LongSensor, LongTable, SeriesMade, Source};
use mm_core::{Result, rng};
use std::path::Path;

/// Three patients: heart rate and pressure each hour, glucose now and then, and of the second never. Rows are out of order.
const STAYS: &str = "\
ward,patient,hour,hr,bp,glucose,age,note,died
a,p1,0,80,120,,61,calm,0
a,p1,2,84,118,7.5,61,,0
a,p2,0,90,100,NA,47,restless,1
a,p1,1,82,119,6.5,61,calm,0
b,p3,0,70,,5,80,calm,0
a,p2,1,92,98,,47,calm,1
b,p3,1,71,130,,80,asleep,0
";

fn settings(id: &[&str]) -> LongTable {
    let some = |name: &str| Some(name.to_string());
    LongTable { id: id.iter().map(ToString::to_string).collect(), time: some("hour"), label: some("died"), ..LongTable::default() }
}

fn write(folder: &Path, table: &str, settings: &LongTable) -> Result<SeriesMade> {
    std::fs::write(folder.join("table.csv"), table).unwrap();
    settings.write(&folder.join("table.csv"), &folder.join("out"))
}

fn open(folder: &Path) -> impl Source {
    let path = folder.join("out/card.toml");
    FileCard::from_str(&std::fs::read_to_string(&path).unwrap(), path).unwrap().open().unwrap()
}

/// The values of a reading that are filled, `[channels, steps]`.
fn reading(data: &impl Source, row: usize, sensor: usize) -> Option<Vec<Vec<f32>>> {
    let reading = data.read(row).unwrap().readings[sensor].clone()?;
    let (values, steps) = (reading.values.clone().into_f32(), data.schema().inputs[sensor].shape[1]);
    Some(values.chunks(steps).map(|channel| channel[..reading.length.unwrap_or(steps)].to_vec()).collect())
}

#[test]
fn sensors_are_what_is_empty_together_and_rows_are_ordered_by_time() {
    let folder = tempfile::tempdir().unwrap();
    let stays = STAYS.replace("p3,0,70,,", "p3,0,70,131,");
    let made = write(folder.path(), &stays, &LongTable { fill: Fill::Last, ..settings(&["patient"]) }).unwrap();
    assert_eq!((made.rows, made.series, made.steps, made.card), (7, 3, [2, 3], true));
    let sensors: Vec<(&str, String, usize)> = made.sensors.iter().map(|(of, absent)| (&*of.name, of.columns.join("+"), *absent)).collect();
    assert_eq!(sensors, [("hr_bp", "hr+bp".into(), 0), ("glucose", "glucose".into(), 1)]);
    let remarks = made.remarks.join("\n");
    assert!(remarks.contains("1 cells say that there is no value") && remarks.contains("samples.csv: ward, age;"), "{remarks}");
    assert!(
        remarks.contains("left out, as they are neither numbers nor the same in all rows of a series: `note` (`calm` in line 2)"),
        "{remarks}"
    );

    let data = open(folder.path());
    assert_eq!((0..3).map(|row| data.meta(row).class).collect::<Vec<_>>(), [Some(0), Some(1), Some(0)]);
    assert_eq!(reading(&data, 0, 0).unwrap(), [[80.0, 82.0, 84.0], [120.0, 119.0, 118.0]]);
    assert_eq!(reading(&data, 0, 1).unwrap(), [[6.5, 6.5, 7.5]]);
    assert_eq!((reading(&data, 1, 1), reading(&data, 2, 1)), (None, Some(vec![vec![5.0, 5.0]])));
    let table = std::fs::read_to_string(folder.path().join("out/samples.csv")).unwrap();
    assert!(
        table.starts_with("id,died,ward,age,hr_bp,hr_bp.start,hr_bp.length,glucose,glucose.start,glucose.length\np1,0,a,61,hr_bp.npy,0,3,"),
        "{table}"
    );
    let ordered = LongTable { time: None, ignore: vec!["hour".into()], fill: Fill::Last, ..settings(&["patient"]) };
    let other = tempfile::tempdir().unwrap();
    let made = write(other.path(), &stays, &ordered).unwrap();
    assert!(made.remarks.iter().any(|remark| remark.contains("rows in the order of the file: --time names")), "{:?}", made.remarks);
    assert_eq!(reading(&open(other.path()), 0, 0).unwrap(), [[80.0, 84.0, 82.0], [120.0, 118.0, 119.0]]);
    // Nothing is written over.
    let twice = write(folder.path(), &stays, &settings(&["patient"])).unwrap_err().to_string();
    assert!(twice.contains("out: is there already, and is not overwritten"), "{twice}");
}

/// What a killed run left lies beside, and the next one removes it; that of one that is still at work stays.
#[test]
fn no_half_folder_is_found_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let unfinished = folder.path().join(".out.unfinished");
    std::fs::create_dir_all(unfinished.join("folder")).unwrap();
    std::fs::write(unfinished.join("folder/half.npy"), "half").unwrap();
    let settings = LongTable { fill: Fill::Last, ..settings(&["patient"]) };
    let write = || write(folder.path(), STAYS, &settings);
    let foreign = write().unwrap_err().to_string();
    assert!(foreign.contains(".out.unfinished: is where the folder is made, and was not left by this program"), "{foreign}");
    let lock = std::fs::File::create(unfinished.join("lock")).unwrap();
    lock.lock().unwrap();
    let busy = write().unwrap_err().to_string();
    assert!(busy.contains("out: is being written by another run") && unfinished.join("folder/half.npy").exists(), "{busy}");
    drop(lock);
    write().unwrap();
    let names = |folder: &Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert!(!unfinished.exists() && !names(&folder.path().join("out")).contains(&"half.npy".into()));
    open(folder.path());
}

#[test]
fn new_data_are_made_as_the_old_ones_were() {
    let folder = tempfile::tempdir().unwrap();
    let sensor =
        |name: &str, columns: &[&str]| LongSensor { name: name.into(), columns: columns.iter().map(ToString::to_string).collect() };
    let sensors = vec![sensor("vitals", &["bp", "hr"]), sensor("lab", &["glucose"])];
    let chosen = LongTable { fill: Fill::Linear, measured: true, sensors, group: Some("ward".into()), ..settings(&["patient"]) };
    write(folder.path(), STAYS, &chosen).unwrap();
    let data = open(folder.path());
    assert_eq!(reading(&data, 2, 0).unwrap(), [[130.0, 130.0], [70.0, 71.0], [0.0, 1.0], [1.0, 1.0]]);
    assert_eq!(reading(&data, 0, 1).unwrap(), [[6.5, 6.5, 7.5], [0.0, 1.0, 1.0]]);
    assert_eq!(data.meta(2).group.map(|group| data.meta(0).group == Some(group)), Some(false));

    let new = tempfile::tempdir().unwrap();
    let like = LongTable::from_file(&folder.path().join("out/series.toml")).unwrap();
    // Without a label, without the column that is the same everywhere else, and with another pattern of empty cells.
    let made = write(new.path(), "patient,hour,glucose,bp,hr,ward\nq,5,,100,60,c\nq,4,1,,61,c\n", &like).unwrap();
    assert!(!made.card && made.remarks.iter().any(|remark| remark.contains("there is no column `died`")), "{:?}", made.remarks);
    assert_eq!(made.sensors.iter().map(|(sensor, _)| sensor.clone()).collect::<Vec<_>>(), chosen.sensors);
    let table = std::fs::read_to_string(new.path().join("out/samples.csv")).unwrap();
    std::fs::remove_dir_all(new.path().join("out")).unwrap();
    let fewer = write(new.path(), "patient,hour,bp,hr,ward\nq,5,100,61,c\nq,4,100,61,c\n", &like).unwrap();
    assert!(
        fewer.remarks.iter().any(|remark| remark.contains("no columns of the sensors lab: absent in every series")),
        "{:?}",
        fewer.remarks
    );
    std::fs::remove_dir_all(new.path().join("out")).unwrap();
    let error = write(new.path(), "patient,hour,bp,ward\nq,5,100,c\nq,4,100,c\n", &like).unwrap_err().to_string();
    assert!(error.contains("has no column `hr`"), "{error}");
    assert!(table.contains("\nq,c,vitals.npy,0,2,lab.npy,0,2\n") && !table.contains("died"), "{table}");
}

#[test]
fn a_label_that_changes_cuts_series_and_their_person_is_the_group() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = String::from("person;when;acc_x;acc_y;gyr_x;gyr_y;doing\n");
    for (k, (person, what)) in [("ann", "walk"), ("ann", ""), ("ann", "sit"), ("bob", "walk"), ("ann", "walk")].into_iter().enumerate() {
        for i in 0..4 {
            table += &format!("{person};2024-01-31 10:00:{:02}.5;{k},{i};{i};{i};2,{i};{what}\n", 4 * k + i);
        }
    }
    let chosen = LongTable { time: Some("when".into()), label: Some("doing".into()), window: Some(2), ..settings(&["person"]) };
    let made = write(folder.path(), &table, &chosen).unwrap();
    assert_eq!((made.series, made.steps), (4, [4, 4]));
    let remarks = made.remarks.join("\n");
    assert!(remarks.contains("4 rows without a label are left out") && remarks.contains("taken for the decimal point"), "{remarks}");
    let table = std::fs::read_to_string(folder.path().join("out/samples.csv")).unwrap();
    let begins: Vec<&str> = table.lines().map(|line| line.split_once(".npy").map_or(line, |(begin, _)| begin)).collect();
    assert_eq!(begins[1..], ["ann#0,walk,ann,acc", "ann#1,sit,ann,acc", "ann#2,walk,ann,acc", "bob#0,walk,bob,acc"]);
    let data = open(folder.path());
    assert_eq!((data.len(), data.schema().modalities.names().join("+")), (8, "acc+gyr".into()));
    assert_eq!(reading(&data, 3, 0).unwrap(), [[2.2f32, 2.3], [2.0, 3.0]]);
    let groups: Vec<_> = (0..8).map(|row| data.meta(row).group).collect();
    assert!(groups[..6].iter().all(|group| *group == groups[0]) && groups[6] != groups[0] && groups[0].is_some());
}

#[test]
fn times_fall_into_equal_steps() {
    let folder = tempfile::tempdir().unwrap();
    let table = "patient,hour,hr,died\na,0:10,60,0\na,0:50,62,0\na,3:00,70,0\nb,1:00,50,1\nb,1:59,52,1\n";
    let uneven = write(folder.path(), table, &settings(&["patient"])).unwrap();
    assert!(uneven.remarks.iter().any(|remark| remark.contains("3540 puts them on a grid")), "{:?}", uneven.remarks);
    std::fs::remove_dir_all(folder.path().join("out")).unwrap();
    let hourly = LongTable { every: Some(3600.0), fill: Fill::Linear, ..settings(&["patient"]) };
    let made = write(folder.path(), table, &hourly).unwrap();
    assert_eq!((made.steps, made.remarks.len()), ([1, 3], 0));
    let data = open(folder.path());
    // From 0:10 on: two values in the first hour, none in the second.
    assert_eq!((reading(&data, 0, 0).unwrap(), reading(&data, 1, 0).unwrap()), (vec![vec![61.0, 65.5, 70.0]], vec![vec![51.0]]));
}

#[test]
fn what_may_be_misread_is_refused() {
    let refused = |table: &str, settings: &LongTable| -> String {
        let folder = tempfile::tempdir().unwrap();
        let error = write(folder.path(), table, settings).unwrap_err().to_string();
        assert!(!folder.path().join("out").exists(), "nothing is left behind: {error}");
        error.replace(&folder.path().display().to_string(), "")
    };
    let usual = settings(&["patient"]);
    for (error, expected) in [
        (refused(STAYS, &LongTable::default()), "which series a row is of says --id: name one column or more of ward, patient"),
        (refused(STAYS, &settings(&["patients"])), "has no column `patients`"),
        (refused(STAYS, &LongTable { label: Some("dead".into()), ..usual.clone() }), "has no column `dead`"),
        (
            refused(STAYS, &LongTable { group: Some("hr".into()), fill: Fill::Last, ..usual.clone() }),
            "has no column `hr` that is the same in all rows",
        ),
        (refused(STAYS, &LongTable { every: Some(0.0), ..usual.clone() }), "a length above 0"),
        (refused(STAYS, &usual), "table.csv:2:6: no value of `glucose` in `p1`: --fill last"),
        (refused(&STAYS.replace("p1,1,", "p1,x,"), &usual), "table.csv:5:3: `x` is no time"),
        (refused(&STAYS.replace("p1,1,", ",1,"), &usual), "table.csv:5:2: column `patient` is empty"),
        (refused(&STAYS.replace("p1,1,", "p1,2,"), &usual), "table.csv:5:3: series `p1` has another row at this time in line 3"),
        (refused(&STAYS.replace("p1,1,82,119", "p1,1,82"), &usual), "table.csv:5:8: 8 fields, but the header has 9"),
        (refused("patient,hour,hr,died\na,0,1,0\na,1,2,1\nb,0,3,2\nb,1,4,3\n", &usual), "a label that changes from row to row"),
        (refused("patient,hour,hr,died\na,0,1,0\nb,0,1,1\n", &usual), "no column of numbers that change within a series"),
    ] {
        assert!(error.contains(expected), "`{expected}` is not in: {error}");
    }
    let mut slip = String::from("patient,hour,hr,died\n");
    (0..40).for_each(|i| slip += &format!("p{},{},{},{}\n", i % 4, i, if i == 17 { "8O".into() } else { i.to_string() }, i % 2));
    let error = refused(&slip, &usual);
    assert!(error.contains("table.csv:19:3: `8O` in column `hr` is no number"), "{error}");
    let far = refused("patient,hour,hr,died\na,0,1,0\na,99999999999,2,0\nb,0,3,1\n", &LongTable { every: Some(1.0), ..usual });
    assert!(far.contains("99999999999 steps of 1 for 2 rows, of which the last is in line 3"), "{far}");
}

#[test]
fn damaged_tables_are_refused_or_read() {
    let folder = tempfile::tempdir().unwrap();
    let chosen = LongTable { fill: Fill::Last, every: Some(1.0), ..settings(&["patient"]) };
    let mut read = 0;
    for case in 0..2_000 {
        let table = damage(STAYS.as_bytes(), &mut rng::stream(5, "long", &[case]));
        std::fs::write(folder.path().join("table.csv"), &table).unwrap();
        let out = folder.path().join("out");
        match chosen.write(&folder.path().join("table.csv"), &out) {
            Ok(_) => {
                read += 1;
                std::fs::remove_dir_all(out).unwrap();
            }
            Err(error) => assert!(error.to_string().contains("table.csv") && !out.exists(), "case {case}: {error}"),
        }
    }
    assert!((200..1_900).contains(&read), "{read}");
}

#[test]
fn times_are_read_as_tables_have_them() {
    // A minute apart, each; the table says the later one first.
    for [first, second] in [
        ["60", "120"],
        ["-60.0", "0"],
        ["0:59", "1:00"],
        ["25:59:30.5", "26:00:30.5"],
        ["2024-02-28 23:59:30", "2024-02-29 00:00:30"],
        ["2024-01-31T10:00:00Z", "2024-01-31T11:01:00+01:00"],
        ["2024-01-31T10:00:00.25", "2024-01-31T10:01:00.25"],
        // As Parquet files have them.
        ["2024-01-31 10:00:00.000000 +00:00", "2024-01-31 10:01:00.000000 +00:00"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let table = format!("patient,hour,hr,died\na,{second},7,0\na,{first},5,0\nb,{first},1,1\n");
        let chosen = LongTable { every: Some(20.0), fill: Fill::Linear, ..settings(&["patient"]) };
        assert_eq!(write(folder.path(), &table, &chosen).unwrap().steps, [1, 4], "{first}");
        let found = reading(&open(folder.path()), 0, 0).unwrap().concat();
        assert!(found.iter().zip([5.0, 17.0 / 3.0, 19.0 / 3.0, 7.0]).all(|(a, b)| (a - b).abs() < 1e-5), "{first}: {found:?}");
    }
    for wrong in ["31.01.2024", "10:75", "nan", "yesterday", ""] {
        let folder = tempfile::tempdir().unwrap();
        let table = format!("patient,hour,hr,died\na,0,7,0\na,{wrong},5,0\nb,0,1,1\n");
        let error = write(folder.path(), &table, &settings(&["patient"])).unwrap_err().to_string();
        assert!(error.contains(&format!("table.csv:3:2: `{wrong}` is no time")), "{error}");
    }
    for (first, other, said) in [
        ("2024-01-31 10:00", "10:30", "`10:30` is a time of day, and line 2 has a date"),
        ("10:30", "3600", "`3600` is a number, and line 2 has a time of day"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let table = format!("patient,hour,hr,died\na,{first},7,0\na,{other},5,0\nb,{first},1,1\n");
        let error = write(folder.path(), &table, &settings(&["patient"])).unwrap_err().to_string();
        assert!(error.contains(&format!("table.csv:3:2: {said}: write all times in one way")), "{error}");
    }
}

/// The card would draw parts of its own.
#[test]
fn a_part_that_changes_within_a_series_is_refused() {
    let made = |parts: [&str; 3], ignore: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let [a, b, c] = parts;
        let table = format!("patient,hour,hr,died,part\na,0,7,0,{a}\na,1,5,0,{b}\nb,0,1,1,{c}\n");
        let ignore = ignore.iter().map(ToString::to_string).collect();
        write(folder.path(), &table, &LongTable { ignore, ..settings(&["patient"]) }).map(drop).map_err(|error| error.to_string())
    };
    let error = made(["train", "test", "test"], &[]).unwrap_err();
    assert!(error.contains("table.csv:2:5: column `part` changes within a series") && error.contains("--ignore part"), "{error}");
    made(["train", "train", "test"], &[]).unwrap();
    made(["train", "test", "test"], &["part"]).unwrap();
    // Parts of something else.
    made(["knee", "hip", "hip"], &[]).unwrap();
}

#[test]
fn empty_steps_are_filled() {
    for (fill, expected) in [(Fill::Last, [1.0, 1.0, 1.0, 1.0, 4.0, 4.0]), (Fill::Linear, [1.0, 1.0, 2.0, 3.0, 4.0, 4.0])] {
        let folder = tempfile::tempdir().unwrap();
        let rows: String = ["", "1", "", "", "4", ""].iter().enumerate().map(|(hour, cell)| format!("a,{hour},{cell},0\n")).collect();
        let table = format!("patient,hour,hr,died\n{rows}b,0,1,1\nb,1,,1\n");
        write(folder.path(), &table, &LongTable { fill, ..settings(&["patient"]) }).unwrap();
        let data = open(folder.path());
        assert_eq!((reading(&data, 0, 0).unwrap(), reading(&data, 1, 0).unwrap()), (vec![expected.to_vec()], vec![vec![1.0, 1.0]]));
    }
}

/// Sorted by the time of day, what was written after midnight would come first.
#[test]
fn times_of_day_that_pass_midnight_are_refused() {
    let made = |times: [&str; 4]| {
        let folder = tempfile::tempdir().unwrap();
        let rows: String = times.iter().enumerate().map(|(k, time)| format!("a,{time},{k},0\nb,1{k}:00,{k},1\n")).collect();
        let made = write(folder.path(), &format!("patient,hour,hr,died\n{rows}"), &settings(&["patient"]));
        made.map(|_| reading(&open(folder.path()), 0, 0).unwrap().concat()).map_err(|error| error.to_string())
    };
    let error = made(["23:50", "23:55", "00:05", "00:10"]).unwrap_err();
    assert!(error.contains("table.csv:6:2: times without a date go past midnight in `a` (line 4 is later in the day)"), "{error}");
    assert!(error.contains("write the date, too, as in 2024-01-31 00:05, or count on, as in 24:05"), "{error}");
    assert_eq!(made(["23:50", "23:55", "24:05", "24:10"]).unwrap(), [0.0, 1.0, 2.0, 3.0]);
    // What is out of order within half a day, or in hours that are counted from a beginning, is sorted.
    assert_eq!(made(["10:00", "11:00", "3:00", "12:00"]).unwrap(), [2.0, 0.0, 1.0, 3.0]);
    assert_eq!(made(["23:50", "0:10", "30:00", "31:00"]).unwrap(), [1.0, 0.0, 2.0, 3.0]);
}

/// The new table would have a column twice, and nothing reads it.
#[test]
fn sensors_named_as_another_column_of_the_new_table_are_refused() {
    let table = "run,clock,fast.start,hr_a,hr_b,state,hr,site\nr,0,u,1,2,ok,0,s\nr,1,u,2,3,ok,0,s\nq,0,v,1,5,bad,1,s\nq,1,v,2,6,bad,1,s\n";
    let some = |name: &str| Some(name.to_string());
    let usual = LongTable { id: vec!["run".into()], time: some("clock"), label: some("state"), ..LongTable::default() };
    let named = |name: &str| vec![LongSensor { name: name.into(), columns: vec!["hr_a".into(), "hr_b".into()] }];
    let refused = |settings: LongTable| {
        let folder = tempfile::tempdir().unwrap();
        let error = write(folder.path(), table, &settings).unwrap_err().to_string();
        assert!(!folder.path().join("out").exists(), "nothing is left behind: {error}");
        error
    };
    let error = refused(LongTable { sensors: named("state"), ..usual.clone() });
    assert!(error.contains("to have a sensor `state`, and the label has the same column in samples.csv, `state`"), "{error}");
    assert!(error.contains("give the sensor another name, --sensor state_sensor=hr_a,hr_b"), "{error}");
    let error = refused(LongTable { sensors: named("id"), ..usual.clone() });
    assert!(error.contains("sensor `id`, and the id has the same column"), "{error}");
    let error = refused(LongTable { sensors: named("site"), group: some("site"), ..usual.clone() });
    assert!(error.contains("sensor `site`, and the group has the same column"), "{error}");
    let error = refused(LongTable { sensors: named("fast"), label: some("fast.start"), ..usual.clone() });
    assert!(error.contains("sensor `fast`, and the label has the same column in samples.csv, `fast.start`"), "{error}");
    // One that was guessed: `hr` of hr_a and hr_b.
    let error = refused(LongTable { label: some("hr"), ignore: vec!["state".into()], ..usual.clone() });
    assert!(error.contains("--sensor hr_sensor=hr_a,hr_b"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), table, &LongTable { sensors: named("state_sensor"), ..usual }).unwrap();
    assert_eq!(open(folder.path()).len(), 2);
}

#[test]
fn thousands_and_codes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = String::from("patient;hour;cost;pulse;died\n");
    for k in 0..40 {
        let (cost, pulse) = (300 + 37 * k, if k % 5 == 0 { -999 } else { 60 + k * 7 % 23 });
        let cost = if cost < 1000 { cost.to_string() } else { format!("{}.{:03}", cost / 1000, cost % 1000) };
        table += &format!("p{};{k};{cost};{pulse};{}\n", k / 10, k / 10 % 2);
    }
    let remarks = write(folder.path(), &table, &settings(&["patient"])).unwrap().remarks.join("\n");
    assert!(remarks.contains("numbers of `cost` (`1.003` in line 21, column 3) are read as decimal numbers"), "{remarks}");
    assert!(remarks.contains("-999 of `pulse` in 8 of 40 rows; where it stands for no value, name it with --missing"), "{remarks}");
}

/// By the rule of all tables: few of the numbers come back.
#[test]
fn labels_of_series_may_be_quantities() {
    let made = |label: &dyn Fn(usize) -> usize| {
        let folder = tempfile::tempdir().unwrap();
        let row = |i: usize| format!("p{},{},{},{}\n", i / 2, i % 2, i * 7 % 23, label(i / 2));
        write(folder.path(), &format!("patient,hour,hr,died\n{}", (0..96).map(row).collect::<String>()), &settings(&["patient"])).unwrap();
        std::fs::read_to_string(folder.path().join("out/card.toml")).unwrap()
    };
    assert!(made(&|k| k * k % 97 * 5).contains("task = \"numbers\"\ntargets = [\"died\"]"));
    // 24 classes, twice each, are numbered without a gap.
    assert!(made(&|k| k % 24).contains("label = \"died\""));
}
