//! How much a peer can make a connection hold, in one place.

/// Bounds on what a connection holds in memory for its peer.
///
/// SSH gives each channel a window but the connection none; `connection_budget` is the missing
/// one. [`Limits::worst_case`] adds everything up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The receive window that a channel starts with, in bytes. It grows with what the link can
    /// carry.
    pub initial_window: u32,
    /// The largest receive window of a channel, in bytes.
    pub max_window: u32,
    /// Bytes that may be received and not read, over all channels. Beyond it no channel gets new
    /// credit.
    pub connection_budget: usize,
    /// Channels open at once.
    pub max_channels: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let defaults = ssh_connection::Limits::default();
        Self {
            initial_window: defaults.initial_window,
            max_window: defaults.max_window,
            connection_budget: defaults.connection_budget,
            max_channels: defaults.max_channels,
        }
    }
}

impl Limits {
    /// The most that a connection holds because its peer wants it to, in bytes: data that was
    /// received and not read, requests that were not answered, packets on their way in and out.
    ///
    /// Not in it is what the application collects itself: what [`exec`](crate::Client::exec)
    /// gathers, or a directory that is being listed.
    #[must_use]
    pub fn worst_case(&self) -> usize {
        let transport = ssh_transport::Limits::default().worst_case();
        let driver = crate::driver::worst_case();
        [self.connection().worst_case(), transport, driver]
            .into_iter()
            .fold(0, usize::saturating_add)
    }

    pub(crate) fn connection(&self) -> ssh_connection::Limits {
        let mut limits = ssh_connection::Limits::default();
        limits.initial_window = self.initial_window;
        limits.max_window = self.max_window;
        limits.connection_budget = self.connection_budget;
        limits.max_channels = self.max_channels;
        limits.read_block = crate::driver::READ_CHUNK;
        limits
    }
}
