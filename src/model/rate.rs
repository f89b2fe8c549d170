//! Rates with units: `50MiB/s`, `100Mbit/s`.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a rate with a unit, such as 50MiB/s, 12MB/s or 100Mbit/s")]
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

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let error = || RateError(text.to_owned());
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(error)?;
        let (number, unit) = text.split_at(split);
        let number: f64 = number.parse().map_err(|_| error())?;
        let unit = unit.trim().strip_suffix("/s").ok_or_else(error)?;
        let (bytes, bits) = match (unit.strip_suffix("bit"), unit.strip_suffix('B')) {
            (Some(prefix), _) => (prefix, 8.0),
            (None, Some(prefix)) => (prefix, 1.0),
            (None, None) => return Err(error()),
        };
        let factor = match bytes {
            "" => 1.0,
            "k" | "K" => 1e3,
            "M" => 1e6,
            "G" => 1e9,
            "Ki" => 1024.0,
            "Mi" => 1024.0 * 1024.0,
            "Gi" => 1024.0 * 1024.0 * 1024.0,
            _ => return Err(error()),
        };
        let rate = number * factor / bits;
        if !(1.0..=1e15).contains(&rate) {
            return Err(error());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 1e15")]
        Self::bytes_per_second(rate as u64).ok_or_else(error)
    }
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
    fn rates_have_units() {
        let rate = |text: &str| text.parse::<Rate>().map(Rate::get).ok();
        assert_eq!(rate("50MiB/s"), Some(50 << 20));
        assert_eq!(rate("100Mbit/s"), Some(12_500_000));
        assert_eq!(rate("1.5kB/s"), Some(1500));
        for wrong in ["", "50", "50MiB", "0B/s", "-1B/s", "1XB/s", "1e9B/s", "MiB/s"] {
            assert_eq!(rate(wrong), None, "{wrong}");
        }
    }
}
