//! The channel that `send` and `recv` meet in.

use coview::frames::{Frames, FramesOptions};

use crate::cli::ChannelArgs;
use crate::failure::Failure;

/// What one can make without being told how large frames are: a picture fits.
const SLOT: u64 = 4 << 20;
const SLOT_OF_LINES: u64 = 64 << 10;
/// Enough for one who fills, one who reads, and a few that wait.
const SLOTS: u64 = 8;

/// Opens it, or makes it for frames of at least `largest` bytes.
pub(super) fn open(name: &str, new: &ChannelArgs, lines: bool, largest: u64) -> Result<Frames<[u8]>, Failure> {
    let default = if lines { SLOT_OF_LINES } else { SLOT };
    let slot = new.slot_size.unwrap_or(default.max(largest)).max(1);
    let memory = new.memory.unwrap_or(slot.saturating_mul(SLOTS));
    let fits = |bytes: u64, what: &str| {
        usize::try_from(bytes)
            .map_err(|_| Failure::usage(format!("{what} {bytes} is more than this machine can address")))
    };
    let options = FramesOptions::new().slot(fits(slot, "--slot-size")?).budget(fits(memory, "--memory")?);
    Ok(options.history(new.history).share(new.share.clone()).open_or_create(name)?)
}
