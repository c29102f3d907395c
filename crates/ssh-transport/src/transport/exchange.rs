//! Key exchange (RFC 4253 §7 to §9): the steps of the diagram in [`kex`](crate::kex).

use alloc::boxed::Box;

use ssh_crypto::hash::Digest;
use ssh_keys::PublicKey;
use ssh_wire::{Message, MpInt, Rest, proof::SessionId};

use super::Transport;
use crate::{
    Role,
    algorithm::CompressionAlgorithm,
    crypto::{Open, Seal},
    error::{Error, PeerMisbehaved},
    event::{Event, Payload},
    ext_info,
    host_key::{HostKeyOffer, HostKeyTrusted},
    inbound::Inbound,
    kex::{
        FreshKeys, Kex,
        client::{AwaitReply, AwaitVerdict},
        derive::KeyDerivation,
        group_exchange::{AwaitGroup, AwaitGroupRequest},
        hash::Transcript,
        init::{self, Ahead, FirstChoice, OurInit},
        method::{ClientShare, SharedSecret},
        negotiate::{Negotiated, negotiate},
        server::AwaitMethodInit,
        strict,
    },
    limits::MAX_EARLY_KEY_EXCHANGES,
    message::{KexDhGexGroup, KexDhGexInit, KexDhGexRequest, KexEcdhInit, KexInit, NewKeys},
    packet::Usage,
};

impl Transport {
    /// Begins an exchange: nothing is known of the peer's `KEXINIT` yet.
    pub(super) fn send_kexinit(&mut self) -> Result<(), Error> {
        let ahead = match self.peer_first_choice {
            Some(choice) => Ahead::IfRight(choice),
            None if self.config.guess_kex => Ahead::Yes,
            None => Ahead::No,
        };
        self.send_kexinit_with(ahead)
    }

    fn send_kexinit_with(&mut self, ahead: Ahead) -> Result<(), Error> {
        let first = self.session.is_none();
        let key_type = self.host_key.as_ref().map(PublicKey::key_type);
        let rng = &mut **self.outbound.rng();
        let init = OurInit::new(self.role, &self.config, first, key_type, ahead, rng);
        self.outbound.send_now(&Rest(&init.payload))?;
        self.outbound.hold();
        if let Some(share) = &init.guess {
            self.outbound.send_now(&KexEcdhInit { client_public: &share.public() })?;
        }
        self.kex = Kex::SentInit(init);
        Ok(())
    }

    pub(super) fn peer_kexinit(&mut self, payload: Payload) -> Result<Option<Event>, Error> {
        let unexpected = self.unexpected(&payload);
        if self.established && matches!(self.kex, Kex::Idle) {
            self.admit_exchange()?;
            self.schedule.begin(true);
            self.send_kexinit_with(Ahead::No)?;
        }
        let Kex::SentInit(mut ours) = core::mem::replace(&mut self.kex, Kex::Idle) else {
            return Err(unexpected);
        };
        let identification = self.peer.clone().ok_or(unexpected)?;
        let theirs = KexInit::parse(payload.bytes())?;
        if self.session.is_none() {
            let peer = self.role.other();
            self.strict = self.config.strict_kex && strict::is_offered(peer, &theirs);
            let sequence = payload.sequence();
            if self.strict && sequence != 0 {
                return Err(PeerMisbehaved::StrictKexInitNotFirst { sequence }.into());
            }
            self.peer_wants_ext_info = init::wants_ext_info(peer, &theirs);
        }
        let offer = ours.offer(&self.config);
        let mut negotiated =
            negotiate(&offer, &theirs, self.role).map_err(Error::NoCommonAlgorithm)?;
        negotiated.strict = self.strict;
        let guess_is_right = init::guess_is_right(&offer, &theirs);
        self.skip_guess = theirs.first_kex_packet_follows && !guess_is_right;
        self.peer_first_choice = Some(if identification.drops_right_guesses() {
            FirstChoice::UNKNOWN
        } else {
            FirstChoice::of(&theirs)
        });
        let guess = ours.guess.take().filter(|_| guess_is_right);
        let transcript = Transcript::new(
            self.role,
            (self.config.identification.as_str(), ours.payload),
            (identification.as_bytes(), payload.into_bytes()),
        );
        self.begin_method(negotiated, transcript, guess)?;
        Ok(None)
    }

