//! Deliberately broken variants of the protocols, to see that the tests would notice; in an ordinary build there are none.
//!
//! `just crash` builds with `--cfg coview_step`; then [`break_it`] chooses one.

use std::time::Duration;

/// The longest sleep: none when the stepper looks for lost wake-ups, which it would hide.
pub(crate) const fn back_stop(ordinary: Duration) -> Duration {
    if cfg!(coview_step) { Duration::from_secs(3600) } else { ordinary }
}

#[cfg(coview_step)]
mod switch {
    use std::sync::RwLock;

    static BROKEN: RwLock<&str> = RwLock::new("");

    /// From now on this process runs the broken variant of this name, and so do its forks.
    pub fn break_it(name: &'static str) {
        *BROKEN.write().expect("nobody panics with it") = name;
    }

    pub(crate) fn is_broken(name: &str) -> bool {
        BROKEN.read().is_ok_and(|broken| *broken == name)
    }
}

#[cfg(coview_step)]
pub use switch::break_it;
#[cfg(coview_step)]
pub(crate) use switch::is_broken;

/// Whether the variant of this name is wanted.
#[cfg(not(coview_step))]
#[inline(always)]
pub(crate) const fn is_broken(_name: &str) -> bool {
    false
}
