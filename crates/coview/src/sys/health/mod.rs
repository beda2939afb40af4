//! Limits and settings of the machine that shared memory depends on.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::{checks, limit};

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::{checks, limit};

/// How well something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Works, and may surprise.
    Note,
    /// Something will fail.
    Bad,
}

/// One thing looked at.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Check {
    /// What was looked at.
    pub subject: &'static str,
    /// How well it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do, where there is something to do.
    pub advice: Option<String>,
}

impl Check {
    fn good(subject: &'static str, found: impl Into<String>) -> Check {
        Check { subject, verdict: Verdict::Good, found: found.into(), advice: None }
    }

    fn poor(subject: &'static str, verdict: Verdict, found: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { subject, verdict, found: found.into(), advice: Some(advice.into()) }
    }
}
