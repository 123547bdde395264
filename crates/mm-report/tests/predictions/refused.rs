//! What is refused, and how that is said.

use super::*;

/// The message for [`birds`] with one text in place of another.
fn changed(from: &str, to: &str) -> String {
    Tables::empty().with("birds.csv", replaced(&birds(), from, to)).refused()
}

/// The message for [`birds`] without the first line that holds a text.
fn without(part: &str) -> String {
    let mut dropped = false;
    let keep = |line: &&str| {
        dropped
            || !{
                dropped = line.contains(part);
                dropped
            }
    };
    Tables::empty().with("birds.csv", birds().lines().filter(keep).map(|line| format!("{line}\n")).collect::<String>()).refused()
}

#[test]
fn columns() {
    says(changed("sample", "smaple"), &["birds.csv:1: there is no column `sample`; is it `smaple`?"]);
    says(changed("corrupted", "corupted"), &["birds.csv:1: the column `corupted` means nothing here; did you mean `corrupted`?"]);
    says(changed("p:wren,p:robin", "a,b"), &["the column `a` means nothing here", "`p:<class>`"]);
    says(changed("p:wren", "logit:wren"), &["probabilities and of logits"]);
    says(changed("p:wren", "p:robin"), &["the column `p:robin` is there twice"]);
    says(Tables::empty().with("t.csv", birds().replace(',', ";")).refused(), &["fields are separated by commas"]);
    says(Tables::empty().with("t.csv", "").refused(), &["t.csv: the file is empty"]);
    says(Tables::empty().with("t.txt", birds()).refused(), &["holds no predictions"]);
    // Only the first column without a name is an index.
    says(changed("p:robin", "p:robin,"), &["the column `` means nothing here"]);
    says(changed("p:robin", "p:robin,__index_level_x__"), &["the column `__index_level_x__` means nothing here"]);
    says(changed("p:robin", "p:robin,data2"), &["`data2`", "did you mean `data`?"]);
}

#[test]
fn fields() {
    says(changed("birds,good,0,rgb,,,,s0", "birds,good,0,rgb,,,,"), &["birds.csv:2: column `sample`: is empty"]);
    says(changed("birds,good,0,", "birds,good,-1,"), &["column `seed`: `-1` is no whole number"]);
    says(changed("s0,wren,", "s0,wern,"), &["birds.csv:2: column `truth`: `wern` is none of the classes; did you mean `wren`?"]);
    says(changed("0.75,0.25", "0.75,x"), &["birds.csv:2: column `p:robin`: `x` is no number"]);
    says(changed("0.75,0.25", "0.75,0.26"), &["birds.csv:2: sample `s0` (birds, run good, seed 0, rgb): the probabilities sum to 1.0100"]);
    says(changed("0.75,0.25", "1.25,-0.25"), &["the probability -0.25 is negative"]);
    says(changed("0.75,0.25", "nan,0.25"), &["sample `s0`", "NaN is no finite number"]);
    says(changed("0.75,0.25", "0.75"), &["birds.csv:2:10: 10 fields, but the header has 11"]);
    says(changed("gaussian,1,rgb", "gaussian,0,rgb"), &["the severity of `gaussian` is `0`"]);
    says(changed("gaussian,1,rgb", "gaussian,1,"), &["`gaussian` needs a severity", "`corrupted`"]);
    says(changed("gaussian,1,rgb", ",1,"), &["column `severity`: `1`, but no corruption is named"]);
    says(changed("gaussian,1,rgb", ",,rgb"), &["column `corrupted`: `rgb`, but no corruption is named"]);
    says(
        changed("gaussian,1,rgb", "gaussian,1,sonar"),
        &["birds.csv:24: modality: no modality is called \"sonar\"; there are: rgb, depth"],
    );
    says(changed("full,gaussian,1,rgb", "rgb,gaussian,1,rgb"), &["their combination is `full`"]);
    // It would take in all rows below.
    let (all, last) = (birds(), birds().lines().count());
    let cut = all.trim_end().rfind(',').unwrap() + 1;
    let open = format!("{}\"{}", &all[..cut], &all[cut..]);
    says(Tables::empty().with("birds.csv", open).refused(), &[&format!("birds.csv:{last}:11: a quote opened here is never closed")]);
    let mut bytes = birds().into_bytes();
    bytes[200] = 0xff;
    says(Tables::empty().with("birds.csv", bytes).refused(), &["birds.csv:", "is not valid UTF-8"]);
    let packed = gzip(birds().as_bytes());
    says(
        Tables::empty().with("birds.csv.gz", &packed[..packed.len() / 2]).refused(),
        &["birds.csv.gz:", "the gzip data is cut off or damaged"],
    );
}

