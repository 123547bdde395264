//! A class for each pixel: from a folder of images and label maps to a report, a model and answers.

use super::program::{bench, mm, results, said};
use mm_core::data::{LabelMaps, PixelLabels, class_colour};
use mm_core::rng;
use mm_report::pictured::{Picture, Reason};
use mm_report::result::CellResult;
use rand::RngExt;
use std::path::Path;

const SIDE: u32 = 16;

/// Images of a bright square, its heat in another file, and a label map; every third sample lacks the heat.
fn squares(folder: &Path, samples: u64) {
    let mut table = String::from("rgb,heat,label,part\n");
    for id in 0..samples {
        let mut random = rng::stream(0, "squares", &[id]);
        let (top, left) = (random.random_range(0..8u32), random.random_range(0..8u32));
        let inside = |x: u32, y: u32| (left..left + 8).contains(&x) && (top..top + 8).contains(&y);
        let mut noise = || random.random_range(0..40u8);
        let rgb = image::RgbImage::from_fn(SIDE, SIDE, |x, y| image::Rgb([if inside(x, y) { 200 } else { 60 }, noise(), noise()]));
        rgb.save(folder.join(format!("{id}.png"))).unwrap();
        let heat = image::GrayImage::from_fn(SIDE, SIDE, |x, y| image::Luma([if inside(x, y) { 60 } else { 200 }]));
        heat.save(folder.join(format!("{id}_heat.png"))).unwrap();
        let labels = image::GrayImage::from_fn(SIDE, SIDE, |x, y| image::Luma([if y == 0 { 255 } else { u8::from(inside(x, y)) }]));
        labels.save(folder.join(format!("{id}_labels.png"))).unwrap();
        let heat = if id % 3 == 2 { String::new() } else { format!("{id}_heat.png") };
        table += &format!("{id}.png,{heat},{id}_labels.png,{}\n", ["train", "train", "train", "test"][id as usize % 4]);
    }
    std::fs::write(folder.join("samples.csv"), table).unwrap();
    let card = "name = 'squares'\nmanifest = 'samples.csv'\n[pixels]\nclasses = ['ground', 'square']\n
        [[modality]]\nname = 'rgb'\nkind = 'image'\nchannels = 'rgb'\nsize = [16, 16]\n
        [[modality]]\nname = 'heat'\nkind = 'image'\nchannels = 'gray'\nsize = [16, 16]\n";
    std::fs::write(folder.join("card.toml"), card).unwrap();
    let plan = "name = 'p'\nseeds = [0]\n[network.dense]\nkind = 'unet'\nwidths = [4, 8]\n[train]\nepochs = 15\nbatch_size = 8\n
        class_weights = 'median_frequency'\n[[data]]\nname = 'squares'\ncard = 'card.toml'\n
        [[corruptions]]\nfamilies = ['darkness']\nmodalities = 'rgb'\n
        [[runs]]\nmethod = 'modality-dropout'\n[[runs]]\nmethod = 'late-fusion'\n";
    std::fs::write(folder.join("plan.toml"), plan).unwrap();
}

