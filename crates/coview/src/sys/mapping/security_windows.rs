//! Who may open a section: the security descriptor that it is created with.

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};

use windows_sys::Win32::Foundation::LocalFree;
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1,
    SE_KERNEL_OBJECT,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, LookupAccountSidW, OWNER_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, PSID,
    SECURITY_ATTRIBUTES, TOKEN_INFORMATION_CLASS, TOKEN_QUERY, TokenPrimaryGroup, TokenUser,
};
use windows_sys::Win32::System::Threading::OpenProcessToken;

use super::Share;
use crate::sys::Refusal;
use crate::sys::namespace::{owned, wide};
use crate::sys::process::this_process;

/// `STANDARD_RIGHTS_REQUIRED`: what `CreateFileMapping` asks for beside the rights to map.
const STANDARD: u32 = 0xf_0000;
/// `READ_CONTROL | SECTION_QUERY | SECTION_MAP_READ`: what "generic read" is for a section.
const READ: u32 = 0x2_0005;
/// `READ_CONTROL | SECTION_QUERY | SECTION_MAP_WRITE`.
const WRITE: u32 = 0x2_0003;
/// `SECTION_MAP_EXECUTE | SECTION_EXTEND_SIZE`: what `FILE_MAP_ALL_ACCESS` asks for beside these, and Win32 programs like to open with.
const REST: u32 = 0x18;

/// A security descriptor of the process's own.
pub(crate) struct Security {
    descriptor: PSECURITY_DESCRIPTOR,
}

impl Security {
    /// The descriptor that says `share`. An object that nobody may write grants nobody the right to, so that
    /// the refusal comes when it is opened.
    pub(super) fn of(share: &Share, writable: bool) -> io::Result<Security> {
        let text = match share {
            Share::Sddl(text) => text.clone(),
            share => sddl(share, writable)?,
        };
        Security::parse(&text)
    }

    /// The descriptor of a mutex, an event or a semaphore: who may "read" may wait, who may "write" may do all.
    pub(crate) fn of_object(share: &Share) -> io::Result<Security> {
        const GENERIC_ALL: u32 = 0x1000_0000;
        /// `SYNCHRONIZE | READ_CONTROL`.
        const WAIT: u32 = 0x12_0000;
        let text = match share {
            Share::Sddl(text) => text.clone(),
            share => sddl_of(share, GENERIC_ALL, WAIT, GENERIC_ALL)?,
        };
        Security::parse(&text)
    }

    fn parse(text: &str) -> io::Result<Security> {
        let mut descriptor = std::ptr::null_mut();
        let chars = wide(text);
        // SAFETY: the string is NUL-terminated and alive, the result goes to a variable of ours, and no size is
        // asked for.
        let parsed = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                chars.as_ptr(),
                SDDL_REVISION_1,
                &mut descriptor,
                std::ptr::null_mut(),
            )
        };
        if parsed == 0 {
            let why = io::Error::last_os_error();
            let text =
                format!("{text:?} is not a security descriptor in text form ({why}); an example is D:P(A;;GA;;;OW)");
            return Err(Refusal::Invalid(text).into());
        }
        Ok(Security { descriptor })
    }

    /// What `CreateFileMapping` takes; valid while `self` lives.
    pub(crate) fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: self.descriptor,
            bInheritHandle: 0,
        }
    }
}

impl Drop for Security {
    fn drop(&mut self) {
        // SAFETY: the conversion allocated it with LocalAlloc for us to free, and nothing borrowed from it is
        // left.
        unsafe { LocalFree(self.descriptor) };
    }
}

/// The descriptor of a section in text form.
fn sddl(share: &Share, writable: bool) -> io::Result<String> {
    let (write, rest) = if writable { (WRITE, REST) } else { (0, 0) };
    sddl_of(share, STANDARD | READ | write | rest, READ, write)
}

/// The descriptor in text form: the rights of who may do all, who may read, who may write.
fn sddl_of(share: &Share, all: u32, read: u32, write: u32) -> io::Result<String> {
    let bits = |mode: u32| (if mode & 4 != 0 { read } else { 0 }) | (if mode & 2 != 0 { write } else { 0 });
    let token = Token::of_this_process()?;
    let user = token.sid(TokenUser)?;
    let entry = |rights: u32, who: &str| {
        if rights == 0 { String::new() } else { format!("(A;;{rights:#x};;;{who})") }
    };
    let owner = format!("O:{user}D:P{}{}", entry(all, &user), entry(all, "SY"));
    Ok(match share {
        Share::Owner | Share::Sddl(_) => owner,
        Share::Group => owner + &entry(all, &token.sid(TokenPrimaryGroup)?),
        Share::Everyone => owner + &entry(all, "WD"),
        Share::Mode(mode) if mode & !0o666 == 0 => {
            let group = entry(bits(mode >> 3), &token.sid(TokenPrimaryGroup)?);
            owner + &group + &entry(bits(*mode), "WD")
        }
        Share::Mode(mode) => {
            return Err(Refusal::Invalid(format!(
                "mode {mode:o} has bits that mean nothing for memory; use read and write bits, such as 0640"
            ))
            .into());
        }
    })
}

