use super::{Bench, parts, row, sensors};
use mm_core::data::Source;
use mm_datasets::prepare::Error;

#[test]
fn surf_as_the_challenge_lists_it() {
    let bench = Bench::new();
    let line = |person: &str, kind: &str, label: u32| {
        let folder = format!("Training/{kind}_part/CLKJ_{person}/06.rssdk");
        ["color", "depth", "ir"].iter().for_each(|sensor| bench.picture(&format!("{folder}/{sensor}/1.jpg")));
        format!("{folder}/color/1.jpg {folder}/depth/1.jpg {folder}/ir/1.jpg {label}\n")
    };
    bench.write("train_list.txt", [line("AS0005", "real", 1), line("AS0005", "fake", 0)].concat());
    bench.write("val_private_list.txt", line("AS0006", "real", 1));
    let lost = line("AS0007", "fake", 0);
    bench.write("test_private_list.txt", lost);
    std::fs::remove_file(bench.root().join("Training/fake_part/CLKJ_AS0007/06.rssdk/depth/1.jpg")).unwrap();
    let made = bench.prepare("casia-surf").unwrap();
    assert!(made.remarks[0].contains("1 pictures are not there"), "{:?}", made.remarks);
    let source = bench.open("casia-surf.toml");
    assert_eq!(parts(&source), [2, 1, 1]);
    assert_eq!(source.schema().target.class_names(), ["attack", "live"]);
    // Slots go by name: the reference that takes depth for infrared cannot come back.
    assert_eq!(sensors(&source, row(&source, "Training/fake_part/CLKJ_AS0007/06.rssdk/color/1.jpg")), "rgb+ir");
    assert_eq!(source.meta(row(&source, "Training/real_part/CLKJ_AS0005/06.rssdk/color/1.jpg")).class, Some(1));
    assert_eq!(source.read(0).unwrap().readings[2].as_ref().unwrap().shape, [3, 112, 112]);
}

#[test]
fn surf_as_its_makers_list_it() {
    let bench = Bench::new();
    for person in ["AS0001", "AS0002", "AS0003"] {
        for picture in ["0001", "0002"] {
            let folder = format!("Data/CLKJ_{person}/real.rssdk");
            ["color", "depth", "ir"].iter().for_each(|sensor| bench.picture(&format!("{folder}/{sensor}/{picture}.jpg")));
        }
    }
    // Lists name files from the folder above; label 0 is live here.
    let path = |person: &str, end: &str| format!("root/Data/CLKJ_{person}/real.rssdk/color{end}");
    bench
        .write("protocol/CASIA_SURF@p1_image_train.txt", format!("{} 0\n{} 1\n", path("AS0001", "/0001.jpg"), path("AS0001", "/0002.jpg")));
    bench.write("protocol/CASIA_SURF@p1_image_dev.txt", format!("{} 0\n", path("AS0002", "/0001.jpg")));
    bench.write("protocol/CASIA_SURF@p1_video_test.txt", format!("{} 0\n", path("AS0003", "")));
    bench.prepare("casia-surf").unwrap();
    let source = bench.open("casia-surf.toml");
    // A film is as many samples as it has pictures.
    assert_eq!(parts(&source), [2, 1, 2]);
    assert_eq!((source.meta(0).class, source.meta(1).class), (Some(1), Some(0)));
}

#[test]
fn cefa_has_a_card_for_each_protocol_whose_lists_are_there() {
    let bench = Bench::new();
    let film = |name: &str| {
        ["color", "depth", "ir"].iter().for_each(|sensor| bench.picture(&format!("{name}/{sensor}/0001.jpg")));
        format!("root/{name}/color")
    };
    let [live, live_dev, live_test] = [120, 121, 122].map(|n| film(&format!("Ethnicity/AF/AF-{n}/1_{n}_1_1_1")));
    let [attack, attack_test] = ["073", "074"].map(|n| film(&format!("Mask/3D-Mask/{n}/1_{n}_1_0_2_1_2")));
    bench.write("CASIA_CeFA@p4.1_image_train.txt", format!("{live}/0001.jpg 0\n{attack}/0001.jpg 1\n"));
    bench.write("CASIA_CeFA@p4.1_image_dev.txt", format!("{live_dev}/0001.jpg 0\n"));
    let error = bench.prepare("cefa").unwrap_err();
    assert!(matches!(&error, Error::Missing { path, .. } if path.ends_with("CASIA_CeFA@p4.1_image_test.txt")), "{error}");
    bench.write("CASIA_CeFA@p4.1_video_test.txt", format!("{attack_test} 1\n{live_test} 0\n"));
    let made = bench.prepare("cefa").unwrap();
    assert_eq!(made.cards.len(), 1);
    let source = bench.open("cefa-4.1.toml");
    assert_eq!(parts(&source), [2, 1, 2]);
    let table = std::fs::read_to_string(bench.out().join("samples-4.1.csv")).unwrap();
    assert!(table.contains(",live,AF-120,train\n") && table.contains(",attack,074,test\n"), "{table}");
}

#[test]
fn lines_of_other_forms_are_errors() {
    for (line, problem) in [
        ("a.jpg b.jpg", "the label is 0 (live) or 1 (attack)"),
        ("a/b/1.jpg 0", "a picture in a folder `color`"),
        ("a.jpg b.jpg c.jpg 2", "the label is 1 (live) or 0 (attack)"),
        ("a.jpg b.jpg 1", "expected `rgb depth ir label` or `path label`"),
    ] {
        let bench = Bench::new();
        ["train_list.txt", "val_private_list.txt", "test_private_list.txt"].iter().for_each(|list| bench.write(list, line));
        let error = bench.prepare("casia-surf").unwrap_err().to_string();
        assert!(error.contains("train_list.txt:1") && error.contains(problem), "{error}");
    }
}
