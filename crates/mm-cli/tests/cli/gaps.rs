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
    // A gap where the training had none, a panel that is not there, nothing missing, and a panel of zeros.
    let table = "id,lab.a,lab.b,lab.c,vital.x,vital.y\na,1.2,,0.3,1,0.5\nb,,,,1,1\nc,2,2,2,1,0.5\nd,1,2,0.7,0,0\n";
    std::fs::write(folder.join("new.csv"), table).unwrap();
    let answers = folder.join("answers.csv");
    let mut predict = mm();
    predict.arg("predict").arg("--model").arg(&model).arg("--manifest").arg(folder.join("new.csv")).arg("--out").arg(&answers);
    let output = predict.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let answers = std::fs::read_to_string(answers).unwrap();
    let used: Vec<&str> = answers.lines().skip(1).map(|line| line.split(',').nth(4).unwrap()).collect();
    assert_eq!(used, ["lab+vital", "vital", "lab+vital", "lab"], "{answers}");
}