struct Token(OwnedHandle);

impl Token {
    fn of_this_process() -> io::Result<Token> {
        let mut token = std::ptr::null_mut();
        // SAFETY: the process is this one and the result goes to a variable of ours.
        if unsafe { OpenProcessToken(this_process(), TOKEN_QUERY, &mut token) } == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has succeeded, so the handle is open and ours alone.
        Ok(Token(unsafe { owned(token) }?))
    }

    /// The security identifier in text form of `TokenUser` or `TokenPrimaryGroup`.
    fn sid(&self, class: TOKEN_INFORMATION_CLASS) -> io::Result<String> {
        // Both classes are a structure that begins with a pointer to the identifier, which follows in the
        // buffer; an identifier has at most 68 bytes.
        let mut buffer = [0_usize; 32];
        let (at, room, mut len) = (buffer.as_mut_ptr().cast::<c_void>(), size_of_val(&buffer) as u32, 0);
        // SAFETY: `at` is valid for `room` bytes, aligned for pointers, and the length goes to a variable of
        // ours.
        if unsafe { GetTokenInformation(self.0.as_raw_handle(), class, at, room, &mut len) } == 0 {
            return Err(io::Error::last_os_error());
        }
        let sid: PSID = std::ptr::with_exposed_provenance_mut(buffer[0]);
        let mut text = std::ptr::null_mut();
        // SAFETY: the call above has put a valid identifier there, in `buffer`, which is alive; the result
        // goes to a variable of ours.
        if unsafe { ConvertSidToStringSidW(sid, &mut text) } == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the conversion has succeeded, so it is a NUL-terminated string.
        let units = (0..).map(|i| unsafe { *text.wrapping_add(i) }).take_while(|unit| *unit != 0);
        let found = String::from_utf16_lossy(&units.collect::<Vec<u16>>());
        // SAFETY: the conversion allocated it with LocalAlloc for us to free.
        unsafe { LocalFree(text.cast()) };
        Ok(found)
    }
}

/// The account that owns the object a handle stands for, as `DOMAIN\name`, where this user may see it.
pub(crate) fn owner(handle: BorrowedHandle<'_>) -> Option<String> {
    let (mut sid, mut descriptor) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the handle is open; the descriptor and the owner in it go to variables of ours.
    let refused = unsafe {
        GetSecurityInfo(
            handle.as_raw_handle(),
            SE_KERNEL_OBJECT,
            OWNER_SECURITY_INFORMATION,
            &mut sid,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            &mut descriptor,
        )
    };
    if refused != 0 {
        return None;
    }
    let _freed = Security { descriptor };
    let (mut name, mut domain) = ([0_u16; 256], [0_u16; 256]); // names end at 256, domains at 255
    let (mut name_len, mut domain_len, mut kind) = (name.len() as u32, domain.len() as u32, 0);
    let (to, domain_to) = (name.as_mut_ptr(), domain.as_mut_ptr());
    // SAFETY: the identifier lies in the descriptor, which is alive; both buffers have the room that is said;
    // the rest goes to variables of ours.
    let found =
        unsafe { LookupAccountSidW(std::ptr::null(), sid, to, &mut name_len, domain_to, &mut domain_len, &mut kind) };
    let text = |units: &[u16]| units.split(|unit| *unit == 0).next().map(String::from_utf16_lossy);
    (found != 0).then(|| Some(format!(r"{}\{}", text(&domain)?, text(&name)?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_share_has_a_descriptor() {
        for share in
            [Share::Owner, Share::Group, Share::Everyone, Share::Mode(0o640), Share::Mode(0), Share::Mode(0o666)]
        {
            for writable in [false, true] {
                let text = sddl(&share, writable).unwrap();
                assert!(Security::parse(&text).is_ok(), "{text}");
                assert!(text.contains("D:P(A;;0xf"), "{text}");
            }
        }
    }

    #[test]
    fn nobody_writes_what_is_read_only() {
        let text = sddl(&Share::Mode(0o666), false).unwrap();
        assert!(sddl(&Share::Owner, true).unwrap().contains("0xf001f"));
        assert!(text.contains("0xf0005") && text.contains("(A;;0x20005;;;WD)"), "{text}");
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Security::of(&Share::Sddl("nonsense".into()), true).is_err());
        assert!(Security::of(&Share::Mode(0o755), true).is_err());
    }
}
