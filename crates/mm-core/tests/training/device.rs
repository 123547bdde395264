//! Devices by name.

use mm_core::{DeviceError, DeviceName};

#[test]
fn every_device_has_one_name() {
    for (written, meant) in [("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:0", "cuda:0"), ("cuda:12", "cuda:12"), ("metal:1", "metal:1")] {
        let device: DeviceName = written.parse().unwrap();
        assert_eq!(device.to_string(), meant);
        assert_eq!(serde_json::to_string(&device).unwrap(), format!("\"{meant}\""));
    }
    for wrong in ["", "gpu", "CPU", "cpu:0", "cuda:", "cuda:+1", "cuda:-1", "cuda:1:2", "cuda: 1", "cuda:99999999999999999999"] {
        let error = wrong.parse::<DeviceName>().unwrap_err();
        assert!(matches!(&error, DeviceError::Unknown { name } if name == wrong), "{wrong}: {error}");
    }
}

#[test]
fn what_is_not_built_in_says_how_to_get_it() {
    if cfg!(feature = "cuda") {
        eprintln!("skipped: this program has CUDA");
        return;
    }
    let error = DeviceName::Cuda(0).open().unwrap_err().to_string();
    assert!(error.contains("`cuda:0`") && error.contains("--features cuda"), "{error}");
}
