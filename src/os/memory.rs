//! How many pools of memory threads share; and the memory functions of a program that is linked with musl,
//! in the place of musl's own: the linker finds these first, for SQLite too.
//!
//! musl asks the kernel for what is larger than some kilobytes, and gives it back at once: two system
//! calls for each put into SQLite. Its `memcpy` for x86_64 is one `rep movsq`, which takes longer to start
//! than most copies take here, and its `memcmp` goes from byte to byte. mimalloc is no faster here, and
//! takes longer to start than a `get` takes.

/// Has all threads take their memory out of so few pools. glibc makes up to eight for each processor, and
/// what was freed in one of them is of no use to a thread that has another.
#[allow(unsafe_code)]
pub(crate) fn share_memory(pools: usize) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use nix::libc::{M_ARENA_MAX, c_int, mallopt};

        let pools = c_int::try_from(pools).unwrap_or(c_int::MAX);
        // SAFETY: it takes any number, under a lock of its own.
        unsafe { mallopt(M_ARENA_MAX, pools) };
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = pools;
}

#[cfg(all(target_env = "musl", target_feature = "crt-static"))]
#[allow(unsafe_code)]
mod heap {
    use std::ptr::null_mut;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use dlmalloc::Dlmalloc;

    static HEAP: Mutex<Dlmalloc> = Mutex::new(Dlmalloc::new());

    fn heap() -> MutexGuard<'static, Dlmalloc> {
        HEAP.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[unsafe(no_mangle)]
    extern "C" fn malloc(size: usize) -> *mut u8 {
        // SAFETY: any size can be asked for.
        unsafe { heap().c_malloc(size) }
    }

    #[unsafe(no_mangle)]
    extern "C" fn calloc(count: usize, size: usize) -> *mut u8 {
        match count.checked_mul(size) {
            // SAFETY: any size can be asked for.
            Some(size) => unsafe { heap().calloc(size, 1) },
            None => null_mut(),
        }
    }

