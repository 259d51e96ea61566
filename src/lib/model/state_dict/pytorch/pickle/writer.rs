//! Writes the pickle of a state dict. (Opcodes: Python's `pickletools`.)

use tch::Tensor;

/// The pickle of an ordered dictionary from names to tensors, protocol 2.
pub(in super::super) struct PickleWriter(Vec<u8>);

impl PickleWriter {
    pub(in super::super) fn new() -> Self {
        let mut pickle = Self(b"\x80\x02".to_vec());
        pickle.empty_dictionary();
        pickle.0.push(b'(');
        pickle
    }

    /// An empty `OrderedDict`: a global, no arguments, called.
    fn empty_dictionary(&mut self) {
        self.0.extend(b"ccollections\nOrderedDict\n)R");
    }

    fn text(&mut self, text: &str) {
        self.0.push(b'X');
        self.0
            .extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    /// A whole number: four bytes signed, or eight as a long.
    fn integer(&mut self, value: i64) {
        if let Ok(value) = i32::try_from(value) {
            self.0.push(b'J');
            self.0.extend(value.to_le_bytes());
        } else {
            self.0.extend(b"\x8a\x08");
            self.0.extend(value.to_le_bytes());
        }
    }

    fn integers(&mut self, values: &[i64]) {
        self.0.push(b'(');
        for value in values {
            self.integer(*value);
        }
        self.0.push(b't');
    }

    /// `name: torch._utils._rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict())`.
    pub(in super::super) fn tensor(
        &mut self,
        name: &str,
        key: usize,
        storage: &str,
        tensor: &Tensor,
    ) {
        self.text(name);
        self.0.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.0.extend(format!("ctorch\n{storage}\n").bytes());
        self.text(&key.to_string());
        self.text("cpu");
        self.integer(i64::try_from(tensor.numel()).unwrap_or(i64::MAX));
        // The tuple is a persistent id, which the reader turns into the storage.
        self.0.extend(b"tQ");
        self.integer(0);
        self.integers(&tensor.size());
        self.integers(&tensor.stride());
        self.0.push(0x89);
        self.empty_dictionary();
        self.0.extend(b"tR");
    }

    pub(in super::super) fn finish(mut self) -> Vec<u8> {
        self.0.extend(b"u.");
        self.0
    }
}