    /// The first message of the method, or waiting for it.
    fn begin_method(
        &mut self,
        negotiated: Negotiated,
        transcript: Transcript,
        guess: Option<Box<dyn ClientShare>>,
    ) -> Result<(), Error> {
        self.kex = match (self.role, negotiated.kex.is_group_exchange()) {
            (Role::Client, false) => {
                let state = match guess {
                    // It is out already.
                    Some(share) => AwaitReply::with_share(negotiated, transcript, share, None),
                    None => {
                        let rng = &mut **self.outbound.rng();
                        let state = AwaitReply::new(negotiated, transcript, rng)?;
                        self.outbound.send_now(&KexEcdhInit { client_public: &state.public })?;
                        state
                    }
                };
                Kex::AwaitReply(Box::new(state))
            }
            (Role::Client, true) => {
                let state = AwaitGroup::new(negotiated, transcript);
                self.outbound.send_now(&state.bounds)?;
                Kex::AwaitGroup(Box::new(state))
            }
            (Role::Server, false) => {
                let state = AwaitMethodInit { negotiated, transcript, agreed: None };
                Kex::AwaitMethodInit(Box::new(state))
            }
            (Role::Server, true) => {
                Kex::AwaitGroupRequest(Box::new(AwaitGroupRequest { negotiated, transcript }))
            }
        };
        Ok(())
    }

    /// Somebody who has not logged in cannot make this side exchange keys for ever.
    fn admit_exchange(&mut self) -> Result<(), Error> {
        if self.schedule.is_authenticated() {
            return Ok(());
        }
        if self.early_exchanges >= MAX_EARLY_KEY_EXCHANGES {
            return Err(PeerMisbehaved::TooManyKeyExchanges.into());
        }
        self.early_exchanges = self.early_exchanges.saturating_add(1);
        Ok(())
    }

    pub(super) fn method_message(&mut self, payload: &Payload) -> Result<Option<Event>, Error> {
        if core::mem::take(&mut self.skip_guess) {
            return Ok(None);
        }
        let unexpected = self.unexpected(payload);
        match (core::mem::replace(&mut self.kex, Kex::Idle), payload.number()) {
            (Kex::AwaitReply(state), number) if number == state.number() => {
                self.server_replied(*state, payload)
            }
            (Kex::AwaitMethodInit(state), number) if number == state.number() => {
                self.client_asked(*state, payload).map(|()| None)
            }
            (Kex::AwaitGroup(state), KexDhGexGroup::NUMBER) => {
                self.server_chose(*state, payload).map(|()| None)
            }
            (Kex::AwaitGroupRequest(state), KexDhGexRequest::NUMBER) => {
                self.choose_group(*state, payload).map(|()| None)
            }
            _ => Err(unexpected),
        }
    }

    /// Client: the server's group.
    fn server_chose(&mut self, state: AwaitGroup, payload: &Payload) -> Result<(), Error> {
        let rng = &mut **self.outbound.rng();
        let state = state.group(payload.bytes(), rng)?;
        self.outbound.send_now(&KexDhGexInit { client_public: &state.public })?;
        self.kex = Kex::AwaitReply(Box::new(state));
        Ok(())
    }

    /// Server: the client's bounds on the group.
    fn choose_group(&mut self, state: AwaitGroupRequest, payload: &Payload) -> Result<(), Error> {
        let rng = &mut **self.outbound.rng();
        let state = state.choose(payload.bytes(), &self.config.groups, rng)?;
        if let Some(agreed) = &state.agreed {
            let (p, g) = (agreed.group.p(), agreed.group.g());
            let (p, g) = (MpInt::from_bytes(&p), MpInt::from_bytes(&g));
            self.outbound.send_now(&KexDhGexGroup { p, g })?;
        }
        self.kex = Kex::AwaitMethodInit(Box::new(state));
        Ok(())
    }

    /// Client: the server's public value and signature.
    fn server_replied(
        &mut self,
        state: AwaitReply,
        payload: &Payload,
    ) -> Result<Option<Event>, Error> {
        let negotiated = state.negotiated.clone();
        let proven = state.finish(payload.bytes(), self.config.min_rsa_bits)?;
        if self.host_key.as_ref().is_some_and(|known| known != proven.host_key.key()) {
            return Err(PeerMisbehaved::HostKeyChanged.into());
        }
        let keys = self.derive(&negotiated, &proven.secret, &proven.exchange_hash)?;
        let algorithm = negotiated.host_key;
        self.negotiated = Some(negotiated);
        if self.host_key.is_some() {
            self.send_newkeys(keys.sealing)?;
            self.kex = Kex::AwaitNewKeys(keys.opening);
            return Ok(None);
        }
        let exchange_hash = proven.exchange_hash;
        self.kex = Kex::AwaitVerdict(Box::new(AwaitVerdict {
            exchange_hash: exchange_hash.clone(),
            sealing: keys.sealing,
            opening: Some(keys.opening),
        }));
        let offer =
            HostKeyOffer::verified(proven.host_key, algorithm, exchange_hash, proven.signature);
        Ok(Some(Event::HostKey(offer)))
    }