#[test]
fn a_folder_of_label_maps_becomes_a_report_and_a_model_that_answers_with_maps() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    squares(folder, 48);
    let out = folder.join("out");
    let output = bench(&folder.join("plan.toml"), &out).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let cells: Vec<CellResult> = results(&out).into_values().map(|bytes| serde_json::from_slice(&bytes).unwrap()).collect();
    assert_eq!(cells.len(), 2);
    for cell in &cells {
        assert_eq!((cell.measure.name.as_str(), cell.test_samples, cell.truths.as_ref()), ("miou", 12, None));
        assert_eq!(cell.combinations.iter().map(|c| c.subset.as_str()).collect::<Vec<_>>(), ["rgb", "heat", "rgb+heat"]);
        for combination in &cell.combinations {
            let (score, samples) = (combination.metrics.score, combination.metrics.samples);
            assert!(score > 0.5 && combination.sums.len() == 12 * 6, "{} {}: {score}", cell.run, combination.subset);
            assert_eq!(samples, if combination.subset == "rgb" { 12 } else { 8 });
            assert!(combination.metrics.get("pixel_accuracy") > 0.6 && combination.metrics.get("boundary_miou") > 0.1);
        }
        assert_eq!(cell.corruptions.len(), 5);
    }
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("Mean IoU, %") && page.contains("mean IoU") && !page.contains("ccuracy, %"), "the report is about mean IoU");
    assert!(!page.contains("no training sample has the class"));
    assert!(page.contains("IoU of the class") && page.contains("ground") && page.contains("void (not labelled)"));
    let shown: usize = cells.iter().flat_map(|cell| &cell.pictures).map(|p| p.sensors.len() + 1 + 2 * p.predictions.len()).sum();
    assert_eq!((page.matches("<img ").count(), page.matches("src=\"data:image/png;base64,").count()), (shown, shown));
    for (path, bytes) in results(&out) {
        chosen_images_are_what_they_claim(path.parent().unwrap(), &serde_json::from_slice(&bytes).unwrap());
    }

    // A bench that begins anew removes its pictures and no other files.
    let first = results(&out).into_keys().next().unwrap().with_file_name("pictures");
    ["mine.png", "9_truth.png"].iter().for_each(|name| std::fs::write(first.join(name), "").unwrap());
    let output = bench(&folder.join("plan.toml"), &out).arg("--resume=false").output().unwrap();
    assert!(output.status.success() && first.join("mine.png").exists() && !first.join("9_truth.png").exists(), "{}", said(&output));
    assert_eq!(std::fs::read_to_string(out.join("report.html")).unwrap().matches("<img ").count(), shown);

    let model = folder.join("model");
    let mut train = mm();
    train.arg("train").arg(folder.join("card.toml")).arg("--plan").arg(folder.join("plan.toml"));
    let output = train.args(["--method", "modality-dropout", "--out"]).arg(&model).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let readme = std::fs::read_to_string(model.join("README.md")).unwrap();
    assert!(readme.contains("miou") && readme.contains("pixels.to_png()?") && !readme.contains("answer.class"), "{readme}");

    let ask = |table: &str, out: &Path, more: &[&str]| {
        let mut predict = mm();
        predict.arg("predict").arg("--model").arg(&model).arg("--manifest").arg(folder.join(table)).arg("--out").arg(out);
        predict.args(more).output().unwrap()
    };
    let predict = |out: &Path, more: &[&str]| ask("samples.csv", out, more);
    let answers = folder.join("answers.csv");
    let output = predict(&answers, &["--overlays"]);
    assert!(output.status.success(), "{}", said(&output));
    let told = said(&output);
    assert!(!told.contains("is no class") && told.contains("a class for every pixel, which are not compared"), "{told}");
    let table = std::fs::read_to_string(&answers).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!((lines.len(), lines[0]), (49, "id,map,used,ignored"));
    assert_eq!(lines[3], "line 4,answers_maps/000003.png,rgb,heat: absent");
    let read = |path: &Path| -> PixelLabels { LabelMaps::new(["ground", "square"]).decode(&std::fs::read(path).unwrap(), path).unwrap() };
    let (found, truth) = (read(&folder.join("answers_maps/000001.png")), read(&folder.join("0_labels.png")));
    let labelled = truth.labels().iter().zip(found.labels()).filter(|(truth, _)| **truth != 0);
    let right = labelled.clone().filter(|(truth, found)| truth == found).count();
    assert!(right * 10 > labelled.count() * 7, "{right}");
    let legend = std::fs::read_to_string(folder.join("answers_maps/legend.csv")).unwrap();
    assert_eq!(legend, "number,class,colour\n0,ground,#0072b2\n1,square,#e69f00\n255,void,#000000\n");
    overlay_follows(&folder.join("answers_maps/000001_overlay.png"), &found, &folder.join("0.png"));
    assert_eq!(std::fs::read_dir(folder.join("answers_maps")).unwrap().count(), 48 + 48 + 2);
    // Without the option nothing is left of an older overlay.
    let output = predict(&answers, &["--overwrite"]);
    assert!(output.status.success() && !folder.join("answers_maps/000001_overlay.png").exists(), "{}", said(&output));
    // Fewer rows leave no map of more, and other files stay.
    std::fs::write(folder.join("answers_maps/mine.png"), "mine").unwrap();
    let rows = std::fs::read_to_string(folder.join("samples.csv")).unwrap();
    let few = |count: usize| rows.lines().take(count + 1).map(|line| format!("{line}\n")).collect::<String>();
    std::fs::write(folder.join("few.csv"), few(8)).unwrap();
    let output = ask("few.csv", &answers, &["--overwrite"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(std::fs::read_dir(folder.join("answers_maps")).unwrap().count(), 8 + 2 + 1);
    // Another table of the same stem would write over them.
    let output = ask("few.csv", &folder.join("answers.jsonl"), &[]);
    assert!(!output.status.success() && said(&output).contains("answers_maps holds the maps of answers.csv"), "{}", said(&output));
    assert!(!folder.join("answers.jsonl.partial").exists());
    // A folder of the user's own is not written to.
    std::fs::create_dir(folder.join("other_maps")).unwrap();
    let output = predict(&folder.join("other.csv"), &[]);
    assert!(!output.status.success() && said(&output).contains("other_maps"), "{}", said(&output));

    // A run that ended at its last row goes on behind the first, as long as the map of that is there.
    std::fs::write(folder.join("broken.png"), "no image").unwrap();
    std::fs::write(folder.join("bad.csv"), few(4) + "broken.png,,0_labels.png,test\n").unwrap();
    let bad = || said(&ask("bad.csv", &folder.join("bad_answers.csv"), &[]));
    assert!(bad().contains("broken.png"));
    let (partial, state) = (folder.join("bad_answers.csv.partial"), folder.join("bad_answers.csv.partial.json"));
    let text =
        std::fs::read_to_string(&partial).unwrap().lines().next().unwrap().to_string() + "\nline 2,bad_answers_maps/000001.png,rgb,\n";
    std::fs::write(&partial, &text).unwrap();
    let mut reached: serde_json::Value = serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
    (reached["rows"], reached["bytes"]) = (1.into(), text.len().into());
    reached["tally"]["combinations"] = serde_json::json!({ "rgb": { "rows": 1, "labelled": 0, "right": 0 } });
    std::fs::write(&state, reached.to_string()).unwrap();
    assert!(bad().contains("1 of 5 rows were answered before; going on"));
    std::fs::remove_file(folder.join("bad_answers_maps/000001.png")).unwrap();
    let told = bad();
    assert!(
        told.contains("1 of 1 maps of rows that were answered before are gone; beginning anew") && !told.contains("going on"),
        "{told}"
    );
    assert!(folder.join("bad_answers_maps/000001.png").exists());
}

/// The settings of a training and an option of `mm predict` ask for the same; a bench has the scores of it.
#[test]
fn mirrored_images_are_asked_for_by_a_plan_and_by_an_option() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    squares(folder, 24);
    let plan = std::fs::read_to_string(folder.join("plan.toml")).unwrap().replace("epochs = 15", "epochs = 2");
    std::fs::write(folder.join("plan.toml"), &plan).unwrap();
    std::fs::write(folder.join("flips.toml"), plan.replace("epochs = 2", "epochs = 2\ntest_flips = true")).unwrap();
    let maps = |plan: &str, out: &str, more: &[&str]| -> Vec<Vec<u8>> {
        let (model, answers) = (folder.join(plan).with_extension("model"), folder.join(out).with_extension("csv"));
        let mut train = mm();
        train.arg("train").arg(folder.join("card.toml")).arg("--plan").arg(folder.join(plan));
        let output = train.args(["--method", "modality-dropout", "--out"]).arg(&model).output().unwrap();
        assert!(model.join("config.json").is_file(), "{}", said(&output));
        let mut predict = mm();
        predict.arg("predict").arg("--model").arg(&model).arg("--manifest").arg(folder.join("samples.csv")).arg("--out").arg(&answers);
        let output = predict.args(more).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let map = |i: usize| std::fs::read(folder.join(format!("{out}_maps/{i:06}.png"))).unwrap();
        (1..25).map(map).collect()
    };
    let (plain, option) = (maps("plan.toml", "plain", &[]), maps("plan.toml", "option", &["--test-flips"]));
    assert!(maps("flips.toml", "flips", &[]) == option && plain != option);
    // Turns hold the flips.
    let turned = maps("plan.toml", "turned", &["--test-turns"]);
    assert!(maps("flips.toml", "both", &["--test-turns"]) == turned && turned != option && turned != plain);
    assert!(maps("plan.toml", "all", &["--test-turns", "--test-flips"]) == turned);
    let scores = |plan: &str| -> Vec<f64> {
        let out = folder.join(plan).with_extension("out");
        assert!(bench(&folder.join(plan), &out).status().unwrap().success());
        let cells = results(&out).into_values().map(|bytes| serde_json::from_slice::<CellResult>(&bytes).unwrap());
        cells.flat_map(|cell| cell.combinations.into_iter().map(|combination| combination.metrics.score)).collect()
    };
    assert_ne!(scores("plan.toml"), scores("flips.toml"));
}

