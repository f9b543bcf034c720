//! Credentials through an ICE restart (RFC 8445 section 9): two generations at most, until the new one is used.
//!
//! The old pair stays good, both ways, until the first authenticated check under the new one, since the client goes on
//! with it while our answer is on its way. A restart changes names and passwords, never addresses: where media goes is
//! decided by `paths`, as ever.

use crate::command::IceCredentials;

/// One generation, both sides of it.
struct Generation {
    local: IceCredentials,
    /// Theirs, once known.
    remote: Option<IceCredentials>,
}

/// The credentials of one peer.
pub struct Credentials {
    current: Generation,
    /// Still good, because nobody has used `current` yet.
    previous: Option<Generation>,
}

impl Credentials {
    /// Our side's first.
    pub fn new(local: IceCredentials) -> Self {
        Credentials {
            current: Generation {
                local,
                remote: None,
            },
            previous: None,
        }
    }

    /// Their side's, of the latest generation.
    pub fn set_remote(&mut self, remote: IceCredentials) {
        self.current.remote = Some(remote);
    }

    /// Begins a new generation. Returns the username fragment of one that began before and was never used: it is good
    /// no more.
    pub fn restart(&mut self, local: IceCredentials, remote: IceCredentials) -> Option<String> {
        let fresh = Generation {
            local,
            remote: Some(remote),
        };
        let latest = std::mem::replace(&mut self.current, fresh);
        if self.previous.is_none() {
            self.previous = Some(latest);
            return None;
        }
        Some(latest.local.ufrag)
    }

    /// A check with our fragment `ufrag` was authentic. Returns the fragment that is thereby retired.
    pub fn on_check(&mut self, ufrag: &str) -> Option<String> {
        if ufrag != self.current.local.ufrag {
            return None;
        }
        self.previous.take().map(|retired| retired.local.ufrag)
    }

    /// Our password behind one of our fragments.
    pub fn password(&self, ufrag: &str) -> Option<&str> {
        let mut ours = self.generations().map(|generation| &generation.local);
        ours.find(|local| local.ufrag == ufrag)
            .map(|local| local.password.as_str())
    }

    /// Our fragment and their credentials, under which addresses are questioned now; `None` while theirs are unknown.
    pub fn in_use(&self) -> Option<(&str, &IceCredentials)> {
        let generation = self.previous.as_ref().unwrap_or(&self.current);
        let remote = generation.remote.as_ref()?;
        Some((&generation.local.ufrag, remote))
    }

    /// Every fragment of ours that is good.
    pub fn ufrags(&self) -> impl Iterator<Item = &str> {
        self.generations()
            .map(|generation| generation.local.ufrag.as_str())
    }

    fn generations(&self) -> impl Iterator<Item = &Generation> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> IceCredentials {
        IceCredentials {
            ufrag: name.to_owned(),
            password: format!("password-of-{name}"),
        }
    }

    fn restarted() -> Credentials {
        let mut credentials = Credentials::new(pair("ours"));
        credentials.set_remote(pair("theirs"));
        assert_eq!(credentials.restart(pair("ours2"), pair("theirs2")), None);
        credentials
    }

    fn asks_with(credentials: &Credentials) -> (String, String) {
        let (ours, theirs) = credentials.in_use().unwrap();
        (ours.to_owned(), theirs.ufrag.clone())
    }

    #[test]
    fn both_generations_are_good_until_the_new_one_is_used() {
        let mut credentials = restarted();
        assert_eq!(credentials.password("ours"), Some("password-of-ours"));
        assert_eq!(credentials.password("ours2"), Some("password-of-ours2"));
        assert_eq!(credentials.on_check("ours"), None);
        assert_eq!(credentials.on_check("ours2"), Some("ours".to_owned()));
        assert_eq!(credentials.password("ours"), None);
        assert_eq!(credentials.on_check("ours2"), None);
        assert_eq!(credentials.ufrags().collect::<Vec<_>>(), ["ours2"]);
    }

    #[test]
    fn addresses_are_questioned_under_what_the_client_uses() {
        let mut credentials = restarted();
        assert_eq!(asks_with(&credentials), ("ours".into(), "theirs".into()));
        credentials.on_check("ours2");
        assert_eq!(asks_with(&credentials), ("ours2".into(), "theirs2".into()));
    }

    #[test]
    fn a_second_restart_before_the_first_was_used_replaces_it() {
        let mut credentials = restarted();
        let dropped = credentials.restart(pair("ours3"), pair("theirs3"));
        assert_eq!(dropped, Some("ours2".to_owned()));
        assert_eq!(credentials.password("ours2"), None);
        assert_eq!(credentials.ufrags().collect::<Vec<_>>(), ["ours3", "ours"]);
    }

    #[test]
    fn nothing_is_asked_while_the_clients_side_is_unknown() {
        assert!(Credentials::new(pair("ours")).in_use().is_none());
    }
}
