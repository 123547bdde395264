//! Panels of which some numbers were not measured: checked, learnt, and asked about with other gaps.

use super::program::{mm, said};
use mm_core::pipeline::Readings;
use mm_core::rng;

#[test]
fn a_panel_with_gaps_is_no_error_and_is_used() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let draws = rng::standard_normal(&mut rng::stream(4, "panels", &[]), 5 * 120);
    let mut table = String::from("id,lab.a,lab.b,lab.c,vital.x,vital.y,outcome,part\n");
    for (i, draws) in draws.chunks_exact(5).enumerate() {
        let ill = i % 3 == 0;
        let mut cells: Vec<String> = draws.iter().map(|x| format!("{:.2}", x + if ill { 1.5 } else { 0.0 })).collect();
        if i % 4 == 1 {
            cells[0].clear();
        }
        if i % 7 == 2 {
            cells[..3].iter_mut().for_each(String::clear);
        }
        let (outcome, part) = (if ill { "ill" } else { "well" }, if i % 5 < 3 { "train" } else { "test" });
        table += &format!("p{i},{},{outcome},{part}\n", cells.join(","));
    }
    std::fs::write(folder.join("t.csv"), table).unwrap();
    let card = folder.join("card.toml");
    let text = "name = 'panels'\nlabel = 'outcome'\nid = 'id'\npart = 'part'\npartial = 'indicate'\nscore = 'auroc'\n
        [[view]]\nmodality = 'lab'\nfile = 't.csv'\ncolumns = ['lab.a', 'lab.b', 'lab.c']\n
        [[view]]\nmodality = 'vital'\nfile = 't.csv'\ncolumns = ['vital.x', 'vital.y']\n";
    std::fs::write(&card, text).unwrap();
    let check = mm().args(["data", "check"]).arg(&card).output().unwrap();
    let found = String::from_utf8(check.stdout).unwrap();
    assert!(found.contains("0 errors") && found.contains("has empty cells in") && !found.contains("measured"), "{found}");
    let model = folder.join("model");
    let output =
        mm().arg("train").arg(&card).args(["--method", "modality-dropout", "--epochs", "10", "--out"]).arg(&model).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    // A gap where the training had none, a panel that is not there, nothing missing, a panel of zeros, and a gap in a panel that never had one.
    let table = "id,lab.a,lab.b,lab.c,vital.x,vital.y\na,1.2,,0.3,1,0.5\nb,,,,1,1\nc,2,2,2,1,0.5\nd,1,2,0.7,0,0\ne,1,2,0.5,1,\n";
    std::fs::write(folder.join("new.csv"), table).unwrap();
    let answers = folder.join("answers.csv");
    let mut predict = mm();
    predict.arg("predict").arg("--model").arg(&model).arg("--manifest").arg(folder.join("new.csv")).arg("--out").arg(&answers);
    let output = predict.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let answers = std::fs::read_to_string(answers).unwrap();
    let used: Vec<&str> = answers.lines().skip(1).map(|line| line.split(',').nth(4).unwrap()).collect();
    assert_eq!(used, ["lab+vital", "vital", "lab+vital", "lab", "lab"], "{answers}");
    // In a program, as in a request to `mm serve`, the numbers alone say what was not measured.
    let loaded = mm_bench::from_pretrained(&model).unwrap();
    let (columns, measured) = (&loaded.config().columns, loaded.config().columns.measured("lab"));
    assert_eq!((columns.variables["lab"].len() - measured.len(), measured[0]), (3, 0));
    let asked = loaded.predict(&Readings::new().vector("lab", [1.2, f64::NAN, 0.3]).vector("vital", [1.0, 0.5])).unwrap();
    let first: Vec<f64> = answers.lines().nth(1).unwrap().split(',').skip(2).take(2).map(|cell| cell.parse().unwrap()).collect();
    assert!(asked.probabilities.iter().zip(&first).all(|((_, p), q)| (p - q).abs() < 1e-5), "{asked:?} {answers}");
}

