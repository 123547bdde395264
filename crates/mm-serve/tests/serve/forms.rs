//! Files in forms.

use crate::models::{folder, machine, model, serve};
use mm_core::data::OnCorrupt;
use mm_core::data::kinds::Origin;
use mm_core::pipeline::Readings;
use mm_serve::Settings;
use serde_json::{Value, json};

#[test]
fn a_file_of_each_kind_is_read_as_from_the_disk() {
    let (server, model) = (serve("film", Settings::default()), model("film"));
    let frames: Vec<Vec<u8>> = (0..3).map(|id| std::fs::read(machine(folder(), id).0).unwrap()).collect();
    let readings = Readings::new().file("film", folder().join("film0")).file("shake", folder().join("0.csv"));
    let expected: Value = model.predict(&readings).unwrap().to_json(&model.schema().target).into();
    let csv = std::fs::read(folder().join("0.csv")).unwrap();
    let film = |file: usize| ("film", Some(["x.png", "a.png", "m.png"][file]), frames[file].as_slice());
    // Frames are in the order in which they come, whatever they are called.
    let found = server.client.form(&[film(0), film(1), film(2), ("shake", Some("s.csv"), &csv)]).good();
    assert_eq!(found, expected);
    // A series as numbers, [channels][time], may be shorter than the model's; numbers in a part are JSON, too.
    let series = "[[0, 1, 2, 3, 4, 5], [0, 0, 0, 0, 0, 0]]";
    let of_json = server.client.json(&format!("{{\"shake\": {series}}}")).good();
    assert_eq!(server.client.form(&[("shake", None, series.as_bytes())]).good(), of_json);
    let alone = model.predict(&Readings::new().origin("shake", Origin::file(folder().join("0.csv")))).unwrap();
    assert_eq!(of_json, Value::from(alone.to_json(&model.schema().target)));
    let described = server.client.get("/model").good();
    assert_eq!((&described["sensors"][0]["send"], &described["sensors"][1]["send"]), (&json!("files"), &json!("file")));
    // What is wrong with a frame is said of the name that was sent, without where the server keeps it.
    let refused = |parts: &[(&str, Option<&str>, &[u8])]| server.client.form(parts).error(422);
    let error = refused(&[film(0), film(1), ("film", Some("take/b.png"), b"no image")]);
    assert!(error.contains("sensor `film`: b.png: ") && !error.contains("/tmp") && !error.contains("00000"), "{error}");
    let error = refused(&[("film", Some("a.txt"), b"no image")]);
    assert!(error.contains("sensor `film`: its frames: holds no frame"), "{error}");
    // A file whose `@` was forgotten, and numbers of another shape.
    let error = refused(&[("film", None, b"a.png")]);
    assert!(error.contains("takes images, the frames of a video, and was given a text: for a file write `-F film=@file`"), "{error}");
    let error = refused(&[("shake", None, b"0.csv")]);
    assert!(error.contains("sensor `shake`: is neither a file nor numbers: for a file write `-F shake=@file`"), "{error}");
    let error = refused(&[("shake", None, b"1, 2, 3")]);
    assert!(error.ends_with("sensor `shake`: was given numbers of shape [3], and takes [2, time]"), "{error}");
    let error = server.client.json("{\"shake\": \"0.csv\"}").error(422);
    assert!(error.contains("and was given a text: for a file write `-F shake=@file`"), "{error}");
    server.ended().unwrap();
}

#[test]
fn a_file_that_cannot_be_decoded_is_refused_by_sensor_or_ignored() {
    let (photo, ..) = machine(folder(), 0);
    let photo = std::fs::read(photo).unwrap();
    let broken: &[(&str, Option<&str>, &[u8])] = &[("photo", Some("../up.png"), &photo[..60]), ("gauge", None, b"1.5, 61")];
    let server = serve("class", Settings::default());
    let answer = server.client.form(broken);
    assert!(answer.error(422).starts_with("sensor `photo`: up.png: is a damaged PNG file"), "{}", answer.text());
    assert_eq!(answer.json()["sensor"], "photo");
    let sound = server.client.form(&[("sound", Some("a.wav"), &photo)]).error(422);
    assert!(sound.contains("sensor `sound`") && sound.contains("a.wav") && sound.contains("PNG"), "{sound}");
    server.ended().unwrap();
    let server = serve("class", Settings { on_corrupt: OnCorrupt::Absent, ..Settings::default() });
    let found = server.client.form(broken).good();
    assert_eq!((&found["used"], &found["ignored"]["photo"]), (&json!(["gauge"]), &json!("unreadable")));
    server.ended().unwrap();
}

