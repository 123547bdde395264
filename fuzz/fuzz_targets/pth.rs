//! A checkpoint of PyTorch: tensors, or an error that names the file.

#![no_main]

use candle_core::Device;
use libfuzzer_sys::fuzz_target;
use mm_core::weights::{ReadOptions, WHOLE, WeightsFile};
use std::sync::LazyLock;

static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|bytes: &[u8]| {
    let path = FOLDER.path().join("net.pth");
    std::fs::write(&path, bytes).expect("it is written");
    for entry in [None, Some(WHOLE.to_string())] {
        let outcome =
            WeightsFile::open(&path, &ReadOptions { entry, keep_prefix: false }).and_then(|file| file.read(&Device::Cpu, |_| true));
        if let Err(error) = outcome {
            assert!(error.to_string().contains("net.pth"));
        }
    }
});