/// The table of the training, with a card that says so: rows with a gap lack the sensor, there and when the model is asked.
#[test]
fn a_row_with_a_gap_lacks_the_sensor_as_in_the_training() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let draws = rng::standard_normal(&mut rng::stream(5, "gaps", &[]), 3 * 40);
    let row = |(i, draws): (usize, &[f32])| {
        let mut cells: Vec<String> = draws.iter().map(|x| format!("{:.2}", x + (i % 2) as f32)).collect();
        (0..3).filter(|k| i % 9 == 4 && *k != i % 3).for_each(|k| cells[k] = "NA".into());
        format!("f{i},{},{}\n", cells.join(","), ["apple", "lemon"][i % 2])
    };
    let rows: String = draws.chunks_exact(3).enumerate().map(row).collect();
    std::fs::write(folder.join("fruit.csv"), format!("id,red,green,grams,fruit\n{rows}")).unwrap();
    let run = |arguments: &[&str]| {
        let output = mm().current_dir(folder).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    };
    let view = "[[view]]\nmodality = 'fruit'\nfile = 'fruit.csv'\ncolumns = ['red', 'green', 'grams']\n";
    let head = "name = 'fruit'\nlabel = 'fruit'\nid = 'id'\nmissing = ['NA']\npartial = 'absent'\nno_reading = 'drop'\n";
    std::fs::write(folder.join("card.toml"), format!("{head}{view}")).unwrap();
    run(&["train", "card.toml", "--method", "modality-dropout", "--epochs", "2", "--out", "model"]);
    run(&["predict", "--model", "model", "--manifest", "fruit.csv", "--out", "answers.csv"]);
    let answers = std::fs::read_to_string(folder.join("answers.csv")).unwrap();
    let absent: Vec<usize> = (0..40).filter(|&i| answers.lines().nth(i + 1).unwrap().ends_with("fruit: absent")).collect();
    assert_eq!(absent, [4, 13, 22, 31], "{answers}");
}

/// A table as a clinic has it, with words, and values that are missing together: the guessed card makes sensors of them, and the model is asked
/// by a table with the same words.
#[test]
fn words_and_panels_of_a_table_are_guessed_learnt_and_asked() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let draws = rng::standard_normal(&mut rng::stream(6, "stays", &[]), 4 * 160);
    let row = |(i, draws): (usize, &[f32])| {
        let is_ill = i % 2 == 1;
        let of = |k: usize, there: bool| if there { format!("{:.2}", draws[k] + if is_ill { 1.5 } else { 0.0 }) } else { String::new() };
        let ward = ["icu", "surgery", "medicine"][(i + usize::from(is_ill && i % 5 > 1)) % 3];
        let cells = [of(0, true), of(1, true), of(2, !i.is_multiple_of(3)), of(3, !i.is_multiple_of(3))];
        format!("p{i},{ward},{},{}\n", cells.join(","), ["well", "ill"][i % 2])
    };
    let rows: String = draws.chunks_exact(4).enumerate().map(row).collect();
    std::fs::write(folder.join("stays.csv"), format!("id,ward,age,pulse,lab_crp,lab_ldh,outcome\n{rows}")).unwrap();
    let run = |arguments: &[&str]| mm().current_dir(folder).args(arguments).output().unwrap();
    let done = |arguments: &[&str]| {
        let output = run(arguments);
        assert!(output.status.success(), "{}", said(&output));
    };
    done(&["data", "check", "stays.csv", "--write-card", "card.toml"]);
    done(&["train", "card.toml", "--method", "modality-dropout", "--epochs", "4", "--out", "model"]);
    done(&["evaluate", "--model", "model", "--card", "card.toml"]);
    let new = "id,ward,age,pulse,lab_crp,lab_ldh\na,icu,1,2,0.5,0.1\nb,surgery,0,1,,\nc,ward 7,0,1,1,1\n";
    std::fs::write(folder.join("new.csv"), new).unwrap();
    let ask = ["predict", "--model", "model", "--manifest", "new.csv", "--out", "answers.csv"];
    let refused = said(&run(&ask));
    assert!(refused.contains("new.csv:4:2") && refused.contains("`ward 7` is none of the categories of `ward`"), "{refused}");
    std::fs::remove_file(folder.join("answers.csv")).ok();
    done(&[&ask[..], &["--on-corrupt", "absent", "--overwrite"]].concat());
    let answers = std::fs::read_to_string(folder.join("answers.csv")).unwrap();
    let used: Vec<&str> = answers.lines().skip(1).map(|line| line.split(',').nth(4).unwrap()).collect();
    assert_eq!(used, ["stays+lab", "stays", "lab"], "{answers}");
    // Numbers that stand for no reading, which the model does not know as that.
    let row = |i: usize| format!("q{i},icu,0.5,{},0.2,0.1\n", if i.is_multiple_of(2) { "-999".into() } else { format!("0.{i}") });
    std::fs::write(folder.join("new.csv"), "id,ward,age,pulse,lab_crp,lab_ldh\n".to_string() + &(0..8).map(row).collect::<String>())
        .unwrap();
    let told = String::from_utf8(run(&[&ask[..], &["--overwrite"]].concat()).stdout).unwrap();
    assert!(told.contains("stays: in 4 of 8 rows it lies far from all that the training had") && !told.contains("lab: in"), "{told}");
}
