//! Sensors of files that degrade, from the plan to the report.

use super::program::{bench, results, said};
use mm_report::result::{CellResult, CorruptionResult};
use mm_testing::seen_and_heard;
use std::path::{Path, PathBuf};

const CARD: &str = r#"
name = "seen and heard"
folders = "."
[[modality]]
name = "image"
kind = "image"
channels = "gray"
size = [16, 16]
[[modality]]
name = "sound"
kind = "audio"
rate = 4000
seconds = 0.2
"#;

/// A plan with these corruptions, beside its data.
fn plan(folder: &Path, corruptions: &str) -> PathBuf {
    std::fs::write(folder.join("card.toml"), CARD).unwrap();
    let plan = format!(
        "name = \"p\"\nseeds = [0]\ndata = [{{ name = \"clips\", card = \"card.toml\" }}]\ntrain = {{ epochs = 6 }}\n\
         runs = [{{ method = \"modality-dropout\" }}]\n{corruptions}"
    );
    std::fs::write(folder.join("plan.toml"), plan).unwrap();
    folder.join("plan.toml")
}

#[test]
fn a_plan_degrades_each_sensor_and_both_at_once() {
    let folder = tempfile::tempdir().unwrap();
    seen_and_heard(folder.path(), 80);
    let corruptions = r#"
[[corruptions]]
families = ["white_noise", "absent", "gaussian"]
severities = [1, 5]
modalities = "sound"
[[corruptions]]
families = ["gaussian_blur"]
severities = [3]
modalities = "image"
[[corruptions]]
families = ["absent"]
severities = [5]
modalities = "all"
[[corruptions]]
together = [{ family = "silence", modalities = "sound" }, { family = "darkness", modalities = "image" }]
severities = [5]
"#;
    let out = folder.path().join("out");
    let output = bench(&plan(folder.path(), corruptions), &out).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let cells: Vec<CellResult> = results(&out).into_values().map(|bytes| serde_json::from_slice(&bytes).unwrap()).collect();
    let [cell] = &cells[..] else { panic!("{} cells", cells.len()) };
    let names = |c: &CorruptionResult| format!("{} {} {}", c.corruption, c.severity, c.subset);
    let expected = [
        "white_noise 1 sound",
        "white_noise 5 sound",
        "absent 1 sound",
        "absent 5 sound",
        "gaussian 1 sound",
        "gaussian 5 sound",
        "gaussian_blur 3 image",
        "silence (sound) and darkness (image) 5 image+sound",
    ];
    // Nothing is left under `absent` of severity 5 on all sensors, so there is nothing to report.
    assert_eq!(cell.corruptions.iter().map(names).collect::<Vec<_>>(), expected);
    assert!(cell.corruptions.iter().all(|c| c.metrics.samples == cell.test_samples && c.non_finite == 0));
    // Without its sound, a sample is predicted as the combination of the image alone.
    let image = cell.combinations.iter().find(|c| c.subset == "image").unwrap();
    let absent = cell.corruptions.iter().find(|c| names(c) == "absent 5 sound").unwrap();
    assert_eq!(absent.correct, image.correct);
    let report = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains("white noise on sound") && report.contains("silence (sound) and darkness (image) on image+sound"));
}

#[test]
fn what_a_sensor_cannot_have_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    seen_and_heard(folder.path(), 30);
    for (corruptions, expected) in [
        (
            "families = [\"white_noise\"]\nmodalities = \"image\"",
            "`white_noise` cannot happen to `image` (kind `image`): it has gaussian_noise",
        ),
        ("families = [\"white_noise\"]\nmodalities = \"all\"", "write modalities = \"sound\""),
        ("families = [\"wite_noise\"]\nmodalities = \"sound\"", "did you mean `white_noise`?"),
        ("families = [\"white_noise\"]", "`families` need `modalities`"),
        ("modalities = \"sound\"", "an entry names `families` and `modalities`, or what happens `together`"),
        ("families = [\"white_noise\"]\nmodalities = \"sound\"\nseverities = [6]", "must be 1 to 5, found 6"),
        (
            "families = [\"dead\"]\nmodalities = \"sound\"\ntogether = [{ family = \"dead\", modalities = \"image\" }]",
            "write `families` and `modalities` as an entry of their own",
        ),
        (
            "together = [{ family = \"dead\", modalities = \"all\" }, { family = \"dead\", modalities = \"image\" }]",
            "`dead` happens twice to `image`: keep one",
        ),
        ("together = [{ family = \"fog\", modalities = \"sound\" }]", "`fog` cannot happen to `sound` (kind `audio`): it has white_noise"),
        ("together = [{ family = \"fog\" }]", "missing field `modalities`"),
    ] {
        let out = folder.path().join("out");
        let plan = plan(folder.path(), &format!("[[corruptions]]\n{corruptions}\n"));
        let output = bench(&plan, &out).output().unwrap();
        assert!(!output.status.success() && said(&output).contains(expected), "{corruptions}: {}", said(&output));
        assert!(results(&out).is_empty());
    }
}

#[test]
fn a_copy_of_the_data_is_the_same_data_and_a_changed_file_is_not() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let out = folder.path().join("out");
    let run = |from: &Path| {
        let output = bench(&plan(from, ""), &out).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    seen_and_heard(folder.path(), 24);
    seen_and_heard(copy.path(), 24);
    assert!(run(folder.path()).contains("1 of 1 cells new"));
    // Elsewhere, and written at another time.
    assert!(run(copy.path()).contains("0 of 1 cells new"));
    let images = |class: usize| {
        let classes = std::fs::read_dir(copy.path().join("image")).unwrap().map(|class| class.unwrap().path());
        let class = classes.collect::<std::collections::BTreeSet<_>>().into_iter().nth(class).unwrap();
        std::fs::read_dir(class).unwrap().next().unwrap().unwrap().path()
    };
    std::fs::copy(images(0), images(1)).unwrap();
    assert!(run(copy.path()).contains("1 of 1 cells new"));
    assert!(run(folder.path()).contains("0 of 1 cells new"));
    assert_eq!(results(&out).len(), 2);
}
