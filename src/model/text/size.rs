//! Byte counts as people read them: binary units, three figures or so.

use std::fmt;

const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Prints a number of bytes with a binary unit: `0 B`, `1.5 KiB`, `512 MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1024 {
            return f.pad(&format!("{} B", self.0));
        }
        // In tenths of the unit, rounded; what would round to 1024 of a unit is told in the next.
        let mut unit = 0;
        let tenths = loop {
            let scale = 1_u128 << (10 * (unit + 1));
            let tenths = (u128::from(self.0) * 10 + scale / 2) / scale;
            if tenths < 10_235 || unit + 1 == UNITS.len() {
                break tenths;
            }
            unit += 1;
        };
        let text = if tenths < 1000 {
            format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
        } else {
            format!("{} {}", (tenths + 5) / 10, UNITS[unit])
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10 * 1024, "10.0 KiB"),
            (100 * 1024, "100 KiB"),
            (1023 * 1024, "1023 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (1 << 20, "1.0 MiB"),
            (512 << 20, "512 MiB"),
            ((1 << 30) + (1 << 29), "1.5 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(Size(bytes).to_string(), text, "{bytes}");
        }
        assert_eq!(format!("{:>8}", Size(5)), "     5 B");
    }
}
