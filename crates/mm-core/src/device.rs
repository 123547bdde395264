//! Devices by name, as plans and command lines write them.

use crate::error::Result;
use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A device by name: `cpu`, `cuda`, `cuda:1`, `metal`, `metal:1`. A name without a number means the first.
///
/// ```
/// use mm_core::DeviceName;
/// let second: DeviceName = "cuda:1".parse()?;
/// assert_eq!(second, DeviceName::Cuda(1));
/// assert!(DeviceName::default().open()?.is_cpu());
/// # Ok::<(), mm_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceName {
    /// The processor.
    #[default]
    Cpu,
    /// A GPU of NVIDIA's, by its number; needs a program with the feature `cuda`.
    Cuda(usize),
    /// A GPU of Apple's, by its number; needs a program with the feature `metal`.
    Metal(usize),
}

/// A device that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No device has such a name.
    #[error("there is no `{name}`: write cpu, cuda, cuda:1 (the second), metal or metal:1")]
    Unknown {
        /// What was written.
        name: String,
    },
    /// The program has no code for it.
    #[error("`{device}` needs a program that was built with `--features {feature}`; this one was not. `cpu` works without")]
    NotBuilt {
        /// The device.
        device: DeviceName,
        /// The cargo feature.
        feature: &'static str,
    },
    /// The machine has none, or it does not answer.
    #[error("`{device}` cannot be opened: {source}. `cpu` works without it")]
    Unavailable {
        /// The device.
        device: DeviceName,
        /// What its driver said.
        source: candle_core::Error,
    },
}

impl DeviceName {
    /// Opens the device.
    pub fn open(self) -> Result<Device> {
        let opened = match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(ordinal) => Device::new_cuda(ordinal),
            Self::Metal(ordinal) => Device::new_metal(ordinal),
        };
        opened.map_err(|error| self.closed(error).into())
    }

    fn closed(self, error: candle_core::Error) -> DeviceError {
        match error {
            candle_core::Error::NotCompiledWithCudaSupport => DeviceError::NotBuilt { device: self, feature: "cuda" },
            candle_core::Error::NotCompiledWithMetalSupport => DeviceError::NotBuilt { device: self, feature: "metal" },
            source => DeviceError::Unavailable { device: self, source },
        }
    }
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(name: &str) -> std::result::Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown { name: name.into() };
        let (family, number) = match name.split_once(':') {
            // Digits alone: `parse` also takes a sign.
            Some((family, digits)) if digits.bytes().all(|b| b.is_ascii_digit()) => (family, Some(digits.parse().map_err(|_| unknown())?)),
            Some(_) => return Err(unknown()),
            None => (name, None),
        };
        match (family, number) {
            ("cpu", None) => Ok(Self::Cpu),
            ("cuda", number) => Ok(Self::Cuda(number.unwrap_or(0))),
            ("metal", number) => Ok(Self::Metal(number.unwrap_or(0))),
            _ => Err(unknown()),
        }
    }
}

impl TryFrom<String> for DeviceName {
    type Error = DeviceError;

    fn try_from(name: String) -> std::result::Result<Self, DeviceError> {
        name.parse()
    }
}

impl From<DeviceName> for String {
    fn from(device: DeviceName) -> Self {
        device.to_string()
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
            Self::Metal(ordinal) => write!(f, "metal:{ordinal}"),
        }
    }
}
