//! Random ids: session keys, which say where a session lives, and public socket ids.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tidings_core::ConnKey;

/// The key of a session: where it lives, and 128 random bits that nobody can guess.
///
/// Used as Engine.IO sid and as the private id of recovery. The place needs no look-up table; the
/// secret is compared on the shard that holds the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// The shard.
    pub shard: usize,
    /// The connection there.
    pub conn: ConnKey,
    /// Known to the client and to the shard alone.
    pub secret: u128,
}

/// Characters of a session key as text: 24 bytes in base64url.
const KEY_TEXT: usize = 32;

impl SessionKey {
    /// The shard that knows where the session is; another start may have other shards.
    pub fn home(self, shards: usize) -> usize {
        self.shard % shards.max(1)
    }

    /// The key as text.
    pub fn to_text(self) -> String {
        let mut bytes = [0; 24];
        bytes[0] = self.shard as u8;
        bytes[1..4].copy_from_slice(&self.conn.slot.to_be_bytes()[1..]);
        bytes[4..8].copy_from_slice(&self.conn.generation.to_be_bytes());
        bytes[8..].copy_from_slice(&self.secret.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a key; `None` if it is not one of ours by its form.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != KEY_TEXT {
            return None;
        }
        let mut bytes = [0; 24];
        if URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()? != bytes.len() {
            return None;
        }
        let [shard, a, b, c, d, e, f, g, secret @ ..] = bytes;
        Some(Self {
            shard: usize::from(shard),
            conn: ConnKey {
                slot: u32::from_be_bytes([0, a, b, c]),
                generation: u32::from_be_bytes([d, e, f, g]),
            },
            secret: u128::from_be_bytes(secret),
        })
    }
}

/// 128 random bits of the operating system, as 32 hexadecimal digits.
///
/// # Errors
/// The system has none to give.
pub(crate) fn random_hex() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// A public socket id: 20 characters, as adapters of other servers expect.
pub type SocketId = [u8; 20];

/// A socket id as text.
pub fn id_text(id: &SocketId) -> &str {
    std::str::from_utf8(id).unwrap_or("")
}

/// Random bytes from the kernel, fetched in bulk: one system call serves many connections.
pub struct Entropy {
    bytes: [u8; 4_096],
    used: usize,
}

impl Default for Entropy {
    fn default() -> Self {
        Self { bytes: [0; 4_096], used: 4_096 }
    }
}

impl Entropy {
    /// A secret of 128 bits.
    pub fn secret(&mut self) -> u128 {
        u128::from_be_bytes(self.take())
    }

    /// A public socket id.
    pub fn socket_id(&mut self) -> SocketId {
        let mut id = [0; 20];
        let bytes: [u8; 15] = self.take();
        // 15 bytes are exactly 20 characters, so this cannot fail.
        let _ = URL_SAFE_NO_PAD.encode_slice(bytes, &mut id);
        id
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        if self.used + N > self.bytes.len() {
            // Without randomness no session may be opened: better to stop than to be guessable.
            getrandom::fill(&mut self.bytes).expect("the kernel gives random bytes");
            self.used = 0;
        }
        let mut out = [0; N];
        out.copy_from_slice(&self.bytes[self.used..self.used + N]);
        // What was handed out must not stay behind in memory.
        self.bytes[self.used..self.used + N].fill(0);
        self.used += N;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_key_is_read_back_from_its_text() {
        let conn = ConnKey { slot: 0x00ab_cdef, generation: 77 };
        let key = SessionKey { shard: 3, conn, secret: u128::MAX - 5 };
        assert_eq!(SessionKey::parse(&key.to_text()), Some(key));
        assert_eq!(key.to_text().len(), KEY_TEXT);
    }

    #[test]
    fn text_of_another_form_is_no_session_key() {
        for text in ["", "abc", "!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!", &"é".repeat(16)] {
            assert_eq!(SessionKey::parse(text), None, "{text}");
        }
    }

    #[test]
    fn socket_ids_have_twenty_characters_and_differ() {
        let mut entropy = Entropy::default();
        let (a, b) = (entropy.socket_id(), entropy.socket_id());
        assert_eq!(id_text(&a).len(), 20);
        assert_ne!(a, b);
    }
}
