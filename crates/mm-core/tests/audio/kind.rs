use crate::{chirp_f32, fixture};
use mm_core::corrupt::{Corruption, Family};
use mm_core::data::audio::{AudioSettings, Augment, Features, Length};
use mm_core::data::kinds::{Audio, Kind, Origin, Raw, SavedKind};
use mm_core::data::{FileCard, FileRow, FileSource, InputKind, InputSpec, SampleKey, Source, Target, TargetValue};
use mm_core::rng::stream;
use mm_core::{Error, Modalities};
use std::sync::Arc;

fn kind(length: Length, augment: Augment) -> Audio {
    Audio::new(AudioSettings { length, augment, ..AudioSettings::new(8000, 1.0) }).unwrap()
}

fn part(start: u64, end: u64) -> Origin {
    Origin::File { path: fixture("chirp.flac"), part: Some(start..end) }
}

#[test]
fn parts_of_a_file_become_a_batch_with_lengths() {
    let classes = Target::of_classes(["low", "high"]);
    let rows = [(0, 4000), (4000, 12_000)].map(|(start, end)| {
        FileRow::new(format!("from {start}"), vec![Some(part(start, end))], TargetValue::Class(u32::from(start > 0))).unwrap()
    });
    let modalities = Modalities::new(["microphone"]).unwrap();
    let kinds: Vec<Arc<dyn Kind>> = vec![Arc::new(kind(Length::Pad, Augment::speech()))];
    let source = FileSource::new(modalities, kinds, classes, rows.to_vec()).unwrap();
    assert_eq!(source.schema().inputs[0], InputSpec::new(InputKind::Spectrogram, [1, 40, 63]));
    let batch = source.batch(&[0, 1], &candle_core::Device::Cpu).unwrap();
    let reading = batch.inputs().reading("microphone").unwrap().unwrap();
    assert_eq!(reading.values.dims(), [2, 1, 40, 63]);
    assert_eq!(reading.lengths.as_ref().unwrap().to_vec1::<u32>().unwrap(), [32, 63]);

    let key = |epoch| SampleKey { seed: 1, epoch, id: 0 };
    let augmented = |epoch| source.read_augmented(0, key(epoch)).unwrap().readings[0].clone().unwrap();
    assert!(source.augments() && augmented(1) == augmented(1) && augmented(1) != augmented(2));
    assert_eq!(augmented(1).shape, [1, 40, 63]);
}

#[test]
fn a_saved_kind_reads_as_before() {
    let audio = Audio::new(AudioSettings { features: Features::LogStft, ..AudioSettings::new(16_000, 0.5) }).unwrap();
    let saved = serde_json::to_string(&SavedKind::of(&audio)).unwrap();
    assert!(saved.contains("\"n_fft\":400"), "{saved}");
    let opened = serde_json::from_str::<SavedKind>(&saved).unwrap().open().unwrap().unwrap();
    let path = fixture("chirp.ogg");
    assert_eq!(opened.read(&path).unwrap(), audio.read(&path).unwrap());
    let wrong = SavedKind { kind: "audio".into(), settings: serde_json::json!({ "rate": 8000, "seconds": -1.0 }) };
    assert!(wrong.open().err().unwrap().to_string().contains("seconds"));
}

#[test]
fn what_a_sensor_gave_is_its_samples() {
    let audio = kind(Length::Repeat, Augment::default());
    let Raw::Array(raw) = audio.raw(&part(100, 900)).unwrap() else { panic!() };
    assert_eq!((raw.shape, raw.values.into_f32()), (vec![1, 800], chirp_f32(900)[100..].to_vec()));
    assert!(part(100, u64::MAX).to_string().ends_with("chirp.flac from 100"), "{}", part(100, u64::MAX));
    assert!(!audio.augments() && kind(Length::Crop, Augment::default()).augments());
    let disturbed = |seed| {
        let raw = audio.raw(&part(0, 6000)).unwrap();
        audio.features(audio.corrupt(raw, Corruption::new(Family::Babble, 4).unwrap(), &mut stream(seed, "test", &[])).unwrap()).unwrap()
    };
    assert!(disturbed(1) == disturbed(1) && disturbed(1) != disturbed(2) && disturbed(1).length.is_none());
}

#[test]
fn texts_are_no_sounds() {
    let audio = kind(Length::Pad, Augment::default());
    let error = audio.raw(&Origin::Text("a sentence".into())).unwrap_err();
    assert!(matches!(error, Error::Config { .. }) && error.to_string().contains("a sentence"), "{error}");
    assert!(audio.features(Raw::Text("a sentence".into())).is_err());
}

#[test]
fn a_kind_by_another_name_is_recognised() {
    let card = |kind: &str| {
        let text = format!("name = \"s\"\nmanifest = \"s.csv\"\n[[modality]]\nname = \"x\"\nkind = \"{kind}\"\n");
        FileCard::from_str(&text, "card.toml").unwrap().open().err().unwrap().to_string()
    };
    for (kind, meant) in
        [("sound", "audio"), ("WAV", "audio"), ("photo", "image"), ("sentence", "text"), ("film", "video"), ("vecto", "vector")]
    {
        let error = card(kind);
        assert!(error.contains(&format!("`{kind}`; did you mean `{meant}`? There are: array, audio")), "{error}");
    }
    assert!(card("zzzzzz").contains("is called `zzzzzz`. There are: array"), "{}", card("zzzzzz"));
    let negative = "audio\"\nrate = 8000\nseconds = 1\naugment = { time_masks = -1 } #";
    assert!(card(negative).contains("the number `-1` stands where a whole number that is not negative is expected"), "{}", card(negative));
    let large = "audio\"\nrate = 8000000000\nseconds = 1 #";
    assert!(card(large).contains("the number `8000000000` stands where a smaller whole number is expected"), "{}", card(large));
}
