//! The families of corruption: their names, what each does, and the strengths of its severities, each in one place.

use crate::data::nearest;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What a family is applied to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// To which reading a sample gets, whatever it is.
    ToReadings,
    /// To numbers that are standardized (mean 0, standard deviation 1 over the training samples). Token ids are no such numbers.
    ToValues,
    /// To what a sensor gave, before it is standardized: kinds of readings say which of these they have
    /// ([`Kind::families`](crate::data::kinds::Kind::families)).
    ToSensor,
}

macro_rules! families {
    ($($applied:ident { $($family:ident, $name:literal, $does:literal, $strengths:expr;)* })*) => {
        /// A way for a sensor to degrade.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        #[non_exhaustive]
        pub enum Family {
            $($(#[doc = concat!("`", $name, "`: ", $does, ".")] $family,)*)*
        }

        impl Family {
            /// All families, in the order of the table.
            pub const ALL: &[Family] = &[$($(Self::$family),*),*];

            fn row(self) -> (Applied, &'static str, &'static str, [f32; 5]) {
                match self {
                    $($(Self::$family => (Applied::$applied, $name, $does, $strengths),)*)*
                }
            }
        }
    };
}

/// Of what hits whole readings.
const SHARES: [f32; 5] = [0.2, 0.4, 0.6, 0.8, 1.0];
/// Of what is in front of a camera or a depth sensor.
const AREAS: [f32; 5] = [0.05, 0.1, 0.2, 0.35, 0.5];
/// Sound to noise.
const DECIBELS: [f32; 5] = [20.0, 10.0, 5.0, 0.0, -10.0];

families! {
    ToReadings {
        Absent, "absent", "this share of readings is not there", SHARES;
        Swapped, "swapped", "this share of readings comes from another sample of the test: a fault of synchronisation", SHARES;
        Delayed, "delayed", "the reading is that of so many samples earlier, or the first there is", [1.0, 2.0, 4.0, 8.0, 16.0];
    }
    ToValues {
        Gaussian, "gaussian", "noise with this standard deviation is added", [0.5, 1.0, 2.0, 4.0, 6.0];
        SaltAndPepper, "salt_and_pepper", "this share of its values becomes -4 or 4", [0.05, 0.1, 0.2, 0.35, 0.5];
        ValueDropout, "value_dropout", "this share of its values becomes 0", [0.1, 0.25, 0.5, 0.75, 0.9];
        ScaleDrift, "scale_drift", "all its values are multiplied by this factor or divided by it", [1.25, 1.5, 2.0, 3.0, 5.0];
        OffsetDrift, "offset_drift", "this offset, or its negative, is added to all its values", [0.5, 1.0, 2.0, 3.0, 5.0];
        Stuck, "stuck", "this share of readings is one constant (0.5 to 3, or negative), the same for all samples", SHARES;
        Dead, "dead", "this share of readings is all zeros", SHARES;
        NanBurst, "nan_burst", "in this share of readings, a quarter of the values in a row is NaN", SHARES;
    }
    ToSensor {
        GaussianNoise, "gaussian_noise", "noise with this standard deviation is added", [0.04, 0.08, 0.14, 0.22, 0.35];
        ImpulseNoise, "impulse_noise", "this share of the pixels becomes black or white", [0.01, 0.03, 0.07, 0.15, 0.3];
        GaussianBlur, "gaussian_blur", "a Gaussian of this standard deviation, in parts of the shorter side", [0.005, 0.01, 0.02, 0.035, 0.06];
        MotionBlur, "motion_blur", "the mean along a line of this length, in parts of the shorter side, in a random direction", [0.03, 0.06, 0.1, 0.16, 0.25];
        Darkness, "darkness", "all values are multiplied by this", [0.6, 0.4, 0.25, 0.15, 0.08];
        Jpeg, "jpeg", "compressed with this quality (of 100)", [40.0, 25.0, 15.0, 8.0, 4.0];
        Occlusion, "occlusion", "a square of this share of the area becomes black, in a depth map without reading", AREAS;
        Fog, "fog", "mixed with this share of light grey (0.8)", [0.2, 0.35, 0.5, 0.65, 0.8];
        Cloud, "cloud", "white clouds, translucent at their edges, cover this share of the pixels", [0.1, 0.25, 0.5, 0.75, 0.95];
        Misalignment, "misalignment", "what it shows lies so many pixels away, in a random direction; the other sensors and the label map stay", [1.0, 2.0, 3.0, 5.0, 8.0];
        RangeNoise, "range_noise", "noise with this standard deviation in metres at 1 m, four times that at 2 m, is added", [0.002, 0.005, 0.01, 0.025, 0.06];
        MissingPixels, "missing_pixels", "this share of the pixels has no reading", [0.05, 0.15, 0.3, 0.5, 0.75];
        Holes, "holes", "connected regions of this share of the area have no reading", AREAS;
        EdgeHoles, "edge_holes", "on both sides of an edge, where depth jumps by a tenth, so many pixels have no reading", [1.0, 2.0, 3.0, 5.0, 8.0];
        ShortRange, "short_range", "this share of the readings, the farthest, is none", [0.1, 0.2, 0.35, 0.5, 0.7];
        Quantized, "quantized", "depth is rounded to steps of so many metres", [0.02, 0.05, 0.1, 0.25, 0.5];
        WhiteNoise, "white_noise", "white noise at this ratio of sound to noise, in dB", DECIBELS;
        Babble, "babble", "noise like many voices at this ratio, in dB", DECIBELS;
        Clipping, "clipping", "samples above this share of the largest are cut to it, as by a microphone that is too near", [0.5, 0.25, 0.1, 0.05, 0.02];
        DropOuts, "drop_outs", "for this share of the time there are zeros, in gaps of 50 ms of a sound, of a twentieth of a series", [0.1, 0.2, 0.35, 0.5, 0.7];
        BandLimit, "band_limit", "only this share of the frequencies is left, from the lowest on, as on a telephone", [0.5, 0.35, 0.25, 0.15, 0.1];
        Silence, "silence", "this share of sounds is all zeros", SHARES;
        WordDrop, "word_drop", "this share of its words is left out", [0.1, 0.2, 0.3, 0.5, 0.7];
        CharacterNoise, "character_noise", "this share of its characters is swapped with the next one, left out, or replaced by a neighbour on the keyboard", [0.02, 0.05, 0.1, 0.2, 0.35];
        Truncation, "truncation", "this share of its characters is lost at the end", [0.2, 0.4, 0.6, 0.75, 0.9];
        Drift, "drift", "each channel's zero point wanders, at the end by so many of the channel's own standard deviations", [0.5, 1.0, 2.0, 3.0, 5.0];
        Frozen, "frozen", "for this share of the time, from a random moment on, all channels stay as they were", [0.1, 0.25, 0.5, 0.75, 0.9];
        Jitter, "jitter", "each value is taken up to so many steps early or late, and interpolated", [0.5, 1.0, 2.0, 4.0, 8.0];
        ClockShift, "clock_shift", "all comes this share of its length early or late; the first or last value stands where there is none", [0.02, 0.05, 0.1, 0.2, 0.4];
    }
}

impl Family {
    /// The name, as it is written in plans and reports.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// What it is applied to.
    pub fn applied(self) -> Applied {
        self.row().0
    }

    /// What happens to a reading; a strength says how much.
    pub fn does(self) -> &'static str {
        self.row().2
    }

    /// Strength at severity 1 to 5; [`Family::does`] says what it measures.
    pub fn strengths(self) -> [f32; 5] {
        self.row().3
    }

    /// What there is for a sensor: what its kind has, and what all sensors have.
    pub(crate) fn known_to(families: &[Family]) -> String {
        let list = |families: &mut dyn Iterator<Item = Family>| families.map(Family::name).collect::<Vec<_>>().join(", ");
        let of = |applied| list(&mut Self::ALL.iter().copied().filter(|family| family.applied() == applied));
        let own = match families {
            [] => "it has none of its own".into(),
            families => format!("it has {}", list(&mut families.iter().copied())),
        };
        format!("{own}; every sensor has {}; all but token ids have {}", of(Applied::ToReadings), of(Applied::ToValues))
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Family {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let names = || Self::ALL.iter().map(|family| family.name());
        Self::ALL.iter().copied().find(|family| family.name() == name).ok_or_else(|| {
            let near = nearest(name, names()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_else(|| ".".into());
            let problem = format!("no corruption is called `{name}`{near} There are: {}", names().collect::<Vec<_>>().join(", "));
            Error::config("family", problem)
        })
    }
}

impl TryFrom<String> for Family {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

impl From<Family> for &'static str {
    fn from(family: Family) -> Self {
        family.name()
    }
}
