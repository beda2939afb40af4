//! Medians, and figures as people read them.

use std::fmt;

use serde::Serialize;

/// The middle of the values; of an even number, the mean of the two in the middle. NaN of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
    }
}

/// Least and greatest; NaN of none.
pub(crate) fn range(values: &[f64]) -> (f64, f64) {
    let of = |pick: fn(f64, f64) -> f64| values.iter().copied().reduce(pick).unwrap_or(f64::NAN);
    (of(f64::min), of(f64::max))
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Unit {
    /// Nanoseconds a call: less is better.
    #[serde(rename = "ns")]
    Time,
    /// Calls a nanosecond: more is better.
    #[serde(rename = "calls/ns")]
    Rate,
    /// Bytes a nanosecond: more is better.
    #[serde(rename = "GB/s")]
    Bytes,
}

impl Unit {
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            _ if value.is_nan() => "-".into(),
            Unit::Time if value < 1e3 => format!("{} ns", digits(value)),
            Unit::Time if value < 1e6 => format!("{} µs", digits(value / 1e3)),
            Unit::Time => format!("{} ms", digits(value / 1e6)),
            Unit::Rate => format!("{} M/s", digits(value * 1e3)),
            Unit::Bytes => format!("{} GB/s", digits(value)),
        }
    }

    pub(crate) fn better(self) -> &'static str {
        match self {
            Unit::Time => "less is better",
            Unit::Rate | Unit::Bytes => "more is better",
        }
    }
}

/// Three digits that mean something.
fn digits(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

/// One value over another. Very small ratios keep two digits that mean something.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ratio(pub(crate) f64);

impl Ratio {
    /// One figure over another in each round: what the machine did then met both.
    pub(crate) fn by_round(these: &[f64], those: &[f64]) -> Vec<f64> {
        these.iter().zip(those).map(|(this, that)| this / that).collect()
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0 {
            v if v.is_nan() => "nan".into(),
            v if v < 0.0995 => format!("{v:.4}"),
            v if v < 99.5 => format!("{v:.2}"),
            v => format!("{v:.0}"),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
        assert!(median(&[]).is_nan());
        assert_eq!(range(&[3.0, 1.0, 2.0]), (1.0, 3.0));
        assert!(range(&[]).0.is_nan());
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!(Unit::Time.show(1.234), "1.23 ns");
        assert_eq!(Unit::Time.show(24.31), "24.3 ns");
        assert_eq!(Unit::Time.show(8_712.0), "8.71 µs");
        assert_eq!(Unit::Time.show(2.5e6), "2.50 ms");
        assert_eq!(Unit::Rate.show(0.0096), "9.60 M/s");
        assert_eq!(Unit::Rate.show(0.151), "151 M/s");
        assert_eq!(Unit::Bytes.show(13.5), "13.5 GB/s");
        assert_eq!(Unit::Time.show(f64::NAN), "-");
    }

    #[test]
    fn ratios_keep_two_digits() {
        let show = |v: f64| Ratio(v).to_string();
        assert_eq!([1.284, 0.0123, 101.7, 0.65].map(show), ["1.28", "0.0123", "102", "0.65"]);
        assert_eq!(format!("{:>6}", Ratio(f64::NAN)), "   nan");
    }
}
