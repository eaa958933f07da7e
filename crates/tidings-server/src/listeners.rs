//! The addresses a server listens on, and what each is for.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpListener;
use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Config;
use crate::front::Purpose;
use crate::server::StartError;

/// Connections that wait to be accepted; a shorter queue loses some of those who all come at once.
const BACKLOG: i32 = 4_096;

/// Clients speak first. So long the kernel keeps a connection to itself that says nothing.
const FIRST_BYTES: Duration = Duration::from_secs(1);

/// Data that is not acknowledged for so long ends a connection.
const USER_TIMEOUT: Duration = Duration::from_secs(20);

/// A listener that is open; nobody is accepted yet.
pub(crate) struct Listener {
    pub(crate) socket: TcpListener,
    pub(crate) addr: SocketAddr,
    pub(crate) purpose: Purpose,
}

/// Every listener that is configured.
pub(crate) struct Listeners {
    main: Listener,
    plain: Option<Listener>,
    admin: Option<Listener>,
}

impl Listeners {
    /// Opens them.
    ///
    /// # Errors
    /// [`StartError::Listen`] names the first address that cannot be had.
    pub(crate) fn open(config: &Config) -> Result<Self, StartError> {
        let wanted =
            |address: &str, purpose| (!address.is_empty()).then(|| listen(address, purpose)).transpose();
        Ok(Self {
            main: listen(&config.listen, Purpose::Public)?,
            plain: wanted(&config.ws_listen, Purpose::Plain)?,
            admin: wanted(&config.admin_listen, Purpose::Admin)?,
        })
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.main.addr
    }

    pub(crate) fn ws_addr(&self) -> Option<SocketAddr> {
        self.plain.as_ref().map(|listener| listener.addr)
    }

    pub(crate) fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|listener| listener.addr)
    }

    /// Whether only this machine can connect.
    pub(crate) fn loopback(&self) -> bool {
        let others = self.ws_addr().into_iter().chain(self.admin_addr());
        std::iter::once(self.addr()).chain(others).all(|addr| addr.ip().is_loopback())
    }

    pub(crate) fn all(self) -> impl Iterator<Item = Listener> {
        std::iter::once(self.main).chain(self.plain).chain(self.admin)
    }
}

/// Whether every address that is configured can be listened on now; nothing stays open.
///
/// # Errors
/// [`StartError::Listen`] names the first that cannot be had.
pub fn try_addresses(config: &Config) -> Result<(), StartError> {
    Listeners::open(config).map(drop)
}

/// Opens a listener whose connections inherit what they need.
fn listen(address: &str, purpose: Purpose) -> Result<Listener, StartError> {
    let open = || -> io::Result<Listener> {
        let wanted: SocketAddr = match address.parse() {
            Ok(wanted) => wanted,
            Err(_) => resolve(address)?,
        };
        let socket = Socket::new(Domain::for_address(wanted), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        socket.bind(&wanted.into())?;
        // Without it those who are silent at first are waited for by the listener's thread.
        if let Err(error) = tidings_sys::defer_accept(&socket, FIRST_BYTES) {
            tracing::debug!(%error, "connections are not held back by the kernel");
        }
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from_std(socket.into());
        Ok(Listener { addr: socket.local_addr()?, socket, purpose })
    };
    let flag = match purpose {
        Purpose::Public => "--listen",
        Purpose::Plain => "--ws-listen",
        Purpose::Admin => "--admin-listen",
    };
    open().map_err(|error| StartError::Listen { address: address.to_owned(), flag, error })
}

fn resolve(address: &str) -> io::Result<SocketAddr> {
    use std::net::ToSocketAddrs;
    let mut found = address.to_socket_addrs()?;
    found.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}
