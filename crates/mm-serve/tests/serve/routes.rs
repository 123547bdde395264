//! Paths, methods, and what is said of mistakes.

use crate::client::request;
use crate::models::serve;
use mm_serve::Settings;
use serde_json::json;

#[test]
fn the_model_is_described_so_that_it_can_be_asked() {
    let server = serve("class", Settings::default());
    let model = server.client.get("/model").good();
    assert_eq!((&model["predicts"], &model["classes"]), (&json!("class"), &json!(["broken", "running"])));
    let sensors: Vec<_> = model["sensors"].as_array().unwrap().iter().map(|s| (s["name"].clone(), s["send"].clone())).collect();
    assert_eq!(json!(sensors), json!([["photo", "file"], ["sound", "file"], ["note", "text"], ["gauge", "numbers"]]));
    assert_eq!((&model["sensors"][3]["shape"], &model["sensors"][0]["endings"][0]), (&json!([2]), &json!("png")));
    assert_eq!((&model["limits"]["body_bytes"], &model["limits"]["batch"]), (&json!(16 << 20), &json!(32)));
    let (labels, numbers) = (serve("labels", Settings::default()), serve("numbers", Settings::default()));
    assert_eq!(labels.client.get("/model").good()["labels"], json!(["wet", "loud"]));
    assert_eq!(numbers.client.get("/model").good()["numbers"], json!(["litres", "hours"]));
}

#[test]
fn paths_methods_and_types_have_their_statuses() {
    let server = serve("class", Settings::default());
    let client = server.client;
    assert_eq!(client.get("/health").good(), json!({ "status": "ok" }));
    let page = client.get("/");
    assert!(page.status == 200 && page.head.contains("text/html") && page.head.contains("default-src 'none'"), "{}", page.head);
    assert!(client.get("/predictions").error(404).contains("/predict"));
    assert!(client.get("/predict").error(405).contains("takes POST"));
    assert!(client.post("text/csv", b"1,2").error(415).contains("the body is `text/csv`: send application/json"));
    let untyped = client.raw(b"POST /predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}");
    assert!(untyped.error(415).contains("of no stated type"));
    assert_eq!(client.post("Application/JSON; charset=utf-8", br#"{"gauge": [1, 60]}"#).status, 200);
    let metrics = client.get("/metrics");
    assert!(metrics.head.contains("openmetrics-text") && metrics.text().ends_with("# EOF\n"), "{}", metrics.text());
    assert_eq!(client.metric(r#"mm_requests_total{path="/predict",status="415"}"#), Some(2.0));
    assert_eq!(client.metric(r#"mm_requests_total{path="other",status="404"}"#), Some(1.0));
    // One connection, several requests.
    let mut both = request("application/json", "", br#"{"gauge": [1, 60]}"#);
    both = String::from_utf8(both).unwrap().replace("connection: close\r\n", "").into_bytes();
    both.extend(request("application/json", "", br#"{"gauge": [1, 60]}"#));
    assert_eq!(client.raw(&both).text().matches("HTTP/1.1 200 OK").count(), 1);
    server.ended().unwrap();
}

#[test]
fn mistakes_in_json_are_named_with_their_place() {
    let server = serve("class", Settings::default());
    let error = |body: &str, status: u16| server.client.json(body).error(status);
    for (body, expected) in [
        ("", "the body is no JSON"),
        ("{\"gauge\": [1, ", "the body is no JSON"),
        ("{\"gauge\": [NaN, 1]}", "JSON has no NaN and no infinity: write null"),
        ("{\"gauge\": [1e999, 1]}", "number out of range"),
        ("{\"gauge\": [1, 2]} x", "trailing characters"),
    ] {
        assert!(error(body, 400).contains(expected), "{body}: {}", error(body, 400));
    }
    for (body, expected) in [
        ("[1, 2]", "expected an object with a reading for each sensor (photo, sound, note, gauge)"),
        ("{\"gage\": [1, 2]}", "no modality is called \"gage\" (did you mean \"gauge\"?)"),
        ("{\"gauge\": [1, 2, 3]}", "sensor `gauge`: has more than 2 numbers"),
        ("{\"gauge\": [1]}", "sensor `gauge`: takes numbers of shape [2], and was given numbers of shape [1]"),
        ("{\"gauge\": 1}", "sensor `gauge`: takes numbers of shape [2], and was given numbers of shape [1]"),
        ("{\"gauge\": [[1], [2]]}", "sensor `gauge`: takes numbers of shape [2], and was given numbers of shape [2, 1]"),
        ("{\"gauge\": [1, [2]]}", "sensor `gauge`: its numbers stand in different numbers of brackets"),
        ("{\"gauge\": []}", "sensor `gauge`: its lists have different lengths, or none"),
        ("{\"gauge\": [[[[[[1]]]]]]}", "sensor `gauge`: numbers stand in at most 5 brackets"),
        ("{\"gauge\": [true, 1]}", "sensor `gauge`: invalid type: boolean `true`, expected a number"),
        ("{\"gauge\": {\"a\": 1}}", "expected numbers in brackets, a text, or null"),
        ("{\"gauge\": \"warm\"}", "sensor `gauge`: takes numbers of shape [2], and was given a text"),
        ("{\"note\": [1, 2]}", "sensor `note`: takes a text, and was given numbers"),
        ("{\"photo\": \"cat.png\"}", "sensor `photo`: takes a file (.png, .jpg"),
        ("{\"gauge\": [1, 2], \"gauge\": [1, 2]}", "sensor `gauge`: is given twice"),
    ] {
        assert!(error(body, 422).contains(expected), "{body}: {}", error(body, 422));
    }
    assert_eq!(server.client.json("{\"gauge\": [1]}").json()["sensor"], "gauge");
    server.ended().unwrap();
}
