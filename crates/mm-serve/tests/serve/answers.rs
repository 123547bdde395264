//! The answers are those of the pipeline.

use crate::client::Answer;
use crate::models::{folder, machine, model, serve};
use mm_core::Pipeline;
use mm_core::data::Array;
use mm_core::pipeline::Readings;
use mm_serve::Settings;
use serde_json::{Value, json};
use std::time::Duration;

/// Whether two answers are the same but for the rounding of sums in batches of another size.
fn assert_same(found: &Value, expected: &Value) {
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{a} and {b}");
        }
        (Value::Object(a), Value::Object(b)) => {
            assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
            a.iter().for_each(|(key, value)| assert_same(value, &b[key]));
        }
        _ => assert_eq!(found, expected),
    }
}

fn expected(model: &Pipeline, readings: &Readings) -> Value {
    model.predict(readings).unwrap().to_json(&model.schema().target).into()
}

#[test]
fn numbers_and_texts_of_json_give_the_answers_of_the_pipeline() {
    for name in ["class", "labels", "numbers"] {
        let (server, model) = (serve(name, Settings::default()), model(name));
        for id in 0..4 {
            let (_, _, note, gauge) = machine(folder(), id);
            let both = Readings::new().vector("gauge", gauge).text("note", note.clone());
            let found = server.client.json(&json!({ "gauge": gauge, "note": note }).to_string()).good();
            // Alone in its batch it is the same to the last digit.
            assert_eq!(found, expected(&model, &both), "{name}");
            let found = server.client.json(&json!({ "gauge": gauge, "note": null }).to_string()).good();
            assert_eq!(found, expected(&model, &Readings::new().vector("gauge", gauge)));
            assert_eq!((&found["used"], &found["ignored"]["note"]), (&json!(["gauge"]), &json!("absent")));
        }
        let fields = |found: Value| found.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let fields = fields(server.client.json(r#"{"gauge": [1, 60]}"#).good());
        let special: &[&str] = match name {
            "class" => &["class", "ignored", "probabilities", "used"],
            "labels" => &["ignored", "labels", "probabilities", "used"],
            _ => &["ignored", "numbers", "used"],
        };
        assert_eq!(fields, special);
        server.ended().unwrap();
    }
}

#[test]
fn what_is_not_finite_or_dead_is_ignored_and_said() {
    let server = serve("class", Settings::default());
    let found = server.client.json(r#"{"gauge": [1.0, null], "note": "calm and steady hum"}"#).good();
    assert_eq!((&found["used"], &found["ignored"]["gauge"]), (&json!(["note"]), &json!("not finite")));
    let found = server.client.json(r#"{"gauge": [0, 0], "note": "calm"}"#).good();
    assert_eq!(found["ignored"]["gauge"], "dead");
    // Finite, but not for a model of f32 numbers.
    let error = server.client.json(r#"{"gauge": [1e308, -1e308]}"#).error(422);
    assert!(error.contains("gauge (not finite)"), "{error}");
    // Nothing is left to answer from.
    for nothing in [r#"{"gauge": [null, null]}"#, "{}", r#"{"note": null}"#] {
        let answer = server.client.json(nothing);
        assert!(answer.error(422).contains("no sensor"), "{}", answer.text());
        assert_eq!(answer.json()["ignored"]["photo"], "absent");
    }
    assert_eq!(server.client.metric(r#"mm_sensors_ignored_total{sensor="gauge",reason="not finite"}"#), Some(1.0));
    assert_eq!(server.client.metric(r#"mm_sensors_used_total{sensor="note"}"#), Some(2.0));
    server.ended().unwrap();
}

/// Requests that wait together are one batch, whatever each has.
#[test]
fn a_batch_mixes_requests_with_different_sensors() {
    let names = ["photo", "sound", "note", "gauge"];
    let subsets: Vec<usize> = (1..16).collect();
    // Longer than the test takes: the batch begins when it is full.
    let settings = Settings { max_batch: subsets.len(), max_wait: Duration::from_secs(10), ..Settings::default() };
    let (server, model) = (serve("class", settings), model("class"));
    let ask = |bits: usize| -> (Answer, Value) {
        let (photo, sound, note, gauge) = machine(folder(), bits as u64 % 5);
        let gauge_text = format!("{}, {}", gauge[0], gauge[1]);
        let (photo_bytes, sound_bytes) = (std::fs::read(&photo).unwrap(), std::fs::read(&sound).unwrap());
        let all = [
            ("photo", Some("a.png"), photo_bytes.as_slice()),
            ("sound", Some("b.wav"), &sound_bytes),
            ("note", None, note.as_bytes()),
            ("gauge", None, gauge_text.as_bytes()),
        ];
        let parts: Vec<_> = (0..4).filter(|m| bits >> m & 1 == 1).map(|m| all[m]).collect();
        let readings = (0..4).filter(|m| bits >> m & 1 == 1).fold(Readings::new(), |readings, m| match m {
            0 => readings.file("photo", &photo),
            1 => readings.file("sound", &sound),
            2 => readings.text("note", note.clone()),
            _ => readings.vector("gauge", gauge),
        });
        (server.client.form(&parts), expected(&model, &readings))
    };
    std::thread::scope(|scope| {
        let asked: Vec<_> = subsets.iter().map(|&bits| (bits, scope.spawn(move || ask(bits)))).collect();
        for (bits, asked) in asked {
            let (answer, expected) = asked.join().unwrap();
            let found = answer.good();
            assert_same(&found, &expected);
            let used: Vec<&str> = (0..4).filter(|m| bits >> m & 1 == 1).map(|m| names[m]).collect();
            assert_eq!(found["used"], json!(used));
        }
    });
    assert_eq!(server.client.metric("mm_batch_size_count"), Some(1.0));
    assert_eq!(server.client.metric("mm_batch_size_sum"), Some(15.0));
    server.ended().unwrap();
}

#[test]
fn a_class_for_each_pixel_is_a_png() {
    let (server, model) = (serve("pixels", Settings::default()), model("pixels"));
    let near: Vec<f64> = (0..256).map(|at| if at % 16 > 8 && at / 16 > 8 { 2.0 } else { 0.1 * f64::from(at % 7) }).collect();
    let rows: Vec<&[f64]> = near.chunks(16).collect();
    let found = server.client.json(&json!({ "near": [rows] }).to_string()).good();
    let expected = model.predict(&Readings::new().array("near", Array::exact([1, 16, 16], near.clone()))).unwrap();
    let png = expected.pixels.unwrap().to_png().unwrap();
    use base64::Engine;
    assert_eq!(base64::engine::general_purpose::STANDARD.decode(found["map"].as_str().unwrap()).unwrap(), png);
    assert_eq!((&found["used"], &found["ignored"]), (&json!(["near"]), &json!({ "far": "absent" })));
    // The numbers may stand in a row, and the picture may come alone.
    let body = json!({ "near": near }).to_string();
    let answer = server.client.raw(&crate::client::request("application/json", "accept: image/png\r\n", body.as_bytes()));
    assert!(answer.head.contains("content-type: image/png") && answer.body == png, "{}", answer.head);
    let described = server.client.get("/model").good();
    assert_eq!((&described["predicts"], &described["classes"]), (&json!("pixels"), &json!(["ground", "square"])));
    assert_eq!(described["colours"], json!(["#0072b2", "#e69f00"]));
    server.ended().unwrap();
}
