//! The server's own paths, as they are described.
use tidings_app::describe::Path;
/// x
pub(crate) fn paths() -> Vec<Path> {
    Vec::new()
}
