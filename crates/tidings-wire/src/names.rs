//! Ways to write an event, and the namespaces it can be written for.

/// A way to write an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Socket.IO v5 in JSON.
    SocketIo,
    /// Socket.IO v5 in msgpack.
    Msgpack,
    /// Plain JSON.
    Plain,
}

/// The names of the namespaces, by index; 0 is `/`.
#[derive(Debug, Clone)]
pub struct Namespaces {
    names: Vec<Box<str>>,
}

impl Namespaces {
    /// The most there can be: an index is one byte.
    pub const MOST: usize = 256;

    /// `/` and the given names, in order and without repeats.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all: Vec<Box<str>> = vec!["/".into()];
        for name in names {
            if !all.iter().any(|known| **known == *name) && all.len() < Self::MOST {
                all.push(name.into());
            }
        }
        Self { names: all }
    }

    /// The index of a namespace, if it exists.
    pub fn index(&self, name: &str) -> Option<u8> {
        // The first one is always this, and most clients are in no other.
        if name == "/" {
            return Some(0);
        }
        let at = self.names.iter().position(|known| **known == *name)?;
        u8::try_from(at).ok()
    }

    /// The name of a namespace.
    pub fn name(&self, index: u8) -> &str {
        self.names.get(usize::from(index)).map_or("/", |name| name)
    }

    /// Every namespace's name.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }
}