/// The pictures of a cell: the samples have the places in the ranking that they claim, and the maps have the scores.
fn chosen_images_are_what_they_claim(folder: &Path, cell: &CellResult) {
    let scores = |subset: &str| -> Vec<f64> {
        let combination = cell.combinations.iter().find(|c| c.subset == subset).unwrap();
        let of = |(sums, mark): (&[f32], char)| match mark {
            '-' => f64::NAN,
            _ => cell.measure.score.of(&sums.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(), 1.0),
        };
        combination.sums.chunks_exact(6).zip(combination.correct.chars()).map(of).collect()
    };
    let all = scores("rgb+heat");
    let known: Vec<f64> = all.iter().copied().filter(|score| score.is_finite()).collect();
    assert_eq!(known.len(), 8);
    let mut reasons = Vec::new();
    for (position, chosen) in cell.pictures.iter().enumerate() {
        let score = all[chosen.sample];
        let better = known.iter().filter(|other| **other > score).count();
        let worse = known.iter().filter(|other| **other < score).count();
        for reason in &chosen.reasons {
            match reason {
                Reason::Best => assert_eq!(better, 0),
                Reason::Worst => assert_eq!(worse, 0),
                Reason::Median => assert!(better <= 4 && worse <= 3, "{better} {worse}"),
                Reason::LargestDrop(subset) => {
                    let drops = ["rgb", "heat"].map(|s| all.iter().zip(scores(s)).map(|(all, one)| all - one).fold(0.0, f64::max));
                    assert_eq!(score - scores(subset)[chosen.sample], drops[0].max(drops[1]));
                }
            }
        }
        reasons.extend(chosen.reasons.iter().map(std::mem::discriminant));
        assert_eq!(chosen.sensors, ["rgb", "heat"]);
        let names: Vec<&str> = chosen.predictions.iter().map(|p| p.subset.as_str()).collect();
        assert_eq!(names, ["rgb+heat", "rgb", "heat"]);
        let read = |picture: Picture| {
            let path = picture.path(folder, position);
            LabelMaps::new(["ground", "square"]).decode(&std::fs::read(&path).unwrap(), &path).unwrap()
        };
        let truth = read(Picture::Truth);
        assert!((truth.height(), truth.width()) == (16, 16) && truth.labels()[..16].iter().all(|&label| label == 0));
        for (c, prediction) in chosen.predictions.iter().enumerate() {
            let map = read(Picture::Prediction(c));
            let count = |of: &dyn Fn(u16, u16) -> bool| {
                let pairs = map.labels().iter().zip(truth.labels()).filter(|(_, actual)| **actual != 0);
                pairs.filter(|(predicted, actual)| of(**predicted, **actual)).count() as f64
            };
            let sums = [1, 2].map(|k| count(&|p, a| p == k && a == k)).into_iter();
            let sums = sums.chain([1, 2].map(|k| count(&|p, _| p == k))).chain([1, 2].map(|k| count(&|_, a| a == k)));
            let found = cell.measure.score.of(&sums.collect::<Vec<_>>(), 1.0);
            // One image is predicted alone here and was one of a batch there: a pixel on the edge may fall to the other side.
            assert!((found - prediction.score).abs() < 0.03, "{found} {}", prediction.score);
            let errors = image::open(Picture::Errors(c).path(folder, position)).unwrap().to_rgb8();
            let wrong = errors.pixels().filter(|pixel| pixel.0 == mm_core::data::pictures::WRONG).count() as f64;
            assert_eq!(wrong, count(&|p, a| p != a));
        }
        assert_eq!(image::open(Picture::Sensor(0).path(folder, position)).unwrap().to_rgb8().dimensions(), (SIDE, SIDE));
    }
    assert!(reasons.len() >= 3 && cell.pictures.len() <= 4, "{} reasons", reasons.len());
}