    /// Server: the client's public value.
    fn client_asked(&mut self, state: AwaitMethodInit, payload: &Payload) -> Result<(), Error> {
        let rng = &mut **self.outbound.rng();
        let answer = state.answer(payload.bytes(), &self.config, rng)?;
        let keys = self.derive(&state.negotiated, &answer.secret, &answer.exchange_hash)?;
        self.negotiated = Some(state.negotiated);
        self.outbound.send_now(&Rest(&answer.reply))?;
        self.send_newkeys(keys.sealing)?;
        self.kex = Kex::AwaitNewKeys(keys.opening);
        Ok(())
    }

    fn derive(
        &mut self,
        negotiated: &Negotiated,
        secret: &SharedSecret,
        exchange_hash: &Digest,
    ) -> Result<FreshKeys, Error> {
        let session = self.session.get_or_insert_with(|| exchange_hash.clone());
        KeyDerivation::new(negotiated.kex.hash(), secret, exchange_hash, session.as_bytes())
            .keys(self.role, negotiated)
            .map_err(|_| Error::UnusableKeys)
    }

    /// Sends `NEWKEYS`, and what may only be sent behind it.
    fn send_newkeys(&mut self, sealing: Box<dyn Seal>) -> Result<(), Error> {
        self.outbound.send_now(&NewKeys {})?;
        #[cfg(feature = "fuzzing")]
        let sealing: Box<dyn Seal> =
            if self.null_protection { Box::new(crate::crypto::null::Null) } else { sealing };
        self.outbound.install(sealing, self.strict);
        self.outbound.set_compression(self.compression(self.role));
        if !self.established && self.peer_wants_ext_info {
            self.outbound.send_now(&Rest(&ext_info::ours(self.role)))?;
        }
        self.outbound.release()
    }

    pub(super) fn peer_newkeys(
        &mut self,
        payload: &Payload,
        inbound: &mut Inbound,
    ) -> Result<Option<Event>, Error> {
        let unexpected = self.unexpected(payload);
        NewKeys::parse(payload.bytes())?;
        match core::mem::replace(&mut self.kex, Kex::Idle) {
            Kex::AwaitNewKeys(opening) => {
                self.install(opening, inbound);
                self.complete().map(Some)
            }
            Kex::AwaitVerdict(mut state) => {
                let opening = state.opening.take().ok_or(unexpected)?;
                self.install(opening, inbound);
                self.kex = Kex::AwaitVerdict(state);
                Ok(None)
            }
            _ => Err(unexpected),
        }
    }

    fn install(&self, opening: Box<dyn Open>, inbound: &mut Inbound) {
        #[cfg(feature = "fuzzing")]
        let opening: Box<dyn Open> =
            if self.null_protection { Box::new(crate::crypto::null::Null) } else { opening };
        inbound.install(opening, self.strict);
        let compression = self.compression(self.role.other());
        inbound.set_compression(compression, self.outbound.authenticated());
    }

    /// How packets that `sender` sends are compressed under the keys just negotiated.
    const fn compression(&self, sender: Role) -> CompressionAlgorithm {
        match (&self.negotiated, sender) {
            (Some(negotiated), Role::Client) => negotiated.compression_to_server,
            (Some(negotiated), Role::Server) => negotiated.compression_to_client,
            (None, _) => CompressionAlgorithm::None,
        }
    }

    /// Client: the host is the right one.
    pub(super) fn trusted(
        &mut self,
        state: AwaitVerdict,
        trusted: HostKeyTrusted,
    ) -> Result<Option<Event>, Error> {
        self.host_key = Some(trusted.into_key());
        self.send_newkeys(state.sealing)?;
        match state.opening {
            Some(opening) => {
                self.kex = Kex::AwaitNewKeys(opening);
                Ok(None)
            }
            None => self.complete().map(Some),
        }
    }

    /// Both `NEWKEYS` are through.
    fn complete(&mut self) -> Result<Event, Error> {
        self.schedule.complete();
        if self.established {
            return Ok(Event::Rekeyed);
        }
        let session = self.session.as_ref().ok_or(Error::UnusableKeys)?;
        self.established = true;
        self.ext_info_next = self.role == Role::Server;
        Ok(Event::Established(SessionId::of_trusted_exchange(session.as_bytes())))
    }

    pub(super) fn rekey_if_due(
        &mut self,
        inbound: Usage,
        time_is_known: bool,
    ) -> Result<(), Error> {
        if !self.established || !matches!(self.kex, Kex::Idle) {
            return Ok(());
        }
        let limits = &self.config.limits;
        let used_up = self.schedule.is_used_up(limits, inbound)
            || self.schedule.is_used_up(limits, self.outbound.usage());
        if used_up || self.schedule.is_old(limits) {
            self.schedule.begin(time_is_known);
            self.send_kexinit()?;
        }
        Ok(())
    }
}
