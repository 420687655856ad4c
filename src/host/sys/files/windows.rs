//! What std does not do with a file, on Windows.

use super::common::{FileId, LOCKED_BYTE};
use std::ffi::c_void;
use std::fs;
use std::io;
use std::mem::zeroed;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use windows_sys::Win32::Foundation::{
    ERROR_IO_PENDING, ERROR_LOCK_VIOLATION, ERROR_SHARING_VIOLATION, HANDLE, LocalFree,
};
use windows_sys::Win32::Security::Authorization::{
    ConvertSidToStringSidW, ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{
    GetTokenInformation, SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, CreateDirectoryW, FILE_STANDARD_INFO, FileStandardInfo,
    GetFileInformationByHandle, GetFileInformationByHandleEx, LOCKFILE_EXCLUSIVE_LOCK,
    LOCKFILE_FAIL_IMMEDIATELY, LockFileEx,
};
use windows_sys::Win32::System::IO::OVERLAPPED;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

pub(super) fn try_lock(file: &fs::File) -> io::Result<bool> {
    // SAFETY: a valid handle, and an OVERLAPPED that outlives the call, which does not wait.
    let done = unsafe {
        let mut at: OVERLAPPED = zeroed();
        at.Anonymous.Anonymous.Offset = LOCKED_BYTE as u32;
        at.Anonymous.Anonymous.OffsetHigh = (LOCKED_BYTE >> 32) as u32;
        let flags = LOCKFILE_EXCLUSIVE_LOCK | LOCKFILE_FAIL_IMMEDIATELY;
        LockFileEx(file.as_raw_handle(), flags, 0, 1, 0, &mut at)
    };
    if done != 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error().map(|code| code as u32) {
        Some(ERROR_LOCK_VIOLATION | ERROR_IO_PENDING) => Ok(false),
        _ => Err(error),
    }
}

pub(super) fn id(file: &fs::File) -> io::Result<FileId> {
    // SAFETY: a valid handle, and room for the answer, which is read only if there is one.
    unsafe {
        let mut said: BY_HANDLE_FILE_INFORMATION = zeroed();
        succeeded(GetFileInformationByHandle(file.as_raw_handle(), &mut said))?;
        Ok(FileId {
            volume: said.dwVolumeSerialNumber.into(),
            number: u64::from(said.nFileIndexHigh) << 32 | u64::from(said.nFileIndexLow),
        })
    }
}

/// Which file a path leads to.
pub fn id_at(path: &Path) -> io::Result<FileId> {
    id(&fs::File::open(path)?)
}

pub(super) fn is_linked(file: &fs::File) -> io::Result<bool> {
    // SAFETY: a valid handle, and room of that size for the answer, which is read only if there is one.
    unsafe {
        let mut said: FILE_STANDARD_INFO = zeroed();
        succeeded(GetFileInformationByHandleEx(
            file.as_raw_handle(),
            FileStandardInfo,
            (&raw mut said).cast(),
            size_of::<FILE_STANDARD_INFO>() as u32,
        ))?;
        Ok(said.NumberOfLinks > 0 && !said.DeletePending)
    }
}

/// Somebody has the file open, and does not share it for what was asked.
pub fn is_sharing_violation(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_SHARING_VIOLATION as i32)
}

/// Makes a folder and those above it that are missing, for this user, the system and the machine's
/// administrators only, and so are the files in them. One that exists stays as it is.
pub fn make_private_folders(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        make_private_folders(parent)?;
    }
    match make_private_folder(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !path.is_dir() => Err(error),
        _ => Ok(()),
    }
}

fn make_private_folder(path: &Path) -> io::Result<()> {
    let path = wide(&as_long_path(path));
    let list = wide(Path::new(&format!(
        "D:P(A;OICI;FA;;;{})(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)",
        own_sid()?
    )));
    // SAFETY: texts that end in NUL; what the first call gives is freed after the second has read it.
    unsafe {
        let mut descriptor = null_mut();
        succeeded(ConvertStringSecurityDescriptorToSecurityDescriptorW(
            list.as_ptr(),
            SDDL_REVISION_1,
            &mut descriptor,
            null_mut(),
        ))?;
        let attributes = SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: descriptor,
            bInheritHandle: 0,
        };
        let made = succeeded(CreateDirectoryW(path.as_ptr(), &attributes));
        LocalFree(descriptor);
        made
    }
}

/// Longer than 248 characters, a path is taken only in the form that canonicalize gives.
fn as_long_path(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
    let parent = fs::canonicalize(parent.unwrap_or(Path::new(".")));
    match (parent, path.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

/// Who runs this process: S-1-5-21-…
fn own_sid() -> io::Result<String> {
    /// The largest that there is, and the structure before it, in words.
    const ROOM: usize = 32;
    let mut room = [0_u64; ROOM];
    // SAFETY: the token is closed by its owner; the user lies in `room`, which is large and aligned enough for
    // it, and points to its identifier there; the text ends in NUL and is freed once it is copied.
    unsafe {
        let mut token: HANDLE = null_mut();
        let process = GetCurrentProcess();
        succeeded(OpenProcessToken(process, TOKEN_QUERY, &mut token))?;
        let _closed = OwnedHandle::from_raw_handle(token);
        let mut used = 0;
        let size = size_of_val(&room) as u32;
        let out: *mut c_void = room.as_mut_ptr().cast();
        succeeded(GetTokenInformation(token, TokenUser, out, size, &mut used))?;
        let mut text = null_mut();
        let user = (*out.cast::<TOKEN_USER>()).User.Sid;
        succeeded(ConvertSidToStringSidW(user, &mut text))?;
        let length = (0..).take_while(|at| *text.add(*at) != 0).count();
        let sid = String::from_utf16_lossy(std::slice::from_raw_parts(text, length));
        LocalFree(text.cast());
        Ok(sid)
    }
}

fn wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain([0]).collect()
}

fn succeeded(result: windows_sys::core::BOOL) -> io::Result<()> {
    match result {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
