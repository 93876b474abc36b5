//! How often each guard of a node had to act: against too much, too slow, and too little sense.

macro_rules! guards {
    ($( $(#[doc = $doc:literal])+ $guard:ident: $name:literal; )+) => {
        /// What a node does not let pass. Where there is a limit of [`crate::limits::Limits`], the name is the limit's.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Guard { $( $(#[doc = $doc])+ $guard, )+ }

        impl Guard {
            /// All of them.
            pub const ALL: &'static [Guard] = &[$(Guard::$guard),+];

            /// Its name on metrics.
            pub const fn name(self) -> &'static str {
                match self { $( Guard::$guard => $name, )+ }
            }
        }
    };
}

guards! {
    /// A connection came while the node had as many as it may; it was told 503, or closed.
    Connections: "connections_max";
    /// As before, from one address.
    ConnectionsPerClient: "connections_per_client_max";
    /// A request came while the worker had as many under way as it may.
    Exchanges: "exchanges_max";
    /// A connection was closed after its last request.
    Requests: "client_requests_max";
    /// A connection was closed for its age.
    Age: "client_age_max";
    /// A head did not come in time.
    Head: "client_head";
    /// A kept connection said nothing.
    Idle: "client_idle";
    /// A caller paused within its body.
    Body: "client_body";
    /// A caller sent its body too slowly.
    BodyRate: "client_body_rate_min";
    /// A caller took nothing of its reply.
    Write: "client_write";
    /// A head was too large, or had too many lines.
    HeadSize: "head_bytes_max";
    /// A path was too long.
    Uri: "uri_bytes_max";
    /// An HTTP/2 connection sent frames of no use.
    H2Frames: "h2_idle_frames_max";
    /// An HTTP/2 connection was ended by the codec: resets, CONTINUATION or small frames without end.
    H2Flood: "h2_flood";
    /// A request came while memory was short.
    Memory: "memory_max";
    /// A connection could not be accepted for want of descriptors.
    Descriptors: "descriptors";
    /// A connection stayed with a busy worker, as the other's queue was full.
    Handed: "accept_handed_max";
    /// Credentials of an address were not looked at, as too many of its attempts had failed.
    AuthFailures: "auth_failures_max";
    /// An address whose attempts failed took the place of another one.
    AuthFailureAddresses: "auth_failure_addresses_max";
    /// A password was not checked, as too many waited.
    PasswordChecks: "password_checks_waiting_max";
    /// That a credential was used could not be noted.
    CredentialsUsed: "credentials_used_max";
}

/// How many guards there are.
pub const GUARDS: usize = Guard::ALL.len();