#[test]
fn samples() {
    says(
        changed("rgb,,,,s1,robin", "rgb,,,,s0,wren"),
        &["birds.csv:3: sample `s0` (birds, run good, seed 0, rgb) is predicted here and in birds.csv:2"],
    );
    // The same combination in another order of its sensors is the same combination.
    says(changed("0,rgb+depth,,,,s1,robin", "0,depth+rgb,,,,s0,wren"), &["is predicted here and in"]);
    says(without("depth,,,,s3,"), &["sample `s3` (birds, run good, seed 0, depth) is not predicted, but birds.csv:"]);
    says(without("gaussian,2,rgb,s3,"), &["sample `s3` (birds, run good, seed 0, gaussian of severity 2 on rgb) is not predicted"]);
    // A whole sample of one run.
    let other =
        birds().lines().filter(|l| !l.starts_with("birds,poor,1") || !l.contains(",s3,")).map(|l| format!("{l}\n")).collect::<String>();
    says(
        Tables::empty().with("b.csv", other).refused(),
        &["data birds, seed 1: run poor was not tested on sample `s3`, but run good (b.csv:"],
    );
    // A sensor that one run lacks and the other has.
    let lacks = |l: &&str| !(l.starts_with("birds,poor,1") && l.contains(",s3,") && (l.contains("depth") || l.contains("gaussian")));
    let other = birds().lines().filter(lacks).map(|l| format!("{l}\n")).collect::<String>();
    says(Tables::empty().with("b.csv", other).refused(), &["sample `s3` (birds, run poor, seed 1, depth) is not predicted, but b.csv:"]);
}

#[test]
fn truths() {
    says(
        changed("depth,,,,s0,wren,", "depth,,,,s0,robin,"),
        &["sample `s0` (birds, run good, seed 0, depth) is `robin` here and `wren` in birds.csv:2"],
    );
    // Two rows swapped in one run.
    let (a, b) = ("birds,poor,1,rgb,,,,s0,wren,0.75", "birds,poor,1,rgb,,,,s1,robin,0.75");
    let swapped = birds().replace(a, "x").replace(b, "birds,poor,1,rgb,,,,s0,robin,0.75").replace('x', "birds,poor,1,rgb,,,,s1,wren,0.75");
    says(
        Tables::empty().with("birds.csv", swapped).refused(),
        &["sample `s1` (birds, run poor, seed 1, rgb) is `wren` here and `robin` in birds.csv:3"],
    );
}

#[test]
fn modalities_and_classes() {
    let only =
        |part: &str| birds().lines().filter(|l| l.starts_with("data,") || l.contains(part)).map(|l| format!("{l}\n")).collect::<String>();
    says(
        Tables::empty().with("b.csv", only(",rgb,,").replace(",rgb,,", ",full,,")).refused(),
        &["b.csv:2: no combination names a modality"],
    );
    let lone = only(",rgb,,")
        + &only(",depth,,").replace(&format!("{HEADER}\n"), "").lines().take(7).map(|l| format!("{l}\n")).collect::<String>();
    says(Tables::empty().with("b.csv", lone).refused(), &["no combination has all modalities that are named (rgb, depth)"]);
    let tables = Tables::empty().with("a.csv", birds()).with("b.csv", birds().replace("robin", "kite").replace(",0,", ",7,"));
    says(tables.refused(), &["b.csv:", "the classes of data birds differ: `kite` is in this table and not in", "a.csv"]);
}

#[test]
fn parquet_files() {
    use mm_testing::parquet;
    says(
        Tables::empty().with("b.parquet", parquet(&birds().replace("0.75,0.25", "0.75,0.5"))).refused(),
        &["b.parquet:1: sample `s0`", "sum to 1.25"],
    );
    says(
        Tables::empty().with("b.parquet", parquet(&birds().replace("sample", "smaple"))).refused(),
        &["b.parquet:0: there is no column `sample`"],
    );
    says(Tables::empty().with("b.parquet", birds()).refused(), &["b.parquet: this Parquet file cannot be read"]);
}

#[test]
fn numpy_files() {
    let index = "run,seed,combination,sample,truth\nr,0,x,0,a\nr,0,x,1,b\n";
    let data: Vec<u8> = [0.25f32, 0.75, 0.5, 0.5].iter().flat_map(|x| x.to_le_bytes()).collect();
    let with = |index: &str, shape: &str, classes: &str| {
        let count = shape.split(['(', ',', ')']).filter_map(|n| n.trim().parse::<usize>().ok()).product::<usize>();
        let tables = Tables::empty().with("t.csv", index).with("t.npy", npy("<f4", "False", shape, &data.repeat(2)[..4 * count]));
        tables.with("predictions.toml", classes)
    };
    let classes = "classes = [\"a\", \"b\"]";
    assert_eq!(with(index, "(2, 2)", classes).read().expect("read")[0].combinations[0].correct, "00");
    says(with(index, "(2, 2)", "").refused(), &["no column names the classes of a NumPy file"]);
    says(with(index, "(1, 2)", classes).refused(), &["t.csv:3: ", "line 2 of the index, but its NumPy file has 1 rows"]);
    says(with(index, "(3, 2)", classes).refused(), &["t.csv: 2 lines, but its NumPy file has 3 rows"]);
    says(with(index, "(2, 1)", classes).refused(), &["1 numbers a line for the 2 classes"]);
    says(with(index, "(4,)", classes).refused(), &["t.npy: its shape is [4]"]);
    says(
        with(&index.replace("truth\n", "truth,p:a\n").replace(",a\n", ",a,1\n").replace(",b\n", ",b,1\n"), "(2, 2)", classes).refused(),
        &["an index has none"],
    );
    says(
        Tables::empty().with("t.npy", npy("<f4", "False", "(2, 2)", &data)).refused(),
        &["t.npy: its index, `t.csv` or `t.csv.gz`, is missing"],
    );
}
