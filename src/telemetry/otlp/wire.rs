//! The wire form of OTLP: the few messages of `opentelemetry/proto` 1.x that are sent, field by field. What the fields mean
//! is with those who write them.

/// A message of Protocol Buffers, written from its first field to its last.
#[derive(Debug, Default)]
pub(super) struct Message(Vec<u8>);

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;

impl Message {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn tag(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    pub(super) fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.tag(field, BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn text(&mut self, field: u64, text: &str) -> &mut Self {
        self.bytes(field, text.as_bytes())
    }

    pub(super) fn message(&mut self, field: u64, write: impl FnOnce(&mut Message)) -> &mut Self {
        let mut inner = Message::default();
        write(&mut inner);
        self.bytes(field, &inner.0)
    }

    pub(super) fn number(&mut self, field: u64, value: u64) -> &mut Self {
        self.tag(field, VARINT);
        self.varint(value);
        self
    }

    pub(super) fn fixed(&mut self, field: u64, value: u64) -> &mut Self {
        self.tag(field, FIXED64);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn double(&mut self, field: u64, value: f64) -> &mut Self {
        self.fixed(field, value.to_bits())
    }

    /// A packed list of fixed-size numbers.
    pub(super) fn packed(&mut self, field: u64, values: impl Iterator<Item = u64>) -> &mut Self {
        let bytes: Vec<u8> = values.flat_map(u64::to_le_bytes).collect();
        self.bytes(field, &bytes)
    }

    /// A `KeyValue` of text.
    pub(super) fn attribute(&mut self, field: u64, key: &str, value: &str) -> &mut Self {
        self.message(field, |pair| {
            pair.text(1, key).message(2, |any| {
                any.text(1, value);
            });
        })
    }

    /// A `KeyValue` of a whole number.
    pub(super) fn count(&mut self, field: u64, key: &str, value: u64) -> &mut Self {
        self.message(field, |pair| {
            pair.text(1, key).message(2, |any| {
                any.number(3, value);
            });
        })
    }
}

/// A request of one resource and one scope; `write` writes the field of the scope's own items.
pub(super) fn request(resource: &[(String, String)], write: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |of_resource| {
        of_resource.message(1, |message| {
            for (key, value) in resource {
                message.attribute(1, key, value);
            }
        });
        of_resource.message(2, |scope| {
            scope.message(1, |name| {
                name.text(1, "rowtide").text(2, env!("CARGO_PKG_VERSION"));
            });
            write(scope);
        });
    });
    request.into_bytes()
}
