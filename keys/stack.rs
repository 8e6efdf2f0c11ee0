//! What work with secrets leaves on the stack, overwritten when it is done.
//!
//! Values that wipe themselves do so where they are when they are dropped. A move leaves the old place as it was, and
//! ciphers and hashes keep the block they are at in registers and spill it. All of that lies below the frame that called
//! them, where the next call may or may not come by.

/// Does the work in a frame of its own, then overwrites the stack from there down.
pub(crate) fn wiped<T>(work: impl FnOnce() -> T) -> T {
    let made = below(work);
    overwrite();
    made
}

#[inline(never)]
fn below<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// The black box keeps the compiler from leaving it out.
#[inline(never)]
fn overwrite() {
    std::hint::black_box(&mut [0_u8; FRAMES_BYTES]);
}

/// More than the frames of an HMAC or of AES-GCM take, optimized or not; `tests/leaks` searches what is left.
const FRAMES_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_is_done_once_and_its_result_comes_back() {
        let mut done = 0;
        let made = wiped(|| {
            done += 1;
            vec![7; 3]
        });
        assert_eq!((done, made), (1, vec![7; 3]));
    }
}
