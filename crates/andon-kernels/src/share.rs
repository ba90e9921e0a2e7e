//! One buffer written by several threads, a row by one thread at a time.

use std::marker::PhantomData;

/// A mutable buffer whose rows are handed out through a shared reference.
pub(crate) struct Rows<'a, T> {
    start: *mut T,
    rows: usize,
    stride: usize,
    width: usize,
    buffer: PhantomData<&'a mut [T]>,
}

// SAFETY: `row` makes its callers promise that no row is held twice.
unsafe impl<T: Send> Sync for Rows<'_, T> {}

impl<'a, T> Rows<'a, T> {
    /// Whole rows of `stride` elements.
    pub(crate) fn new(buffer: &'a mut [T], stride: usize) -> Self {
        let rows = buffer.len().checked_div(stride).unwrap_or(0);
        Self::spaced(buffer, rows, stride, stride)
    }

    /// Rows of `width` elements that begin every `stride`.
    pub(crate) fn spaced(buffer: &'a mut [T], rows: usize, stride: usize, width: usize) -> Self {
        assert!(width <= stride, "rows that do not overlap");
        assert!(
            rows == 0 || (rows - 1) * stride + width <= buffer.len(),
            "a buffer of {} elements for {rows} rows of {width} every {stride}",
            buffer.len()
        );
        Self {
            start: buffer.as_mut_ptr(),
            rows,
            stride,
            width,
            buffer: PhantomData,
        }
    }

    /// One row.
    ///
    /// # Safety
    /// No two of the references that live at the same time are to the same row.
    #[allow(clippy::mut_from_ref, reason = "the contract keeps rows apart")]
    pub(crate) unsafe fn row(&self, row: usize) -> &mut [T] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        // SAFETY: within the buffer, whose borrow this value holds; not
        // aliased by contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(row * self.stride), self.width) }
    }

    /// The beginning of a part of a row.
    ///
    /// # Safety
    /// No two threads write to the same place of the row.
    pub(crate) unsafe fn at(&self, row: usize, column: usize) -> *mut T {
        assert!(
            row < self.rows && column < self.width,
            "place within the buffer"
        );
        // SAFETY: within the buffer, as asserted.
        unsafe { self.start.add(row * self.stride + column) }
    }
}
