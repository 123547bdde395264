//! A CSV or CSV.gz table: finite values of the promised shape, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mm_core::data::{DatasetCard, Source};
use std::borrow::Cow;

const CARD: &str = "name = \"one\"\nlabel = -1\nview = [{ modality = \"sensor\", file = \"sensor.csv\" }]";

fuzz_target!(|bytes: &[u8]| {
    let card = DatasetCard::from_str(CARD, "one.toml").expect("the card is right");
    match card.load(|_| Ok(Cow::Borrowed(bytes))) {
        Ok(loaded) => {
            let data = &loaded.data;
            assert_eq!(data.column(0).len(), data.len() * data.schema().inputs[0].elements());
            assert!(data.column(0).iter().all(|value| value.is_finite()));
            // Too few samples to split are an error, never a panic.
            let _ = loaded.split(0);
        }
        Err(error) => assert!(error.to_string().contains("sensor.csv") || error.to_string().contains("data set")),
    }
});
