//! The buffer that a session reads into: small for a client that sends little, larger for one that sends much.
//!
//! Thousands of sessions hold one each while they wait, so it starts small. A stream that fills it costs fewer system
//! calls the larger it is, so it grows while it is filled and shrinks afterwards.

/// Its size at first, in bytes: more than one packet of a usual network carries.
const LEAST: usize = 1536;

/// Its size at most. One stream took 6 % less processor time for each doubling up to here.
const MOST: usize = 256 * 1024;

/// After so many reads in a row that would have fitted a quarter of the buffer, it is halved.
const SMALL_READS: u32 = 8;

/// The buffer of one session. Reads of one size do not allocate once it has settled.
#[derive(Debug)]
pub(crate) struct ReadBuffer {
    /// Part of the session's stack frame (ARCHITECTURE.md, *The stack page*).
    first: [u8; LEAST],
    /// Empty while `first` is large enough.
    grown: Vec<u8>,
    small_reads: u32,
}

impl Default for ReadBuffer {
    fn default() -> Self {
        Self { first: [0; LEAST], grown: Vec::new(), small_reads: 0 }
    }
}

impl ReadBuffer {
    /// Returns the whole buffer.
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        if self.grown.is_empty() { &mut self.first } else { &mut self.grown }
    }

    /// Returns the bytes of memory that it holds on the heap.
    pub(crate) fn memory(&self) -> usize {
        self.grown.len()
    }

    /// Makes it as small as at first.
    pub(crate) fn release_memory(&mut self) {
        self.grown = Vec::new();
        self.small_reads = 0;
    }

    /// Adapts its size to a read of `count` bytes, which are overwritten.
    pub(crate) fn adapt(&mut self, count: usize) {
        let size = self.bytes().len();
        if count > size / 4 || size == LEAST {
            self.small_reads = 0;
            if count == size && size < MOST {
                self.grown = vec![0; (2 * size).next_power_of_two()];
            }
        } else {
            self.small_reads += 1;
            if self.small_reads == SMALL_READS {
                self.small_reads = 0;
                self.grown = if size / 2 < 2 * LEAST { Vec::new() } else { vec![0; size / 2] };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_while_it_is_filled_and_shrinks_after_that() {
        const SIZES: [usize; 8] = [LEAST, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, MOST];
        let mut buffer = ReadBuffer::default();
        for expected in SIZES.into_iter().chain([MOST]) {
            assert_eq!(buffer.bytes().len(), expected);
            buffer.adapt(expected);
        }
        for expected in SIZES.into_iter().rev().skip(1).chain([LEAST]) {
            for _ in 0..SMALL_READS {
                buffer.adapt(1);
            }
            assert_eq!(buffer.bytes().len(), expected);
        }
    }

    #[test]
    fn all_memory_but_the_frame_is_released() {
        let mut buffer = ReadBuffer::default();
        assert_eq!(buffer.memory(), 0);
        buffer.adapt(LEAST);
        assert_eq!(buffer.memory(), 4 << 10);
        buffer.release_memory();
        assert_eq!((buffer.memory(), buffer.bytes().len()), (0, LEAST));
    }

    #[test]
    fn reads_of_one_size_settle() {
        for count in (1..=2 * MOST).step_by(777) {
            let mut buffer = ReadBuffer::default();
            let mut read = || {
                let read = count.min(buffer.bytes().len());
                buffer.adapt(read);
                buffer.bytes().as_ptr()
            };
            let settled = (0..2 * SMALL_READS).map(|_| read()).last();
            assert!((0..100).all(|_| Some(read()) == settled), "{count}");
        }
    }
}
