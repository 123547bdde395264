use super::{Bench, parts, row, sensors};
use mm_core::data::{Source, kinds::Origin};

#[test]
fn crema_d_has_the_published_split_and_one_that_chooses_models_by_nine_actors() {
    let bench = Bench::new();
    // As the file has it: a mark of its encoding at the beginning.
    bench.write("train.csv", "\u{feff}1001_DFA_ANG_XX,ANG\n1010_IEO_HAP_LO,HAP\n1002_TIE_SAD_XX,SAD\n");
    bench.write("test.csv", "1001_ITS_NEU_XX,NEU\n1003_MTI_DIS_XX,DIS\n");
    for clip in ["1001_DFA_ANG_XX", "1010_IEO_HAP_LO", "1001_ITS_NEU_XX", "1003_MTI_DIS_XX"] {
        bench.sound(&format!("AudioWAV/{clip}.wav"), 16000);
    }
    for clip in ["1001_DFA_ANG_XX", "1010_IEO_HAP_LO", "1002_TIE_SAD_XX", "1001_ITS_NEU_XX"] {
        for frame in 1..=3 {
            bench.picture(&format!("Image-01-FPS/{clip}/0000{frame}.jpg"));
        }
    }
    let made = bench.prepare("crema-d").unwrap();
    assert!(made.remarks[0].contains("1 clips have no sound and 1 no picture"), "{:?}", made.remarks);
    let (chosen, published) = (bench.open("crema-d.toml"), bench.open("crema-d-published.toml"));
    assert_eq!((parts(&chosen), parts(&published)), ([2, 1, 2], [3, 0, 2]));
    assert_eq!(sensors(&chosen, row(&chosen, "1002_TIE_SAD_XX")), "image");
    assert_eq!(sensors(&chosen, row(&chosen, "1003_MTI_DIS_XX")), "audio");
    let anger = row(&chosen, "1001_DFA_ANG_XX");
    // Without the first of three pictures the middle one is the third.
    let Some(Origin::File { path, .. }) = &chosen.rows()[anger].origins[1] else { panic!("a picture is a file") };
    assert!(path.ends_with("1001_DFA_ANG_XX/00003.jpg"), "{}", path.display());
    let sample = chosen.read(anger).unwrap();
    let shapes: Vec<_> = sample.readings.iter().map(|reading| reading.as_ref().unwrap().shape.clone()).collect();
    // The shapes of the published networks.
    assert_eq!(shapes, [vec![1, 257, 188], vec![3, 224, 224]]);
}

#[test]
fn a_label_that_contradicts_the_name_of_its_clip_is_an_error() {
    let bench = Bench::new();
    bench.sound("AudioWAV/1001_DFA_ANG_XX.wav", 16000);
    bench.picture("Image-01-FPS/1001_DFA_ANG_XX/1.jpg");
    bench.write("train.csv", "1001_DFA_ANG_XX,HAP\n");
    bench.write("test.csv", "1001_DFA_ANG_XX,ANG\n");
    let error = bench.prepare("crema-d").unwrap_err().to_string();
    assert!(error.contains("train.csv:1") && error.contains("1001_DFA_ANG_XX,HAP"), "{error}");
}

#[test]
fn kinetics_sounds_are_paired_by_name() {
    let bench = Bench::new();
    let seen = |part: &str, video: &str, frames: usize| {
        (0..frames).for_each(|i| bench.picture(&format!("visual/{part}/Image-01-FPS/playing_drums/{video}/{i:05}.jpg")));
    };
    seen("train_img", "a", 3);
    seen("train_img", "b", 2);
    seen("train_img", "c", 4);
    seen("train_img", "d", 3);
    seen("val_img", "e", 3);
    for sound in
        ["train/playing_drums/a", "train/playing_drums/b", "train/playing_drums/d", "train/playing_drums/x", "test/playing_drums/e"]
    {
        bench.sound(&format!("audio/{sound}.wav"), 16000);
    }
    // Two classes, so that there is something to tell apart.
    (0..3).for_each(|i| bench.picture(&format!("visual/val_img/Image-01-FPS/laughing/f/{i}.jpg")));
    bench.sound("audio/test/laughing/f.wav", 16000);
    let made = bench.prepare("kinetics-sounds").unwrap();
    assert!(
        made.remarks[0].contains("train: 1 clips") && made.remarks[0].contains("1 have no sound") && made.remarks[0].contains("1 sounds")
    );
    let source = bench.open("kinetics-sounds.toml");
    assert_eq!(parts(&source), [2, 1, 2]);
    // The one before it was left out: a pairing by place would give it another clip's sound.
    let Some(Origin::File { path, .. }) = &source.rows()[row(&source, "playing_drums/d")].origins[0] else { panic!("a sound is a file") };
    assert!(path.ends_with("playing_drums/d.wav"));
    assert_eq!(sensors(&source, row(&source, "playing_drums/c")), "image");
    assert_eq!(source.read(row(&source, "playing_drums/a")).unwrap().readings[0].as_ref().unwrap().shape, [1, 129, 626]);
}