    /// musl's other functions that align go through this one.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut u8 {
        // SAFETY: the alignment is a power of two, as in C.
        unsafe { heap().c_memalign(align, size) }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn realloc(block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the block is one of these, or null, as in C.
        unsafe { heap().c_realloc(block, size) }
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn free(block: *mut u8) {
        // SAFETY: the block is one of these, or null, as in C.
        unsafe { heap().c_free(block) }
    }
}

#[cfg(all(
    target_arch = "x86_64",
    any(test, all(target_env = "musl", target_feature = "crt-static"))
))]
#[allow(unsafe_code)]
mod copy {
    use std::arch::asm;
    use std::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8};

    /// So many bytes at once.
    type Step = [__m128i; 4];
    const STEP: usize = size_of::<Step>();
    /// From here on the processor's own way is faster, as far as that goes forwards.
    const LARGE: usize = 2048;

    /// Copies bytes that may overlap.
    ///
    /// # Safety
    ///
    /// As of the function of this name in C.
    #[cfg_attr(target_env = "musl", unsafe(no_mangle))]
    pub(super) unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
        // SAFETY: no more than `n` bytes are read and written.
        unsafe {
            match n {
                0 => {}
                1 => ends::<u8>(to, from, n),
                2..=4 => ends::<u16>(to, from, n),
                5..=8 => ends::<u32>(to, from, n),
                9..=16 => ends::<u64>(to, from, n),
                17..=32 => ends::<__m128i>(to, from, n),
                33..=64 => ends::<[__m128i; 2]>(to, from, n),
                65..=128 => ends::<Step>(to, from, n),
                _ if to.addr().wrapping_sub(from.addr()) < n => backwards(to, from, n),
                LARGE.. => asm!("rep movsb", inout("rcx") n => _, inout("rdi") to => _,
                    inout("rsi") from => _, options(nostack, preserves_flags)),
                _ => forwards(to, from, n),
            }
        }
        to
    }

    /// Copies bytes that do not overlap.
    ///
    /// # Safety
    ///
    /// As of the function of this name in C.
    #[cfg_attr(target_env = "musl", unsafe(no_mangle))]
    pub(super) unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
        // SAFETY: it promises more than is needed.
        unsafe { memmove(to, from, n) }
    }

    /// Copies as many bytes as a `T` has up to twice as many: all are read before one is written.
    #[inline(always)]
    unsafe fn ends<T>(to: *mut u8, from: *const u8, n: usize) {
        let end = n - size_of::<T>();
        // SAFETY: as the caller promises.
        unsafe {
            let first = from.cast::<T>().read_unaligned();
            let last = from.add(end).cast::<T>().read_unaligned();
            to.cast::<T>().write_unaligned(first);
            to.add(end).cast::<T>().write_unaligned(last);
        }
    }

    /// Copies more than a step. What the steps do not reach is read before them.
    #[inline(always)]
    unsafe fn forwards(to: *mut u8, from: *const u8, n: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            let last = from.add(n - STEP).cast::<Step>().read_unaligned();
            for at in (0..n - STEP).step_by(STEP) {
                let step = from.add(at).cast::<Step>().read_unaligned();
                to.add(at).cast::<Step>().write_unaligned(step);
            }
            to.add(n - STEP).cast::<Step>().write_unaligned(last);
        }
    }

    /// The same from the end, where the copy begins in the midst of what is copied.
    #[inline(always)]
    unsafe fn backwards(to: *mut u8, from: *const u8, n: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            let first = from.cast::<Step>().read_unaligned();
            let mut at = n;
            while at > STEP {
                at -= STEP;
                let step = from.add(at).cast::<Step>().read_unaligned();
                to.add(at).cast::<Step>().write_unaligned(step);
            }
            to.cast::<Step>().write_unaligned(first);
        }
    }

    /// Compares bytes.
    ///
    /// # Safety
    ///
    /// As of the function of this name in C.
    #[cfg_attr(target_env = "musl", unsafe(no_mangle))]
    pub(super) unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, n: usize) -> i32 {
        let mut at = 0;
        // SAFETY: no more than `n` bytes are read.
        unsafe {
            while n - at >= 16 {
                let [left, right] = [left, right].map(|p| _mm_loadu_si128(p.add(at).cast()));
                let differ = 0xffff ^ _mm_movemask_epi8(_mm_cmpeq_epi8(left, right));
                if differ != 0 {
                    at += differ.trailing_zeros() as usize;
                    break;
                }
                at += 16;
            }
            while at < n {
                let [left, right] = [left, right].map(|p| i32::from(*p.add(at)));
                if left != right {
                    return left - right;
                }
                at += 1;
            }
        }
        0
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use std::cmp::Ordering;

    use super::copy::{memcmp, memcpy, memmove};

    #[test]
    #[allow(unsafe_code)]
    fn they_do_as_those_of_the_standard_library() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|n| ((n * 31) >> 3) as u8).collect();
        let sizes = (0..300).chain([301, 511, 512, 513, 2047, 2048, 2049, 4000]);
        for n in sizes {
            for (from, to) in [
                (0, 5000),
                (3, 5001),
                (5000, 7),
                (100, 101),
                (101, 100),
                (100, 170),
                (170, 100),
                (9, 9),
                (0, 1999),
            ] {
                let mut expected = bytes.clone();
                expected.copy_within(from..from + n, to);
                let mut moved = bytes.clone();
                let start = moved.as_mut_ptr();
                // SAFETY: both lie in the vector; those that are copied do not overlap.
                unsafe {
                    match from.abs_diff(to) >= n {
                        true => memcpy(start.add(to), start.add(from), n),
                        false => memmove(start.add(to), start.add(from), n),
                    };
                }
                assert_eq!(moved, expected, "{n} bytes from {from} to {to}");
            }
            for at in (0..n).filter(|at| at % 7 == n % 7) {
                let mut other = bytes[..n].to_vec();
                other[at] = other[at].wrapping_add(100);
                // SAFETY: both have `n` bytes.
                let told = unsafe { memcmp(bytes.as_ptr(), other.as_ptr(), n) };
                assert_eq!(
                    told.cmp(&0),
                    bytes[..n].cmp(&other),
                    "{n} bytes, {at} differs"
                );
            }
            // SAFETY: both have `n` bytes.
            let told = unsafe { memcmp(bytes.as_ptr(), bytes[..n].to_vec().as_ptr(), n) };
            assert_eq!(told.cmp(&0), Ordering::Equal);
        }
    }
}
