//! The page, in a browser without a window.

use crate::models::{folder, machine, model, serve};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mm_core::pipeline::Readings;
use mm_serve::Settings;
use std::process::{Command, Stdio};

/// What the page has become when nothing happens any more; `None` where there is no browser.
fn page(url: &str) -> Option<String> {
    let browsers = ["chromium", "chromium-browser", "google-chrome"];
    let there =
        |name: &&str| Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    let browser = browsers.into_iter().find(there)?;
    // Time passes only while nothing is loaded, so a slow machine changes nothing; but a browser may fail to start on one.
    (0..3).find_map(|_| {
        let profile = tempfile::tempdir().unwrap();
        let output = Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=20000", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(url)
            .stderr(Stdio::null())
            .output()
            .unwrap();
        let page = String::from_utf8_lossy(&output.stdout).into_owned();
        page.contains("id=\"answer\" data-state=\"").then_some(page).filter(|page| !page.contains("data-state=\"empty\""))
    })
}

/// The value of an attribute of the first element that has another.
fn attribute(page: &str, element: &str, name: &str) -> Option<String> {
    let from = page.find(element)?;
    let tag = &page[page[..from].rfind('<')?..][..page[page[..from].rfind('<')?..].find('>')?];
    Some(tag.split_once(&format!("{name}=\""))?.1.split('"').next()?.to_string())
}

#[test]
fn the_page_asks_and_sensors_can_be_switched_off() {
    let server = serve("class", Settings::default());
    let model = model("class");
    let (photo, _, note, gauge) = machine(folder(), 3);
    let encoded = STANDARD.encode(std::fs::read(&photo).unwrap()).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let link = format!(
        "http://{}/#photo=data:image/png;base64,{encoded}&note={}&gauge={},{}",
        server.client.0,
        note.replace(' ', "%20"),
        gauge[0],
        gauge[1]
    );
    let Some(whole) = page(&link) else {
        println!("skipped: there is no Chromium");
        return;
    };
    let photo = Readings::new().file("photo", &photo);
    let expected = [
        (whole, model.predict(&photo.clone().text("note", note).vector("gauge", gauge)).unwrap()),
        (page(&format!("{link}&off=note,gauge")).unwrap(), model.predict(&photo).unwrap()),
    ];
    for (page, expected) in &expected {
        assert!(page.contains("data-state=\"done\""), "{page}");
        assert_eq!(attribute(page, "id=\"answer\"", "data-said").as_deref(), Some(expected.class.as_str()), "{page}");
        for (name, probability) in &expected.probabilities {
            let shown: f64 = attribute(page, &format!("data-name=\"{name}\""), "data-value").unwrap().parse().unwrap();
            assert!((shown - probability).abs() < 1e-5, "{name}: {shown} and {probability}");
        }
        for sensor in ["photo", "sound", "note", "gauge"] {
            let used = expected.used.iter().any(|used| used == sensor).to_string();
            assert_eq!(attribute(page, &format!("data-sensor=\"{sensor}\""), "data-used"), Some(used), "{sensor}");
        }
    }
    assert_ne!(expected[0].1.probabilities, expected[1].1.probabilities);
    server.ended().unwrap();
}
