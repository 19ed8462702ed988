//! The environment that bash would give a program.

use std::ffi::{CStr, c_char};
use std::ptr;

unsafe extern "C" {
    static export_env: *const *const c_char;
    fn maybe_make_export_env();
}

/// Brings the environment up to date: it is made of the variables that are exported.
pub(in crate::bash) fn refresh() {
    // SAFETY: bash has one thread, and no other function of this library looks at it now.
    unsafe { maybe_make_export_env() }
}

/// Takes the place of bash's own getenv(3), for this library alone: that one sees a variable which hides an
/// exported one, and takes an array for text.
///
/// # Safety
///
/// The name is a C string.
#[unsafe(no_mangle)]
unsafe extern "C" fn getenv(name: *const c_char) -> *const c_char {
    // SAFETY: as the caller promises; the environment is a list of C strings that ends with null.
    unsafe {
        let name = CStr::from_ptr(name).to_bytes();
        let mut next = export_env;
        while !next.is_null() && !(*next).is_null() {
            let text = CStr::from_ptr(*next).to_bytes();
            if text
                .strip_prefix(name)
                .is_some_and(|rest| rest.first() == Some(&b'='))
            {
                return (*next).add(name.len() + 1);
            }
            next = next.add(1);
        }
        ptr::null()
    }
}
