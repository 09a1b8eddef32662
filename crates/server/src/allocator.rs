//! The program's allocator: mimalloc, by its fastest interface.
//!
//! Buffers are allocated on one thread and freed on another; with glibc's allocator these threads wait for
//! each other's arenas. The usual interface of mimalloc, with an explicit alignment, is several times slower
//! for blocks of more than a kilobyte.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;

use libmimalloc_sys::{
    mi_collect, mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc,
    mi_zalloc_aligned,
};

/// mimalloc.
pub struct Mimalloc;

/// mimalloc's blocks are aligned to this, if they are at least this large.
const NATURAL: usize = 16;

/// Returns memory that the calling thread has freed to the operating system, as far as possible. Takes about
/// a millisecond: only for idle threads.
pub fn give_back() {
    // SAFETY: any thread may call it at any time.
    unsafe { mi_collect(true) };
}

fn is_natural(align: usize, size: usize) -> bool {
    align <= NATURAL && align <= size
}

// SAFETY: each call passes its size and alignment to mimalloc, whose blocks begin at multiples of 16, or of
// the block's own size if that is smaller. All of them can be freed, and can change their size, by the same
// functions.
unsafe impl GlobalAlloc for Mimalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (align, size) = (layout.align(), layout.size());
        // SAFETY: any size is allowed; an alignment is a power of two.
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
        // SAFETY: the caller got the block from this allocator.
        unsafe { mi_free(block.cast::<c_void>()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (block, align) = (block.cast::<c_void>(), layout.align());
        // SAFETY: the caller got the block from this allocator.
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
                // SAFETY: the size is not zero; reads and writes stay in the block; it is freed once.
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
