//! Requests that mean harm, while others mean well.

use crate::models::{folder, machine, serve};
use mm_serve::Settings;
use mm_testing::Hostile;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// `cargo xtask serve-load --hostile 10000` does more of the same to `mm serve` in a process of its own, and looks at its memory.
#[test]
fn hostile_requests_do_no_harm_to_others() {
    let (mib, timeout) = (1 << 20, Duration::from_secs(5));
    let server = serve("class", Settings { max_body: mib, max_decoded: 4 * mib, timeout, ..Settings::default() });
    let (photo, sound, ..) = machine(folder(), 0);
    let hostile = Hostile::new(["photo", "sound", "gauge"], std::fs::read(photo).unwrap(), std::fs::read(sound).unwrap());
    let (client, over, answered) = (server.client, AtomicBool::new(false), AtomicU64::new(0));
    let counts = std::thread::scope(|scope| {
        // One who means well is answered all the time.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                assert_eq!(client.json(r#"{"gauge": [1, 60]}"#).good()["used"][0], "gauge");
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
        let counts = hostile.attack(client.0, 1200, 4);
        over.store(true, Ordering::Relaxed);
        counts
    });
    assert!(answered.load(Ordering::Relaxed) > 10);
    assert_eq!(counts.values().sum::<u64>(), 1200);
    let has = |kind: &str, status: u16| counts.get(&(kind, status)).copied().unwrap_or(0);
    // No mistake of ours is met, and what must be refused is.
    assert!(counts.keys().all(|(_, status)| *status < 500), "{counts:?}");
    assert_eq!((has("image bomb", 422), has("archive bomb", 422)), (100, 100), "{counts:?}");
    assert!(has("large body", 413) > 20 && has("damaged image", 422) > 20 && has("huge or wrong headers", 431) > 20, "{counts:?}");
    assert_eq!(client.get("/health").status, 200);
    server.ended().unwrap();
}
