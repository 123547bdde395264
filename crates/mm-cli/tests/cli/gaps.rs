//! Panels of which some numbers were not measured: checked, learnt, and asked about with other gaps.

use super::program::{mm, said};
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
}

/// The table of the training, as `mm data check` writes its card: rows with a gap lack the sensor, there and when the model is asked.
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
    run(&["data", "check", "fruit.csv", "--write-card", "card.toml"]);
    let card = std::fs::read_to_string(folder.join("card.toml")).unwrap();
    assert!(card.contains("partial = \"absent\""), "{card}");
    run(&["train", "card.toml", "--method", "modality-dropout", "--epochs", "2", "--out", "model"]);
    run(&["predict", "--model", "model", "--manifest", "fruit.csv", "--out", "answers.csv"]);
    let answers = std::fs::read_to_string(folder.join("answers.csv")).unwrap();
    let absent: Vec<usize> = (0..40).filter(|&i| answers.lines().nth(i + 1).unwrap().ends_with("fruit: absent")).collect();
    assert_eq!(absent, [4, 13, 22, 31], "{answers}");
}