/// An overlay has the size of its map, and is half of the image and half of the colours of the classes.
fn overlay_follows(path: &Path, map: &PixelLabels, seen: &Path) {
    let (overlay, seen) = (image::open(path).unwrap().to_rgb8(), image::open(seen).unwrap().to_rgb8());
    assert_eq!((overlay.height() as usize, overlay.width() as usize), (map.height(), map.width()));
    for ((pixel, seen), &label) in overlay.pixels().zip(seen.pixels()).zip(map.labels()) {
        let colour = class_colour(usize::from(label) - 1);
        for c in 0..3 {
            let half = (i32::from(seen.0[c]) + i32::from(colour[c])) / 2;
            assert!((i32::from(pixel.0[c]) - half).abs() <= 1, "{pixel:?} {seen:?} {colour:?}");
        }
    }
}

#[test]
fn label_maps_that_are_wrong_are_named() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    squares(folder, 48);
    let refused = |parts: &[&str]| {
        let output = bench(&folder.join("plan.toml"), &folder.join("out")).output().unwrap();
        let text = said(&output) + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && parts.iter().all(|part| text.contains(part)), "{text}");
    };
    let map = folder.join("5_labels.png");
    image::RgbImage::new(SIDE, SIDE).save(&map).unwrap();
    refused(&["5_labels.png", "colours"]);
    image::GrayImage::from_pixel(SIDE, SIDE, image::Luma([9])).save(&map).unwrap();
    refused(&["5_labels.png", "is 9", "void"]);
    std::fs::remove_file(&map).unwrap();
    refused(&["5_labels.png", "samples.csv:7"]);
}

