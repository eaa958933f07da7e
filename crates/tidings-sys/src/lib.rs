//! What the system offers and no well-kept crate asks it for safely.
//!
//! The only crate of the workspace in which unsafe code is allowed (decision 0102). A function belongs here if it is a
//! single call of the system whose safety can be seen within its own lines.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

/// Has a listener's connections wait in the kernel until their first bytes are there, or for about `patience`.
///
/// For protocols in which the client speaks first. Accepting, and reading the first request, are then one turn. The
/// kernel counts in retransmissions of its half of the handshake: whoever says nothing is handed over at the first
/// one behind `patience` (`TCP_DEFER_ACCEPT`, tcp(7)).
///
/// # Errors
/// The system refuses it, or has no such thing: then connections come as they always do.
pub fn defer_accept(listener: impl AsFd, patience: Duration) -> io::Result<()> {
    system::defer_accept(listener.as_fd(), patience)
}

#[cfg(target_os = "linux")]
mod system {
    use std::io;
    use std::os::fd::{AsRawFd as _, BorrowedFd};
    use std::time::Duration;

    #[allow(unsafe_code, reason = "neither std nor socket2 nor rustix has this option (decision 0102)")]
    pub(super) fn defer_accept(listener: BorrowedFd<'_>, patience: Duration) -> io::Result<()> {
        let seconds = libc::c_int::try_from(patience.as_secs().max(1)).unwrap_or(libc::c_int::MAX);
        // SAFETY: the descriptor is borrowed and so is open throughout the call. The kernel reads as many bytes as
        // `seconds` has from where it is, writes nothing, and keeps no pointer.
        let result = unsafe {
            libc::setsockopt(
                listener.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_DEFER_ACCEPT,
                (&raw const seconds).cast(),
                size_of_val(&seconds) as libc::socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::io;
    use std::os::fd::BorrowedFd;
    use std::time::Duration;

    pub(super) fn defer_accept(_listener: BorrowedFd<'_>, _patience: Duration) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{ErrorKind, Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// Accepts as soon as somebody is there.
    fn accept(listener: &TcpListener) -> TcpStream {
        loop {
            match listener.accept() {
                Ok((stream, _)) => return stream,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }

    #[test]
    fn who_has_spoken_is_accepted_before_who_has_not() {
        let control = TcpListener::bind("127.0.0.1:0").unwrap();
        let deferring = TcpListener::bind("127.0.0.1:0").unwrap();
        defer_accept(&deferring, Duration::from_secs(30)).unwrap();
        for (listener, first) in [(control, 1), (deferring, 2)] {
            listener.set_nonblocking(true).unwrap();
            let address = listener.local_addr().unwrap();
            let clients = [1, 2].map(|_| TcpStream::connect(address).unwrap());
            for (number, mut client) in [(2_u8, &clients[1]), (1, &clients[0])] {
                client.write_all(&[number]).unwrap();
            }
            let mut said = [0];
            let accepted = accept(&listener);
            accepted.set_nonblocking(false).unwrap();
            (&accepted).read_exact(&mut said).unwrap();
            assert_eq!(
                said,
                [first],
                "in the order in which they {}",
                ["connected", "spoke"][first as usize - 1]
            );
        }
    }

    #[test]
    fn what_is_no_listener_is_an_error() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(defer_accept(&file, Duration::from_secs(1)).is_err());
    }
}
