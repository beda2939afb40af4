//! A large frame of iceoryx2 that is published as it is, which it leaves to `unsafe`.

use std::mem::MaybeUninit;

use iceoryx2::prelude::ipc::Service;
use iceoryx2::sample_mut::SampleMut;
use iceoryx2::sample_mut_uninit::SampleMutUninit;

/// The frame, of which only the first word is written.
pub(crate) fn unfilled(
    mut loan: SampleMutUninit<Service, [MaybeUninit<u64>], ()>,
    word: u64,
) -> SampleMut<Service, [u64], ()> {
    loan.payload_mut()[0].write(word);
    // SAFETY: the rest is memory that the kernel zeroed, or an earlier frame: any bytes are u64.
    unsafe { loan.assume_init() }
}