/// A folder as people have one: photographs, depth maps of half their size and missing for a third, and label maps.
#[test]
fn sensors_of_two_sizes_in_folders_train_degrade_and_answer() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    for name in ["rgb", "depth", "labels"] {
        std::fs::create_dir_all(folder.join("rooms").join(name)).unwrap();
    }
    for id in 0..36u64 {
        let mut random = rng::stream(0, "rooms", &[id]);
        let (top, left) = (random.random_range(0..16u32), random.random_range(0..16u32));
        let inside = |x: u32, y: u32| (left..left + 16).contains(&x) && (top..top + 16).contains(&y);
        let file = |sensor: &str, ending: &str| folder.join(format!("rooms/{sensor}/{id:02}.{ending}"));
        let rgb = image::RgbImage::from_fn(32, 32, |x, y| {
            image::Rgb([if inside(x, y) { 200 } else { 60 }, (x * 4) as u8, random.random_range(0..40)])
        });
        rgb.save(file("rgb", "jpg")).unwrap();
        if id % 3 != 2 {
            let metres = |x: u32, y: u32| if inside(2 * x, 2 * y) { 1500u16 } else { 3000 };
            image::ImageBuffer::from_fn(16, 16, |x, y| image::Luma([metres(x, y)])).save(file("depth", "png")).unwrap();
        }
        image::GrayImage::from_fn(32, 32, |x, y| image::Luma([u8::from(inside(x, y))])).save(file("labels", "png")).unwrap();
    }
    let run = |arguments: &[&str]| {
        let output = mm().current_dir(folder).args(arguments).output().unwrap();
        let text = said(&output) + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{arguments:?}: {text}");
        text
    };
    let text = run(&["data", "check", "rooms", "--write-card", "card.toml", "--html", "check.html"]);
    assert!(
        text.contains("36 samples, 2 classes, 2 sensors") && text.contains("label maps  36 maps") && text.contains("class_1 (1)"),
        "{text}"
    );
    assert!(text.contains("depth  depth [1, 32, 32]  24 readings, 12 absent"), "{text}");
    let page = std::fs::read_to_string(folder.join("check.html")).unwrap();
    assert!(page.contains("Pixels by class") && page.contains("Label map") && page.contains("<svg"));
    let card = std::fs::read_to_string(folder.join("card.toml")).unwrap();
    std::fs::write(folder.join("card.toml"), card.replace("size = [32, 32]", "size = [16, 16]")).unwrap();
    let plan = "name = 'p'\nseeds = [0]\n[network.dense]\nkind = 'unet'\nwidths = [4, 8]\n[train]\nepochs = 12\nbatch_size = 8\n
        [[data]]\nname = 'rooms'\ncard = 'card.toml'\n
        [[corruptions]]\nfamilies = ['holes', 'edge_holes', 'misalignment']\nmodalities = 'depth'\nseverities = [1, 5]\n
        [[corruptions]]\nfamilies = ['darkness', 'cloud', 'misalignment']\nmodalities = 'rgb'\nseverities = [1, 5]\n
        [[runs]]\nmethod = 'modality-dropout'\n";
    std::fs::write(folder.join("plan.toml"), plan).unwrap();
    run(&["bench", "plan.toml", "--jobs", "1", "--out", "out"]);
    let cells: Vec<CellResult> = results(&folder.join("out")).into_values().map(|bytes| serde_json::from_slice(&bytes).unwrap()).collect();
    let cell = &cells[0];
    assert_eq!((cells.len(), cell.measure.name.as_str(), cell.corruptions.len()), (1, "miou", 12));
    let clean = cell.clean.as_ref().unwrap().metrics.score;
    assert!(clean > 0.5, "{clean}");
    let of = |family: &str, subset: &str, severity: u8| {
        let found = cell.corruptions.iter().find(|c| (c.corruption.as_str(), c.subset.as_str(), c.severity) == (family, subset, severity));
        found.map(|c| c.metrics.score).unwrap()
    };
    assert!(of("cloud", "rgb", 5) < clean - 0.05, "{} after {clean}", of("cloud", "rgb", 5));
    let page = std::fs::read_to_string(folder.join("out/report.html")).unwrap();
    assert!(
        page.contains("edge holes on depth")
            && page.contains("mean IoU averaged from clean to the most severe")
            && !page.contains("ccuracy, %")
    );

    run(&["train", "card.toml", "--plan", "plan.toml", "--method", "modality-dropout", "--out", "model"]);
    let text = run(&["predict", "--model", "model", "--manifest", "rooms", "--out", "answers.csv"]);
    assert!(text.contains("36 rows"), "{text}");
    let table = std::fs::read_to_string(folder.join("answers.csv")).unwrap();
    assert!(table.lines().nth(3).unwrap().contains("depth: absent"), "{table}");
    // Folders of parts, as a training may have them.
    std::fs::create_dir_all(folder.join("parts/rgb/test")).unwrap();
    for id in 0..4 {
        std::fs::copy(folder.join(format!("rooms/rgb/{id:02}.jpg")), folder.join(format!("parts/rgb/test/{id:02}.jpg"))).unwrap();
    }
    let text = run(&["predict", "--model", "model", "--manifest", "parts", "--out", "parts.csv"]);
    let table = std::fs::read_to_string(folder.join("parts.csv")).unwrap();
    assert!(text.contains("4 rows") && table.contains("test/02,parts_maps/000003.png,rgb,depth: absent"), "{text}{table}");
    // A map in answer has the size that the card says.
    let map = image::open(folder.join("answers_maps/000001.png")).unwrap();
    assert_eq!((map.width(), map.height()), (16, 16));
}

