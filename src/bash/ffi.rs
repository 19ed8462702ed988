//! What bash and the builtin know of each other: the only place with the C of bash.
//!
//! The shapes are those of `builtins.h`, `command.h` and `variables.h` of bash 4.4 to 5.3 (Debian's package
//! bash-builtins has them). Many functions of bash leave by longjmp(3), past whoever called them: so they
//! are called only where nothing is left to be dropped.

#![allow(unsafe_code)]

pub(super) mod environment;
mod subshell;

use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int, c_void};
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::{mem, panic, ptr};

use super::{program, run};
use crate::commands::embedded::{Answer, Setting};
use crate::os::RawStderr;

/// `struct builtin`.
#[repr(C)]
#[allow(missing_debug_implementations, reason = "bash reads it")]
pub(super) struct Builtin {
    name: *const c_char,
    function: extern "C-unwind" fn(*const Words) -> c_int,
    flags: c_int,
    long_doc: *const *const c_char,
    short_doc: *const c_char,
    handle: *const c_char,
}

/// `WORD_LIST`.
#[repr(C)]
#[allow(missing_debug_implementations, reason = "bash makes it")]
pub(super) struct Words {
    next: *mut Words,
    word: *mut Word,
}

/// `WORD_DESC`.
#[repr(C)]
struct Word {
    text: *mut c_char,
    flags: c_int,
}

/// The beginning of `COMMAND`, which is a simple one.
#[repr(C)]
struct Command {
    kind: c_int,
    flags: c_int,
    line: c_int,
    redirects: *mut c_void,
    simple: *mut Simple,
}

/// `SIMPLE_COM`.
#[repr(C)]
struct Simple {
    flags: c_int,
    line: c_int,
    words: *mut Words,
    redirects: *mut c_void,
}

/// `SHELL_VAR`.
#[repr(C)]
struct Variable {
    name: *mut c_char,
    value: *mut c_char,
    exported: *mut c_char,
    dynamic: *const c_void,
    assign: *const c_void,
    attributes: c_int,
    context: c_int,
}

const BUILTIN_ENABLED: c_int = 1;
/// As [`crate::exit::Exit::Failure`].
const FAILURE: c_int = 5;
const NOT_FOUND: c_int = 127;
const SIGINT: c_int = 2;
/// The status of a program of Rust that has panicked.
const PANICKED: c_int = 101;

const CMD_IGNORE_RETURN: c_int = 0x08;
const CMD_NO_FUNCTIONS: c_int = 0x10;
const CMD_INHIBIT_EXPANSION: c_int = 0x20;
const CMD_COMMAND_BUILTIN: c_int = 0x800;

const ATT_READONLY: c_int = 0x2;
const ATT_ARRAY: c_int = 0x4;
const ATT_INTEGER: c_int = 0x10;
const ATT_ASSOC: c_int = 0x40;
const ATT_NAMEREF: c_int = 0x800;
const ATT_INVISIBLE: c_int = 0x1000;
const ATT_NOASSIGN: c_int = 0x4000;

unsafe extern "C-unwind" {
    static interrupt_state: c_int;
    static terminating_signal: c_int;
    static default_buffered_input: c_int;
    static subshell_environment: c_int;

    fn first_pending_trap() -> c_int;
    fn sync_buffered_stream(fd: c_int) -> c_int;

    fn make_bare_simple_command(line: c_int) -> *mut Command;
    fn make_word(text: *const c_char) -> *mut Word;
    fn make_word_list(word: *mut Word, next: *mut Words) -> *mut Words;
    fn copy_word_list(words: *const Words) -> *mut Words;
    fn execute_command(command: *mut Command) -> c_int;
    fn dispose_command(command: *mut c_void);

    fn begin_unwind_frame(tag: *const c_char);
    fn add_unwind_protect(cleanup: unsafe extern "C-unwind" fn(*mut c_void), what: *mut c_void);
    fn run_unwind_frame(tag: *const c_char);

    fn legal_identifier(name: *const c_char) -> c_int;
    fn valid_array_reference(name: *const c_char, flags: c_int) -> c_int;
    fn find_variable(name: *const c_char) -> *mut Variable;
    fn find_variable_noref(name: *const c_char) -> *mut Variable;
    fn builtin_bind_variable(
        name: *const c_char,
        value: *const c_char,
        flags: c_int,
    ) -> *mut Variable;
    fn find_or_make_array_variable(name: *const c_char, flags: c_int) -> *mut Variable;
    fn bind_array_element(
        array: *mut Variable,
        at: isize,
        value: *const c_char,
        flags: c_int,
    ) -> *mut Variable;
    fn array_flush(array: *mut c_char);
}

