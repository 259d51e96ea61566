//! Reads the pickles that `torch.save` writes, as data: tensors, and what holds them. Nothing is
//! imported or called. A call of anything but the three functions that rebuild tensors and their
//! dictionaries gives an opaque value.

use std::collections::BTreeMap;

use super::input::Input;
use super::value::{Pickle, StorageRef, TensorRef, Value};

/// The longest pickle that is read: a state dict takes some hundred bytes a tensor.
const MAX_PICKLE_BYTES: usize = 64 << 20;
/// Most values that a pickle may make: a state dict makes some twenty a tensor. What they take of
/// memory is bounded so, though a single byte can make one.
const MAX_VALUES: usize = 4 << 20;

/// What an instruction says that finds no value.
const EMPTY_STACK: &str = "nothing is left on the stack";

struct Machine<'a> {
    input: Input<'a>,
    stack: Vec<Value<'a>>,
    memo: BTreeMap<u64, Value<'a>>,
    held: Pickle<'a>,
    /// Instructions done; each makes at most one value of each kind.
    steps: usize,
}

/// Reads a whole pickle and gives its one value with what it refers to.
pub(in super::super) fn read(bytes: &[u8]) -> Result<(Value<'_>, Pickle<'_>), String> {
    if bytes.len() > MAX_PICKLE_BYTES {
        return Err(format!(
            "its pickle is longer than {MAX_PICKLE_BYTES} bytes"
        ));
    }
    let mut machine = Machine {
        input: Input::new(bytes),
        stack: Vec::new(),
        memo: BTreeMap::new(),
        held: Pickle::default(),
        steps: 0,
    };
    loop {
        let start = machine.input.at;
        let opcode = machine.input.take(1)?[0];
        machine.steps += 1;
        if machine.steps > MAX_VALUES {
            return Err(format!("its pickle makes more than {MAX_VALUES} values"));
        }
        if opcode == b'.' {
            let value = machine.pop()?;
            return Ok((value, machine.held));
        }
        machine
            .step(opcode)
            .map_err(|e| format!("pickle, byte {start}: {e}"))?;
    }
}