#[test]
fn rendered_scenes_degrade_in_a_bench() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let run = |arguments: &[&str]| {
        let output = mm().current_dir(folder).args(arguments).output().unwrap();
        let text = said(&output) + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{arguments:?}: {text}");
        text
    };
    run(&["data", "render", "--out", "scenes", "--scenes", "24", "--size", "24x32"]);
    let text = run(&["data", "check", "scenes/card.toml"]);
    assert!(
        text.contains("24 samples") && text.contains("12 classes, ") && text.contains("label maps  24 maps") && text.contains("0 errors"),
        "{text}"
    );
    // Without the card, the column of label maps is found.
    let text = run(&["data", "check", "scenes/samples.csv"]);
    assert!(text.contains("label = \"labels\"") && text.contains("size = [24, 32]"), "{text}");
    let plan = "name = 'p'\nseeds = [0]\n[network.dense]\nkind = 'unet'\nwidths = [4, 8]\n[train]\nepochs = 2\nbatch_size = 8\n
        [[data]]\nname = 'scenes'\ncard = 'scenes/card.toml'\n
        [[corruptions]]\nfamilies = ['range_noise', 'gaussian_blur']\nmodalities = 'depth'\n
        [[corruptions]]\nfamilies = ['gaussian_noise']\nmodalities = 'thermal'\nseverities = [3]\n
        [[runs]]\nmethod = 'modality-dropout'\n";
    std::fs::write(folder.join("plan.toml"), plan).unwrap();
    run(&["bench", "plan.toml", "--jobs", "1", "--out", "out"]);
    let cells: Vec<CellResult> = results(&folder.join("out")).into_values().map(|bytes| serde_json::from_slice(&bytes).unwrap()).collect();
    let found: Vec<(&str, &str, u8)> =
        cells[0].corruptions.iter().map(|c| (c.corruption.as_str(), c.subset.as_str(), c.severity)).collect();
    let depth = |family: &'static str| (1..=5).map(move |severity| (family, "depth", severity));
    let expected: Vec<(&str, &str, u8)> =
        depth("range_noise").chain(depth("gaussian_blur")).chain([("gaussian_noise", "thermal", 3)]).collect();
    assert_eq!(found, expected);
    assert!(cells[0].corruptions.iter().all(|c| c.metrics.samples == cells[0].test_samples && !c.sums.is_empty()));
}

/// Networks for every pixel have encoders of their own; those of UDML's noise levels are the plan's.
#[test]
fn encoders_that_nothing_uses_are_told() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    squares(folder, 24);
    let plan = std::fs::read_to_string(folder.join("plan.toml")).unwrap();
    let named = plan.replace("[network.dense]", "[network]\nencoder = { kind = 'conv', widths = [4] }\n[network.dense]");
    let with_udml = format!("{named}\n[[runs]]\nmethod = 'udml'\n");
    for (plan, told) in [(&plan, 0), (&named, 1), (&with_udml, 0)] {
        std::fs::write(folder.join("plan.toml"), plan).unwrap();
        let output = bench(&folder.join("plan.toml"), &folder.join("out")).arg("--dry-run").output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(said(&output).matches("for pixels write [network.dense]").count(), told, "{}", said(&output));
    }
}