const SHORT_DOC: &CStr = c"kv [OPTIONS] COMMAND [ARGUMENTS]";
static LONG_DOC: Doc = Doc([
    c"The key-value store for the shell, without a process: see kv(1).".as_ptr(),
    c"".as_ptr(),
    c"Commands that run programs, wait or serve are handed to the program that".as_ptr(),
    c"KV_BIN names. `enable -d kv` ends the builtin.".as_ptr(),
    ptr::null(),
]);

#[repr(transparent)]
struct Doc([*const c_char; 5]);

// SAFETY: it points to text that never changes.
unsafe impl Sync for Doc {}

/// What `enable -f` looks for. Bash writes into it.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, missing_docs, reason = "bash chooses the name")]
pub(super) static mut kv_struct: Builtin = Builtin {
    name: c"kv".as_ptr(),
    function: builtin,
    flags: BUILTIN_ENABLED,
    long_doc: LONG_DOC.0.as_ptr(),
    short_doc: SHORT_DOC.as_ptr(),
    handle: ptr::null(),
};

/// What is left to do by functions of bash. It owns nothing that would have to be dropped.
#[derive(Clone, Copy)]
enum Left {
    Nothing(c_int),
    Set(c_int, *mut Owned),
    Program(*const c_char),
}

/// What a variable is to hold, as bash reads it.
struct Owned {
    name: CString,
    values: Vec<CString>,
    is_array: bool,
}

extern "C-unwind" fn builtin(words: *const Words) -> c_int {
    match panic::catch_unwind(|| carry_out(words)) {
        Ok(Left::Nothing(status)) => status,
        // SAFETY: nobody else has it; nothing of this frame is to be dropped.
        Ok(Left::Set(status, owned)) => unsafe { set(status, owned) },
        // SAFETY: they are the words that bash has called this with; as above.
        Ok(Left::Program(path)) => unsafe { hand_over(path, words) },
        // The hook has said what happened. What it was is not dropped, as that may panic too.
        Err(panicked) => {
            mem::forget(panicked);
            PANICKED
        }
    }
}

fn carry_out(words: *const Words) -> Left {
    subshell::notice_forks();
    // SAFETY: bash has made this list.
    let args = unsafe { texts(words) };
    // SAFETY: each word is a C string.
    let args = args.map(|text| to_os(unsafe { CStr::from_ptr(text) }));
    let args = args.collect();
    let (status, set) = match run(args) {
        Answer::Done { status, set } => (c_int::from(status), set),
        Answer::Program => return program(),
    };
    let Some(Setting {
        name,
        values,
        is_array,
    }) = set
    else {
        return Left::Nothing(status);
    };
    let text = |bytes| CString::new(bytes).unwrap_or_default();
    let owned = Owned {
        name: text(name.into_vec()),
        values: values.into_iter().map(text).collect(),
        is_array,
    };
    Left::Set(status, Box::into_raw(Box::new(owned)))
}

/// Goes through the texts of a list of words.
///
/// # Safety
///
/// It is one of bash's, which ends with null.
unsafe fn texts(words: *const Words) -> impl Iterator<Item = *const c_char> {
    let mut next = words;
    std::iter::from_fn(move || {
        // SAFETY: as the caller promises.
        let words = unsafe { next.as_ref() }?;
        next = words.next;
        Some(unsafe { (*words.word).text }.cast_const())
    })
}

/// Sets a variable.
///
/// # Safety
///
/// Nothing is to be dropped in the frames between bash and this, and `owned` is nobody else's.
unsafe fn set(status: c_int, owned: *mut Owned) -> c_int {
    // SAFETY: as the caller promises, and the strings live until the frame is run, by whoever leaves it.
    unsafe {
        begin_unwind_frame(FRAME.as_ptr());
        add_unwind_protect(free, owned.cast());
        let name = (*owned).name.as_ptr();
        let values: &[CString] = &(*owned).values;
        let is_set = match (*owned).is_array {
            false => !builtin_bind_variable(name, values[0].as_ptr(), 0).is_null(),
            true => {
                let array = find_or_make_array_variable(name, 1);
                let is_one = !array.is_null() && (*array).attributes & ATT_ARRAY != 0;
                if is_one {
                    array_flush((*array).value);
                    (*array).attributes &= !ATT_INVISIBLE;
                    for (at, value) in values.iter().enumerate() {
                        bind_array_element(array, at.cast_signed(), value.as_ptr(), 0);
                    }
                }
                is_one
            }
        };
        run_unwind_frame(FRAME.as_ptr());
        // Bash has said why.
        if is_set { status } else { FAILURE }
    }
}

unsafe extern "C-unwind" fn free(owned: *mut c_void) {
    // SAFETY: it was made by a box, and bash calls this once.
    drop(unsafe { Box::from_raw(owned.cast::<Owned>()) });
}

