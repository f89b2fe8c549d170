//! Rates: `50M`, `50MiB/s`, `100Mbit/s`.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a rate, such as 50M, 50MiB/s, 12MB/s or 100Mbit/s")]
pub struct RateError(String);

/// Bytes per second; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rate(NonZeroU64);

impl Rate {
    /// A rate of at least one byte a second.
    #[must_use]
    pub const fn bytes_per_second(bytes: u64) -> Option<Self> {
        match NonZeroU64::new(bytes) {
            Some(bytes) => Some(Self(bytes)),
            None => None,
        }
    }

    /// Bytes per second.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

/// A rate, or none: what a limit is changed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RateLimit {
    /// So much at most.
    At(Rate),
    /// As much as there is.
    Unlimited,
}

impl RateLimit {
    /// The rate, if there is one.
    #[must_use]
    pub const fn rate(self) -> Option<Rate> {
        match self {
            Self::At(rate) => Some(rate),
            Self::Unlimited => None,
        }
    }
}

impl FromStr for RateLimit {
    type Err = RateError;

    /// A rate, or `none` or `unlimited`.
    fn from_str(text: &str) -> Result<Self, RateError> {
        match text {
            "none" | "unlimited" => Ok(Self::Unlimited),
            _ => text.parse().map(Self::At),
        }
    }
}

impl FromStr for Rate {
    type Err = RateError;

    /// A number alone is bytes, and a letter alone counts by 1024, as for curl; `/s` may be left out.
    fn from_str(text: &str) -> Result<Self, RateError> {
        let error = || RateError(text.to_owned());
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let number: f64 = number.parse().map_err(|_| error())?;
        let unit = unit.trim();
        let factor = bytes_of(unit.strip_suffix("/s").unwrap_or(unit)).ok_or_else(error)?;
        let rate = number * factor;
        if !(1.0..=1e15).contains(&rate) {
            return Err(error());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 1e15")]
        Self::bytes_per_second(rate as u64).ok_or_else(error)
    }
}

/// The bytes of one unit.
fn bytes_of(unit: &str) -> Option<f64> {
    const KIB: f64 = 1024.0;
    let (prefix, of) = match (unit.strip_suffix("bit"), unit.strip_suffix('B')) {
        (Some(prefix), _) => (prefix, 1.0 / 8.0),
        (None, Some(prefix)) => (prefix, 1.0),
        (None, None) => {
            return match unit {
                "" => Some(1.0),
                "k" | "K" | "Ki" => Some(KIB),
                "m" | "M" | "Mi" => Some(KIB * KIB),
                "g" | "G" | "Gi" => Some(KIB * KIB * KIB),
                _ => None,
            };
        }
    };
    let factor = match prefix {
        "" => 1.0,
        "k" | "K" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "Ki" => KIB,
        "Mi" => KIB * KIB,
        "Gi" => KIB * KIB * KIB,
        _ => return None,
    };
    Some(factor * of)
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}B/s", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_rate_or_none() {
        let limit = |text: &str| text.parse::<RateLimit>().map(RateLimit::rate);
        assert_eq!((limit("none"), limit("unlimited")), (Ok(None), Ok(None)));
        assert_eq!(limit("2k"), Ok(Rate::bytes_per_second(2048)));
        assert!(limit("0").is_err() && limit("nothing").is_err());
    }

    #[test]
    fn rates_are_read_as_curl_and_rsync_read_them() {
        let rate = |text: &str| text.parse::<Rate>().map(Rate::get).ok();
        for (text, bytes) in [
            ("50M", 50 << 20),
            ("50m", 50 << 20),
            ("50MiB", 50 << 20),
            ("50MiB/s", 50 << 20),
            ("2G", 2 << 30),
            ("1.5k", 1536),
            ("4096", 4096),
            ("12MB/s", 12_000_000),
            ("100Mbit/s", 12_500_000),
            ("1.5kB/s", 1500),
        ] {
            assert_eq!(rate(text), Some(bytes), "{text}");
        }
        for wrong in ["", "0", "M", "50Mb", "0B/s", "-1B/s", "1XB/s", "1e9B/s", "MiB/s", "5/s/s", "inf"] {
            assert_eq!(rate(wrong), None, "{wrong}");
        }
    }
}