impl<'a> Machine<'a> {
    fn pop(&mut self) -> Result<Value<'a>, String> {
        self.stack.pop().ok_or_else(|| EMPTY_STACK.into())
    }

    /// What lies above the last mark.
    fn marked(&mut self) -> Result<Vec<Value<'a>>, String> {
        let mark = self
            .stack
            .iter()
            .rposition(|v| *v == Value::Mark)
            .ok_or("no mark on the stack")?;
        let group = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(group)
    }

    fn hold(&mut self, group: Vec<Value<'a>>) -> usize {
        self.held.groups.push(group);
        self.held.groups.len() - 1
    }

    fn tuple(&mut self, group: Vec<Value<'a>>) {
        let value = Value::Tuple(self.hold(group));
        self.stack.push(value);
    }

    /// Adds to the container on top of the stack.
    fn extend(&mut self, items: &[Value<'a>]) -> Result<(), String> {
        match self.stack.last() {
            Some(Value::Dict(i) | Value::List(i)) => self.held.groups[*i].extend_from_slice(items),
            Some(Value::Opaque) => {}
            _ => return Err("items for what is no container".into()),
        }
        Ok(())
    }

    fn remember(&mut self, index: u64) -> Result<(), String> {
        let top = *self.stack.last().ok_or("nothing to remember")?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn recall(&mut self, index: u64) -> Result<(), String> {
        let value = *self
            .memo
            .get(&index)
            .ok_or_else(|| format!("memo {index} is empty"))?;
        self.stack.push(value);
        Ok(())
    }

    /// One instruction, by the names of Python's `pickletools`: those that make a value.
    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            0x80 => self.input.take(1).map(drop)?,       // PROTO
            0x95 => self.input.take(8).map(drop)?,       // FRAME
            b'(' => self.stack.push(Value::Mark),        // MARK
            b'N' => self.stack.push(Value::None),        // NONE
            0x88 => self.stack.push(Value::Bool(true)),  // NEWTRUE
            0x89 => self.stack.push(Value::Bool(false)), // NEWFALSE
            b'K' => self.integer(1)?,                    // BININT1
            b'M' => self.integer(2)?,                    // BININT2
            b'J' => {
                let bytes = self.input.take(4)?; // BININT
                let value = i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                self.stack.push(Value::Int(value.into()));
            }
            0x8a => self.long()?, // LONG1
            b'G' => {
                self.input.take(8)?; // BINFLOAT
                self.stack.push(Value::Opaque);
            }
            b'X' => self.push_text(4)?,                // BINUNICODE
            0x8c => self.push_text(1)?,                // SHORT_BINUNICODE
            0x8d => self.push_text(8)?,                // BINUNICODE8
            b'C' | b'U' => self.push_bytes(1)?,        // SHORT_BINBYTES, SHORT_BINSTRING
            b'B' | b'T' | 0x8b => self.push_bytes(4)?, // BINBYTES, BINSTRING, LONG4
            0x8e | 0x96 => self.push_bytes(8)?,        // BINBYTES8, BYTEARRAY8
            0x8f => self.stack.push(Value::Opaque),    // EMPTY_SET
            b'c' => {
                let (module, name) = (self.input.line()?, self.input.line()?); // GLOBAL
                self.stack.push(Value::Global(module, name));
            }
            0x93 => self.stack_global()?, // STACK_GLOBAL
            b'}' => {
                let value = Value::Dict(self.hold(Vec::new())); // EMPTY_DICT
                self.stack.push(value);
            }
            b']' => {
                let value = Value::List(self.hold(Vec::new())); // EMPTY_LIST
                self.stack.push(value);
            }
            b')' => self.tuple(Vec::new()), // EMPTY_TUPLE
            b'Q' => self.storage()?,        // BINPERSID
            b'R' | 0x81 => self.call()?,    // REDUCE, NEWOBJ
            other => self.step_with_values(other)?,
        }
        Ok(())
    }

    /// One instruction on values that are there: those that gather, drop, remember and recall them.
    fn step_with_values(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            // POP, BUILD (which sets attributes)
            b'0' | b'b' => self.pop().map(drop),
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84); // TUPLE1, TUPLE2, TUPLE3
                let from = self.stack.len().checked_sub(count);
                let group = self.stack.split_off(from.ok_or(EMPTY_STACK)?);
                self.tuple(group);
                Ok(())
            }
            b't' => {
                let group = self.marked()?; // TUPLE
                self.tuple(group);
                Ok(())
            }
            b'a' => {
                let item = self.pop()?; // APPEND
                self.extend(&[item])
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?); // SETITEM
                self.extend(&[key, value])
            }
            b'e' | b'u' | 0x90 => {
                let items = self.marked()?; // APPENDS, SETITEMS, ADDITEMS
                self.extend(&items)
            }
            0x91 => {
                self.marked()?; // FROZENSET
                self.stack.push(Value::Opaque);
                Ok(())
            }
            0x92 => {
                let from = self.stack.len().checked_sub(3); // NEWOBJ_EX
                self.stack.truncate(from.ok_or(EMPTY_STACK)?);
                self.stack.push(Value::Opaque);
                Ok(())
            }
            b'q' => self.input.number(1).and_then(|i| self.remember(i)), // BINPUT
            b'r' => self.input.number(4).and_then(|i| self.remember(i)), // LONG_BINPUT
            0x94 => self.remember(self.memo.len() as u64),               // MEMOIZE
            b'h' => self.input.number(1).and_then(|i| self.recall(i)),   // BINGET
            b'j' => self.input.number(4).and_then(|i| self.recall(i)),   // LONG_BINGET
            0x97 | 0x98 => {
                Err("it refers to buffers outside of the file, which torch.save never does".into())
            }
            other => Err(format!(
                "instruction {other:#04x} is of a Python pickle but of none of torch.save: load the file in Python and save its state dict alone"
            )),
        }
    }

    fn integer(&mut self, width: usize) -> Result<(), String> {
        let value = i64::try_from(self.input.number(width)?).map_err(|e| e.to_string())?;
        self.stack.push(Value::Int(value));
        Ok(())
    }

    fn long(&mut self) -> Result<(), String> {
        let width = usize::try_from(self.input.number(1)?).map_err(|e| e.to_string())?;
        let bytes = self.input.take(width)?;
        let value = match bytes.last() {
            None => Value::Int(0),
            Some(_) if width > 8 => Value::Opaque,
            Some(top) => {
                let mut wide = if top & 0x80 == 0 { [0; 8] } else { [0xff; 8] };
                wide[..width].copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(wide))
            }
        };
        self.stack.push(value);
        Ok(())
    }

    fn push_text(&mut self, width: usize) -> Result<(), String> {
        let text = self.input.text(width)?;
        self.stack.push(Value::Text(text));
        Ok(())
    }

    /// Bytes, or a number too long for any shape: what this reader has no use for.
    fn push_bytes(&mut self, width: usize) -> Result<(), String> {
        let length = usize::try_from(self.input.number(width)?).map_err(|e| e.to_string())?;
        self.input.take(length)?;
        self.stack.push(Value::Opaque);
        Ok(())
    }

    fn stack_global(&mut self) -> Result<(), String> {
        match (self.pop()?, self.pop()?) {
            (Value::Text(name), Value::Text(module)) => {
                self.stack.push(Value::Global(module, name));
            }
            _ => return Err("a global without a name".into()),
        }
        Ok(())
    }

    /// A persistent id: `("storage", class, key, location, elements)`.
    fn storage(&mut self) -> Result<(), String> {
        let id = self.pop()?;
        let Some(
            &[
                Value::Text("storage"),
                Value::Global(_, class),
                Value::Text(key),
                _,
                _,
            ],
        ) = self.held.group(id)
        else {
            return Err("a reference to what is no storage".into());
        };
        self.held.storages.push(StorageRef { class, key });
        self.stack
            .push(Value::Storage(self.held.storages.len() - 1));
        Ok(())
    }

    /// What a call would have made, where it is one of those that rebuild tensors.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let group = self
            .held
            .group(arguments)
            .ok_or("a call without arguments")?;
        let value = match (callee, group) {
            (Value::Global("collections", "OrderedDict"), []) => Value::Dict(self.hold(Vec::new())),
            (
                Value::Global("torch._utils", "_rebuild_parameter"),
                [tensor @ Value::Tensor(_), ..],
            ) => *tensor,
            (
                Value::Global("torch._utils", "_rebuild_tensor_v2"),
                &[Value::Storage(i), Value::Int(offset), size, stride, ..],
            ) => {
                let size = self.held.numbers(size);
                let (size, stride) = size
                    .zip(self.held.numbers(stride))
                    .ok_or("a shapeless tensor")?;
                let storage = self.held.storages[i];
                self.held.tensors.push(TensorRef {
                    storage,
                    offset,
                    size,
                    stride,
                });
                Value::Tensor(self.held.tensors.len() - 1)
            }
            _ => Value::Opaque,
        };
        self.stack.push(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_call_is_never_made() {
        // cos\nsystem\n(X..touch x..tR. : what a hostile file would have Python run.
        let bytes = b"\x80\x02cos\nsystem\nX\x07\x00\x00\x00touch x\x85R.";
        assert_eq!(read(bytes).unwrap().0, Value::Opaque);
    }

    #[test]
    fn broken_pickles_are_errors_and_nothing_else() {
        for bytes in [
            b"".as_slice(),
            b".",
            b"\x80",
            b"X\xff\xff\xff\xff.",
            b"X\xff\xff\xff\x7fab.",
            b"cmodule",
            b"t.",
            b"u.",
            b"\x87.",
            b"Na.",
            b"h\x05.",
            b"q\x00.",
            b"NQ.",
            b"NNR.",
            b"NN\x93.",
            b"\x8a\xff.",
            b"X\x01\x00\x00\x00\xff.",
            b"I1\n.",
        ] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_flood_of_values_ends_at_the_limit() {
        let flood = b"N".repeat(MAX_VALUES + 1);
        let said = read(&flood).unwrap_err();
        assert!(said.contains("makes more than 4194304 values"), "{said}");
    }

    #[test]
    fn nesting_of_any_depth_costs_no_stack() {
        let mut bytes = b"]".repeat(1_000_000);
        bytes.extend(b"a".repeat(999_999));
        bytes.push(b'.');
        assert!(matches!(read(&bytes).unwrap().0, Value::List(0)));
    }

    proptest! {
        #[test]
        fn any_instructions_end_in_a_value_or_an_error(
            bytes in proptest::collection::vec(
                prop_oneof![
                    4 => proptest::sample::select(b"(0bNKMJGXc}])taseuqrhjQR.\x80\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96CBUT".as_slice()),
                    1 => any::<u8>(),
                ],
                0..200,
            )
        ) {
            // Neither a panic nor more memory than the bytes ask for.
            if let Ok((_, held)) = read(&bytes) {
                let values: usize = held.groups.iter().map(Vec::len).sum();
                prop_assert!(values <= bytes.len());
            }
        }
    }

    #[test]
    fn a_container_may_hold_itself() {
        let (value, held) = read(b"]q\x00h\x00a.").unwrap();
        assert_eq!(held.group(value), Some([value].as_slice()));
    }

    #[test]
    fn bytes_sets_and_numpys_scalars_are_passed_over() {
        for (bytes, what) in [
            (&b"\x80\x04C\x02ab."[..], "short bytes"),
            (b"\x80\x03B\x02\0\0\0ab.", "bytes"),
            (b"\x80\x04\x8e\x02\0\0\0\0\0\0\0ab.", "long bytes"),
            (b"\x80\x05\x96\x02\0\0\0\0\0\0\0ab.", "bytearray"),
            (b"\x80\x04\x8f\x94(K\x01K\x02\x90.", "set"),
            (b"\x80\x04(K\x01K\x02\x91\x94.", "frozenset"),
            (b"\x80\x04cnumpy\ndtype\n)}\x92.", "object with keywords"),
            // As numpy 2 writes numpy.float64(0.5) at protocol 4.
            (
                b"\x80\x04\x95\x00\0\0\0\0\0\0\0\x8c\x16numpy._core.multiarray\x94\x8c\x06scalar\x94\x93\x94\x8c\x05numpy\x94\x8c\x05dtype\x94\x93\x94\x8c\x02f8\x94\x89\x88\x87\x94R\x94(K\x03\x8c\x01<\x94NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00t\x94bC\x08\0\0\0\0\0\0\xe0?\x94\x86\x94R\x94.",
                "scalar",
            ),
        ] {
            assert_eq!(read(bytes).unwrap().0, Value::Opaque, "{what}");
        }
        let said = read(b"\x80\x05\x97.").unwrap_err();
        assert!(said.contains("buffers outside of the file"), "{said}");
    }

    #[test]
    fn integers_of_every_width_and_sign() {
        let int = |bytes: &[u8]| match read(bytes).unwrap().0 {
            Value::Int(i) => i,
            other => panic!("{other:?}"),
        };
        assert_eq!(int(b"K\xff."), 255);
        assert_eq!(int(b"M\x00\x01."), 256);
        assert_eq!(int(b"J\xff\xff\xff\xff."), -1);
        assert_eq!(int(b"\x8a\x00."), 0);
        assert_eq!(int(b"\x8a\x05\x00\x00\x00\x00\x01."), 1 << 32);
        assert_eq!(int(b"\x8a\x01\xfe."), -2);
    }
}
