//! The program's allocator: mimalloc, by its shortest way in.
//!
//! Buffers are made on one thread and freed on another: with glibc's allocator these wait for each other's arenas. And the
//! usual way to mimalloc, with an alignment each time, takes several times as long for what is larger than a kilobyte.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;

use libmimalloc_sys::{
    mi_collect, mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc,
    mi_zalloc_aligned,
};

/// mimalloc.
pub struct Mimalloc;

/// What mimalloc gives is aligned to this much if it is as large as that.
const NATURAL: usize = 16;

/// Gives what the calling thread has freed back to the operating system, as far as it can be. Takes a millisecond or so: only for
/// threads that have nothing to do.
pub fn give_back() {
    // SAFETY: it can be called at any time, by any thread.
    unsafe { mi_collect(true) };
}

fn is_natural(align: usize, size: usize) -> bool {
    align <= NATURAL && align <= size
}

// SAFETY: each call hands its size and alignment on to mimalloc, whose blocks begin at multiples of 16, or of the block's
// own size if that is smaller. All of them can be freed in the same way, and change their size in either.
unsafe impl GlobalAlloc for Mimalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (align, size) = (layout.align(), layout.size());
        // SAFETY: any size can be asked for; an alignment is a power of two.
        unsafe {
            if is_natural(align, size) { mi_malloc(size) } else { mi_malloc_aligned(size, align) }.cast()
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (align, size) = (layout.align(), layout.size());
        // SAFETY: as above.
        unsafe {
            if is_natural(align, size) { mi_zalloc(size) } else { mi_zalloc_aligned(size, align) }.cast()
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller had it from here.
        unsafe { mi_free(block.cast::<c_void>()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (block, align) = (block.cast::<c_void>(), layout.align());
        // SAFETY: the caller had it from here.
        unsafe {
            if is_natural(align, size) {
                mi_realloc(block, size)
            } else {
                mi_realloc_aligned(block, size, align)
            }
            .cast()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_as_asked_for_and_keep_what_is_in_them() {
        for align in [1, 2, 4, 8, 16, 32, 64, 128, 4096] {
            for size in [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 100, 128, 1000, 1100, 5000, 70_000, 3_000_000] {
                let Ok(layout) = Layout::from_size_align(size, align) else { unreachable!() };
                let aligned = |block: *mut u8| !block.is_null() && block.addr().is_multiple_of(align);
                // SAFETY: the size is not zero; what is read and written lies in the block; it is freed once.
                unsafe {
                    let block = Mimalloc.alloc(layout);
                    assert!(aligned(block), "{size} bytes, aligned to {align}");
                    block.write(7);
                    let block = Mimalloc.realloc(block, layout, size * 3);
                    assert!(
                        aligned(block) && block.read() == 7,
                        "{size} bytes, aligned to {align}, made larger"
                    );
                    Mimalloc.dealloc(block, Layout::from_size_align_unchecked(size * 3, align));
                    let zeros = Mimalloc.alloc_zeroed(layout);
                    assert!(aligned(zeros));
                    assert!((0..size).all(|at| zeros.add(at).read() == 0));
                    Mimalloc.dealloc(zeros, layout);
                }
            }
        }
    }
}