#[test]
fn mistakes_in_forms_are_named() {
    let server = serve("class", Settings::default());
    let (photo, ..) = machine(folder(), 0);
    let photo = std::fs::read(photo).unwrap();
    let photo = ("photo", Some("a.png"), photo.as_slice());
    let gauge = |text: &'static str| ("gauge", None, text.as_bytes());
    // A field of a page in which nothing was chosen or written is an absent sensor.
    let found = server.client.form(&[photo, ("sound", Some(""), b""), gauge(" ")]).good();
    assert_eq!(found["ignored"], json!({ "sound": "absent", "note": "absent", "gauge": "absent" }));
    let error = |parts: &[(&str, Option<&str>, &[u8])]| server.client.form(parts).error(422);
    assert!(error(&[photo, photo]).contains("sensor `photo`: has several files; it takes one"));
    assert!(error(&[gauge("1, 2"), gauge("1, 2")]).contains("sensor `gauge`: is given twice"));
    assert!(error(&[gauge("warm")]).contains("sensor `gauge`: is neither a file nor numbers"));
    for text in ["1,nan", "[inf, 2]", "-Infinity, 1"] {
        let (error, cell) =
            (error(&[gauge(text)]), text.trim_matches(['[', ']']).split([',']).map(str::trim).find(|x| x.len() > 2).unwrap());
        assert!(error.contains(&format!("sensor `gauge`: holds `{cell}`: write null for a number that is not known, or leave")), "{error}");
    }
    assert!(error(&[("foto", Some("a.png"), b"")]).contains("did you mean \"photo\"?"));
    assert!(error(&[("gauge", None, b"\xff\xfe")]).contains("is no text in UTF-8"));
    // A file of numbers.
    assert_eq!(server.client.form(&[("gauge", Some("g.csv"), b"1.5, 61")]).good(), server.client.json(r#"{"gauge": [1.5, 61]}"#).good());
    let cut = server.client.post("multipart/form-data; boundary=xxx", b"--xxx\r\ncontent-disposition: form-data; name=\"gauge\"\r\n\r\n1");
    assert!(cut.error(400).contains("the form cannot be read"), "{}", cut.text());
    assert!(server.client.post("multipart/form-data", b"").error(400).contains("boundary"));
    server.ended().unwrap();
}

/// A card of tables says nothing of files.
#[test]
fn vectors_from_columns_of_tables_may_come_as_files() {
    let server = serve("tables", Settings::default());
    let numbers = server.client.json(r#"{"gauge": [1.5, 61], "dial": [3, 1, 2]}"#).good();
    let form = |gauge: &[u8]| server.client.form(&[("gauge", Some("g.csv"), gauge), ("dial", None, b"3,1,2")]);
    assert_eq!(form(b"1.5,61\n").good(), numbers);
    let mut npy = b"\x93NUMPY\x01\x00".to_vec();
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }\n";
    npy.extend((header.len() as u16).to_le_bytes());
    npy.extend([header.as_bytes(), &1.5f64.to_le_bytes(), &61.0f64.to_le_bytes()].concat());
    assert_eq!(form(&npy).good(), numbers);
    assert!(form(b"1.5").error(422).contains("g.csv`: expected shape 2 numbers"), "{}", form(b"1.5").text());
    assert!(form(b"low,high").error(422).contains("`low` is no number"), "{}", form(b"low,high").text());
    let described = server.client.get("/model").good();
    assert_eq!((&described["sensors"][0]["send"], &described["sensors"][0]["endings"][0]), (&json!("numbers"), &json!("csv")));
    server.ended().unwrap();
}