/// Finds the program.
fn program() -> Left {
    // SAFETY: it is a C string, and the variable is read at once.
    let named = unsafe {
        find_variable(c"KV_BIN".as_ptr())
            .as_ref()
            .filter(|found| {
                found.attributes & (ATT_ARRAY | ATT_ASSOC) == 0 && !found.value.is_null()
            })
            .map(|found| to_os(CStr::from_ptr(found.value)))
    };
    let path = program::find(named).map(|path| path.into_os_string().into_vec());
    match path.and_then(|path| CString::new(path).ok()) {
        Some(path) => Left::Program(path.into_raw()),
        None => {
            _ = RawStderr
                .write_all(b"kv: cannot find the program `kv`: set KV_BIN to where it is\n");
            Left::Nothing(NOT_FOUND)
        }
    }
}

/// Lets bash run the program with these words, as the builtin `command` of bash does.
///
/// # Safety
///
/// Nothing is to be dropped in the frames between bash and this, `path` was made by [`CString::into_raw`],
/// and `words` is a list of bash's.
unsafe fn hand_over(path: *const c_char, words: *const Words) -> c_int {
    // SAFETY: as the caller promises; what is made here is bash's, and freed by it.
    unsafe {
        if subshell::is_for_this() {
            return subshell::exec(path, words);
        }
        let word = make_word(path);
        drop(CString::from_raw(path.cast_mut()));
        let command = make_bare_simple_command(0);
        // The words are expanded already. Whether the status matters, as `set -e` and a trap on ERR ask, is
        // decided by bash once more for the builtin.
        let flags =
            CMD_NO_FUNCTIONS | CMD_INHIBIT_EXPANSION | CMD_COMMAND_BUILTIN | CMD_IGNORE_RETURN;
        (*command).flags |= flags;
        (*(*command).simple).flags |= flags;
        (*(*command).simple).words = make_word_list(word, copy_word_list(words));
        (*(*command).simple).redirects = ptr::null_mut();
        begin_unwind_frame(FRAME.as_ptr());
        add_unwind_protect(dispose_command, command.cast());
        let passes_on = subshell_environment != 0 && subshell::pass_signals_on();
        let status = execute_command(command);
        run_unwind_frame(FRAME.as_ptr());
        if passes_on {
            subshell::end_passing_on();
        }
        status
    }
}

const FRAME: &CStr = c"kv";

/// Lets what reads standard input begin behind what bash has read of it as a script.
pub(super) fn leave_input() {
    // SAFETY: bash has one thread.
    unsafe {
        if default_buffered_input == 0 {
            sync_buffered_stream(0);
        }
    }
}

/// Tells whether bash has been told to stop: by Ctrl-C, by a signal that ends it, or by one that a trap is for.
pub(super) fn is_interrupted() -> bool {
    // SAFETY: signal handlers write these numbers, and bash has one thread.
    unsafe {
        ptr::read_volatile(&raw const interrupt_state) != 0
            || ptr::read_volatile(&raw const terminating_signal) != 0
            || first_pending_trap() == SIGINT
    }
}

/// What is known of a variable that is to be set.
pub(super) enum Found {
    Fine,
    NoName,
    Fixed,
    OtherKind,
    /// What is assigned to it, or where, is an expression, which may be wrong; or bash makes something of
    /// its own of what is assigned.
    Computed,
}

/// What bash sets behind each command, beside the variables that it has functions for.
const SET_BY_BASH: [&CStr; 2] = [c"_", c"PIPESTATUS"];

/// Looks at a variable that is to be set, or at the array of which one element is.
pub(super) fn look_at(name: &OsStr, is_array: bool) -> Found {
    let Ok(text) = CString::new(name.as_bytes()) else {
        return Found::NoName;
    };
    let base = name.as_bytes().split(|byte| *byte == b'[').next();
    let base = CString::new(base.unwrap_or_default()).unwrap_or_default();
    // SAFETY: they are C strings, and the variables are read at once.
    let (is_name, attributes, is_computed) = unsafe {
        let is_name = legal_identifier(text.as_ptr()) != 0;
        if !is_name && (is_array || valid_array_reference(text.as_ptr(), 0) == 0) {
            return Found::NoName;
        }
        let attributes = |found: *mut Variable| found.as_ref().map_or(0, |found| found.attributes);
        let reference = attributes(find_variable_noref(base.as_ptr())) & ATT_NAMEREF != 0;
        let found = find_variable(base.as_ptr());
        let is_own = |found: &Variable| !found.dynamic.is_null() || !found.assign.is_null();
        let is_own = found.as_ref().is_some_and(is_own) || SET_BY_BASH.contains(&base.as_c_str());
        (is_name, attributes(found), reference || is_own)
    };
    match attributes {
        all if all & (ATT_READONLY | ATT_NOASSIGN) != 0 => Found::Fixed,
        all if is_array && all & ATT_ASSOC != 0 => Found::OtherKind,
        all if !is_name || is_computed || all & ATT_INTEGER != 0 => Found::Computed,
        _ => Found::Fine,
    }
}

fn to_os(text: &CStr) -> OsString {
    OsString::from_vec(text.to_bytes().to_vec())
}
