//! The page, in a browser without a window.

use crate::models::{folder, machine, model, serve};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mm_core::pipeline::Readings;
use mm_serve::Settings;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the page has become when nothing happens any more; `None` where there is no browser.
fn page(url: &str, options: &[&str]) -> Option<String> {
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
            .args(options)
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
    let Some(whole) = page(&link, &[]) else {
        println!("skipped: there is no Chromium");
        return;
    };
    let photo = Readings::new().file("photo", &photo);
    let expected = [
        (whole, model.predict(&photo.clone().text("note", note).vector("gauge", gauge)).unwrap()),
        (page(&format!("{link}&off=note,gauge"), &[]).unwrap(), model.predict(&photo).unwrap()),
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

/// The page from a file, where a script of the test runs in it that drops a file on the field of a sensor, as a hand would.
#[test]
fn files_can_be_dropped_on_the_page() {
    let server = serve("class", Settings::default());
    let (photo, sound, ..) = machine(folder(), 3);
    let script = |sensor: &str, path: &Path, kind: &str| {
        let bytes = STANDARD.encode(std::fs::read(path).unwrap());
        let name = path.file_name().unwrap().to_str().unwrap();
        format!("fall({sensor:?}, {name:?}, {kind:?}, {bytes:?});")
    };
    let dropped = |drops: &str| {
        let fall = "function fall(sensor, name, type, bytes) {
            const field = document.querySelector(`[data-sensor=${sensor}] .drop`), data = new DataTransfer();
            data.items.add(new File([Uint8Array.from(atob(bytes), c => c.charCodeAt(0))], name, { type }));
            field.dispatchEvent(new DragEvent('dragover', { dataTransfer: data, bubbles: true, cancelable: true }));
            if (!field.classList.contains('over')) throw new Error('the field does not show that it takes the file');
            field.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
            const beside = new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
            if (document.body.dispatchEvent(beside)) throw new Error('a file beside the fields takes the place of the page');
        }";
        let start = "const wait = setInterval(() => {
            if (!document.querySelector('[data-sensor=gauge]')) return;
            clearInterval(wait);";
        let html =
            include_str!("../../src/page.html").replacen("<style>", &format!("<base href=\"http://{}/\"><style>", server.client.0), 1);
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("page.html");
        std::fs::write(&file, format!("{html}<script>{fall} {start} {drops} }}, 50);</script>")).unwrap();
        // The page is not the server's own, which a browser forbids to ask.
        page(&format!("file://{}", file.display()), &["--disable-web-security"])
    };
    let Some(one) = dropped(&script("photo", &photo, "image/png")) else {
        println!("skipped: there is no Chromium");
        return;
    };
    let both = dropped(&(script("photo", &photo, "image/png") + &script("sound", &sound, "audio/wav"))).unwrap();
    let model = model("class");
    let readings = Readings::new().file("photo", &photo);
    for (page, expected) in [(one, model.predict(&readings).unwrap()), (both, model.predict(&readings.file("sound", &sound)).unwrap())] {
        assert!(page.contains("data-state=\"done\""), "{page}");
        for (name, probability) in &expected.probabilities {
            let shown: f64 = attribute(&page, &format!("data-name=\"{name}\""), "data-value").unwrap().parse().unwrap();
            assert!((shown - probability).abs() < 1e-5, "{name}: {shown} and {probability}");
        }
        for sensor in ["photo", "sound", "note", "gauge"] {
            let used = expected.used.iter().any(|used| used == sensor).to_string();
            assert_eq!(attribute(&page, &format!("data-sensor=\"{sensor}\""), "data-used"), Some(used), "{sensor}");
        }
    }
    server.ended().unwrap();
}
