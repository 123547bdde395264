use super::{Bench, parts, row, sensors};
use mm_core::data::{Source, TargetValue, kinds::Origin};

#[test]
fn posts_in_the_published_split() {
    let bench = Bench::new();
    bench.picture("data/1.jpg");
    bench.write(
        "train.jsonl",
        "{\"id\": 1, \"text\": \"what a\\n day, \\\"sun\\\"\", \"img\": \"data/1.jpg\", \"label\": \"negative\"}\n{\"text\": \"no\", \"img\": null, \"label\": \"positive\"}\n",
    );
    bench.write("dev.jsonl", "{\"text\": \"so\", \"img\": \"data/1.jpg\", \"label\": \"neutral\"}\n");
    bench.write("test.jsonl", "{\"text\": \"\", \"img\": \"data/1.jpg\", \"label\": \"neutral\"}\n");
    let made = bench.prepare("mvsa-single").unwrap();
    assert!(made.remarks[0].contains("1 posts have no picture"), "{:?}", made.remarks);
    let source = bench.open("mvsa-single.toml");
    assert_eq!(parts(&source), [2, 1, 1]);
    let first = row(&source, "train-1");
    assert_eq!(source.rows()[first].origins[0], Some(Origin::Text("what a day, \"sun\"".into())));
    assert_eq!(source.rows()[first].target, TargetValue::Class(2).into());
    assert_eq!((sensors(&source, row(&source, "train-2")), sensors(&source, row(&source, "test-1"))), ("text".into(), "image".into()));
    assert_eq!(source.read(first).unwrap().readings[1].as_ref().unwrap().shape, [3, 224, 224]);
}

#[test]
fn posts_as_their_makers_give_them() {
    let bench = Bench::new();
    bench.write(
        "labelResultAll.txt",
        "ID\ttext,image\n1\tpositive,positive\n2\tneutral,negative\n3\tpositive,negative\n4\tneutral,neutral\n",
    );
    for id in [1, 2, 4] {
        bench.picture(&format!("data/{id}.jpg"));
        // Not all texts are UTF-8.
        bench.write(&format!("data/{id}.txt"), b"caf\xe9 #sun\n");
    }
    let made = bench.prepare("mvsa-single").unwrap();
    assert!(made.remarks[0].contains("1 posts with a positive and a negative label"), "{:?}", made.remarks);
    let source = bench.open("mvsa-single.toml");
    assert_eq!((0..source.len()).map(|row| source.meta(row).class.unwrap()).collect::<Vec<_>>(), [0, 2, 1]);
    assert_eq!(source.meta(0).part, None);
}
