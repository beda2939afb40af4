//! What handle numbers stand for: slots in chunks that never move, each with a lock of its own.

use std::ffi::c_void;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::error::{Code, Outcome};
use super::inherit;
use super::object::Entry;

/// HANDLE: a small multiple of four, or one of the pseudo handles.
pub(super) type Handle = *mut c_void;

const CHUNK: usize = 256;
const CHUNKS: usize = 4096;

type Slot = Mutex<Option<Arc<Entry>>>;

pub(super) struct Table {
    chunks: [OnceLock<Box<[Slot]>>; CHUNKS],
    free: Mutex<Free>,
}

/// Slots that were given back, and the first that was never given out.
struct Free {
    back: Vec<usize>,
    next: usize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The table of this process. The first to ask takes over what the parent handed down.
pub(super) fn table() -> &'static Table {
    static TABLE: Table = Table::new();
    static READY: OnceLock<()> = OnceLock::new();
    READY.get_or_init(|| inherit::take_over(&TABLE));
    &TABLE
}

impl Table {
    const fn new() -> Table {
        Table { chunks: [const { OnceLock::new() }; CHUNKS], free: Mutex::new(Free { back: Vec::new(), next: 0 }) }
    }

    fn slot(&self, index: usize) -> Option<&Slot> {
        self.chunks.get(index / CHUNK)?.get()?.get(index % CHUNK)
    }

    fn make_slot(&self, index: usize) -> Option<&Slot> {
        let chunk = self.chunks.get(index / CHUNK)?;
        chunk.get_or_init(|| (0..CHUNK).map(|_| Slot::default()).collect()).get(index % CHUNK)
    }

    /// A new handle on it.
    pub(super) fn add(&self, entry: Entry) -> Outcome<Handle> {
        let index = {
            let mut free = lock(&self.free);
            match free.back.pop() {
                Some(index) => index,
                None if free.next < CHUNK * CHUNKS => {
                    free.next += 1;
                    free.next - 1
                }
                None => return Err(Code::TOO_MANY_OPEN_FILES),
            }
        };
        let slot = self.make_slot(index).ok_or(Code::TOO_MANY_OPEN_FILES)?;
        *lock(slot) = Some(Arc::new(entry));
        Ok(handle(index))
    }

    /// A handle of a given number, before anybody else uses the table. `false`: the number is none, or taken.
    pub(super) fn put(&self, value: usize, entry: Entry) -> bool {
        let Some(index) = index_of(value) else { return false };
        let mut free = lock(&self.free);
        if index >= CHUNK * CHUNKS || (index < free.next && !free.back.contains(&index)) {
            return false;
        }
        while free.next <= index {
            let next = free.next;
            free.back.push(next);
            free.next += 1;
        }
        free.back.retain(|at| *at != index);
        let Some(slot) = self.make_slot(index) else { return false };
        *lock(slot) = Some(Arc::new(entry));
        true
    }

    /// What the handle stands for. It stays while the answer lives, whoever closes the handle meanwhile.
    pub(super) fn get(&self, handle: Handle) -> Outcome<Arc<Entry>> {
        let slot = index_of(handle.addr()).and_then(|index| self.slot(index)).ok_or(Code::INVALID_HANDLE)?;
        lock(slot).clone().ok_or(Code::INVALID_HANDLE)
    }

    /// Closes the handle.
    pub(super) fn remove(&self, handle: Handle) -> Outcome<Arc<Entry>> {
        let index = index_of(handle.addr()).ok_or(Code::INVALID_HANDLE)?;
        let slot = self.slot(index).ok_or(Code::INVALID_HANDLE)?;
        let entry = lock(slot).take().ok_or(Code::INVALID_HANDLE)?;
        lock(&self.free).back.push(index);
        Ok(entry)
    }

    /// All handles with what they stand for.
    pub(super) fn all(&self) -> Vec<(Handle, Arc<Entry>)> {
        let next = lock(&self.free).next;
        (0..next).filter_map(|index| Some((handle(index), lock(self.slot(index)?).clone()?))).collect()
    }
}

fn handle(index: usize) -> Handle {
    std::ptr::without_provenance_mut((index + 1) * 4)
}

/// As on Windows the two lowest bits are the caller's to use.
fn index_of(value: usize) -> Option<usize> {
    (value / 4).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::win32::object::Object;

    fn entry() -> Entry {
        Entry::new(Object::Nothing, 0, false)
    }

    #[test]
    fn numbers_are_small_multiples_of_four_and_used_again() {
        let table = Table::new();
        let (a, b) = (table.add(entry()).unwrap(), table.add(entry()).unwrap());
        assert_eq!((a.addr(), b.addr()), (4, 8));
        assert!(table.get(a).is_ok());
        table.remove(a).unwrap();
        assert!(table.get(a).is_err() && table.remove(a).is_err());
        assert_eq!(table.add(entry()).unwrap(), a);
        for nonsense in [0, 1, 3, 12, 1 << 40, usize::MAX] {
            assert!(table.get(std::ptr::without_provenance_mut(nonsense)).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn a_given_number_is_had_once_and_the_others_stay_free() {
        let table = Table::new();
        assert!(table.put(0x1c, entry()));
        assert!(!table.put(0x1c, entry()) && !table.put(0, entry()));
        assert!(!table.put(usize::MAX, entry()));
        let mut given: Vec<usize> = (0..7).map(|_| table.add(entry()).unwrap().addr()).collect();
        given.sort_unstable();
        assert_eq!(given, [4, 8, 12, 16, 20, 24, 32]);
    }

    #[test]
    fn threads_share_it() {
        let table = Table::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for round in 0..2000 {
                        let handles: Vec<Handle> = (0..round % 7 + 1).map(|_| table.add(entry()).unwrap()).collect();
                        for handle in handles {
                            assert!(table.get(handle).is_ok());
                            assert!(table.remove(handle).is_ok());
                        }
                    }
                });
            }
        });
        assert!(table.all().is_empty());
    }
}
