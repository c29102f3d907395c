//! Reading test vectors.

use alloc::vec::Vec;

use serde_json::Value;

/// Bytes written in hexadecimal.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd number of digits: {text}");
    text.as_bytes()
        .chunks(2)
        .map(|pair| {
            let pair = core::str::from_utf8(pair).unwrap();
            u8::from_str_radix(pair, 16).unwrap()
        })
        .collect()
}

/// A JSON object of the vector files.
pub(crate) struct Vectors(Value);

impl Vectors {
    pub(crate) fn load(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap())
    }

    pub(crate) fn value(&self, name: &str) -> &Value {
        let value = &self.0[name];
        assert!(!value.is_null(), "no {name} in the vector file");
        value
    }

    pub(crate) fn hex(&self, name: &str) -> Vec<u8> {
        unhex(self.value(name).as_str().unwrap())
    }

    pub(crate) fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.hex(name).try_into().unwrap()
    }

    pub(crate) fn hex_list(&self, name: &str) -> Vec<Vec<u8>> {
        let list = self.value(name).as_array().unwrap();
        assert!(!list.is_empty());
        list.iter().map(|hex| unhex(hex.as_str().unwrap())).collect()
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.value(name).as_u64().unwrap()
    }

    pub(crate) fn object(&self, name: &str) -> Self {
        Self(self.value(name).clone())
    }

    pub(crate) fn list(&self, name: &str) -> Vec<Self> {
        let list = self.value(name).as_array().unwrap();
        assert!(!list.is_empty());
        list.iter().cloned().map(Self).collect()
    }
}
