//! Caps on what one worker keeps, and the defences that tests may switch off one at a time.

/// Caps; reaching one refuses a command or drops a packet, and never takes from another peer.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Peers of one worker.
    pub peers: usize,
    /// Tracks one peer publishes.
    pub tracks_per_peer: usize,
    /// Encodings of one track; LiveKit uses three, SVC names none.
    pub encodings_per_track: usize,
    /// Downtracks one peer receives.
    pub downtracks_per_peer: usize,
    /// Tracks that come over one pipe, and downtracks that go.
    pub tracks_per_pipe: usize,
    /// SSRCs of one peer that ever opened: each keeps its replay window for as long as the peer lives.
    pub streams_per_peer: usize,
    /// SSRCs of one peer that send RTCP.
    pub rtcp_senders_per_peer: usize,
    /// All on, always, outside this crate's own tests.
    pub defences: Defences,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            peers: 4096,
            tracks_per_peer: 32,
            encodings_per_track: 4,
            downtracks_per_peer: 1024,
            tracks_per_pipe: 8192,
            streams_per_peer: 256,
            rtcp_senders_per_peer: 256,
            defences: Defences::default(),
        }
    }
}

impl Limits {
    /// Tracks of one peer, or that come over one pipe.
    pub fn tracks(&self, is_pipe: bool) -> usize {
        match is_pipe {
            true => self.tracks_per_pipe,
            false => self.tracks_per_peer,
        }
    }

    /// Downtracks to one peer, or over one pipe.
    pub fn downtracks(&self, is_pipe: bool) -> usize {
        match is_pipe {
            true => self.tracks_per_pipe,
            false => self.downtracks_per_peer,
        }
    }
}

/// Whether this build can switch defences off at all; a release of the product asserts that it cannot.
pub const CAN_BE_WEAKENED: bool = cfg!(feature = "weak");

macro_rules! defences {
    ($($(#[$doc:meta])+ $name:ident / $without:ident,)+) => {
        /// Which defences hold. Without the `weak` feature every one does, at compile time.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct Defences {
            $(#[cfg(feature = "weak")] $name: bool,)+
        }

        impl Defences {
            $(
                $(#[$doc])+
                #[cfg(not(feature = "weak"))]
                pub const fn $name(self) -> bool {
                    true
                }

                $(#[$doc])+
                #[cfg(feature = "weak")]
                pub const fn $name(self) -> bool {
                    !self.$name
                }

                /// All but this one, to show the attack that it stops.
                #[doc(hidden)]
                #[cfg(feature = "weak")]
                pub fn $without() -> Self {
                    Defences { $name: true, ..Defences::default() }
                }
            )+
        }
    };
}

defences! {
    /// A changed address is questioned before media moves to it (DESIGN 2.4).
    questions_addresses / without_questions,
    /// An unproven address gets at most three times what it sent (DESIGN 2.4).
    bounds_reflection / without_reflection_bound,
    /// Replay windows (RFC 3711 section 3.3.2).
    refuses_replays / without_replay_windows,
    /// An SSRC means something only together with the peer that sealed it.
    keeps_streams_apart / without_stream_separation,
    /// Key-frame requests of many become one in a while.
    gathers_key_frame_requests / without_request_gathering,
}
