//! The binding to PyTorch's store and process groups (`c10d/c10d.cpp`). Those over NCCL come from the library that `nccl` loads.

use std::ffi::{CString, c_char, c_void};
use std::ptr;
use std::time::Duration;

use tch::Tensor;

use crate::exception;

unsafe extern "C" {
    fn incdec_store_open(
        host: *const c_char,
        port: u16,
        serves: i32,
        size: usize,
        timeout_ms: i64,
        out: *mut *mut c_void,
    ) -> *mut c_char;
    fn incdec_store_prefixed(
        store: *mut c_void,
        prefix: *const c_char,
        out: *mut *mut c_void,
    ) -> *mut c_char;
    fn incdec_store_set(
        store: *mut c_void,
        key: *const c_char,
        value: *const u8,
        size: usize,
    ) -> *mut c_char;
    fn incdec_store_get(
        store: *mut c_void,
        key: *const c_char,
        timeout_ms: i64,
        value: *mut *mut u8,
        size: *mut usize,
    ) -> *mut c_char;
    fn incdec_store_add(
        store: *mut c_void,
        key: *const c_char,
        amount: i64,
        sum: *mut i64,
    ) -> *mut c_char;
    fn incdec_store_close(store: *mut c_void);
    fn incdec_group_open(
        store: *mut c_void,
        rank: i32,
        size: i32,
        interface_host: *const c_char,
        timeout_ms: i64,
        out: *mut *mut c_void,
    ) -> *mut c_char;
    fn incdec_group_gather(
        group: *mut c_void,
        input: *mut c_void,
        outputs: *const *mut c_void,
        size: usize,
        work: *mut *mut c_void,
    ) -> *mut c_char;
    fn incdec_group_broadcast(
        group: *mut c_void,
        tensor: *mut c_void,
        root: i32,
        work: *mut *mut c_void,
    ) -> *mut c_char;
    fn incdec_work_wait(work: *mut c_void, timeout_ms: i64, done: *mut i32) -> *mut c_char;
    fn incdec_work_close(work: *mut c_void);
    fn incdec_group_close(group: *mut c_void) -> *mut c_char;
    fn free(memory: *mut c_void);
}

/// What c10d said of a failure.
pub(super) type Said<T> = Result<T, String>;

/// Takes the message that a call gave, if any: its first line.
pub(super) fn said(message: *mut c_char) -> Said<()> {
    // SAFETY: every caller hands over what a call has given it.
    unsafe { exception::said(message) }
        .map_err(|text| text.lines().next().unwrap_or_default().to_owned())
}

fn c_string(text: &str) -> Said<CString> {
    CString::new(text).map_err(|_| "a name with a zero byte".to_owned())
}

/// libtorch waits a number of milliseconds.
pub(super) fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// The store that all ranks share: one connection, its calls one after the other.
#[derive(Debug)]
pub(super) struct Store(pub(super) *mut c_void);

// SAFETY: c10d's stores lock a connection for each call.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Store {
    /// Connects to the store at `host:port`, which this process serves where `serves` says so.
    pub(super) fn open(
        host: &str,
        port: u16,
        serves: bool,
        size: usize,
        timeout: Duration,
    ) -> Said<Self> {
        let host = c_string(host)?;
        let mut out = ptr::null_mut();
        // SAFETY: the string lives during the call; `out` is set where there is no message.
        said(unsafe {
            incdec_store_open(
                host.as_ptr(),
                port,
                serves.into(),
                size,
                milliseconds(timeout),
                &raw mut out,
            )
        })?;
        Ok(Self(out))
    }

    /// The same connection with every key behind `prefix`.
    pub(super) fn prefixed(&self, prefix: &str) -> Said<Self> {
        let prefix = c_string(prefix)?;
        let mut out = ptr::null_mut();
        // SAFETY: the store is live; the new one counts a reference to it.
        said(unsafe { incdec_store_prefixed(self.0, prefix.as_ptr(), &raw mut out) })?;
        Ok(Self(out))
    }

    pub(super) fn set(&self, key: &str, value: &str) -> Said<()> {
        let key = c_string(key)?;
        // SAFETY: key and value live during the call, which copies them.
        said(unsafe { incdec_store_set(self.0, key.as_ptr(), value.as_ptr(), value.len()) })
    }

    /// The value of `key`, waited for.
    pub(super) fn get(&self, key: &str, timeout: Duration) -> Said<String> {
        let key = c_string(key)?;
        let (mut value, mut size) = (ptr::null_mut(), 0);
        // SAFETY: key lives during the call; `value` and `size` are set where there is no message.
        said(unsafe {
            incdec_store_get(
                self.0,
                key.as_ptr(),
                milliseconds(timeout),
                &raw mut value,
                &raw mut size,
            )
        })?;
        // SAFETY: `value` holds `size` bytes from malloc that are ours to free, once.
        let bytes = unsafe {
            let bytes = std::slice::from_raw_parts(value, size).to_vec();
            free(value.cast());
            bytes
        };
        String::from_utf8(bytes).map_err(|_| "a value that is no text".to_owned())
    }

    /// Adds to the number at `key` and gives the sum.
    pub(super) fn add(&self, key: &str, amount: i64) -> Said<i64> {
        let key = c_string(key)?;
        let mut sum = 0;
        // SAFETY: key and sum live during the call.
        said(unsafe { incdec_store_add(self.0, key.as_ptr(), amount, &raw mut sum) })?;
        Ok(sum)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: the pointer is ours, and nobody uses it after this.
        unsafe { incdec_store_close(self.0) }
    }
}

