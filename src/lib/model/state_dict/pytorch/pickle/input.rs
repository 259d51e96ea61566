//! The bytes of a pickle, taken from front to back.

pub(super) struct Input<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let bytes: &'a [u8] = self.bytes;
        let end = self.at.checked_add(count).filter(|&end| end <= bytes.len());
        let end = end.ok_or("the pickle ends too early")?;
        let taken = &bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// A little-endian number of `width` bytes.
    pub(super) fn number(&mut self, width: usize) -> Result<u64, String> {
        Ok(self
            .take(width)?
            .iter()
            .rev()
            .fold(0, |n, &byte| n << 8 | u64::from(byte)))
    }

    pub(super) fn text(&mut self, width: usize) -> Result<&'a str, String> {
        let length = usize::try_from(self.number(width)?).map_err(|e| e.to_string())?;
        std::str::from_utf8(self.take(length)?).map_err(|e| e.to_string())
    }

    pub(super) fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .position(|&b| b == b'\n')
            .ok_or("the pickle ends too early")?;
        let line = self.take(length + 1)?;
        std::str::from_utf8(&line[..length]).map_err(|e| e.to_string())
    }
}