/// Waits for work so many milliseconds at most; says whether it has ended.
pub(super) type Wait = unsafe extern "C" fn(*mut c_void, i64, *mut i32) -> *mut c_char;
/// Closes a group.
pub(super) type Close = unsafe extern "C" fn(*mut c_void) -> *mut c_char;

/// A collective under way, and the tensors that it reads and writes.
pub(super) struct Work {
    raw: *mut c_void,
    wait: Wait,
    /// Its tensors must live as long as another thread may write them.
    _tensors: Vec<Tensor>,
}

impl Work {
    /// Waits at most so long. Whether the work has ended.
    pub(super) fn wait(&self, timeout: Duration) -> Said<bool> {
        let mut done = 0;
        // SAFETY: the work is live.
        said(unsafe { (self.wait)(self.raw, milliseconds(timeout), &raw mut done) })?;
        Ok(done != 0)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // SAFETY: the pointer is ours; c10d counts its own reference while the work goes on.
        unsafe { incdec_work_close(self.raw) }
    }
}

/// The connections between all ranks.
#[derive(Debug)]
pub(super) struct Connections {
    raw: *mut c_void,
    size: usize,
    /// How their work is waited for.
    wait: Wait,
    /// How they are closed.
    close: Close,
}

// SAFETY: a group has no thread that it belongs to.
unsafe impl Send for Connections {}

impl Connections {
    /// Connects to all ranks over Gloo; the store tells their addresses. Where `loopback` says that all ranks are on this host,
    /// the connections stay on it.
    pub(super) fn gloo(
        store: &Store,
        rank: usize,
        size: usize,
        loopback: bool,
        timeout: Duration,
    ) -> Said<Self> {
        let host = c_string("127.0.0.1")?;
        let host = if loopback { host.as_ptr() } else { ptr::null() };
        let (rank, of) = (number(rank)?, number(size)?);
        let timeout = milliseconds(timeout);
        // SAFETY: the store is live, the group counts a reference to it; the group is set where there is no message.
        let open = |raw| unsafe { incdec_group_open(store.0, rank, of, host, timeout, raw) };
        Self::opened(open, size, incdec_work_wait, incdec_group_close)
    }

    /// A group that `open` has made, by the functions of its own library.
    pub(super) fn opened(
        open: impl FnOnce(*mut *mut c_void) -> *mut c_char,
        size: usize,
        wait: Wait,
        close: Close,
    ) -> Said<Self> {
        let mut raw = ptr::null_mut();
        said(open(&raw mut raw))?;
        Ok(Self {
            raw,
            size,
            wait,
            close,
        })
    }

    /// Starts to gather `tensor` of every rank; gives the tensors to come, in the order of the ranks.
    pub(super) fn gather(&self, tensor: &Tensor) -> Said<(Work, Vec<Tensor>)> {
        let input = tensor.detach().contiguous();
        let outputs: Vec<Tensor> = (0..self.size).map(|_| input.empty_like()).collect();
        let places: Vec<*mut c_void> = outputs
            .iter()
            .map(|t| t.as_ptr().cast_mut().cast())
            .collect();
        let mut raw = ptr::null_mut();
        // SAFETY: the tensors are live, and kept by the work.
        said(unsafe {
            incdec_group_gather(
                self.raw,
                input.as_ptr().cast_mut().cast(),
                places.as_ptr(),
                places.len(),
                &raw mut raw,
            )
        })?;
        let mut tensors: Vec<Tensor> = outputs.iter().map(Tensor::shallow_clone).collect();
        tensors.push(input);
        let work = Work {
            raw,
            wait: self.wait,
            _tensors: tensors,
        };
        Ok((work, outputs))
    }

    /// Starts to send the tensor of rank `from` to all others; gives the tensor to come.
    pub(super) fn broadcast(&self, tensor: &Tensor, from: usize) -> Said<(Work, Tensor)> {
        let sent = tensor.detach().contiguous().copy();
        let mut raw = ptr::null_mut();
        // SAFETY: the tensor is live, and kept by the work.
        said(unsafe {
            incdec_group_broadcast(
                self.raw,
                sent.as_ptr().cast_mut().cast(),
                number(from)?,
                &raw mut raw,
            )
        })?;
        let work = Work {
            raw,
            wait: self.wait,
            _tensors: vec![sent.shallow_clone()],
        };
        Ok((work, sent))
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        // SAFETY: the pointer is ours, and nobody uses it after this.
        if let Err(reason) = said(unsafe { (self.close)(self.raw) }) {
            tracing::debug!("connections that cannot be closed: {reason}");
        }
    }
}

/// Ranks, processes and GPUs have small numbers.
pub(super) fn number(n: usize) -> Said<i32> {
    i32::try_from(n).map_err(|_| format!("number {n}"))
}
